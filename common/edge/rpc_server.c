#include "common/edge/rpc_server.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include <grpc/grpc_security.h>

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/edge/rpc_server_private.h"

enum {
    /* Calls that each worker is ready to take at once; more wait inside the library. */
    READY_UNARY = 32,
    READY_OTHER = 2,

    /* After the last call: who keeps a connection longer than a round trip has gone. */
    HANG_UP_MS = 1000,
};

void rpc_server_end_call(struct rpc_server *server)
{
    if (atomic_fetch_sub(&server->open, 1) != 1)
        return;

    pthread_mutex_lock(&server->lock);
    server->locked.is_empty = true;
    pthread_mutex_unlock(&server->lock);
    pthread_cond_signal(&server->changed);
}

static void answer_unknown(struct rpc_call *call, void *context)
{
    struct str path = rpc_slice_view(&call->details.method);
    struct str message = arena_format(call->arena, "unknown method %.*s",
                                      (int)(path.len < 200 ? path.len : 200), path.at);
    (void)context;

    rpc_call_fail_short(call, STATUS_UNIMPLEMENTED, message.at ? message : STR("unknown method"));
}

/*
 * The library inflates without a bound (1 MB to 1 GB), so it never does: compressed
 * requests are refused, or handed on as they are.
 */
static int compressions(const struct rpc_server_limits *limits)
{
    return 1 << GRPC_COMPRESS_NONE | (limits->takes_gzip ? 1 << GRPC_COMPRESS_GZIP : 0);
}

static grpc_server *library_server_new(const struct rpc_server_limits *limits,
                                       grpc_resource_quota            *quota)
{
    grpc_arg args[] = {
        {.type = GRPC_ARG_POINTER,
         .key = (char *)GRPC_ARG_RESOURCE_QUOTA,
         .value.pointer = {quota, grpc_resource_quota_arg_vtable()}},
        rpc_integer_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)limits->max_message_bytes),
        rpc_integer_arg(GRPC_ARG_MAX_METADATA_SIZE, (int)limits->max_metadata_bytes),
        rpc_integer_arg(GRPC_ARG_MAX_CONCURRENT_STREAMS, (int)limits->max_streams),
        /* Two servers on one port would share it silently. */
        rpc_integer_arg(GRPC_ARG_ALLOW_REUSEPORT, 0),
        rpc_integer_arg(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, compressions(limits)),
        rpc_integer_arg(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0),
        /* Nobody asks for the library's own statistics, and each call pays for them. */
        rpc_integer_arg(GRPC_ARG_ENABLE_CHANNELZ, 0),
        /* Lenient with peers that keep connections alive: theirs may ping every 10 s. */
        rpc_integer_arg(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10 * 1000),
        rpc_integer_arg(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
    };

    return grpc_server_create(&(grpc_channel_args){.num_args = ARRAY_LENGTH(args), .args = args},
                              NULL);
}

static grpc_server *server_with_quota(const struct rpc_server_limits *limits)
{
    grpc_resource_quota *quota = grpc_resource_quota_create(NULL);
    if (limits->memory_bytes > 0)
        grpc_resource_quota_resize(quota, limits->memory_bytes);

    grpc_server *server = library_server_new(limits, quota);
    grpc_resource_quota_unref(quota); /* the server holds on to it */
    return server;
}

static void server_shut(struct rpc_tag *tag, bool ok)
{
    struct rpc_server *server = container_of(tag, struct rpc_server, shut_tag);
    (void)ok;

    pthread_mutex_lock(&server->lock);
    server->locked.is_shut = true;
    pthread_mutex_unlock(&server->lock);
    pthread_cond_signal(&server->changed);
}

int rpc_server_new(struct rpc_server **ret_server, struct rpc_worker *const workers[],
                   size_t n_workers, struct rpc_server_limits limits)
{
    struct rpc_server *server = calloc(1, sizeof(*server));
    if (!server)
        return -ENOMEM;

    server->limits = limits;
    server->workers = workers;
    server->n_workers = n_workers;
    server->unknown = (struct rpc_method){.handle = answer_unknown, .is_stream = true};
    server->server = server_with_quota(&limits);
    server->shut_tag.run = server_shut;
    pthread_mutex_init(&server->lock, NULL);

    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&server->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);

    for (size_t i = 0; i < n_workers; i++)
        grpc_server_register_completion_queue(server->server, rpc_worker_queue(workers[i]), NULL);

    *ret_server = server;
    return 0;
}

void rpc_server_free(struct rpc_server *server)
{
    if (!server)
        return;
    assert(atomic_load(&server->open) == 0);

    grpc_server_destroy(server->server);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

static void add_method(struct rpc_server *server, const char *path, rpc_handler_fn *handle,
                       void *context, bool is_stream)
{
    assert(!server->is_started && server->n_methods < RPC_MAX_METHODS);

    server->methods[server->n_methods++] = (struct rpc_method){
        .path = path,
        .handle = handle,
        .context = context,
        .is_stream = is_stream,
        .registered = grpc_server_register_method(
            server->server, path, NULL,
            is_stream ? GRPC_SRM_PAYLOAD_NONE : GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0),
    };
}

void rpc_server_add_unary(struct rpc_server *server, const char *path, rpc_handler_fn *handle,
                          void *context)
{
    add_method(server, path, handle, context, /* is_stream= */ false);
}

void rpc_server_add_stream(struct rpc_server *server, const char *path, rpc_handler_fn *handle,
                           void *context)
{
    add_method(server, path, handle, context, /* is_stream= */ true);
}

static int bind_port(struct rpc_server *server, const struct listen_address *address)
{
    grpc_server_credentials *credentials = grpc_insecure_server_credentials_create();
    int port = grpc_server_add_http2_port(server->server, address->text.at, credentials);

    grpc_server_credentials_release(credentials);
    return port;
}

static void make_method_ready(struct rpc_server *server, const struct rpc_method *method)
{
    int n_ready = method->is_stream ? READY_OTHER : READY_UNARY;

    for (size_t worker = 0; worker < server->n_workers; worker++) {
        for (int i = 0; i < n_ready; i++)
            rpc_call_make_ready(server, server->workers[worker], method);
    }
}

int rpc_server_start(struct rpc_server *server, const struct listen_address *address,
                     uint16_t *ret_port)
{
    assert(!server->is_started);

    int port = bind_port(server, address);
    if (port == 0)
        return -EADDRINUSE;

    grpc_server_start(server->server);
    server->is_started = true;
    for (size_t i = 0; i < server->n_methods; i++)
        make_method_ready(server, &server->methods[i]);
    make_method_ready(server, &server->unknown);

    *ret_port = (uint16_t)port;
    return 0;
}

/* Whether `flag`, one of what is locked, is set before the deadline. */
static bool wait_until(struct rpc_server *server, const bool *flag, int64_t deadline_ns)
{
    struct timespec deadline = {.tv_sec = deadline_ns / NS_PER_S,
                                .tv_nsec = deadline_ns % NS_PER_S};
    int             r = 0;

    pthread_mutex_lock(&server->lock);
    while (r == 0 && !*flag)
        r = pthread_cond_timedwait(&server->changed, &server->lock, &deadline);
    bool is_set = *flag;
    pthread_mutex_unlock(&server->lock);
    return is_set;
}

/* The library waits for every client to hang up, also for those that nobody serves any more. */
void rpc_server_drain(struct rpc_server *server, int64_t deadline_ns)
{
    if (!server->is_started)
        return;

    grpc_server_shutdown_and_notify(server->server, rpc_worker_queue(server->workers[0]),
                                    &server->shut_tag);
    if (wait_until(server, &server->locked.is_empty, deadline_ns))
        deadline_ns = clock_monotonic_ns() + (int64_t)HANG_UP_MS * NS_PER_MS;
    if (!wait_until(server, &server->locked.is_shut, deadline_ns))
        grpc_server_cancel_all_calls(server->server);

    wait_until(server, &server->locked.is_shut, NEVER_NS);
    wait_until(server, &server->locked.is_empty, NEVER_NS);
}
