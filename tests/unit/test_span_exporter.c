/*
 * The exporter against a receiver of its own, on loopback: each behaviour over gRPC and
 * over HTTP.
 */

#include "common/trace/span_exporter.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/edge/http_server.h"
#include "common/edge/rpc_server.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"

typedef Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceRequest ExportRequest;

enum { MAX_ANSWERS = 4, MAX_REQUESTS = 16, MAX_HELD = 4, PATIENCE_S = 20 };

/* google.rpc.Status with RetryInfo: 300 ms. */
#define RETRY_IN_300_MS \
    STR_INIT("\x1a\x22\x0a\x16x/google.rpc.RetryInfo\x12\x08\x0a\x06\x10\x80\xc6\x86\x8f\x01")

/* What the receiver says to a request, in either protocol. */
struct answer {
    bool        is_silence;
    struct str  response;
    enum status status;
    struct str  details;
    int         http_code;
    const char *retry_after;
};

static const int64_t second = NS_PER_S;
static const int64_t millisecond = NS_PER_MS;

static const struct answer taken = {.http_code = 200, .response = STR_INIT("")};
static const struct answer silence = {.is_silence = true};
static const struct answer busy = {.status = STATUS_UNAVAILABLE, .http_code = 503};
static const struct answer refusal = {.status = STATUS_INVALID_ARGUMENT, .http_code = 400};
static const struct answer two_rejected = {.http_code = 200,
                                           .response = STR_INIT("\x0a\x02\x08\x02")};

/* The last answer stands for all requests that follow. */
struct script {
    struct answer answers[MAX_ANSWERS];
    unsigned      n_answers;
};

/* What came in so far. */
struct seen {
    unsigned   n_requests;
    size_t     n_spans; /* in requests that were taken */
    size_t     longest_batch;
    int64_t    arrivals_ns[MAX_REQUESTS];
    struct str requests[MAX_REQUESTS]; /* in the arena */
    char       b3[16], content_type[64], service_name[64], scope_name[64];
};

struct receiver {
    struct rpc_worker  *worker;
    struct rpc_server  *rpc_server;
    struct http_server *http_server;
    struct script       script;
    uint16_t            port;
    struct arena       *arena;

    pthread_mutex_t lock;
    pthread_cond_t  changed;
    struct {
        struct seen          seen;
        struct http_request *held[MAX_HELD];
        unsigned             n_held;
    } locked;
};

struct world {
    enum otlp_protocol           protocol;
    struct receiver              receiver;
    struct arena                *arena;
    struct metrics              *metrics;
    struct span_exporter_options options;
    struct span_exporter        *exporter;
    char                         events[256]; /* told so far; of the worker until it has stopped */
    char                         resource[256];
    bool                         is_stopped;
};

static void copy_text(struct str s, char *to, size_t size)
{
    size_t len = s.len < size ? s.len : size - 1;
    if (len > 0)
        memcpy(to, s.at, len);
    to[len] = '\0';
}

/* Returns how many spans the request holds. */
static size_t note_content_locked(struct receiver *receiver, struct str bytes)
{
    struct seen   *seen = &receiver->locked.seen;
    ExportRequest *request =
        opentelemetry__proto__collector__trace__v1__export_trace_service_request__unpack(
            NULL, bytes.len, (const uint8_t *)bytes.at);
    size_t n_spans = 0;

    if (request && request->n_resource_spans == 1 &&
        request->resource_spans[0]->n_scope_spans == 1 &&
        request->resource_spans[0]->resource->n_attributes == 1) {
        const Opentelemetry__Proto__Trace__V1__ResourceSpans *spans = request->resource_spans[0];
        copy_text(str_from(spans->resource->attributes[0]->value->string_value), seen->service_name,
                  sizeof(seen->service_name));
        copy_text(str_from(spans->scope_spans[0]->scope->name), seen->scope_name,
                  sizeof(seen->scope_name));
        n_spans = spans->scope_spans[0]->n_spans;
    }
    opentelemetry__proto__collector__trace__v1__export_trace_service_request__free_unpacked(request,
                                                                                            NULL);
    return n_spans;
}

static const struct answer *receive_locked(struct receiver *receiver, struct str request,
                                           const struct metadata *headers)
{
    struct seen         *seen = &receiver->locked.seen;
    unsigned             number = seen->n_requests++;
    unsigned             last = receiver->script.n_answers - 1;
    const struct answer *answer = &receiver->script.answers[number < last ? number : last];

    if (number < MAX_REQUESTS) {
        seen->arrivals_ns[number] = clock_monotonic_ns();
        seen->requests[number] = arena_copy(receiver->arena, request);
    }
    copy_text(metadata_find(headers, STR("b3")), seen->b3, sizeof(seen->b3));
    copy_text(metadata_find(headers, STR("content-type")), seen->content_type,
              sizeof(seen->content_type));

    size_t n_spans = note_content_locked(receiver, request);
    if (n_spans > seen->longest_batch)
        seen->longest_batch = n_spans;
    if (!answer->is_silence && answer->status == STATUS_OK)
        seen->n_spans += n_spans;
    return answer;
}

/* Notes the request; returns what to say. */
static const struct answer *receive(struct receiver *receiver, struct str request,
                                    const struct metadata *headers)
{
    pthread_mutex_lock(&receiver->lock);
    const struct answer *answer = receive_locked(receiver, request, headers);
    pthread_cond_broadcast(&receiver->changed);
    pthread_mutex_unlock(&receiver->lock);
    return answer;
}

static struct seen look(struct world *world)
{
    pthread_mutex_lock(&world->receiver.lock);
    struct seen seen = world->receiver.locked.seen;
    pthread_mutex_unlock(&world->receiver.lock);
    return seen;
}

static void caller_left(void *context)
{
    rpc_call_fail(context, &(struct rpc_failure){.status = STATUS_CANCELLED}, NULL);
}

static void handle_rpc(struct rpc_call *call, void *context)
{
    const struct answer *answer = receive(context, rpc_call_request(call), rpc_call_metadata(call));

    if (answer->is_silence)
        rpc_call_on_cancel(call, caller_left, call);
    else if (answer->status == STATUS_OK)
        rpc_call_reply(call, answer->response, NULL);
    else
        rpc_call_fail(call,
                      &(struct rpc_failure){.status = answer->status, .details = answer->details},
                      NULL);
}

static void hold_http(struct receiver *receiver, struct http_request *request)
{
    http_request_defer(request);
    pthread_mutex_lock(&receiver->lock);
    assert_true(receiver->locked.n_held < MAX_HELD);
    receiver->locked.held[receiver->locked.n_held++] = request;
    pthread_mutex_unlock(&receiver->lock);
}

static void handle_http(struct http_request *request, void *context)
{
    const struct answer *answer =
        receive(context, http_request_body(request), http_request_headers(request));
    struct field    field = {STR("retry-after"), str_from(answer->retry_after)};
    struct metadata headers = {&field, answer->retry_after ? 1 : 0, 1};

    if (answer->is_silence)
        hold_http(context, request);
    else
        http_respond(request, &(struct http_response){.code = answer->http_code,
                                                      .content_type = STR("application/x-protobuf"),
                                                      .body = answer->response,
                                                      .headers = &headers});
}

static void open_rpc_receiver(struct receiver *receiver, const struct listen_address *anywhere)
{
    assert_int_equal(rpc_worker_new(&receiver->worker, "test-receiver"), 0);
    assert_int_equal(rpc_server_new(&receiver->rpc_server, &receiver->worker, 1,
                                    (struct rpc_server_limits){.max_message_bytes = 4 << 20,
                                                               .max_metadata_bytes = 16384,
                                                               .max_streams = 100,
                                                               .arena_bytes = 4 << 20}),
                     0);
    rpc_server_add_unary(receiver->rpc_server,
                         "/opentelemetry.proto.collector.trace.v1.TraceService/Export", handle_rpc,
                         receiver);
    assert_int_equal(rpc_server_start(receiver->rpc_server, anywhere, &receiver->port), 0);
    assert_int_equal(rpc_worker_start(receiver->worker), 0);
}

static void open_http_receiver(struct receiver *receiver, const struct listen_address *anywhere)
{
    struct http_server_options options = {.address = *anywhere,
                                          .thread_name = "test-http",
                                          .threads = 1,
                                          .max_connections = 16,
                                          .idle_timeout_s = 60,
                                          .max_header_bytes = 16384,
                                          .max_body_bytes = 4 << 20,
                                          .arena_bytes = 8 << 20,
                                          .handle = handle_http,
                                          .context = receiver};
    assert_int_equal(http_server_new(&receiver->http_server, &options, &receiver->port), 0);
}

static void open_receiver(struct world *world, struct script script)
{
    struct receiver      *receiver = &world->receiver;
    struct listen_address anywhere;

    receiver->script = script;
    assert_int_equal(listen_address_parse(STR("127.0.0.1:0"), &anywhere), 0);
    if (world->protocol == OTLP_GRPC)
        open_rpc_receiver(receiver, &anywhere);
    else
        open_http_receiver(receiver, &anywhere);
}

static void answer_held(struct receiver *receiver)
{
    pthread_mutex_lock(&receiver->lock);
    for (unsigned i = 0; i < receiver->locked.n_held; i++)
        http_respond_text(receiver->locked.held[i], 503, STR("too late"));
    pthread_mutex_unlock(&receiver->lock);
}

static void close_receiver(struct receiver *receiver)
{
    answer_held(receiver);
    if (receiver->http_server)
        http_server_drain(receiver->http_server, NEVER_NS);
    http_server_free(take(receiver->http_server));

    if (receiver->rpc_server)
        rpc_server_drain(receiver->rpc_server, clock_monotonic_ns());
    if (receiver->worker)
        rpc_worker_stop(receiver->worker);
    rpc_server_free(take(receiver->rpc_server));
    rpc_worker_free(take(receiver->worker));
}

static int set_up(void **state)
{
    static struct world world;
    world = (struct world){.protocol = *(const enum otlp_protocol *)*state,
                           .arena = arena_new(1 << 20),
                           .metrics = metrics_new()};
    world.receiver.arena = arena_new(8 << 20);
    struct rpc_worker *worker;
    assert_int_equal(rpc_worker_new(&worker, "test-exporter"), 0);
    pthread_mutex_init(&world.receiver.lock, NULL);
    pthread_cond_init(&world.receiver.changed, NULL);

    struct span_attribute name = {
        .key = STR("service.name"), .kind = ATTRIBUTE_STR, .str = STR("frontend")};
    world.options = (struct span_exporter_options){
        .worker = worker,
        .protocol = world.protocol,
        .resource = otlp_encode_resource(&name, 1, world.resource, sizeof(world.resource)),
        .scope_name = STR("tracehop"),
        .scope_version = STR("1"),
        .max_queue_spans = 100,
        .max_batch_spans = 10,
        .schedule_delay_ns = 3600 * second,
        .export_timeout_ns = PATIENCE_S * second,
    };
    *state = &world;
    return 0;
}

static void stop(struct world *world, int64_t patience_ns)
{
    span_exporter_stop(world->exporter, clock_monotonic_ns() + patience_ns);
    world->is_stopped = true;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    if (world->exporter && !world->is_stopped)
        stop(world, 0);
    rpc_worker_stop(world->options.worker);
    span_exporter_free(world->exporter);
    rpc_worker_free(world->options.worker);
    close_receiver(&world->receiver);
    metrics_free(world->metrics);
    arena_free(world->receiver.arena);
    arena_free(world->arena);
    pthread_cond_destroy(&world->receiver.changed);
    pthread_mutex_destroy(&world->receiver.lock);
    return 0;
}

static void open_exporter_to(struct world *world, uint16_t port)
{
    struct str text = arena_format(world->arena, "http://127.0.0.1:%u/v1/traces", port);

    assert_int_equal(uri_parse(text, &world->options.endpoint, NULL), 0);
    assert_int_equal(span_exporter_new(&world->exporter, &world->options, world->metrics), 0);
    assert_int_equal(rpc_worker_start(world->options.worker), 0);
}

static void open_exporter(struct world *world, struct script script)
{
    open_receiver(world, script);
    open_exporter_to(world, world->receiver.port);
}

static void offer(struct world *world, unsigned n_spans)
{
    for (unsigned i = 0; i < n_spans; i++) {
        char        buffer[OTLP_MAX_SPAN_BYTES];
        struct span span = {.context = {.has_ids = true,
                                        .trace_id = trace_id_new(),
                                        .span_id = span_id_new(),
                                        .sampling = SAMPLING_ACCEPTED},
                            .is_recorded = true,
                            .kind = SPAN_INTERNAL,
                            .name = STR("work")};
        span_exporter_offer(world->exporter, otlp_encode_span(&span, buffer, sizeof(buffer)));
    }
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

static unsigned long long counter(struct world *world, const char *series)
{
    struct text page = text_on_heap(4096);
    metrics_render(world->metrics, METRICS_PROMETHEUS, &page);
    text_add_char(&page, '\0');

    const char        *line = strstr(page.at, series);
    unsigned long long value = line ? strtoull(line + strlen(series), NULL, 10) : 0;
    bool               is_there = line;
    text_done(&page);
    if (!is_there)
        fail_msg("no %s on the page", series);
    return value;
}

struct counts {
    unsigned exported, queue_full, refused, timeout, unreachable, shutdown;
};

static struct counts read_counts(struct world *world)
{
#define DROPPED(reason) \
    (unsigned)counter(world, "\ntracehop_spans_dropped_total{reason=\"" reason "\"} ")
    return (struct counts){
        .exported = (unsigned)counter(world, "\ntracehop_spans_exported_total "),
        .queue_full = DROPPED("queue_full"),
        .refused = DROPPED("refused"),
        .timeout = DROPPED("timeout"),
        .unreachable = DROPPED("unreachable"),
        .shutdown = DROPPED("shutdown"),
    };
#undef DROPPED
}

static bool counts_equal(struct counts a, struct counts b)
{
    return a.exported == b.exported && a.queue_full == b.queue_full && a.refused == b.refused &&
           a.timeout == b.timeout && a.unreachable == b.unreachable && a.shutdown == b.shutdown;
}

/* Nobody is told when a counter changes, so this looks again and again. */
static void wait_for_counts(struct world *world, struct counts expected)
{
    int64_t       until_ns = clock_monotonic_ns() + PATIENCE_S * second;
    struct counts saw = read_counts(world);

    while (!counts_equal(saw, expected) && clock_monotonic_ns() < until_ns) {
        nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
        saw = read_counts(world);
    }
    if (!counts_equal(saw, expected))
        fail_msg("saw %u exported; dropped: %u queue full, %u refused, %u timeout, %u unreachable, "
                 "%u shutdown",
                 saw.exported, saw.queue_full, saw.refused, saw.timeout, saw.unreachable,
                 saw.shutdown);
}

static void a_full_batch_goes_out_at_once(void **state)
{
    struct world *world = *state;
    open_exporter(world, (struct script){{taken}, 1});

    offer(world, 10);
    wait_for_counts(world, (struct counts){.exported = 10});
    assert_int_equal(look(world).n_requests, 1);
}

static void what_waits_goes_out_when_its_time_has_come(void **state)
{
    struct world *world = *state;
    world->options.schedule_delay_ns = 20 * millisecond;
    open_exporter(world, (struct script){{taken}, 1});

    offer(world, 3);
    wait_for_counts(world, (struct counts){.exported = 3});
    offer(world, 1);
    wait_for_counts(world, (struct counts){.exported = 4});
}

static void no_batch_is_longer_than_the_limit(void **state)
{
    struct world *world = *state;
    open_exporter(world, (struct script){{taken}, 1});

    offer(world, 95);
    stop(world, PATIENCE_S * second);
    wait_for_counts(world, (struct counts){.exported = 95});
    assert_int_equal(look(world).n_spans, 95);
    assert_int_equal(look(world).longest_batch, 10);
}

static void a_request_says_who_speaks_and_asks_proxies_not_to_trace_it(void **state)
{
    struct world *world = *state;
    open_exporter(world, (struct script){{taken}, 1});

    offer(world, 10);
    wait_for_counts(world, (struct counts){.exported = 10});
    assert_string_equal(look(world).service_name, "frontend");
    assert_string_equal(look(world).scope_name, "tracehop");
    assert_string_equal(look(world).b3, "0");
    if (world->protocol == OTLP_HTTP_PROTOBUF)
        assert_string_equal(look(world).content_type, "application/x-protobuf");
}

static void note_event(enum span_exporter_event event, const char *why, void *context)
{
    static const char *const names[] = {
        [SPAN_EXPORTER_FAILS] = "fails",
        [SPAN_EXPORTER_WORKS] = "works",
        [SPAN_EXPORTER_REFUSES] = "refuses",
    };
    struct world *world = context;
    size_t        len = strlen(world->events);

    snprintf(world->events + len, sizeof(world->events) - len, "%s(%s) ", names[event], why);
}

static void trouble_is_told_when_it_begins_and_ends_and_each_refusal(void **state)
{
    struct world *world = *state;
    world->options.event = note_event;
    world->options.context = world;
    open_exporter(world, (struct script){{busy, busy, two_rejected, taken}, 4});

    offer(world, 10);
    wait_for_counts(world, (struct counts){.refused = 2, .exported = 8});
    offer(world, 10);
    wait_for_counts(world, (struct counts){.refused = 2, .exported = 18});
    stop(world, PATIENCE_S * second);
    assert_string_equal(world->events,
                        world->protocol == OTLP_GRPC
                            ? "fails(UNAVAILABLE) works(partial success) refuses(partial success) "
                            : "fails(HTTP 503 Service Unavailable) works(partial success) "
                              "refuses(partial success) ");
}

static void a_refused_batch_is_dropped_and_not_sent_again(void **state)
{
    struct world *world = *state;
    open_exporter(world, (struct script){{refusal, taken}, 2});

    offer(world, 10);
    wait_for_counts(world, (struct counts){.refused = 10});
    offer(world, 10);
    wait_for_counts(world, (struct counts){.refused = 10, .exported = 10});
    assert_int_equal(look(world).n_requests, 2);
}

static void rejected_spans_are_dropped_and_the_others_exported(void **state)
{
    struct world *world = *state;
    open_exporter(world, (struct script){{two_rejected}, 1});

    offer(world, 10);
    wait_for_counts(world, (struct counts){.exported = 8, .refused = 2});
    assert_int_equal(look(world).n_requests, 1);
}

static void a_busy_receiver_is_asked_again_with_the_same_bytes(void **state)
{
    struct world *world = *state;
    open_exporter(world, (struct script){{busy, busy, taken}, 3});

    offer(world, 10);
    wait_for_counts(world, (struct counts){.exported = 10});
    assert_int_equal(look(world).n_requests, 3);
    for (int i = 1; i < 3; i++)
        assert_true(str_equal(look(world).requests[0], look(world).requests[i]));
}

static void the_wait_that_a_receiver_asks_for_is_kept(void **state)
{
    static const struct answer later = {.status = STATUS_RESOURCE_EXHAUSTED,
                                        .details = RETRY_IN_300_MS,
                                        .http_code = 429,
                                        .retry_after = "1"};
    struct world              *world = *state;
    int64_t                    least_ns = world->protocol == OTLP_GRPC ? 300 * millisecond : second;
    open_exporter(world, (struct script){{later, taken}, 2});

    offer(world, 10);
    wait_for_counts(world, (struct counts){.exported = 10});
    int64_t waited_ns = look(world).arrivals_ns[1] - look(world).arrivals_ns[0];
    if (waited_ns < least_ns)
        fail_msg("waited %lld ns", (long long)waited_ns);
}

static void a_wait_beyond_the_timeout_drops_the_batch_and_holds_for_the_next(void **state)
{
    static const struct answer later = {.status = STATUS_UNAVAILABLE,
                                        .details = RETRY_IN_300_MS,
                                        .http_code = 503,
                                        .retry_after = "1"};
    struct world              *world = *state;
    int64_t                    least_ns = world->protocol == OTLP_GRPC ? 300 * millisecond : second;
    world->options.export_timeout_ns = 100 * millisecond;
    open_exporter(world, (struct script){{later, taken}, 2});

    offer(world, 10);
    wait_for_counts(world, (struct counts){.timeout = 10});
    offer(world, 10);
    wait_for_requests(&world->receiver, 2);
    int64_t waited_ns = look(world).arrivals_ns[1] - look(world).arrivals_ns[0];
    if (waited_ns < least_ns)
        fail_msg("waited %lld ns", (long long)waited_ns);
}

static void a_silent_receiver_costs_a_batch_its_timeout(void **state)
{
    struct world *world = *state;
    world->options.export_timeout_ns = 100 * millisecond;
    open_exporter(world, (struct script){{silence}, 1});

    offer(world, 10);
    wait_for_counts(world, (struct counts){.timeout = 10});
}

static void without_a_receiver_spans_are_dropped_as_unreachable(void **state)
{
    struct world *world = *state;
    world->options.export_timeout_ns = 100 * millisecond;
    open_receiver(world, (struct script){{taken}, 1});
    close_receiver(&world->receiver);
    open_exporter_to(world, world->receiver.port);

    offer(world, 10);
    wait_for_counts(world, (struct counts){.unreachable = 10});
}

static void what_finds_no_room_is_dropped_at_once(void **state)
{
    struct world *world = *state;
    open_exporter(world, (struct script){{silence}, 1});

    offer(world, 10);
    wait_for_requests(&world->receiver, 1);
    offer(world, 105);
    wait_for_counts(world, (struct counts){.queue_full = 5});

    stop(world, 0);
    wait_for_counts(world, (struct counts){.queue_full = 5, .shutdown = 110});
}

static void stopping_sends_what_waits(void **state)
{
    struct world *world = *state;
    open_exporter(world, (struct script){{taken}, 1});

    offer(world, 7);
    stop(world, PATIENCE_S * second);
    wait_for_counts(world, (struct counts){.exported = 7});
    assert_int_equal(look(world).n_spans, 7);
}

static void stopping_an_idle_exporter_takes_no_time(void **state)
{
    struct world *world = *state;
    open_exporter(world, (struct script){{taken}, 1});

    stop(world, 3600 * second);
    wait_for_counts(world, (struct counts){.exported = 0});
}

static void stopping_asks_a_busy_receiver_again(void **state)
{
    struct world *world = *state;
    open_exporter(world, (struct script){{busy, taken}, 2});

    offer(world, 10);
    wait_for_requests(&world->receiver, 1);
    stop(world, PATIENCE_S * second);
    wait_for_counts(world, (struct counts){.exported = 10});
}

static void stopping_ends_at_its_deadline(void **state)
{
    struct world *world = *state;
    open_exporter(world, (struct script){{silence}, 1});

    offer(world, 25);
    wait_for_requests(&world->receiver, 1);
    int64_t began_ns = clock_monotonic_ns();
    stop(world, 50 * millisecond);
    int64_t took_ns = clock_monotonic_ns() - began_ns;

    wait_for_counts(world, (struct counts){.shutdown = 25});
    if (took_ns > PATIENCE_S / 2 * second)
        fail_msg("took %lld ns", (long long)took_ns);
}

static void stopping_without_a_receiver_drops_what_waits(void **state)
{
    struct world *world = *state;
    open_receiver(world, (struct script){{taken}, 1});
    close_receiver(&world->receiver);
    open_exporter_to(world, world->receiver.port);

    offer(world, 25);
    stop(world, 100 * millisecond);
    wait_for_counts(world, (struct counts){.shutdown = 25});
}

static void what_comes_after_the_stop_is_dropped(void **state)
{
    struct world *world = *state;
    open_exporter(world, (struct script){{taken}, 1});

    stop(world, 0);
    offer(world, 12);
    wait_for_counts(world, (struct counts){.shutdown = 12});
}

struct offering_thread {
    struct world *world;
    pthread_t     thread;
};

static void *offer_many(void *context)
{
    struct offering_thread *thread = context;
    for (int i = 0; i < 500; i++)
        offer(thread->world, 3);
    return NULL;
}

static void every_span_of_every_thread_ends_in_one_counter(void **state)
{
    enum { THREADS = 4, SPANS = THREADS * 500 * 3 };
    struct world          *world = *state;
    struct offering_thread threads[THREADS];
    open_exporter(world, (struct script){{taken, busy, two_rejected, taken}, 4});

    for (int i = 0; i < THREADS; i++) {
        threads[i].world = world;
        assert_int_equal(pthread_create(&threads[i].thread, NULL, offer_many, &threads[i]), 0);
    }
    wait_for_requests(&world->receiver, 4);
    stop(world, PATIENCE_S * second);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i].thread, NULL);

    struct counts saw = read_counts(world);
    unsigned      total =
        saw.exported + saw.queue_full + saw.refused + saw.timeout + saw.unreachable + saw.shutdown;
    if (total != SPANS || saw.exported != look(world).n_spans - 2)
        fail_msg("%u spans, %u exported, %zu received", total, saw.exported, look(world).n_spans);
}

static void an_endpoint_that_the_protocol_cannot_use_is_refused(void **state)
{
    struct world *world = *state;
    struct str    text =
        world->protocol == OTLP_GRPC ? STR("https://127.0.0.1:4317") : STR("grpc://127.0.0.1:4318");

    assert_int_equal(uri_parse(text, &world->options.endpoint, NULL), 0);
    assert_int_equal(span_exporter_new(&world->exporter, &world->options, world->metrics), -EINVAL);
    assert_null(world->exporter);
}

static enum otlp_protocol protocols[] = {OTLP_GRPC, OTLP_HTTP_PROTOBUF};

#define over_both(test)                                         \
    {#test " (gRPC)", test, set_up, tear_down, &protocols[0]},  \
    {                                                           \
#test " (HTTP)", test, set_up, tear_down, &protocols[1] \
    }

static int open_library(void **state)
{
    (void)state;
    rpc_init();
    return 0;
}

static int close_library(void **state)
{
    (void)state;
    rpc_shutdown();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        over_both(a_full_batch_goes_out_at_once),
        over_both(what_waits_goes_out_when_its_time_has_come),
        over_both(no_batch_is_longer_than_the_limit),
        over_both(a_request_says_who_speaks_and_asks_proxies_not_to_trace_it),
        over_both(trouble_is_told_when_it_begins_and_ends_and_each_refusal),
        over_both(a_refused_batch_is_dropped_and_not_sent_again),
        over_both(rejected_spans_are_dropped_and_the_others_exported),
        over_both(a_busy_receiver_is_asked_again_with_the_same_bytes),
        over_both(the_wait_that_a_receiver_asks_for_is_kept),
        over_both(a_wait_beyond_the_timeout_drops_the_batch_and_holds_for_the_next),
        over_both(a_silent_receiver_costs_a_batch_its_timeout),
        over_both(without_a_receiver_spans_are_dropped_as_unreachable),
        over_both(what_finds_no_room_is_dropped_at_once),
        over_both(stopping_sends_what_waits),
        over_both(stopping_an_idle_exporter_takes_no_time),
        over_both(stopping_asks_a_busy_receiver_again),
        over_both(stopping_ends_at_its_deadline),
        over_both(stopping_without_a_receiver_drops_what_waits),
        over_both(what_comes_after_the_stop_is_dropped),
        over_both(every_span_of_every_thread_ends_in_one_counter),
        over_both(an_endpoint_that_the_protocol_cannot_use_is_refused),
    };
    return cmocka_run_group_tests(tests, open_library, close_library);
}
