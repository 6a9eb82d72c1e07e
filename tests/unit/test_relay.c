/*
 * The relay against receivers of its own, on loopback, from a journal on disk. All the while
 * a thread reads the books, and finds that they balance.
 */

#include "collector/relay/relay.h"

#include <pthread.h>
#include <stdatomic.h>

#include "collector/spans/span_walk.h"
#include "common/base/clock.h"
#include "common/base/metrics.h"
#include "common/edge/http_server.h"
#include "common/edge/rpc_server.h"
#include "tests/unit/sample_spans.h"
#include "tests/unit/scratch_journal.h"

enum {
    MAX_ANSWERS = 4,
    MAX_REQUESTS = 512,
    MAX_SPANS = 65536,
    MAX_HELD = 16,
    N_RECEIVERS = 2,
    PATIENCE_S = 20,
    NOBODY = -1,
    LIMIT_BYTES = 64 * 1024,
    LARGE_SPAN_BYTES = LIMIT_BYTES / 8,
    GIANT_SPAN_BYTES = LIMIT_BYTES * 2,
};

static const int64_t second = NS_PER_S;
static const int64_t millisecond = NS_PER_MS;

/* google.rpc.Status with RetryInfo: 300 ms. */
#define RETRY_IN_300_MS \
    STR_INIT("\x1a\x22\x0a\x16x/google.rpc.RetryInfo\x12\x08\x0a\x06\x10\x80\xc6\x86\x8f\x01")

struct answer {
    enum status status;
    struct str  message;
    struct str  details;
    struct str  response;
};

static const struct answer taken = {.response = STR_INIT("")};
static const struct answer busy = {.status = STATUS_UNAVAILABLE};
static const struct answer forbidden = {.status = STATUS_PERMISSION_DENIED,
                                        .message = STR_INIT("who are you?")};
static const struct answer bad_data = {.status = STATUS_INVALID_ARGUMENT,
                                       .message = STR_INIT("what is this?")};

/* How a receiver behaves. The last answer stands for all requests that follow. */
struct manners {
    struct answer answers[MAX_ANSWERS];
    unsigned      n_answers; /* 0: all is taken */
    int           poison;    /* the number of a span that it refuses; or NOBODY */
    struct answer remedy;    /* what it says to that */
    size_t        max_bytes; /* 0: no limit */
    bool          is_mute_about_limit;
    bool          is_silent; /* says nothing until it is told to */
};

static const struct manners friendly = {.poison = NOBODY};

/* What came in so far. */
struct seen {
    unsigned n_requests;
    size_t   bytes[MAX_REQUESTS];
    int64_t  arrivals_ns[MAX_REQUESTS];
    int      first_spans[MAX_REQUESTS]; /* the number of the first span in each */
};

struct receiver {
    struct rpc_worker  *worker;
    struct rpc_server  *server;
    struct http_server *http_server;
    uint16_t            port;
    struct release {
        struct rpc_task  task;
        struct receiver *receiver;
    } speech, farewell;

    pthread_mutex_t lock;
    pthread_cond_t  changed;
    struct {
        struct manners   manners;
        struct seen      seen;
        uint8_t          taken[MAX_SPANS]; /* how often, by the span's number */
        struct rpc_call *held[MAX_HELD];
        unsigned         n_held;
    } locked;
};

struct world {
    struct scratch          *scratch;
    struct receiver          receivers[N_RECEIVERS];
    char                     names[N_RECEIVERS][64];
    struct relay_destination destinations[N_RECEIVERS];
    struct relay_options     options;
    struct metrics          *metrics;
    struct rpc_worker       *worker;
    struct relay            *relay;
    int                      n_spans; /* appended */

    pthread_t   auditor;
    bool        is_stopped;
    atomic_bool audit_ends;
    atomic_uint fails, works, refuses;
};

static int span_number(const struct span_view *span)
{
    uint64_t number;

    assert_int_equal(str_to_uint64(span->name, &number), 0);
    assert_true(number < MAX_SPANS);
    return (int)number;
}

static bool holds(struct str request, int number)
{
    struct span_walk walk = span_walk(request);
    struct span_view span;

    while (span_walk_next(&walk, &span))
        if (span_number(&span) == number)
            return true;
    return false;
}

static void note_request_locked(struct receiver *receiver, struct str request)
{
    struct seen     *seen = &receiver->locked.seen;
    unsigned         number = seen->n_requests++;
    struct span_walk walk = span_walk(request);
    struct span_view span;

    assert_true(number < MAX_REQUESTS);
    seen->bytes[number] = request.len;
    seen->arrivals_ns[number] = clock_monotonic_ns();
    seen->first_spans[number] = span_walk_next(&walk, &span) ? span_number(&span) : NOBODY;
}

static struct answer too_large(const struct manners *manners, size_t n_bytes)
{
    static char   text[100];
    struct answer answer = {.status = STATUS_RESOURCE_EXHAUSTED};

    if (!manners->is_mute_about_limit) {
        (void)snprintf(text, sizeof(text), "grpc: received message larger than max (%zu vs. %zu)",
                       n_bytes, manners->max_bytes);
        answer.message = str_from(text);
    }
    return answer;
}

static struct answer decide_locked(struct receiver *receiver, struct str request)
{
    const struct manners *manners = &receiver->locked.manners;
    unsigned              number = receiver->locked.seen.n_requests - 1;

    if (manners->max_bytes > 0 && request.len > manners->max_bytes)
        return too_large(manners, request.len);
    if (manners->poison != NOBODY && holds(request, manners->poison))
        return manners->remedy.status == STATUS_OK ? bad_data : manners->remedy;
    if (manners->n_answers == 0)
        return taken;
    return manners->answers[number < manners->n_answers ? number : manners->n_answers - 1];
}

static void note_taken_locked(struct receiver *receiver, struct str request)
{
    struct span_walk walk = span_walk(request);
    struct span_view span;

    while (span_walk_next(&walk, &span))
        receiver->locked.taken[span_number(&span)]++;
}

static void reply(struct rpc_call *call, const struct answer *answer)
{
    if (answer->status == STATUS_OK)
        rpc_call_reply(call, answer->response, NULL);
    else
        rpc_call_fail(call,
                      &(struct rpc_failure){.status = answer->status,
                                            .message = answer->message,
                                            .details = answer->details},
                      NULL);
}

/* Notes the request; false when it is to be held. */
static bool receive_locked(struct receiver *receiver, struct rpc_call *call, struct answer *ret)
{
    struct str request = rpc_call_request(call);

    note_request_locked(receiver, request);
    if (receiver->locked.manners.is_silent) {
        assert_true(receiver->locked.n_held < MAX_HELD);
        receiver->locked.held[receiver->locked.n_held++] = call;
        return false;
    }
    *ret = decide_locked(receiver, request);
    if (ret->status == STATUS_OK)
        note_taken_locked(receiver, request);
    return true;
}

static void handle(struct rpc_call *call, void *context)
{
    struct receiver *receiver = context;
    struct answer    answer;

    pthread_mutex_lock(&receiver->lock);
    bool is_answered = receive_locked(receiver, call, &answer);
    pthread_cond_broadcast(&receiver->changed);
    pthread_mutex_unlock(&receiver->lock);

    if (is_answered)
        reply(call, &answer);
}

/* On the receiver's worker: all that is held is taken. */
static void release_held(struct rpc_task *task)
{
    struct receiver *receiver = container_of(task, struct release, task)->receiver;

    pthread_mutex_lock(&receiver->lock);
    receiver->locked.manners.is_silent = false;
    for (unsigned i = 0; i < receiver->locked.n_held; i++) {
        note_taken_locked(receiver, rpc_call_request(receiver->locked.held[i]));
        reply(receiver->locked.held[i], &taken);
    }
    receiver->locked.n_held = 0;
    pthread_mutex_unlock(&receiver->lock);
}

static void post_release(struct receiver *receiver, struct release *release)
{
    *release = (struct release){.task.run = release_held, .receiver = receiver};
    rpc_worker_post(receiver->worker, &release->task);
}

static void speak(struct receiver *receiver)
{
    post_release(receiver, &receiver->speech);
}

static void handle_http(struct http_request *request, void *context)
{
    struct receiver *receiver = context;
    struct str       body = http_request_body(request);

    pthread_mutex_lock(&receiver->lock);
    note_request_locked(receiver, body);
    struct answer answer = decide_locked(receiver, body);
    if (answer.status == STATUS_OK)
        note_taken_locked(receiver, body);
    pthread_mutex_unlock(&receiver->lock);

    int code = answer.status == STATUS_RESOURCE_EXHAUSTED ? 413 : status_to_http(answer.status);
    http_respond(request, &(struct http_response){.code = code,
                                                  .content_type = STR("application/x-protobuf"),
                                                  .body = answer.response});
}

static void open_http_receiver(struct receiver *receiver)
{
    struct http_server_options options = {.thread_name = "test-http",
                                          .threads = 1,
                                          .max_connections = 16,
                                          .idle_timeout_s = 60,
                                          .max_header_bytes = 16384,
                                          .max_body_bytes = 4 << 20,
                                          .arena_bytes = 8 << 20,
                                          .handle = handle_http,
                                          .context = receiver};
    assert_int_equal(listen_address_parse(STR("127.0.0.1:0"), &options.address), 0);
    assert_int_equal(http_server_new(&receiver->http_server, &options, &receiver->port), 0);
}

/* On the port that it had before, if it had one. */
static void open_receiver(struct receiver *receiver)
{
    struct listen_address address;
    char                  text[32];

    (void)snprintf(text, sizeof(text), "127.0.0.1:%u", receiver->port);
    assert_int_equal(listen_address_parse(str_from(text), &address), 0);
    assert_int_equal(rpc_worker_new(&receiver->worker, "test-receiver"), 0);
    assert_int_equal(rpc_server_new(&receiver->server, &receiver->worker, 1,
                                    (struct rpc_server_limits){.max_message_bytes = 64 << 20,
                                                               .max_metadata_bytes = 16384,
                                                               .max_streams = 100,
                                                               .arena_bytes = 64 << 20}),
                     0);
    rpc_server_add_unary(receiver->server,
                         "/opentelemetry.proto.collector.trace.v1.TraceService/Export", handle,
                         receiver);
    assert_int_equal(rpc_server_start(receiver->server, &address, &receiver->port), 0);
    assert_int_equal(rpc_worker_start(receiver->worker), 0);
}

static void close_receiver(struct receiver *receiver)
{
    if (receiver->http_server)
        http_server_drain(receiver->http_server, NEVER_NS);
    http_server_free(take(receiver->http_server));
    if (!receiver->server)
        return;

    post_release(receiver, &receiver->farewell);
    rpc_server_drain(receiver->server, clock_monotonic_ns());
    rpc_worker_stop(receiver->worker);
    rpc_server_free(take(receiver->server));
    rpc_worker_free(take(receiver->worker));
}

static void behave(struct receiver *receiver, struct manners manners)
{
    pthread_mutex_lock(&receiver->lock);
    receiver->locked.manners = manners;
    pthread_mutex_unlock(&receiver->lock);
}

static struct seen look(struct receiver *receiver)
{
    pthread_mutex_lock(&receiver->lock);
    struct seen seen = receiver->locked.seen;
    pthread_mutex_unlock(&receiver->lock);
    return seen;
}

static void wait_for_requests(struct receiver *receiver, unsigned n_requests)
{
    struct timespec until;
    int             r = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&receiver->lock);
    while (r == 0 && receiver->locked.seen.n_requests < n_requests)
        r = pthread_cond_timedwait(&receiver->changed, &receiver->lock, &until);
    unsigned saw = receiver->locked.seen.n_requests;
    pthread_mutex_unlock(&receiver->lock);
    if (saw < n_requests)
        fail_msg("saw %u requests, expected %u", saw, n_requests);
}

/* Each of these spans arrived so often. */
static void expect_taken(struct receiver *receiver, int first, int end, unsigned times)
{
    pthread_mutex_lock(&receiver->lock);
    for (int i = first; i < end; i++)
        if (receiver->locked.taken[i] != times)
            fail_msg("span %d came %u times, expected %u", i, receiver->locked.taken[i], times);
    pthread_mutex_unlock(&receiver->lock);
}

static uint64_t sum_of(const struct relay_books *books)
{
    uint64_t sum = 0;

    for (int i = 0; i < RELAY_COUNTS; i++)
        sum += books->counts[i];
    return sum;
}

static void *audit(void *argument)
{
    struct world *world = argument;

    while (!atomic_load(&world->audit_ends)) {
        for (size_t i = 0; i < relay_destinations(world->relay); i++) {
            struct relay_books books;

            relay_read_books(world->relay, i, &books);
            if (books.received != sum_of(&books) + books.queued) {
                print_error("received %lu, counted %lu, queued %lu\n", books.received,
                            sum_of(&books), books.queued);
                abort();
            }
        }
        sched_yield();
    }
    return NULL;
}

static void note_event(enum relay_event event, const struct relay_books *books, void *context)
{
    struct world *world = context;

    assert_true(books->name.len > 0);
    atomic_fetch_add(event == RELAY_FAILS   ? &world->fails
                     : event == RELAY_WORKS ? &world->works
                                            : &world->refuses,
                     1);
}

static void point_at_receiver(struct world *world, size_t i)
{
    (void)snprintf(world->names[i], sizeof(world->names[i]), "grpc://127.0.0.1:%u",
                   world->receivers[i].port);
    world->destinations[i].name = str_from(world->names[i]);
    assert_int_equal(uri_parse(world->destinations[i].name, &world->destinations[i].endpoint, NULL),
                     0);
}

static int set_up(void **state)
{
    static struct world world;
    void               *scratch;

    world = (struct world){.metrics = metrics_new()};
    if (new_samples(state) < 0 || scratch_setup_open(&scratch) < 0)
        return -1;
    world.scratch = scratch;
    for (size_t i = 0; i < N_RECEIVERS; i++) {
        pthread_mutex_init(&world.receivers[i].lock, NULL);
        pthread_cond_init(&world.receivers[i].changed, NULL);
        behave(&world.receivers[i], friendly);
        open_receiver(&world.receivers[i]);
        point_at_receiver(&world, i);
    }
    assert_int_equal(rpc_worker_new(&world.worker, "test-relay"), 0);
    assert_int_equal(rpc_worker_start(world.worker), 0);
    world.options = (struct relay_options){
        .destinations = world.destinations,
        .n_destinations = 1,
        .journal = world.scratch->journal,
        .directory = world.scratch->directory,
        .worker = world.worker,
        .max_bytes = UINT64_MAX,
        .call_timeout_ns = PATIENCE_S * second,
        .max_batch_bytes = LIMIT_BYTES,
        .max_in_flight = 4,
        .event = note_event,
        .context = &world,
    };
    *state = &world;
    return 0;
}

/* A relay opens its cursors before the first append: the journal is opened anew. */
static void start(struct world *world)
{
    struct str culprit;

    scratch_reopen(world->scratch);
    world->options.journal = world->scratch->journal;
    world->options.worker = world->worker;
    assert_int_equal(relay_new(&world->relay, &world->options, world->metrics, &culprit), 0);
    assert_int_equal(relay_start(world->relay), 0);
    atomic_store(&world->audit_ends, false);
    world->is_stopped = false;
    assert_int_equal(pthread_create(&world->auditor, NULL, audit, world), 0);
}

static void stop(struct world *world, int64_t patience_ns)
{
    if (world->is_stopped)
        return;

    world->is_stopped = true;
    relay_stop(world->relay, clock_monotonic_ns() + patience_ns);
    atomic_store(&world->audit_ends, true);
    pthread_join(world->auditor, NULL);
}

/* The relay after the worker: as a program does it. */
static void end(struct world *world)
{
    if (!world->relay)
        return;

    stop(world, 0);
    rpc_worker_stop(world->worker);
    relay_free(take(world->relay));
    rpc_worker_free(take(world->worker));
    metrics_free(world->metrics);
}

static void restart(struct world *world)
{
    end(world);
    world->metrics = metrics_new();
    assert_int_equal(rpc_worker_new(&world->worker, "test-relay"), 0);
    assert_int_equal(rpc_worker_start(world->worker), 0);
    start(world);
}

static int tear_down(void **state)
{
    struct world *world = *state;

    if (world->relay) {
        end(world);
    } else {
        rpc_worker_stop(world->worker);
        rpc_worker_free(world->worker);
        metrics_free(world->metrics);
    }
    for (size_t i = 0; i < N_RECEIVERS; i++) {
        close_receiver(&world->receivers[i]);
        pthread_cond_destroy(&world->receivers[i].changed);
        pthread_mutex_destroy(&world->receivers[i].lock);
    }
    void *scratch = world->scratch;
    scratch_teardown(&scratch);
    return free_samples(state);
}

/* The next number is its name; `extra_bytes` make it larger. */
static struct str next_span(struct world *world, size_t extra_bytes)
{
    char  name[16];
    char *extra = arena_zalloc(samples, extra_bytes + 1);

    assert_non_null(extra);
    (void)snprintf(name, sizeof(name), "%d", world->n_spans++);
    return SPAN(field_bytes(SPAN_NAME, str_from(name)),
                field_bytes(SPAN_TRACE_STATE, (struct str){extra, extra_bytes}));
}

/* A record of so many spans. Returns the number of the first. */
static int add_record_at(struct world *world, int n_spans, size_t extra_bytes, int64_t time_ns)
{
    int         first = world->n_spans;
    struct str *spans = arena_alloc(samples, (size_t)(n_spans + 1) * sizeof(*spans));

    assert_non_null(spans);
    for (int i = 0; i < n_spans; i++)
        spans[i] = next_span(world, extra_bytes);
    struct str request =
        RESOURCE_SPANS(sample_resource(STR("shop")),
                       SCOPE_SPANS(sample_scope(STR("test")), join(spans, (size_t)n_spans)));
    assert_int_equal(append_at(world->scratch, request, (uint32_t)n_spans, time_ns), 0);
    if (world->relay)
        relay_wake(world->relay);
    return first;
}

static int add_record(struct world *world, int n_spans, size_t extra_bytes)
{
    return add_record_at(world, n_spans, extra_bytes, clock_realtime_ns());
}

static void add_records(struct world *world, int n_records, int n_spans, size_t extra_bytes)
{
    for (int i = 0; i < n_records; i++)
        add_record(world, n_spans, extra_bytes);
}

static struct relay_books read_books(struct world *world, size_t destination)
{
    struct relay_books books;

    relay_read_books(world->relay, destination, &books);
    return books;
}

/* What became of all spans; those not named here are 0. */
struct fate {
    uint64_t delivered, refused, partial, too_large, size, age, damaged, queued;
};

static bool is_fate(const struct relay_books *books, struct fate fate)
{
    const uint64_t counts[RELAY_COUNTS] = {
        [RELAY_DELIVERED] = fate.delivered,      [RELAY_REJECTED_REFUSED] = fate.refused,
        [RELAY_REJECTED_PARTIAL] = fate.partial, [RELAY_REJECTED_TOO_LARGE] = fate.too_large,
        [RELAY_EXPIRED_SIZE] = fate.size,        [RELAY_EXPIRED_AGE] = fate.age,
        [RELAY_LOST_DAMAGED] = fate.damaged,
    };
    return books->queued == fate.queued && memcmp(counts, books->counts, sizeof(counts)) == 0;
}

/* Nobody is told when the books change, so this looks again and again. */
static void wait_for_fate_at(struct world *world, size_t destination, struct fate fate)
{
    int64_t            until_ns = clock_monotonic_ns() + PATIENCE_S * second;
    struct relay_books books = read_books(world, destination);

    while (!is_fate(&books, fate) && clock_monotonic_ns() < until_ns) {
        nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
        books = read_books(world, destination);
    }
    if (!is_fate(&books, fate))
        fail_msg("saw %lu delivered, %lu refused, %lu partial, %lu too large, %lu size, %lu age, "
                 "%lu damaged, %lu queued; %s",
                 books.counts[0], books.counts[1], books.counts[2], books.counts[3],
                 books.counts[4], books.counts[5], books.counts[6], books.queued, books.last_error);
}

static void wait_for_fate(struct world *world, struct fate fate)
{
    wait_for_fate_at(world, 0, fate);
}

static void wait_for_event(atomic_uint *event, unsigned n)
{
    int64_t until_ns = clock_monotonic_ns() + PATIENCE_S * second;

    while (atomic_load(event) < n && clock_monotonic_ns() < until_ns)
        nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
    assert_true(atomic_load(event) >= n);
}

static void what_is_appended_is_delivered(void **state)
{
    struct world *world = *state;

    start(world);
    add_records(world, 100, 3, 10);
    wait_for_fate(world, (struct fate){.delivered = 300});
    expect_taken(&world->receivers[0], 0, 300, 1);
}

static void records_travel_together_in_order(void **state)
{
    struct world *world = *state;

    add_records(world, 100, 3, 10);
    start(world);
    wait_for_fate(world, (struct fate){.delivered = 300});
    struct seen seen = look(&world->receivers[0]);
    assert_int_equal(seen.n_requests, 1);
    assert_int_equal(seen.first_spans[0], 0);
}

static void several_calls_are_in_flight_and_no_more_than_allowed(void **state)
{
    struct world *world = *state;

    behave(&world->receivers[0], (struct manners){.poison = NOBODY, .is_silent = true});
    add_records(world, 100, 1, LARGE_SPAN_BYTES);
    start(world);
    wait_for_requests(&world->receivers[0], 4);

    struct relay_books books = read_books(world, 0);
    assert_int_equal(books.in_flight_calls, 4);
    assert_true(books.in_flight_spans >= 4);
    assert_int_equal(look(&world->receivers[0]).n_requests, 4);

    speak(&world->receivers[0]);
    wait_for_fate(world, (struct fate){.delivered = 100});
    expect_taken(&world->receivers[0], 0, 100, 1);
}

static void each_grpc_status_is_obeyed(void **state)
{
    static const bool is_retried[STATUS_COUNT] = {
        [STATUS_CANCELLED] = true,    [STATUS_DEADLINE_EXCEEDED] = true, [STATUS_ABORTED] = true,
        [STATUS_OUT_OF_RANGE] = true, [STATUS_UNAVAILABLE] = true,       [STATUS_DATA_LOSS] = true,
    };
    struct world *world = *state;
    struct fate   fate = {0};

    start(world);
    for (int status = STATUS_CANCELLED; status < STATUS_COUNT; status++) {
        struct receiver *receiver = &world->receivers[0];
        unsigned         n_before = look(receiver).n_requests;
        struct manners   manners = {.poison = NOBODY, .n_answers = n_before + 2};

        /* Of two answers, by turns: the script counts requests from the start. */
        pthread_mutex_lock(&receiver->lock);
        receiver->locked.seen.n_requests = 0;
        pthread_mutex_unlock(&receiver->lock);
        manners.n_answers = 2;
        manners.answers[0] = (struct answer){.status = (enum status)status};
        manners.answers[1] = taken;
        behave(receiver, manners);

        add_record(world, 2, 10);
        *(is_retried[status] ? &fate.delivered : &fate.refused) += 2;
        wait_for_fate(world, fate);
        assert_int_equal(look(receiver).n_requests, is_retried[status] ? 2 : 1);
    }
    assert_true(read_books(world, 0).retries == 6);
}

static void the_wait_that_a_receiver_asks_for_is_kept(void **state)
{
    static const struct answer later = {.status = STATUS_RESOURCE_EXHAUSTED,
                                        .details = RETRY_IN_300_MS};
    struct world              *world = *state;

    behave(&world->receivers[0],
           (struct manners){.poison = NOBODY, .answers = {later, taken}, .n_answers = 2});
    start(world);
    add_record(world, 1, 0);
    wait_for_fate(world, (struct fate){.delivered = 1});
    struct seen seen = look(&world->receivers[0]);
    assert_true(seen.arrivals_ns[1] - seen.arrivals_ns[0] >= 300 * millisecond);
}

static void rejected_spans_of_a_partial_success_are_not_sent_again(void **state)
{
    static const struct answer two_rejected = {.response = STR_INIT("\x0a\x02\x08\x02")};
    struct world              *world = *state;

    behave(&world->receivers[0],
           (struct manners){.poison = NOBODY, .answers = {two_rejected}, .n_answers = 1});
    add_records(world, 5, 2, 0);
    start(world);
    wait_for_fate(world, (struct fate){.delivered = 8, .partial = 2});
    assert_int_equal(look(&world->receivers[0]).n_requests, 1);
}

static void a_poisoned_record_takes_no_other_with_it(void **state)
{
    struct world *world = *state;

    behave(&world->receivers[0], (struct manners){.poison = 3 * 41 + 1});
    add_records(world, 64, 3, 10);
    start(world);
    wait_for_fate(world, (struct fate){.delivered = 189, .refused = 3});
    expect_taken(&world->receivers[0], 0, 41 * 3, 1);
    expect_taken(&world->receivers[0], 41 * 3, 42 * 3, 0);
    expect_taken(&world->receivers[0], 42 * 3, 64 * 3, 1);
    assert_true(look(&world->receivers[0]).n_requests <= 2 * 6 + 1);
    wait_for_event(&world->refuses, 1);
}

static void a_record_that_is_never_answered_holds_up_no_other(void **state)
{
    struct world *world = *state;

    behave(&world->receivers[0],
           (struct manners){.poison = 0,
                            .remedy = {.status = STATUS_ABORTED, .message = STR("not now")}});
    start(world);
    add_record(world, 1, 10);
    wait_for_event(&world->fails, 1);
    for (int i = 1; i <= 20; i++) {
        add_record(world, 1, 10);
        wait_for_fate(world, (struct fate){.delivered = (uint64_t)i, .queued = 1});
    }
    expect_taken(&world->receivers[0], 1, 21, 1);

    behave(&world->receivers[0], friendly);
    wait_for_fate(world, (struct fate){.delivered = 21});
}

static void a_refusal_that_is_not_the_datas_fault_is_not_tried_in_pieces(void **state)
{
    struct world *world = *state;

    behave(&world->receivers[0],
           (struct manners){.poison = NOBODY, .answers = {forbidden}, .n_answers = 1});
    add_records(world, 10, 2, 0);
    start(world);
    wait_for_fate(world, (struct fate){.refused = 20});
    assert_int_equal(look(&world->receivers[0]).n_requests, 1);
    assert_string_equal(read_books(world, 0).last_error, "PERMISSION_DENIED: who are you?");
}

static void a_limit_that_the_receiver_tells_is_learned(void **state)
{
    struct world *world = *state;

    behave(&world->receivers[0], (struct manners){.poison = NOBODY, .max_bytes = 20000});
    world->options.max_in_flight = 1;
    add_records(world, 200, 1, 1000);
    start(world);
    wait_for_fate(world, (struct fate){.delivered = 200});
    expect_taken(&world->receivers[0], 0, 200, 1);
    assert_int_equal(read_books(world, 0).batch_limit_bytes, 20000);
    struct seen seen = look(&world->receivers[0]);
    for (unsigned i = 1; i < seen.n_requests; i++)
        assert_true(seen.bytes[i] <= 20000);
}

static void a_limit_that_the_receiver_keeps_to_itself_is_found(void **state)
{
    struct world *world = *state;

    behave(&world->receivers[0], (struct manners){
                                     .poison = NOBODY,
                                     .max_bytes = 40000,
                                     .is_mute_about_limit = true,
                                 });
    world->options.max_in_flight = 1;
    add_records(world, 100, 1, 1000);
    start(world);
    wait_for_fate(world, (struct fate){.delivered = 100});
    expect_taken(&world->receivers[0], 0, 100, 1);
    assert_true(read_books(world, 0).batch_limit_bytes <= 40000);
}

static void a_record_that_is_too_large_is_split(void **state)
{
    struct world *world = *state;

    behave(&world->receivers[0], (struct manners){.poison = NOBODY, .max_bytes = 10000});
    add_records(world, 2, 1, 10);
    add_record(world, 50, 1000);
    add_records(world, 2, 1, 10);
    start(world);
    wait_for_fate(world, (struct fate){.delivered = 54});
    expect_taken(&world->receivers[0], 0, 54, 1);
}

static void a_record_that_is_larger_than_any_batch_is_split(void **state)
{
    struct world *world = *state;

    add_records(world, 2, 1, 10);
    add_record(world, 500, 1000);
    add_records(world, 2, 1, 10);
    start(world);
    wait_for_fate(world, (struct fate){.delivered = 504});
    expect_taken(&world->receivers[0], 0, 504, 1);
    struct seen seen = look(&world->receivers[0]);
    for (unsigned i = 0; i < seen.n_requests; i++)
        assert_true(seen.bytes[i] <= LIMIT_BYTES);
}

static void a_piece_that_is_too_large_is_made_again_smaller(void **state)
{
    struct world *world = *state;

    behave(&world->receivers[0], (struct manners){.poison = NOBODY, .max_bytes = 20000});
    add_record(world, 200, 1000);
    start(world);
    wait_for_fate(world, (struct fate){.delivered = 200});
    expect_taken(&world->receivers[0], 0, 200, 1);
}

static void only_a_span_that_is_too_large_itself_is_given_up(void **state)
{
    struct world *world = *state;

    add_record(world, 3, 10);
    int giant = add_record(world, 1, GIANT_SPAN_BYTES);
    add_record(world, 3, 10);
    start(world);
    wait_for_fate(world, (struct fate){.delivered = 6, .too_large = 1});
    expect_taken(&world->receivers[0], 0, giant, 1);
    expect_taken(&world->receivers[0], giant, giant + 1, 0);
    expect_taken(&world->receivers[0], giant + 1, giant + 4, 1);
}

static void a_bad_piece_of_a_record_takes_no_other_piece_with_it(void **state)
{
    struct world *world = *state;

    behave(&world->receivers[0], (struct manners){.poison = 0});
    add_record(world, 4, LIMIT_BYTES - 1000);
    start(world);
    wait_for_fate(world, (struct fate){.delivered = 3, .refused = 1});
}

static void an_outage_delays_and_loses_nothing(void **state)
{
    struct world *world = *state;

    close_receiver(&world->receivers[0]);
    start(world);
    add_records(world, 100, 2, 1000);
    wait_for_event(&world->fails, 1);
    struct relay_books books = read_books(world, 0);
    assert_true(books.is_backing_off);
    assert_true(books.last_error[0]);
    assert_int_equal(books.queued, 200);

    open_receiver(&world->receivers[0]);
    wait_for_fate(world, (struct fate){.delivered = 200});
    wait_for_event(&world->works, 1);
    expect_taken(&world->receivers[0], 0, 200, 1);
    assert_false(read_books(world, 0).is_backing_off);
    assert_string_equal(read_books(world, 0).last_error, "");
    assert_int_equal(read_books(world, 0).duplicates_at_most, 0);
}

static void one_call_at_a_time_asks_whether_it_works_again(void **state)
{
    struct world *world = *state;

    behave(&world->receivers[0],
           (struct manners){.poison = NOBODY, .answers = {busy}, .n_answers = 1});
    add_records(world, 40, 1, LARGE_SPAN_BYTES);
    start(world);
    wait_for_requests(&world->receivers[0], 4);
    behave(&world->receivers[0], (struct manners){.poison = NOBODY, .is_silent = true});
    unsigned n_asked = look(&world->receivers[0]).n_requests;
    wait_for_requests(&world->receivers[0], n_asked + 1);
    assert_true(read_books(world, 0).in_flight_calls <= 1);
    speak(&world->receivers[0]);
    wait_for_fate(world, (struct fate){.delivered = 40});
}

static void what_the_journal_has_no_room_for_expires(void **state)
{
    struct world *world = *state;

    close_receiver(&world->receivers[0]);
    world->options.max_bytes = 3 << 20; /* three segments */
    start(world);
    add_records(world, 120, 1, 50000);

    int64_t            until_ns = clock_monotonic_ns() + PATIENCE_S * second;
    struct relay_books books;
    do
        books = read_books(world, 0);
    while ((books.counts[RELAY_EXPIRED_SIZE] < 50 ||
            journal_disk_bytes(world->scratch->journal) > 3 << 20) &&
           clock_monotonic_ns() < until_ns);
    assert_true(books.counts[RELAY_EXPIRED_SIZE] >= 50 && books.counts[RELAY_EXPIRED_SIZE] < 120);
    assert_true(journal_disk_bytes(world->scratch->journal) <= 3 << 20);

    open_receiver(&world->receivers[0]);
    while (read_books(world, 0).queued > 0 && clock_monotonic_ns() < until_ns)
        nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
    books = read_books(world, 0);
    assert_int_equal(books.counts[RELAY_DELIVERED] + books.counts[RELAY_EXPIRED_SIZE], 120);
    expect_taken(&world->receivers[0], (int)books.counts[RELAY_EXPIRED_SIZE], 120, 1);
}

static void what_is_too_old_expires(void **state)
{
    struct world *world = *state;
    int64_t       now_ns = clock_realtime_ns();

    world->options.max_age_ns = 3600 * second;
    for (int i = 0; i < 10; i++)
        add_record_at(world, 2, 10, now_ns - 3700 * second);
    for (int i = 0; i < 10; i++)
        add_record_at(world, 2, 10, now_ns);
    start(world);
    wait_for_fate(world, (struct fate){.delivered = 20, .age = 20});
    expect_taken(&world->receivers[0], 0, 20, 0);
    expect_taken(&world->receivers[0], 20, 40, 1);
}

static void what_grows_too_old_while_it_waits_for_its_next_try_expires(void **state)
{
    struct world *world = *state;

    close_receiver(&world->receivers[0]);
    world->options.max_age_ns = second;
    start(world);
    add_records(world, 5, 2, 10);
    wait_for_fate(world, (struct fate){.age = 10});
}

static void damage(struct world *world, off_t place)
{
    char           path[512];
    struct dirent *entry;
    DIR           *stream = opendir(world->scratch->directory);

    assert_non_null(stream);
    while ((entry = readdir(stream))) {
        (void)snprintf(path, sizeof(path), "%s/%s", world->scratch->directory, entry->d_name);
        int file = strstr(path, ".cursor") ? -1 : open(path, O_RDWR);
        if (file < 0)
            continue;
        struct stat status;
        if (fstat(file, &status) == 0 && status.st_size > place)
            assert_int_equal(pwrite(file, "\xff", 1, place), 1);
        close(file);
    }
    closedir(stream);
}

static void spans_of_a_damaged_record_are_lost_and_counted(void **state)
{
    struct world *world = *state;

    add_records(world, 10, 2, 10000);
    damage(world, 100000);
    start(world);
    wait_for_fate(world, (struct fate){.delivered = 18, .damaged = 2});
}

static void a_restart_goes_on_where_it_was(void **state)
{
    struct world *world = *state;

    start(world);
    add_records(world, 10, 2, 10);
    wait_for_fate(world, (struct fate){.delivered = 20});
    restart(world);
    wait_for_fate(world, (struct fate){.delivered = 20});
    add_records(world, 10, 2, 10);
    wait_for_fate(world, (struct fate){.delivered = 40});
    expect_taken(&world->receivers[0], 0, 40, 1);
}

static void a_lost_cursor_costs_duplicates_and_nothing_else(void **state)
{
    struct world  *world = *state;
    char           path[512];
    struct dirent *entry;

    start(world);
    add_records(world, 10, 2, 10);
    wait_for_fate(world, (struct fate){.delivered = 20});
    end(world);

    DIR *stream = opendir(world->scratch->directory);
    while ((entry = readdir(stream)))
        if (strstr(entry->d_name, ".cursor")) {
            (void)snprintf(path, sizeof(path), "%s/%s", world->scratch->directory, entry->d_name);
            assert_int_equal(unlink(path), 0);
        }
    closedir(stream);

    restart(world);
    wait_for_fate(world, (struct fate){.delivered = 20});
    expect_taken(&world->receivers[0], 0, 20, 2);
}

static void stopping_delivers_what_waits(void **state)
{
    struct world *world = *state;

    behave(&world->receivers[0], (struct manners){.poison = NOBODY, .is_silent = true});
    world->options.max_in_flight = 1;
    add_records(world, 50, 2, 5000);
    start(world);
    wait_for_requests(&world->receivers[0], 1);
    speak(&world->receivers[0]);
    stop(world, PATIENCE_S * second);
    struct relay_books books = read_books(world, 0);
    assert_true(is_fate(&books, (struct fate){.delivered = 100}));
}

static void stopping_leaves_what_is_not_answered_in_the_journal(void **state)
{
    struct world *world = *state;

    behave(&world->receivers[0], (struct manners){.poison = NOBODY, .is_silent = true});
    start(world);
    add_records(world, 10, 2, 10);
    wait_for_requests(&world->receivers[0], 1);
    int64_t began_ns = clock_monotonic_ns();
    stop(world, 100 * millisecond);
    assert_true(clock_monotonic_ns() - began_ns < 5 * second);
    struct relay_books books = read_books(world, 0);
    assert_true(is_fate(&books, (struct fate){.queued = 20}));
    assert_true(books.duplicates_at_most > 0);

    speak(&world->receivers[0]);
    restart(world);
    wait_for_fate(world, (struct fate){.delivered = 20});
}

static void a_dead_destination_holds_up_no_other(void **state)
{
    struct world *world = *state;

    close_receiver(&world->receivers[0]);
    world->options.n_destinations = 2;
    start(world);
    add_records(world, 50, 2, 1000);
    wait_for_fate_at(world, 1, (struct fate){.delivered = 100});
    wait_for_fate_at(world, 0, (struct fate){.queued = 100});

    open_receiver(&world->receivers[0]);
    wait_for_fate_at(world, 0, (struct fate){.delivered = 100});
    expect_taken(&world->receivers[0], 0, 100, 1);
    expect_taken(&world->receivers[1], 0, 100, 1);
}

static void a_dead_destination_does_not_keep_the_memory_for_large_records(void **state)
{
    struct world *world = *state;

    behave(&world->receivers[0],
           (struct manners){.poison = NOBODY, .answers = {taken, taken, busy}, .n_answers = 3});
    behave(&world->receivers[1],
           (struct manners){.poison = NOBODY, .answers = {taken, busy, taken}, .n_answers = 3});
    world->options.n_destinations = 2;
    add_record(world, 500, 1000);
    start(world);
    wait_for_fate_at(world, 1, (struct fate){.delivered = 500});
    behave(&world->receivers[0], friendly);
    wait_for_fate_at(world, 0, (struct fate){.delivered = 500});
    expect_taken(&world->receivers[0], 0, 500, 1);
    expect_taken(&world->receivers[1], 0, 500, 1);
}

static void spans_travel_over_http_by_the_same_rules(void **state)
{
    struct world    *world = *state;
    struct receiver *receiver = &world->receivers[0];

    close_receiver(receiver);
    open_http_receiver(receiver);
    behave(receiver,
           (struct manners){
               .poison = 3 * 41 + 1, .max_bytes = 40000, .answers = {busy, taken}, .n_answers = 2});
    (void)snprintf(world->names[0], sizeof(world->names[0]), "http://127.0.0.1:%u/v1/traces",
                   receiver->port);
    world->destinations[0].name = str_from(world->names[0]);
    world->destinations[0].protocol = OTLP_HTTP_PROTOBUF;
    assert_int_equal(uri_parse(world->destinations[0].name, &world->destinations[0].endpoint, NULL),
                     0);

    add_records(world, 64, 3, 400);
    start(world);
    wait_for_fate(world, (struct fate){.delivered = 189, .refused = 3});
    expect_taken(receiver, 0, 41 * 3, 1);
    expect_taken(receiver, 42 * 3, 64 * 3, 1);
    assert_true(read_books(world, 0).batch_limit_bytes <= 40000);
}

static void a_destination_that_is_named_no_more_is_forgotten(void **state)
{
    struct world *world = *state;

    world->options.n_destinations = 2;
    start(world);
    add_record(world, 1, 0);
    wait_for_fate_at(world, 0, (struct fate){.delivered = 1});
    wait_for_fate_at(world, 1, (struct fate){.delivered = 1});

    world->options.n_destinations = 1;
    restart(world);
    world->options.n_destinations = 2;
    restart(world);
    wait_for_fate_at(world, 1, (struct fate){.delivered = 1});
    expect_taken(&world->receivers[0], 0, 1, 1);
    expect_taken(&world->receivers[1], 0, 1, 2);
}

static void a_record_without_spans_is_not_sent(void **state)
{
    struct world *world = *state;

    assert_int_equal(append(world->scratch, STR("\x0a\x00"), 0), 0);
    start(world);
    stop(world, PATIENCE_S * second);
    assert_int_equal(read_books(world, 0).queued_bytes, 0);
    assert_int_equal(look(&world->receivers[0]).n_requests, 0);
}

static void what_all_have_leaves_the_disk(void **state)
{
    struct world *world = *state;

    start(world);
    add_records(world, 100, 1, 50000);
    wait_for_fate(world, (struct fate){.delivered = 100});
    int64_t until_ns = clock_monotonic_ns() + PATIENCE_S * second;
    while (journal_begin(world->scratch->journal).span < 70 && clock_monotonic_ns() < until_ns)
        nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
    assert_true(journal_begin(world->scratch->journal).span >= 70);
}

static void an_endpoint_that_cannot_be_used_is_named(void **state)
{
    struct world *world = *state;
    struct relay *relay;
    struct str    culprit;

    assert_int_equal(uri_parse(STR("https://localhost:1"), &world->destinations[0].endpoint, NULL),
                     0);
    assert_int_equal(relay_new(&relay, &world->options, world->metrics, &culprit), -EINVAL);
    expect_str(culprit, str_from(world->names[0]));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_appended_is_delivered),
        TEST(records_travel_together_in_order),
        TEST(several_calls_are_in_flight_and_no_more_than_allowed),
        TEST(each_grpc_status_is_obeyed),
        TEST(the_wait_that_a_receiver_asks_for_is_kept),
        TEST(rejected_spans_of_a_partial_success_are_not_sent_again),
        TEST(a_poisoned_record_takes_no_other_with_it),
        TEST(a_record_that_is_never_answered_holds_up_no_other),
        TEST(a_refusal_that_is_not_the_datas_fault_is_not_tried_in_pieces),
        TEST(a_limit_that_the_receiver_tells_is_learned),
        TEST(a_limit_that_the_receiver_keeps_to_itself_is_found),
        TEST(a_record_that_is_too_large_is_split),
        TEST(a_record_that_is_larger_than_any_batch_is_split),
        TEST(a_piece_that_is_too_large_is_made_again_smaller),
        TEST(only_a_span_that_is_too_large_itself_is_given_up),
        TEST(a_bad_piece_of_a_record_takes_no_other_piece_with_it),
        TEST(an_outage_delays_and_loses_nothing),
        TEST(one_call_at_a_time_asks_whether_it_works_again),
        TEST(what_the_journal_has_no_room_for_expires),
        TEST(what_is_too_old_expires),
        TEST(what_grows_too_old_while_it_waits_for_its_next_try_expires),
        TEST(spans_of_a_damaged_record_are_lost_and_counted),
        TEST(a_restart_goes_on_where_it_was),
        TEST(a_lost_cursor_costs_duplicates_and_nothing_else),
        TEST(stopping_delivers_what_waits),
        TEST(stopping_leaves_what_is_not_answered_in_the_journal),
        TEST(a_dead_destination_holds_up_no_other),
        TEST(a_dead_destination_does_not_keep_the_memory_for_large_records),
        TEST(spans_travel_over_http_by_the_same_rules),
        TEST(a_destination_that_is_named_no_more_is_forgotten),
        TEST(a_record_without_spans_is_not_sent),
        TEST(what_all_have_leaves_the_disk),
        TEST(an_endpoint_that_cannot_be_used_is_named),
    };

    rpc_init();
    cmocka_set_test_filter(getenv("FILTER"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rpc_shutdown();
    return failed;
}
