/* The gRPC edges against each other: a server and a client on their own workers, on loopback. */

#include "common/edge/rpc_client.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/edge/rpc_server.h"

static const char method[] = "/test.Service/Method";

/* What a test's client saw, handed from its worker to the test. */
struct answer {
    enum status status;
    struct str  message, details, response;
};

struct world {
    struct rpc_worker *server_worker, *client_worker;
    struct rpc_server *server;
    struct rpc_peer   *peer;
    struct arena      *arena;
    uint16_t           port;

    pthread_mutex_t lock;
    pthread_cond_t  changed;
    struct {
        unsigned                  n_answers;
        struct answer             last;
        unsigned                  n_cancelled;
        const struct rpc_failure *failure;  /* what the handler shall answer; NULL: all is well */
        char                      seen[64]; /* the header x-seen, as the handler saw it */
    } locked;

    /* A call: */
    struct rpc_task        start;
    struct str             request;
    const struct metadata *headers;
    int64_t                deadline_ns;
    struct rpc_outbound   *outbound;

    struct rpc_call *held; /* the server worker's own */
};

static void note_cancel(void *context)
{
    struct world *world = context;

    pthread_mutex_lock(&world->lock);
    world->locked.n_cancelled++;
    pthread_mutex_unlock(&world->lock);
    pthread_cond_broadcast(&world->changed);
}

/*
 * The order of the two workers exists only through gRPC, which the thread
 * sanitizer cannot see: what both touch stands behind the lock.
 */
static const struct rpc_failure *note_header(struct world *world, struct str value)
{
    pthread_mutex_lock(&world->lock);
    snprintf(world->locked.seen, sizeof(world->locked.seen), "%.*s", STR_ARGS(value));
    const struct rpc_failure *failure = world->locked.failure;
    pthread_mutex_unlock(&world->lock);
    return failure;
}

static void handle_echo(struct rpc_call *call, void *context)
{
    struct field    field = {STR("x-back"), STR("there")};
    struct metadata trailing = {.fields = &field, .count = 1};

    const struct rpc_failure *failure =
        note_header(context, metadata_find(rpc_call_metadata(call), STR("x-seen")));
    if (failure)
        rpc_call_fail(call, failure, &trailing);
    else
        rpc_call_reply(call, rpc_call_request(call), &trailing);
}

/* Answers when the caller has gone away. */
static void cancelled_while_held(void *context)
{
    struct world *world = context;

    rpc_call_fail(world->held,
                  &(struct rpc_failure){.status = STATUS_CANCELLED, .message = STR("gone")}, NULL);
    note_cancel(world);
}

static void handle_hold(struct rpc_call *call, void *context)
{
    struct world *world = context;

    world->held = call;
    rpc_call_on_cancel(call, cancelled_while_held, world);
}

static void world_free(struct world *world)
{
    rpc_server_drain(world->server, clock_monotonic_ns());
    rpc_worker_stop(world->client_worker);
    rpc_worker_stop(world->server_worker);
    rpc_peer_free(world->peer);
    rpc_server_free(world->server);
    rpc_worker_free(world->client_worker);
    rpc_worker_free(world->server_worker);
    arena_free(world->arena);
    pthread_cond_destroy(&world->changed);
    pthread_mutex_destroy(&world->lock);
    free(world);
}
DEFINE_CLEANUP(struct world *, world_free)

static struct world *world_new(rpc_handler_fn *handle)
{
    static const struct rpc_server_limits  server_limits = {.max_message_bytes = 4096,
                                                            .max_metadata_bytes = 16384,
                                                            .max_streams = 100,
                                                            .arena_bytes = 65536};
    static const struct rpc_client_options client_options = {.max_message_bytes = 65536,
                                                             .max_metadata_bytes = 16384};
    struct listen_address                  anywhere;
    struct uri                             uri;
    const char                            *reason;
    struct world                          *world = calloc(1, sizeof(*world));

    pthread_mutex_init(&world->lock, NULL);
    pthread_cond_init(&world->changed, NULL);
    world->arena = arena_new(1 << 20);
    world->deadline_ns = clock_monotonic_ns() + 10LL * NS_PER_S;
    world->request = STR("hello");
    assert_int_equal(rpc_worker_new(&world->server_worker, "test-server"), 0);
    assert_int_equal(rpc_worker_new(&world->client_worker, "test-client"), 0);
    assert_int_equal(rpc_server_new(&world->server, &world->server_worker, 1, server_limits), 0);
    rpc_server_add_unary(world->server, method, handle, world);
    assert_int_equal(listen_address_parse(STR("127.0.0.1:0"), &anywhere), 0);
    assert_int_equal(rpc_server_start(world->server, &anywhere, &world->port), 0);
    assert_int_equal(rpc_worker_start(world->server_worker), 0);
    assert_int_equal(rpc_worker_start(world->client_worker), 0);

    struct str text = arena_format(world->arena, "grpc://127.0.0.1:%u", world->port);
    assert_int_equal(uri_parse(text, &uri, &reason), 0);
    assert_int_equal(rpc_peer_new(&world->peer, &uri, 1, method, &client_options), 0);
    return world;
}

static void call_done(struct rpc_outbound *outbound, const struct rpc_outcome *outcome)
{
    struct world *world = rpc_outbound_context(outbound);

    pthread_mutex_lock(&world->lock);
    world->locked.last = (struct answer){.status = outcome->status,
                                         .message = outcome->message,
                                         .details = outcome->details,
                                         .response = outcome->response};
    world->locked.n_answers++;
    pthread_mutex_unlock(&world->lock);
    pthread_cond_broadcast(&world->changed);
}

static void start_on_worker(struct rpc_task *task)
{
    struct world *world = container_of(task, struct world, start);

    world->outbound =
        rpc_start(world->peer, &(struct rpc_request){.worker = world->client_worker,
                                                     .arena = world->arena,
                                                     .deadline_ns = world->deadline_ns,
                                                     .message = world->request,
                                                     .metadata = world->headers,
                                                     .done = call_done,
                                                     .context = world});
    assert_non_null(world->outbound);
}

static struct answer wait_for_answer(struct world *world, unsigned n_answers)
{
    pthread_mutex_lock(&world->lock);
    while (world->locked.n_answers < n_answers)
        pthread_cond_wait(&world->changed, &world->lock);
    struct answer answer = world->locked.last;
    pthread_mutex_unlock(&world->lock);
    return answer;
}

static struct answer call(struct world *world)
{
    pthread_mutex_lock(&world->lock);
    unsigned before = world->locked.n_answers;
    pthread_mutex_unlock(&world->lock);

    world->start.run = start_on_worker;
    rpc_worker_post(world->client_worker, &world->start);
    return wait_for_answer(world, before + 1);
}

static void assert_str(struct str s, const char *expected)
{
    if (!str_equal(s, str_from(expected)))
        fail_msg("\"%.*s\" is not \"%s\"", STR_ARGS(s), expected);
}

static void a_reply_brings_the_message(void **state)
{
    cleanup_with(world_free_at) struct world *world = world_new(handle_echo);
    (void)state;

    struct answer answer = call(world);
    assert_int_equal(answer.status, STATUS_OK);
    assert_str(answer.response, "hello");
}

static void an_empty_message_is_a_message(void **state)
{
    cleanup_with(world_free_at) struct world *world = world_new(handle_echo);
    (void)state;

    world->request = STR("");
    struct answer answer = call(world);
    assert_int_equal(answer.status, STATUS_OK);
    assert_non_null(answer.response.at);
    assert_int_equal(answer.response.len, 0);
}

static void a_failure_brings_status_message_and_details(void **state)
{
    cleanup_with(world_free_at) struct world *world = world_new(handle_echo);
    /* One for each call: only gRPC knows that the first is read before the second is written. */
    struct rpc_failure failures[2];
    (void)state;

    for (int headers_first = 0; headers_first < 2; headers_first++) {
        failures[headers_first] = (struct rpc_failure){.status = STATUS_ABORTED,
                                                       .message = STR("not today: \xc3\xa9 100%"),
                                                       .details = {.at = "a\0b\xff", .len = 4},
                                                       .headers_first = headers_first};
        pthread_mutex_lock(&world->lock);
        world->locked.failure = &failures[headers_first];
        pthread_mutex_unlock(&world->lock);
        struct answer answer = call(world);
        assert_int_equal(answer.status, STATUS_ABORTED);
        assert_str(answer.message, "not today: \xc3\xa9 100%");
        assert_int_equal(answer.details.len, 4);
        assert_memory_equal(answer.details.at, "a\0b\xff", 4);
    }
}

static void headers_that_grpc_does_not_take_are_left_out(void **state)
{
    cleanup_with(world_free_at) struct world *world = world_new(handle_echo);
    struct field                              fields[] = {
                                     {STR("X-Upper"), STR("no")},   {STR("bad name"), STR("no")}, {STR("x-bad"), STR("a\nb")},
                                     {STR("grpc-x"), STR("no")},    {STR(":path"), STR("no")},    {STR(""), STR("no")},
                                     {STR("x-seen"), STR("value")},
    };
    struct metadata headers = {.fields = fields, .count = ARRAY_LENGTH(fields)};
    (void)state;

    world->headers = &headers;
    assert_int_equal(call(world).status, STATUS_OK);
    pthread_mutex_lock(&world->lock);
    assert_string_equal(world->locked.seen, "value");
    pthread_mutex_unlock(&world->lock);
}

static void a_request_over_the_limit_is_refused(void **state)
{
    cleanup_with(world_free_at) struct world *world = world_new(handle_echo);
    static char                               big[5000];
    (void)state;

    world->request = (struct str){.at = big, .len = sizeof(big)};
    assert_int_equal(call(world).status, STATUS_RESOURCE_EXHAUSTED);
}

static void a_method_that_nobody_added_is_unimplemented(void **state)
{
    cleanup_with(world_free_at) struct world *world = world_new(handle_echo);
    struct uri                                uri;
    const char                               *reason;
    (void)state;

    struct str text = arena_format(world->arena, "grpc://127.0.0.1:%u", world->port);
    assert_int_equal(uri_parse(text, &uri, &reason), 0);
    rpc_peer_free(take(world->peer));
    assert_int_equal(rpc_peer_new(&world->peer, &uri, 1, "/test.Service/Other",
                                  &(struct rpc_client_options){65536, 16384}),
                     0);
    assert_int_equal(call(world).status, STATUS_UNIMPLEMENTED);
}

static void a_deadline_ends_the_call_and_tells_the_handler(void **state)
{
    cleanup_with(world_free_at) struct world *world = world_new(handle_hold);
    (void)state;

    world->deadline_ns = clock_monotonic_ns() + 50LL * NS_PER_MS;
    assert_int_equal(call(world).status, STATUS_DEADLINE_EXCEEDED);

    pthread_mutex_lock(&world->lock);
    while (world->locked.n_cancelled == 0)
        pthread_cond_wait(&world->changed, &world->lock);
    pthread_mutex_unlock(&world->lock);
}

static void a_peer_that_does_not_listen_is_unavailable(void **state)
{
    cleanup_with(world_free_at) struct world *world = world_new(handle_echo);
    struct uri                                uri;
    const char                               *reason;
    (void)state;

    assert_int_equal(uri_parse(STR("grpc://127.0.0.1:1"), &uri, &reason), 0);
    rpc_peer_free(take(world->peer));
    assert_int_equal(
        rpc_peer_new(&world->peer, &uri, 1, method, &(struct rpc_client_options){65536, 16384}), 0);
    assert_int_equal(call(world).status, STATUS_UNAVAILABLE);
}

static void a_living_address_takes_the_calls_of_a_dead_one(void **state)
{
    cleanup_with(world_free_at) struct world *world = world_new(handle_echo);
    struct uri                                uris[2];
    const char                               *reason;
    size_t                                    n_uris;
    (void)state;

    assert_int_equal(call(world).status, STATUS_OK);
    struct str text = arena_format(world->arena, "grpc://127.0.0.1:1|127.0.0.1:%u", world->port);
    assert_int_equal(uri_parse_addresses(text, uris, 2, &n_uris, &reason), 0);
    rpc_peer_free(take(world->peer));
    assert_int_equal(
        rpc_peer_new(&world->peer, uris, 2, method, &(struct rpc_client_options){65536, 16384}), 0);

    /* Until the dead one is known to be dead a call may still try it. */
    for (int tries = 0; call(world).status != STATUS_OK; tries++)
        assert_true(tries < 1000);
    for (int i = 0; i < 20; i++)
        assert_int_equal(call(world).status, STATUS_OK);
}

static void an_address_in_use_is_an_error(void **state)
{
    cleanup_with(world_free_at) struct world *world = world_new(handle_echo);
    struct rpc_worker                        *worker;
    struct rpc_server                        *server;
    struct listen_address                     taken;
    uint16_t                                  port;
    (void)state;

    assert_int_equal(rpc_worker_new(&worker, "test"), 0);
    assert_int_equal(
        rpc_server_new(&server, &worker, 1, (struct rpc_server_limits){4096, 4096, 10, 4096}), 0);
    struct str text = arena_format(world->arena, "127.0.0.1:%u", world->port);
    assert_int_equal(listen_address_parse(text, &taken), 0);
    assert_int_equal(rpc_server_start(server, &taken, &port), -EADDRINUSE);
    rpc_server_free(server);
    rpc_worker_free(worker);
}

static int set_up(void **state)
{
    (void)state;
    rpc_init();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rpc_shutdown();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_brings_the_message),
        cmocka_unit_test(an_empty_message_is_a_message),
        cmocka_unit_test(a_failure_brings_status_message_and_details),
        cmocka_unit_test(headers_that_grpc_does_not_take_are_left_out),
        cmocka_unit_test(a_request_over_the_limit_is_refused),
        cmocka_unit_test(a_method_that_nobody_added_is_unimplemented),
        cmocka_unit_test(a_deadline_ends_the_call_and_tells_the_handler),
        cmocka_unit_test(a_peer_that_does_not_listen_is_unavailable),
        cmocka_unit_test(a_living_address_takes_the_calls_of_a_dead_one),
        cmocka_unit_test(an_address_in_use_is_an_error),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
