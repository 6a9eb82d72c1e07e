#include "common/edge/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/edge/http_server.h"

enum { MAX_CONNECTIONS = 4, MAX_QUEUED = 4, MAX_HELD = 64, LONG_BODY_BYTES = 1000 * 1000 };

/* A client under test, and a server for it to call. */
struct fixture {
    struct http_client *client;
    struct http_server *server;
    uint16_t            port;

    pthread_mutex_t lock;
    pthread_cond_t  changed;
    struct {
        struct http_request *held[MAX_HELD]; /* unanswered on purpose */
        unsigned             n_held;
    } locked;
};

/* A call, and what came of it. */
struct probe {
    struct fixture  *fixture;
    struct http_call call;
    char             url[128];
    uint64_t         number;

    pthread_mutex_t lock;
    pthread_cond_t  changed;
    pthread_t       thread; /* that `done` ran on */
    unsigned        n_done;
    enum status     status;
    int             code;
    bool            is_body_cut;
    bool            has_retry_after;
    size_t          body_bytes;
    char            body[1024], message[256], content_type[64], retry_after[32];
};

static void answer_with_what_came(struct http_request *request)
{
    struct text            text = text_in_arena(http_request_arena(request), 256);
    const struct metadata *headers = http_request_headers(request);

    text_add_format(&text, "%.*s %.*s?%.*s", STR_ARGS(http_request_method(request)),
                    STR_ARGS(http_request_path(request)), STR_ARGS(http_request_query(request)));
    for (size_t i = 0; i < headers->count; i++)
        if (!str_equal(headers->fields[i].name, STR("host")))
            text_add_format(&text, " %.*s=%.*s", STR_ARGS(headers->fields[i].name),
                            STR_ARGS(headers->fields[i].value));
    text_add(&text, STR(" body="));
    text_add(&text, http_request_body(request));
    http_respond(request, &(struct http_response){.code = 200,
                                                  .content_type = STR("text/x-echo"),
                                                  .body = text_view(&text),
                                                  .is_constant = true});
}

static void answer_with_header(struct http_request *request, int code, struct str name,
                               struct str value)
{
    struct field    field = {name, value};
    struct metadata headers = {.fields = &field, .count = 1};

    http_respond(request, &(struct http_response){.code = code, .headers = &headers});
}

static void answer_at_length(struct http_request *request)
{
    static char body[LONG_BODY_BYTES];

    http_respond(request, &(struct http_response){
                              .code = 200, .body = {body, sizeof(body)}, .is_constant = true});
}

static void hold(struct fixture *fixture, struct http_request *request)
{
    http_request_defer(request);

    pthread_mutex_lock(&fixture->lock);
    assert_true(fixture->locked.n_held < MAX_HELD);
    fixture->locked.held[fixture->locked.n_held++] = request;
    pthread_cond_broadcast(&fixture->changed);
    pthread_mutex_unlock(&fixture->lock);
}

static void handle(struct http_request *request, void *context)
{
    struct str path = http_request_path(request);

    if (str_equal(path, STR("/hold")))
        hold(context, request);
    else if (str_equal(path, STR("/peer")))
        http_respond_text(request, 200, http_request_peer(request));
    else if (str_equal(path, STR("/host")))
        http_respond_text(request, 200, metadata_find(http_request_headers(request), STR("host")));
    else if (str_equal(path, STR("/long")))
        answer_at_length(request);
    else if (str_equal(path, STR("/busy")))
        answer_with_header(request, 503, STR("Retry-After"), STR("7"));
    else if (str_equal(path, STR("/elsewhere")))
        answer_with_header(request, 302, STR("Location"), STR("/echo"));
    else
        answer_with_what_came(request);
}

static void wait_for_held(struct fixture *fixture, unsigned n)
{
    pthread_mutex_lock(&fixture->lock);
    while (fixture->locked.n_held < n)
        pthread_cond_wait(&fixture->changed, &fixture->lock);
    pthread_mutex_unlock(&fixture->lock);
}

static void answer_held(struct fixture *fixture)
{
    pthread_mutex_lock(&fixture->lock);
    while (fixture->locked.n_held > 0)
        http_respond_text(fixture->locked.held[--fixture->locked.n_held], 200, STR("late"));
    pthread_mutex_unlock(&fixture->lock);
}

static int set_up(void **state)
{
    struct fixture            *fixture = calloc(1, sizeof(*fixture));
    struct http_client_options client = {
        .thread_name = "http-client", .max_connections = MAX_CONNECTIONS, .max_queued = MAX_QUEUED};
    struct http_server_options server = {
        .address = {.host = STR("127.0.0.1")},
        .thread_name = "http",
        .threads = 1,
        .max_connections = 100,
        .idle_timeout_s = 30,
        .max_header_bytes = 16384,
        .max_body_bytes = 2000000,
        .arena_bytes = 8000000,
        .handle = handle,
        .context = fixture,
    };

    assert_non_null(fixture);
    pthread_mutex_init(&fixture->lock, NULL);
    pthread_cond_init(&fixture->changed, NULL);
    assert_int_equal(http_client_new(&fixture->client, &client), 0);
    assert_int_equal(http_server_new(&fixture->server, &server, &fixture->port), 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    http_client_free(fixture->client);
    answer_held(fixture);
    assert_int_equal(http_server_drain(fixture->server, clock_monotonic_ns() + NS_PER_S), 0);
    http_server_free(fixture->server);
    pthread_cond_destroy(&fixture->changed);
    pthread_mutex_destroy(&fixture->lock);
    free(fixture);
    return 0;
}

static void keep(char *to, size_t size, struct str from)
{
    (void)snprintf(to, size, "%.*s", STR_ARGS(from));
}

static void note(const struct http_outcome *outcome, void *context)
{
    struct probe *probe = context;

    pthread_mutex_lock(&probe->lock);
    probe->thread = pthread_self();
    probe->status = outcome->status;
    probe->code = outcome->code;
    probe->is_body_cut = outcome->is_body_cut;
    probe->has_retry_after = outcome->retry_after.at != NULL;
    probe->body_bytes = outcome->body.len;
    keep(probe->body, sizeof(probe->body), outcome->body);
    keep(probe->message, sizeof(probe->message), outcome->message);
    keep(probe->content_type, sizeof(probe->content_type), outcome->content_type);
    keep(probe->retry_after, sizeof(probe->retry_after), outcome->retry_after);
    probe->n_done++;
    pthread_cond_signal(&probe->changed);
    pthread_mutex_unlock(&probe->lock);
}

static int64_t in_ms(int64_t ms)
{
    return clock_monotonic_ns() + ms * NS_PER_MS;
}

static void probe_init(struct probe *probe, struct fixture *fixture, const char *path)
{
    *probe = (struct probe){.fixture = fixture};
    pthread_mutex_init(&probe->lock, NULL);
    pthread_cond_init(&probe->changed, NULL);
    (void)snprintf(probe->url, sizeof(probe->url), "http://127.0.0.1:%u%s", (unsigned)fixture->port,
                   path);
    probe->call = (struct http_call){
        .url = str_from(probe->url),
        .method = STR("GET"),
        .deadline_ns = in_ms(10000),
        .max_body_bytes = 1000,
        .done = note,
        .context = probe,
    };
}

static void probe_start(struct probe *probe)
{
    probe->number = http_start(probe->fixture->client, &probe->call);
    assert_true(probe->number != 0);
}

static void probe_wait(struct probe *probe)
{
    pthread_mutex_lock(&probe->lock);
    while (probe->n_done == 0)
        pthread_cond_wait(&probe->changed, &probe->lock);
    pthread_mutex_unlock(&probe->lock);
}

static struct probe *run(struct probe *probe)
{
    probe_start(probe);
    probe_wait(probe);
    return probe;
}

static void probe_done(struct probe *probe)
{
    assert_int_equal(probe->n_done, 1);
    assert_false(pthread_equal(probe->thread, pthread_self()));
    pthread_cond_destroy(&probe->changed);
    pthread_mutex_destroy(&probe->lock);
}

static void expect(struct probe *probe, enum status status, const char *message)
{
    if (probe->status != status || !strstr(probe->message, message))
        fail_msg("%s: expected %.*s with \"%s\", saw %.*s with \"%s\"", probe->url,
                 STR_ARGS(status_name(status)), message, STR_ARGS(status_name(probe->status)),
                 probe->message);
    probe_done(probe);
}

static void expect_answer(struct probe *probe, int code, const char *body)
{
    if (probe->status != STATUS_OK || probe->code != code || strcmp(probe->body, body) != 0)
        fail_msg("%s: expected %d \"%s\", saw %.*s, %d \"%s\", \"%s\"", probe->url, code, body,
                 STR_ARGS(status_name(probe->status)), probe->code, probe->body, probe->message);
    assert_false(probe->is_body_cut);
    probe_done(probe);
}

static void a_get_brings_the_answer(void **state)
{
    struct probe probe;

    probe_init(&probe, *state, "/a/b?c=%31");
    run(&probe);
    assert_string_equal(probe.content_type, "text/x-echo");
    assert_false(probe.has_retry_after);
    expect_answer(&probe, 200, "GET /a/b?c=%31 user-agent=tracehop accept=*/* body=");
}

static void a_post_sends_its_body_and_nothing_untrue(void **state)
{
    struct probe probe;

    probe_init(&probe, *state, "/post");
    probe.call.method = STR("POST");
    probe.call.body = STR("a\0b");
    run(&probe);
    assert_int_equal(probe.body_bytes, strlen(probe.body) + 2);
    expect_answer(&probe, 200,
                  "POST /post? user-agent=tracehop accept=*/* content-length=3 body=a");

    probe_init(&probe, *state, "/post");
    probe.call.method = STR("POST");
    run(&probe);
    expect_answer(&probe, 200, "POST /post? user-agent=tracehop accept=*/* content-length=0 body=");
}

static void a_long_post_does_not_wait_for_100_continue(void **state)
{
    static char     body[1500000];
    struct field    fields[] = {{STR("content-type"), STR("application/x-protobuf")}};
    struct metadata headers = {.fields = fields, .count = 1};
    struct probe    probe;

    probe_init(&probe, *state, "/post");
    probe.call.method = STR("POST");
    probe.call.headers = &headers;
    probe.call.body = (struct str){body, sizeof(body)};
    run(&probe);
    probe.body[112] = '\0';
    probe.is_body_cut = false;
    expect_answer(&probe, 200,
                  "POST /post? user-agent=tracehop accept=*/* content-type=application/x-protobuf "
                  "content-length=1500000 body=");
}

static void headers_are_sent_but_for_illegal_ones(void **state)
{
    struct field fields[] = {
        {STR("x-b3-traceid"), STR("463ac35c9f6413ad48485a3953bb6124")},
        {STR("x-empty"), STR("")},
        {STR("x-split"), STR("a\r\nx-smuggled: b")},
        {STR("x-nul"), STR("a\0b")},
        {STR("bad name"), STR("a")},
        {STR("bad:name"), STR("a")},
        {STR(""), STR("a")},
        {STR("x-utf8"), STR("\xc3\xa4\tb")},
        {STR("accept"), STR("text/plain")},
    };
    struct metadata headers = {.fields = fields, .count = ARRAY_LENGTH(fields)};
    struct probe    probe;

    probe_init(&probe, *state, "/");
    probe.call.headers = &headers;
    run(&probe);
    expect_answer(&probe, 200,
                  "GET /? user-agent=tracehop x-b3-traceid=463ac35c9f6413ad48485a3953bb6124 "
                  "x-empty= x-utf8=\xc3\xa4\tb accept=text/plain body=");
}

static void an_answer_is_an_answer_whatever_its_code(void **state)
{
    struct probe probe;

    probe_init(&probe, *state, "/busy");
    run(&probe);
    assert_string_equal(probe.retry_after, "7");
    expect_answer(&probe, 503, "");
}

static void a_redirect_is_not_followed(void **state)
{
    struct probe probe;

    probe_init(&probe, *state, "/elsewhere");
    run(&probe);
    expect_answer(&probe, 302, "");
}

static void a_body_beyond_the_limit_is_cut_and_the_connection_kept(void **state)
{
    struct probe first, second;

    probe_init(&first, *state, "/peer");
    run(&first);

    struct probe probe;
    probe_init(&probe, *state, "/long");
    probe.call.max_body_bytes = 1000;
    run(&probe);
    assert_int_equal(probe.status, STATUS_OK);
    assert_true(probe.is_body_cut);
    assert_int_equal(probe.body_bytes, 1000);
    probe_done(&probe);

    probe_init(&probe, *state, "/long");
    probe.call.max_body_bytes = LONG_BODY_BYTES;
    run(&probe);
    assert_false(probe.is_body_cut);
    assert_int_equal(probe.body_bytes, LONG_BODY_BYTES);
    probe_done(&probe);

    probe_init(&second, *state, "/peer");
    run(&second);
    expect_answer(&second, 200, first.body);
    probe_done(&first);
}

static void connections_are_reused(void **state)
{
    struct probe first, probe;

    probe_init(&first, *state, "/peer");
    run(&first);
    for (int i = 0; i < 20; i++) {
        probe_init(&probe, *state, "/peer");
        run(&probe);
        expect_answer(&probe, 200, first.body);
    }
    probe_done(&first);
}

static void a_request_can_be_sent_elsewhere_under_its_own_name(void **state)
{
    struct fixture *fixture = *state;
    char            address[32], line[40];
    struct probe    probe;

    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", (unsigned)fixture->port);
    (void)snprintf(line, sizeof(line), "%s\n", address);
    for (int i = 0; i < 2; i++) {
        probe_init(&probe, fixture, "");
        probe.call.url = STR("http://no-such-host.invalid:1234/host");
        probe.call.connect_to = str_from(address);
        run(&probe);
        expect_answer(&probe, 200, "no-such-host.invalid:1234\n");

        /* The handle is used again, and must have forgotten. */
        probe_init(&probe, fixture, "/host");
        run(&probe);
        expect_answer(&probe, 200, line);
    }
}

static void a_connection_to_elsewhere_is_no_connection_to_the_name(void **state)
{
    struct fixture *fixture = *state;
    char            address[32];
    struct probe    probe;

    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", (unsigned)fixture->port);
    probe_init(&probe, fixture, "");
    probe.call.url = STR("http://127.0.0.1:1/host");
    probe.call.connect_to = str_from(address);
    run(&probe);
    expect_answer(&probe, 200, "127.0.0.1:1\n");

    probe_init(&probe, fixture, "");
    probe.call.url = STR("http://127.0.0.1:1/host");
    run(&probe);
    expect(&probe, STATUS_UNAVAILABLE, "");
}

static void the_deadline_ends_a_request(void **state)
{
    struct probe probe;

    probe_init(&probe, *state, "/hold");
    probe.call.deadline_ns = in_ms(50);
    run(&probe);
    assert_true(clock_monotonic_ns() >= probe.call.deadline_ns);
    expect(&probe, STATUS_DEADLINE_EXCEEDED, "timed out");
}

static void a_deadline_that_has_passed_ends_it_at_once(void **state)
{
    struct probe probe;

    probe_init(&probe, *state, "/hold");
    probe.call.deadline_ns = in_ms(-1000);
    run(&probe);
    expect(&probe, STATUS_DEADLINE_EXCEEDED, "");
}

static void a_request_without_deadline_gets_its_answer(void **state)
{
    struct probe probe;

    probe_init(&probe, *state, "/");
    probe.call.deadline_ns = NEVER_NS;
    run(&probe);
    expect_answer(&probe, 200, "GET /? user-agent=tracehop accept=*/* body=");
}

/* A listening socket that the test serves by hand, or does not. */
static int listen_by_hand(uint16_t *ret_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t          size = sizeof(at);

    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
    assert_int_equal(listen(fd, 10), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    *ret_port = ntohs(at.sin_port);
    return fd;
}

static void nobody_there_is_unavailable(void **state)
{
    struct probe probe;
    uint16_t     port;

    close(listen_by_hand(&port));
    probe_init(&probe, *state, "/");
    (void)snprintf(probe.url, sizeof(probe.url), "http://127.0.0.1:%u/", (unsigned)port);
    probe.call.url = str_from(probe.url);
    run(&probe);
    expect(&probe, STATUS_UNAVAILABLE, "onnect");
}

static void what_cannot_be_called_is_unavailable(void **state)
{
    static const char *const urls[] = {"http://no-such-host.invalid/", "ftp://127.0.0.1/",
                                       "file:///etc/passwd", "http://[::", ""};

    for (size_t i = 0; i < ARRAY_LENGTH(urls); i++) {
        struct probe probe;
        probe_init(&probe, *state, "/");
        (void)snprintf(probe.url, sizeof(probe.url), "%s", urls[i]);
        probe.call.url = str_from(probe.url);
        run(&probe);
        assert_string_not_equal(probe.message, "");
        expect(&probe, STATUS_UNAVAILABLE, "");
    }
}

static void a_bad_answer_is_unavailable(void **state)
{
    static const char *const answers[] = {
        "",
        "hello\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(answers); i++) {
        struct probe probe;
        uint16_t     port;
        char         request[1024];
        int          listening = listen_by_hand(&port);

        probe_init(&probe, *state, "/");
        (void)snprintf(probe.url, sizeof(probe.url), "http://127.0.0.1:%u/", (unsigned)port);
        probe.call.url = str_from(probe.url);
        probe_start(&probe);

        int fd = accept(listening, NULL, NULL);
        assert_true(fd >= 0);
        assert_true(recv(fd, request, sizeof(request), 0) > 0);
        send(fd, answers[i], strlen(answers[i]), MSG_NOSIGNAL);
        close(listening);
        close(fd);
        probe_wait(&probe);
        expect(&probe, STATUS_UNAVAILABLE, "");
    }
}

static void a_running_request_can_be_cancelled(void **state)
{
    struct fixture *fixture = *state;
    struct probe    probe;

    probe_init(&probe, fixture, "/hold");
    probe_start(&probe);
    wait_for_held(fixture, 1);
    http_cancel(fixture->client, probe.number);
    http_cancel(fixture->client, probe.number);
    probe_wait(&probe);
    expect(&probe, STATUS_CANCELLED, "cancelled");
}

static void a_request_can_be_cancelled_at_once(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < 100; i++) {
        struct probe probe;
        probe_init(&probe, fixture, "/hold");
        probe_start(&probe);
        http_cancel(fixture->client, probe.number);
        probe_wait(&probe);
        expect(&probe, STATUS_CANCELLED, "cancelled");
    }
}

static void cancelling_what_has_ended_harms_nobody(void **state)
{
    struct fixture *fixture = *state;
    struct probe    first, second;

    probe_init(&first, fixture, "/");
    run(&first);
    probe_init(&second, fixture, "/hold");
    probe_start(&second);
    wait_for_held(fixture, 1);
    http_cancel(fixture->client, first.number);
    http_cancel(fixture->client, 0);
    http_cancel(fixture->client, UINT64_MAX);
    answer_held(fixture);
    probe_wait(&second);
    expect_answer(&second, 200, "late\n");
    probe_done(&first);
}

/* As many as run and wait at most, all of them held by the server or queued behind those. */
static void fill(struct fixture *fixture, struct probe probes[])
{
    for (int i = 0; i < MAX_CONNECTIONS + MAX_QUEUED; i++) {
        probe_init(&probes[i], fixture, "/hold");
        probe_start(&probes[i]);
    }
    wait_for_held(fixture, MAX_CONNECTIONS);
}

static void too_many_are_refused_and_the_others_get_their_turn(void **state)
{
    struct fixture *fixture = *state;
    struct probe    probes[MAX_CONNECTIONS + MAX_QUEUED], refused[3];

    fill(fixture, probes);
    for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
        probe_init(&refused[i], fixture, "/");
        run(&refused[i]);
        expect(&refused[i], STATUS_RESOURCE_EXHAUSTED, "too many");
    }
    assert_int_equal(fixture->locked.n_held, MAX_CONNECTIONS);

    answer_held(fixture);
    wait_for_held(fixture, MAX_QUEUED);
    answer_held(fixture);
    for (size_t i = 0; i < ARRAY_LENGTH(probes); i++) {
        probe_wait(&probes[i]);
        expect_answer(&probes[i], 200, "late\n");
    }
}

static void the_deadline_ends_a_request_that_waits(void **state)
{
    struct fixture *fixture = *state;
    struct probe    probes[MAX_CONNECTIONS + MAX_QUEUED], *waiting = &probes[MAX_CONNECTIONS];

    for (int i = 0; i < MAX_CONNECTIONS; i++) {
        probe_init(&probes[i], fixture, "/hold");
        probe_start(&probes[i]);
    }
    for (int i = 0; i < MAX_QUEUED; i++) {
        probe_init(&waiting[i], fixture, "/hold");
        waiting[i].call.deadline_ns = in_ms(i % 2 == 0 ? 30 : 10000);
        probe_start(&waiting[i]);
    }
    for (int i = 0; i < MAX_QUEUED; i += 2) {
        probe_wait(&waiting[i]);
        expect(&waiting[i], STATUS_DEADLINE_EXCEEDED, "no connection");
    }

    wait_for_held(fixture, MAX_CONNECTIONS);
    answer_held(fixture);
    wait_for_held(fixture, MAX_QUEUED / 2);
    answer_held(fixture);
    for (int i = 1; i < MAX_QUEUED; i += 2) {
        probe_wait(&waiting[i]);
        expect_answer(&waiting[i], 200, "late\n");
    }
    for (int i = 0; i < MAX_CONNECTIONS; i++) {
        probe_wait(&probes[i]);
        probe_done(&probes[i]);
    }
}

static void a_request_that_waits_can_be_cancelled(void **state)
{
    struct fixture *fixture = *state;
    struct probe    probes[MAX_CONNECTIONS + MAX_QUEUED];

    fill(fixture, probes);
    for (int i = MAX_CONNECTIONS; i < MAX_CONNECTIONS + MAX_QUEUED; i++) {
        http_cancel(fixture->client, probes[i].number);
        probe_wait(&probes[i]);
        expect(&probes[i], STATUS_CANCELLED, "cancelled");
    }
    answer_held(fixture);
    for (int i = 0; i < MAX_CONNECTIONS; i++) {
        probe_wait(&probes[i]);
        expect_answer(&probes[i], 200, "late\n");
    }
}

static void closing_cancels_everything(void **state)
{
    struct fixture *fixture = *state;
    struct probe    probes[MAX_CONNECTIONS + MAX_QUEUED];

    fill(fixture, probes);
    http_client_free(fixture->client);
    fixture->client = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(probes); i++)
        expect(&probes[i], STATUS_CANCELLED, "closing");
}

struct relay {
    struct probe probe;
    int          n_left;
};

/* The next request from within the outcome of the last. */
static void start_next(const struct http_outcome *outcome, void *context)
{
    struct relay *relay = context;

    if (relay->n_left-- == 0 || outcome->status != STATUS_OK)
        note(outcome, &relay->probe);
    else
        (void)http_start(relay->probe.fixture->client, &relay->probe.call);
}

static void an_outcome_may_start_the_next(void **state)
{
    struct relay relay = {.n_left = 100};

    probe_init(&relay.probe, *state, "/");
    relay.probe.call.done = start_next;
    relay.probe.call.context = &relay;
    run(&relay.probe);
    assert_int_equal(relay.n_left, -1);
    expect_answer(&relay.probe, 200, "GET /? user-agent=tracehop accept=*/* body=");
}

static void *call_many_times(void *state)
{
    for (int i = 0; i < 250; i++) {
        struct probe probe;
        probe_init(&probe, state, i % 10 == 0 ? "/long" : "/");
        run(&probe);
        if (probe.status != STATUS_OK)
            fail_msg("saw %.*s \"%s\"", STR_ARGS(status_name(probe.status)), probe.message);
        if (i % 25 == 24)
            http_cancel(probe.fixture->client, probe.number);
        probe_done(&probe);
    }
    return NULL;
}

/* One fewer than there are places: the place is free only after its outcome has been told. */
static void many_threads_may_call_at_once(void **state)
{
    pthread_t threads[MAX_CONNECTIONS + MAX_QUEUED - 1];

    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_many_times, *state), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        pthread_join(threads[i], NULL);
}

#define tested(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        tested(a_get_brings_the_answer),
        tested(a_post_sends_its_body_and_nothing_untrue),
        tested(a_long_post_does_not_wait_for_100_continue),
        tested(headers_are_sent_but_for_illegal_ones),
        tested(an_answer_is_an_answer_whatever_its_code),
        tested(a_redirect_is_not_followed),
        tested(a_body_beyond_the_limit_is_cut_and_the_connection_kept),
        tested(connections_are_reused),
        tested(a_request_can_be_sent_elsewhere_under_its_own_name),
        tested(a_connection_to_elsewhere_is_no_connection_to_the_name),
        tested(the_deadline_ends_a_request),
        tested(a_deadline_that_has_passed_ends_it_at_once),
        tested(a_request_without_deadline_gets_its_answer),
        tested(nobody_there_is_unavailable),
        tested(what_cannot_be_called_is_unavailable),
        tested(a_bad_answer_is_unavailable),
        tested(a_running_request_can_be_cancelled),
        tested(a_request_can_be_cancelled_at_once),
        tested(cancelling_what_has_ended_harms_nobody),
        tested(too_many_are_refused_and_the_others_get_their_turn),
        tested(the_deadline_ends_a_request_that_waits),
        tested(a_request_that_waits_can_be_cancelled),
        tested(closing_cancels_everything),
        tested(an_outcome_may_start_the_next),
        tested(many_threads_may_call_at_once),
    };

    /* Nobody listens there: a client that minds the environment fails every test. */
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    return cmocka_run_group_tests_name("http_client", tests, NULL, NULL);
}
