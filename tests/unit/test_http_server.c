#include "common/edge/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/arena.h"
#include "common/base/budget.h"
#include "common/base/text.h"

enum { MAX_HELD = 512 };

static const size_t MAX_HEADER_BYTES = 8192, MAX_BODY_BYTES = 1000, MiB = 1048576;

/* What the handler deferred, for the test to answer. */
struct fixture {
    struct http_server *server;
    uint16_t            port;
    _Atomic unsigned    n_handled;

    pthread_mutex_t lock;
    pthread_cond_t  changed;
    struct {
        struct http_request *held[MAX_HELD];
        unsigned             n_held;
    } locked;
};

static void hold(struct fixture *fixture, struct http_request *request)
{
    http_request_defer(request);

    pthread_mutex_lock(&fixture->lock);
    assert_true(fixture->locked.n_held < MAX_HELD);
    fixture->locked.held[fixture->locked.n_held++] = request;
    pthread_cond_signal(&fixture->changed);
    pthread_mutex_unlock(&fixture->lock);
}

static struct http_request *wait_for_held(struct fixture *fixture)
{
    pthread_mutex_lock(&fixture->lock);
    while (fixture->locked.n_held == 0)
        pthread_cond_wait(&fixture->changed, &fixture->lock);
    struct http_request *request = fixture->locked.held[--fixture->locked.n_held];
    pthread_mutex_unlock(&fixture->lock);
    return request;
}

/* Everything that the handler was told, as text in the request's arena. */
static struct str describe(struct http_request *request)
{
    struct text            text = text_in_arena(http_request_arena(request), 256);
    const struct metadata *headers = http_request_headers(request);

    text_add_format(&text, "%.*s %.*s ?%.*s", STR_ARGS(http_request_method(request)),
                    STR_ARGS(http_request_path(request)), STR_ARGS(http_request_query(request)));
    for (size_t i = 0; i < headers->count; i++)
        text_add_format(&text, " %.*s=%.*s", STR_ARGS(headers->fields[i].name),
                        STR_ARGS(headers->fields[i].value));
    text_add(&text, STR(" body="));
    text_add(&text, http_request_body(request));
    return text_view(&text);
}

static void respond_with_description(struct http_request *request)
{
    http_respond(request, &(struct http_response){
                              .code = 200,
                              .content_type = STR("text/plain"),
                              .body = describe(request),
                              .is_constant = true,
                          });
}

static void respond_with_headers(struct http_request *request)
{
    struct field fields[] = {
        {STR("x-good"), STR("yes")}, {STR("x-split"), STR("a\r\nx-smuggled: b")},
        {STR("x-nul"), STR("a\0b")}, {STR("bad name"), STR("v")},
        {STR("x-empty"), STR("")},
    };
    struct metadata headers = {.fields = fields, .count = ARRAY_LENGTH(fields)};

    http_respond(request,
                 &(struct http_response){.code = 200, .body = STR("copied"), .headers = &headers});
}

static void handle(struct http_request *request, void *context)
{
    struct fixture *fixture = context;
    struct str      path = http_request_path(request);
    (void)atomic_fetch_add(&fixture->n_handled, 1);

    if (str_equal(path, STR("/hold")))
        hold(fixture, request);
    else if (str_equal(path, STR("/headers")))
        respond_with_headers(request);
    else if (str_equal(path, STR("/peer")))
        http_respond_text(request, 200, http_request_peer(request));
    else if (str_equal(path, STR("/defer-and-answer"))) {
        http_request_defer(request);
        http_respond_text(request, 200, STR("at once"));
    } else if (!http_request_is_read(request) && !str_equal(path, STR("/echo")))
        http_respond_not_allowed(request, STR("GET, HEAD"));
    else
        respond_with_description(request);
}

static struct http_server_options options_for(struct fixture *fixture)
{
    return (struct http_server_options){
        .address = {.text = STR("127.0.0.1:0"), .host = STR("127.0.0.1")},
        .thread_name = "http",
        .threads = 2,
        .max_connections = 256,
        .idle_timeout_s = 30,
        .max_header_bytes = MAX_HEADER_BYTES,
        .max_body_bytes = MAX_BODY_BYTES,
        .arena_bytes = 65536,
        .handle = handle,
        .context = fixture,
    };
}

static struct fixture *fixture_new(void)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    pthread_mutex_init(&fixture->lock, NULL);
    pthread_cond_init(&fixture->changed, NULL);
    return fixture;
}

static void start(struct fixture *fixture, const struct http_server_options *options)
{
    int r = http_server_new(&fixture->server, options, &fixture->port);
    if (r < 0)
        fail_msg("the server did not start: %s", strerror(-r));
}

static int set_up(void **state)
{
    struct fixture            *fixture = fixture_new();
    struct http_server_options options = options_for(fixture);

    start(fixture, &options);
    *state = fixture;
    return 0;
}

/* One thread, and little patience. */
static int set_up_impatient(void **state)
{
    struct fixture            *fixture = fixture_new();
    struct http_server_options options = options_for(fixture);

    options.threads = 1;
    options.idle_timeout_s = 1;
    options.max_body_bytes = MiB;
    options.arena_bytes = 2 * MiB;
    start(fixture, &options);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    http_server_free(fixture->server);
    pthread_cond_destroy(&fixture->changed);
    pthread_mutex_destroy(&fixture->lock);
    free(fixture);
    return 0;
}

static int try_to_connect(uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct timeval patience = {.tv_sec = 10};

    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
        return fd;

    int r = -errno;
    close(fd);
    return r;
}

static int connect_to(const struct fixture *fixture)
{
    int fd = try_to_connect(fixture->port);
    if (fd < 0)
        fail_msg("cannot connect: %s", strerror(-fd));
    return fd;
}

static void send_bytes(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent < 0)
            fail_msg("cannot send: %s", strerror(errno));
        bytes += sent;
        n -= (size_t)sent;
    }
}

static void send_text(int fd, const char *text)
{
    send_bytes(fd, text, strlen(text));
}

static void send_filler(int fd, size_t n)
{
    char *filler = malloc(n);
    assert_non_null(filler);
    memset(filler, 'x', n);
    send_bytes(fd, filler, n);
    free(filler);
}

struct answer {
    int    code;
    char   head[4096]; /* status line and headers */
    char   body[16384];
    size_t body_bytes;
};

static size_t read_some(int fd, char *to, size_t n)
{
    ssize_t got = recv(fd, to, n, 0);
    if (got < 0)
        fail_msg("cannot read: %s", strerror(errno));
    return (size_t)got;
}

static void read_head(int fd, struct answer *answer)
{
    size_t n = 0;

    answer->head[0] = '\0';
    while (!strstr(answer->head, "\r\n\r\n")) {
        assert_true(n + 1 < sizeof(answer->head));
        if (read_some(fd, answer->head + n, 1) == 0)
            fail_msg("the connection ended within the headers: \"%s\"", answer->head);
        answer->head[++n] = '\0';
    }
    if (sscanf(answer->head, "HTTP/1.1 %d", &answer->code) != 1)
        fail_msg("not an answer: \"%s\"", answer->head);
}

static size_t announced_bytes(const struct answer *answer)
{
    static const char name[] = "\r\ncontent-length:";

    const char *length = strcasestr(answer->head, name);
    if (length)
        return strtoul(length + strlen(name), NULL, 10);
    fail_msg("no length: \"%s\"", answer->head);
    return 0;
}

static struct answer read_answer(int fd)
{
    struct answer answer = {0};

    read_head(fd, &answer);
    size_t n = announced_bytes(&answer);
    assert_true(n < sizeof(answer.body));
    while (answer.body_bytes < n) {
        size_t got = read_some(fd, answer.body + answer.body_bytes, n - answer.body_bytes);
        if (got == 0)
            fail_msg("the connection ended within the body: \"%s\"", answer.body);
        answer.body_bytes += got;
    }
    return answer;
}

static struct answer ask(int fd, const char *request)
{
    send_text(fd, request);
    return read_answer(fd);
}

static void assert_answer(const struct answer *answer, int code, const char *body)
{
    if (answer->code != code || strcmp(answer->body, body) != 0)
        fail_msg("expected %d \"%s\", saw %d \"%s\"", code, body, answer->code, answer->body);
}

static void assert_has(const struct answer *answer, const char *header)
{
    if (!strcasestr(answer->head, header))
        fail_msg("no \"%s\" in \"%s\"", header, answer->head);
}

/* A reset is an end, too. */
static void assert_ends(int fd)
{
    char    byte;
    ssize_t got = recv(fd, &byte, 1, 0);
    if (got > 0)
        fail_msg("the connection goes on with '%c'", byte);
    if (got < 0 && errno != ECONNRESET)
        fail_msg("the connection does not end: %s", strerror(errno));
    close(fd);
}

static void the_handler_sees_the_request(void **state)
{
    static const struct {
        const char *request;
        const char *seen;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / ? host=h body="},
        {"GET /a%20b?x=%31&y HTTP/1.1\r\nhost: h\r\n\r\n", "GET /a%20b ?x=%31&y host=h body="},
        {"GET http://other:80/a?b HTTP/1.1\r\nhost: h\r\n\r\n", "GET /a ?b host=h body="},
        {"GET http://other HTTP/1.1\r\nhost: h\r\n\r\n", "GET / ? host=h body="},
        {"GET /a:b//c HTTP/1.1\r\nhost: h\r\n\r\n", "GET /a:b//c ? host=h body="},
        {"GET / HTTP/1.1\r\nHOST: h\r\nX-B3-TraceId: AbC\r\nx-two: 1\r\nX-Two: 2\r\nx-no:\r\n\r\n",
         "GET / ? host=h x-b3-traceid=AbC x-two=1 x-two=2 x-no= body="},
        {"POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc",
         "POST /echo ? host=h content-length=3 body=abc"},
        {"POST /echo HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"
         "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
         "POST /echo ? host=h transfer-encoding=chunked body=abc"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        int           fd = connect_to(*state);
        struct answer answer = ask(fd, cases[i].request);
        assert_answer(&answer, 200, cases[i].seen);
        close(fd);
    }
}

static void a_connection_carries_many_requests(void **state)
{
    struct fixture *fixture = *state;
    int             fd = connect_to(fixture);

    for (int i = 0; i < 3; i++) {
        struct answer answer = ask(fd, "GET /x HTTP/1.1\r\nhost: h\r\n\r\n");
        assert_answer(&answer, 200, "GET /x ? host=h body=");
    }
    close(fd);
    assert_int_equal(fixture->n_handled, 3);
}

static void requests_may_be_sent_ahead(void **state)
{
    int fd = connect_to(*state);

    send_text(fd, "GET /1 HTTP/1.1\r\nhost: h\r\n\r\n"
                  "POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\n\r\n2"
                  "GET /defer-and-answer HTTP/1.1\r\nhost: h\r\n\r\n"
                  "GET /4 HTTP/1.1\r\nhost: h\r\n\r\n");
    static const char *const bodies[] = {
        "GET /1 ? host=h body=", "POST /echo ? host=h content-length=1 body=2", "at once\n",
        "GET /4 ? host=h body="};
    for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++) {
        struct answer answer = read_answer(fd);
        assert_answer(&answer, 200, bodies[i]);
    }
    close(fd);
}

static void head_tells_the_length_without_the_body(void **state)
{
    int           fd = connect_to(*state);
    struct answer answer = {0};

    send_text(fd, "HEAD /x HTTP/1.1\r\nhost: h\r\n\r\n");
    read_head(fd, &answer);
    assert_int_equal(announced_bytes(&answer), strlen("HEAD /x ? host=h body="));

    answer = ask(fd, "GET /y HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_answer(&answer, 200, "GET /y ? host=h body=");
    close(fd);
}

static void another_method_is_told_what_is_allowed(void **state)
{
    int           fd = connect_to(*state);
    struct answer answer = ask(fd, "DELETE / HTTP/1.1\r\nhost: h\r\n\r\n");

    assert_answer(&answer, 405, "Method Not Allowed\n");
    assert_has(&answer, "\r\nallow: GET, HEAD\r\n");
    assert_has(&answer, "\r\ncontent-type: text/plain; charset=utf-8\r\n");
    close(fd);
}

static void what_cannot_stand_in_a_header_is_left_out(void **state)
{
    int           fd = connect_to(*state);
    struct answer answer = ask(fd, "GET /headers HTTP/1.1\r\nhost: h\r\n\r\n");

    assert_answer(&answer, 200, "copied");
    assert_has(&answer, "\r\nx-good: yes\r\n");
    assert_null(strstr(answer.head, "x-split"));
    assert_null(strstr(answer.head, "x-smuggled"));
    assert_null(strstr(answer.head, "x-nul"));
    assert_null(strstr(answer.head, "bad name"));
    assert_null(strstr(answer.head, "x-empty"));
    close(fd);
}

static void the_peer_is_told_by_address_and_port(void **state)
{
    int                fd = connect_to(*state);
    struct sockaddr_in own = {0};
    socklen_t          size = sizeof(own);
    char               expected[64];

    assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &size), 0);
    (void)snprintf(expected, sizeof(expected), "127.0.0.1:%u\n", (unsigned)ntohs(own.sin_port));

    struct answer answer = ask(fd, "GET /peer HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_answer(&answer, 200, expected);
    close(fd);
}

static void a_deferred_answer_comes_from_another_thread(void **state)
{
    struct fixture *fixture = *state;
    int             fd = connect_to(fixture);

    for (int i = 0; i < 3; i++) {
        send_text(fd, "POST /hold?q HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nab");
        respond_with_description(wait_for_held(fixture));
        struct answer answer = read_answer(fd);
        assert_answer(&answer, 200, "POST /hold ?q host=h content-length=2 body=ab");
    }
    close(fd);
}

static void an_answer_may_be_deferred_and_given_at_once(void **state)
{
    int fd = connect_to(*state);

    for (int i = 0; i < 3; i++) {
        struct answer answer = ask(fd, "GET /defer-and-answer HTTP/1.1\r\nhost: h\r\n\r\n");
        assert_answer(&answer, 200, "at once\n");
    }
    close(fd);
}

struct answerer {
    struct fixture *fixture;
    unsigned        n;
};

static void *answer_held(void *context)
{
    struct answerer *answerer = context;

    for (unsigned i = 0; i < answerer->n; i++)
        respond_with_description(wait_for_held(answerer->fixture));
    return NULL;
}

static void many_are_deferred_at_once(void **state)
{
    enum { CONNECTIONS = 100, ROUNDS = 10, ANSWERERS = 4 };
    struct fixture *fixture = *state;
    struct answerer answerer = {fixture, CONNECTIONS * ROUNDS / ANSWERERS};
    pthread_t       threads[ANSWERERS];
    int             fds[CONNECTIONS];

    for (int i = 0; i < CONNECTIONS; i++)
        fds[i] = connect_to(fixture);
    for (int i = 0; i < ANSWERERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, answer_held, &answerer), 0);

    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CONNECTIONS; i++)
            send_text(fds[i], "GET /hold HTTP/1.1\r\nhost: h\r\n\r\n");
        for (int i = 0; i < CONNECTIONS; i++) {
            struct answer answer = read_answer(fds[i]);
            assert_answer(&answer, 200, "GET /hold ? host=h body=");
        }
    }

    for (int i = 0; i < ANSWERERS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < CONNECTIONS; i++)
        close(fds[i]);
}

static void a_client_that_left_meanwhile_harms_nobody(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < 20; i++) {
        int fd = connect_to(fixture);
        send_text(fd, "GET /hold HTTP/1.1\r\nhost: h\r\n\r\n");
        struct http_request *request = wait_for_held(fixture);
        if (i % 2 == 0)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
                       sizeof(struct linger)); /* leaves with a reset */
        close(fd);
        respond_with_description(request);
    }
    int           fd = connect_to(fixture);
    struct answer answer = ask(fd, "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_int_equal(answer.code, 200);
    close(fd);
}

static void headers_may_be_as_long_as_allowed(void **state)
{
    static const char beginning[] = "GET / HTTP/1.1\r\nhost: h\r\nx-long: ", end[] = "\r\n\r\n";
    int               fd = connect_to(*state);

    for (int i = 0; i < 2; i++) {
        send_text(fd, beginning);
        send_filler(fd, MAX_HEADER_BYTES - strlen(beginning) - strlen(end));
        struct answer answer = ask(fd, end);
        assert_int_equal(answer.code, 200);
    }
    close(fd);
}

/* Sends `before`, `n` bytes of filler and `after`; expects the code, and the connection's end. */
static void assert_refused(struct fixture *fixture, const char *before, size_t n, const char *after,
                           int code)
{
    int fd = connect_to(fixture);

    send_text(fd, before);
    send_filler(fd, n);
    send_text(fd, after);
    struct answer answer = {0};
    read_head(fd, &answer);
    if (answer.code != code)
        fail_msg("expected %d, saw \"%s\"", code, answer.head);
    close(fd);
    assert_int_equal(fixture->n_handled, 0);
}

static void headers_that_are_too_long_are_431(void **state)
{
    assert_refused(*state, "GET / HTTP/1.1\r\nhost: h\r\nx-long: ", MAX_HEADER_BYTES, "\r\n\r\n",
                   431);
    assert_refused(*state, "GET / HTTP/1.1\r\nhost: h\r\nx-long: ", 4 * MAX_HEADER_BYTES, "", 431);
    assert_refused(*state, "GET / HTTP/1.1\r\nhost: h\r\n", 4 * MAX_HEADER_BYTES, "", 431);
}

static void a_long_request_line_is_414(void **state)
{
    assert_refused(*state, "GET /", 4 * MAX_HEADER_BYTES, "", 414);
}

static void too_many_headers_are_431(void **state)
{
    struct fixture *fixture = *state;
    int             fd = connect_to(fixture);

    send_text(fd, "GET / HTTP/1.1\r\nhost: h\r\n");
    for (int i = 0; i < 100; i++)
        send_text(fd, "a: b\r\n");
    struct answer answer = ask(fd, "\r\n");
    assert_answer(&answer, 431, "Request Header Fields Too Large\n");
    assert_ends(fd);
    assert_int_equal(fixture->n_handled, 0);
}

static void a_body_that_is_a_little_too_long_is_413_and_the_connection_stays(void **state)
{
    struct fixture *fixture = *state;
    int             fd = connect_to(fixture);

    send_text(fd, "POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 1001\r\n\r\n");
    send_filler(fd, 1001);
    struct answer answer = read_answer(fd);
    assert_answer(&answer, 413, "Content Too Large\n");
    assert_int_equal(fixture->n_handled, 0);

    answer = ask(fd, "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_int_equal(answer.code, 200);
    close(fd);
}

static void a_body_may_be_as_long_as_allowed(void **state)
{
    static const char seen[] = "POST /echo ? host=h content-length=1000 body=";
    int               fd = connect_to(*state);

    send_text(fd, "POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 1000\r\n\r\n");
    send_filler(fd, MAX_BODY_BYTES);
    struct answer answer = read_answer(fd);
    assert_int_equal(answer.code, 200);
    assert_int_equal(answer.body_bytes, strlen(seen) + MAX_BODY_BYTES);
    close(fd);
}

static void a_body_that_is_much_too_long_is_413_before_it_is_sent(void **state)
{
    static const char *const announcements[] = {
        "POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 99999999999\r\n\r\n",
        "POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 1001\r\nexpect: 100-continue\r\n\r\n",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(announcements); i++) {
        int           fd = connect_to(*state);
        struct answer answer = ask(fd, announcements[i]);
        assert_answer(&answer, 413, "Content Too Large\n");
        assert_ends(fd);
    }
}

static void who_asks_first_is_told_to_go_on(void **state)
{
    int           fd = connect_to(*state);
    struct answer answer = {0};

    send_text(fd, "POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\n"
                  "expect: 100-continue\r\n\r\n");
    read_head(fd, &answer);
    assert_int_equal(answer.code, 100);
    answer = ask(fd, "a");
    assert_int_equal(answer.code, 200);
    close(fd);
}

static void a_chunked_body_that_is_too_long_is_413(void **state)
{
    struct fixture *fixture = *state;
    int             fd = connect_to(fixture);

    send_text(fd, "POST /echo HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n");
    for (int i = 0; i < 4; i++) {
        send_text(fd, "100\r\n");
        send_filler(fd, 256);
        send_text(fd, "\r\n");
    }
    struct answer answer = ask(fd, "0\r\n\r\n");
    assert_answer(&answer, 413, "Content Too Large\n");
    assert_int_equal(fixture->n_handled, 0);
    close(fd);
}

static void bodies_beyond_what_all_may_take_are_503_until_others_are_done(void **state)
{
    struct budget              bodies = {.max_bytes = 1500};
    struct fixture            *fixture = fixture_new();
    struct http_server_options options = options_for(fixture);
    (void)state;

    options.bodies = &bodies;
    start(fixture, &options);
    int first = connect_to(fixture), second = connect_to(fixture);
    send_text(first, "POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 1000\r\n\r\n");
    send_filler(first, 999);
    while (atomic_load(&bodies.used_bytes) < 999)
        sched_yield();

    send_text(second, "POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 600\r\n\r\n");
    send_filler(second, 600);
    struct answer answer = read_answer(second);
    assert_answer(&answer, 503, "Service Unavailable\n");

    send_filler(first, 1);
    answer = read_answer(first);
    assert_int_equal(answer.code, 200);
    send_text(second, "POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 600\r\n\r\n");
    send_filler(second, 600);
    answer = read_answer(second);
    assert_int_equal(answer.code, 200);

    close(first);
    close(second);
    tear_down((void **)&fixture);
    assert_int_equal(bodies.used_bytes, 0);
}

static void refuse_in_our_words(struct http_request *request, int code, void *context)
{
    (void)context;
    http_respond(request, &(struct http_response){.code = code, .body = STR("our words")});
}

static void the_program_may_put_refusals_into_its_own_words(void **state)
{
    struct fixture            *fixture = fixture_new();
    struct http_server_options options = options_for(fixture);
    (void)state;

    options.refuse = refuse_in_our_words;
    start(fixture, &options);
    int           fd = connect_to(fixture);
    struct answer answer =
        ask(fd, "POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 99999999999\r\n\r\n");
    assert_answer(&answer, 413, "our words");
    assert_int_equal(fixture->n_handled, 0);
    close(fd);
    tear_down((void **)&fixture);
}

static void a_chunked_body_without_end_is_cut_off(void **state)
{
    enum { CHUNK_BYTES = 16384 };
    char   chunk[6 + CHUNK_BYTES + 3];
    size_t sent_bytes = 0;
    int    fd = connect_to(*state);

    send_text(fd, "POST /echo HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n");
    (void)snprintf(chunk, sizeof(chunk), "%x\r\n%0*d\r\n", CHUNK_BYTES, CHUNK_BYTES, 0);
    while (send(fd, chunk, strlen(chunk), MSG_NOSIGNAL) == (ssize_t)strlen(chunk)) {
        sent_bytes += CHUNK_BYTES;
        if (sent_bytes > 64 * MiB)
            fail_msg("%zu bytes were taken", sent_bytes);
    }
    close(fd);
}

static void who_sends_nothing_is_cut_off(void **state)
{
    static const char *const beginnings[] = {
        "",
        "GET / HT",
        "GET / HTTP/1.1\r\nhost: h\r\n",
        "POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\nabc",
    };
    int fds[ARRAY_LENGTH(beginnings)];

    for (size_t i = 0; i < ARRAY_LENGTH(beginnings); i++) {
        fds[i] = connect_to(*state);
        send_text(fds[i], beginnings[i]);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(beginnings); i++)
        assert_ends(fds[i]);
}

/* A byte each 50 ms would keep libmicrohttpd's own timeout of 1 s from striking. */
static void assert_cut_off_while_dripping(int fd)
{
    int64_t start_ns = clock_monotonic_ns();

    while (send(fd, "x", 1, MSG_NOSIGNAL) == 1) {
        if (clock_monotonic_ns() - start_ns > (int64_t)10 * NS_PER_S)
            fail_msg("still connected after 10 s");
        usleep(50 * 1000);
    }
    close(fd);
}

static void who_drips_headers_is_cut_off(void **state)
{
    int fd = connect_to(*state);
    send_text(fd, "GET / HTTP/1.1\r\nx-slow: ");
    assert_cut_off_while_dripping(fd);
}

static void who_drips_a_body_is_cut_off(void **state)
{
    int fd = connect_to(*state);
    send_text(fd, "POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 100000\r\n\r\n");
    assert_cut_off_while_dripping(fd);
}

static void a_long_body_may_take_its_time(void **state)
{
    enum { PIECES = 15, PIECE_BYTES = 16 * 1024 };
    int  fd = connect_to(*state);
    char head[128];

    (void)snprintf(head, sizeof(head),
                   "POST /not-allowed HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n",
                   PIECES * PIECE_BYTES);
    send_text(fd, head);
    for (int i = 0; i < PIECES; i++) {
        usleep(100 * 1000);
        send_filler(fd, PIECE_BYTES);
    }
    struct answer answer = read_answer(fd);
    assert_answer(&answer, 405, "Method Not Allowed\n");
    close(fd);
}

static void a_slow_answer_is_waited_for(void **state)
{
    struct fixture *fixture = *state;
    int             fd = connect_to(fixture);

    send_text(fd, "GET /hold HTTP/1.1\r\nhost: h\r\n\r\n");
    struct http_request *request = wait_for_held(fixture);
    usleep(1500 * 1000);
    http_respond_text(request, 200, STR("late"));
    struct answer answer = read_answer(fd);
    assert_answer(&answer, 200, "late\n");
    close(fd);
}

static int64_t in_ms(int64_t ms)
{
    return clock_monotonic_ns() + ms * NS_PER_MS;
}

static void a_drain_with_nothing_in_hand_ends_at_once(void **state)
{
    struct fixture *fixture = *state;
    int             idle = connect_to(fixture);

    assert_int_equal(http_server_drain(fixture->server, NEVER_NS), 0);
    assert_int_equal(try_to_connect(fixture->port), -ECONNREFUSED);
    close(idle);
}

static void *respond_to_one(void *context)
{
    struct fixture *fixture = context;
    usleep(50 * 1000);
    http_respond_text(wait_for_held(fixture), 200, STR("in time"));
    return NULL;
}

static void a_drain_waits_for_answers(void **state)
{
    struct fixture *fixture = *state;
    int             fd = connect_to(fixture);
    pthread_t       responder;

    send_text(fd, "GET /hold HTTP/1.1\r\nhost: h\r\n\r\n");
    while (atomic_load(&fixture->n_handled) == 0)
        sched_yield();
    assert_int_equal(pthread_create(&responder, NULL, respond_to_one, fixture), 0);
    assert_int_equal(http_server_drain(fixture->server, in_ms(10000)), 0);
    pthread_join(responder, NULL);

    struct answer answer = read_answer(fd);
    assert_answer(&answer, 200, "in time\n");
    assert_has(&answer, "\r\nconnection: close\r\n");
    assert_ends(fd);
}

static void a_drain_gives_up_and_counts(void **state)
{
    struct fixture      *fixture = *state;
    int                  first = connect_to(fixture), second = connect_to(fixture);
    struct http_request *held[2];

    send_text(first, "GET /hold HTTP/1.1\r\nhost: h\r\n\r\n");
    held[0] = wait_for_held(fixture);
    send_text(second, "GET /hold HTTP/1.1\r\nhost: h\r\n\r\n");
    held[1] = wait_for_held(fixture);

    assert_int_equal(http_server_drain(fixture->server, in_ms(20)), 2);
    http_respond_text(held[0], 503, STR("cancelled"));
    assert_int_equal(http_server_drain(fixture->server, in_ms(20)), 1);
    http_respond_text(held[1], 503, STR("cancelled"));
    assert_int_equal(http_server_drain(fixture->server, in_ms(10000)), 0);

    struct answer answer = read_answer(second);
    assert_answer(&answer, 503, "cancelled\n");
    close(first);
    close(second);
}

static void a_drained_server_hands_nothing_over(void **state)
{
    struct fixture *fixture = *state;
    int             fd = connect_to(fixture);

    struct answer answer = ask(fd, "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_int_equal(answer.code, 200);
    assert_int_equal(http_server_drain(fixture->server, in_ms(20)), 0);
    answer = ask(fd, "GET /hold HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_answer(&answer, 503, "Service Unavailable\n");
    assert_ends(fd);
    assert_int_equal(fixture->n_handled, 1);
}

static void the_answer_given_last_is_no_obstacle_to_the_end(void **state)
{
    for (int i = 0; i < 50; i++) {
        struct fixture            *fixture = fixture_new();
        struct http_server_options options = options_for(fixture);
        start(fixture, &options);

        int fd = connect_to(fixture);
        send_text(fd, "GET /hold HTTP/1.1\r\nhost: h\r\n\r\n");
        http_respond_text(wait_for_held(fixture), 200, STR("last"));
        *state = fixture;
        tear_down(state);
        close(fd);
    }
}

static void a_port_in_use_is_told(void **state)
{
    struct fixture            *fixture = *state;
    struct http_server_options options = options_for(fixture);
    struct http_server        *second;
    uint16_t                   port;

    options.address.port = fixture->port;
    assert_int_equal(http_server_new(&second, &options, &port), -EADDRINUSE);
}

static void an_unknown_name_is_told(void **state)
{
    struct http_server_options options = options_for(*state);
    struct http_server        *second;
    uint16_t                   port;

    options.address.host = STR("no-such-host.invalid");
    assert_int_equal(http_server_new(&second, &options, &port), -EADDRNOTAVAIL);
}

/* Whatever the address, the test reaches the server over IPv4. */
static void listens_where_it_is_told_to(void **state)
{
    static const struct str hosts[] = {STR_INIT("127.0.0.1"), STR_INIT("0.0.0.0"), STR_INIT("")};
    (void)state;

    for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
        struct fixture            *fixture = fixture_new();
        struct http_server_options options = options_for(fixture);
        options.address.host = hosts[i];
        start(fixture, &options);

        int           fd = connect_to(fixture);
        struct answer answer = ask(fd, "GET /peer HTTP/1.1\r\nhost: h\r\n\r\n");
        assert_int_equal(answer.code, 200);
        assert_memory_equal(answer.body, "127.0.0.1:", 10);
        close(fd);
        tear_down((void **)&fixture);
    }
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};

    int  fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool can_bind = fd >= 0 && bind(fd, (struct sockaddr *)&loopback, sizeof(loopback)) == 0;
    if (fd >= 0)
        close(fd);
    return can_bind;
}

static void the_ipv6_wildcard_takes_both(void **state)
{
    struct fixture            *fixture = *state;
    struct http_server_options options = options_for(fixture);
    struct http_server        *server;
    uint16_t                   port;

    if (!has_ipv6())
        skip();
    options.address.host = STR("::");
    assert_int_equal(http_server_new(&server, &options, &port), 0);

    int fd = try_to_connect(port);
    assert_true(fd >= 0);
    struct answer answer = ask(fd, "GET /peer HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_memory_equal(answer.body, "127.0.0.1:", 10);
    close(fd);

    struct sockaddr_in6 to = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    fd = socket(AF_INET6, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    answer = ask(fd, "GET /peer HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_memory_equal(answer.body, "[::1]:", 6);
    close(fd);
    http_server_free(server);
}

#define served(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define served_impatiently(test) cmocka_unit_test_setup_teardown(test, set_up_impatient, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        served(the_handler_sees_the_request),
        served(a_connection_carries_many_requests),
        served(requests_may_be_sent_ahead),
        served(head_tells_the_length_without_the_body),
        served(another_method_is_told_what_is_allowed),
        served(what_cannot_stand_in_a_header_is_left_out),
        served(the_peer_is_told_by_address_and_port),
        served(a_deferred_answer_comes_from_another_thread),
        served(an_answer_may_be_deferred_and_given_at_once),
        served(many_are_deferred_at_once),
        served(a_client_that_left_meanwhile_harms_nobody),
        served(headers_may_be_as_long_as_allowed),
        served(headers_that_are_too_long_are_431),
        served(a_long_request_line_is_414),
        served(too_many_headers_are_431),
        served(a_body_may_be_as_long_as_allowed),
        served(a_body_that_is_a_little_too_long_is_413_and_the_connection_stays),
        served(a_body_that_is_much_too_long_is_413_before_it_is_sent),
        served(who_asks_first_is_told_to_go_on),
        served(a_chunked_body_that_is_too_long_is_413),
        served(a_chunked_body_without_end_is_cut_off),
        cmocka_unit_test(bodies_beyond_what_all_may_take_are_503_until_others_are_done),
        cmocka_unit_test(the_program_may_put_refusals_into_its_own_words),
        served_impatiently(who_sends_nothing_is_cut_off),
        served_impatiently(who_drips_headers_is_cut_off),
        served_impatiently(who_drips_a_body_is_cut_off),
        served_impatiently(a_long_body_may_take_its_time),
        served_impatiently(a_slow_answer_is_waited_for),
        served(a_drain_with_nothing_in_hand_ends_at_once),
        served(a_drain_waits_for_answers),
        served(a_drain_gives_up_and_counts),
        served(a_drained_server_hands_nothing_over),
        cmocka_unit_test(the_answer_given_last_is_no_obstacle_to_the_end),
        served(a_port_in_use_is_told),
        served(an_unknown_name_is_told),
        cmocka_unit_test(listens_where_it_is_told_to),
        served(the_ipv6_wildcard_takes_both),
    };
    return cmocka_run_group_tests_name("http_server", tests, NULL, NULL);
}
