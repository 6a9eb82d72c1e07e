#include "common/edge/rpc_server.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/edge/rpc_codec.h"

enum {
    MAX_METHODS = 16,
    /* Calls that each worker is ready to take at once; more wait inside the library. */
    READY_UNARY = 32,
    READY_OTHER = 2,
};

struct rpc_method {
    const char     *path;
    rpc_handler_fn *handle;
    void           *context;
    bool            is_stream;
    void           *registered;
};

struct rpc_server {
    struct rpc_server_limits  limits;
    struct rpc_worker *const *workers;
    size_t                    n_workers;
    grpc_server              *server;
    struct rpc_method         methods[MAX_METHODS];
    size_t                    n_methods;
    struct rpc_method         unknown; /* answers for the methods that nobody added */
    bool                      is_started;
    struct rpc_tag            shut_tag;

    _Atomic size_t open; /* calls, in hand and ready to be taken: what still has a tag to come */

    pthread_mutex_t lock;
    pthread_cond_t  changed;
    struct {
        bool is_shut;  /* the library has ended its last call */
        bool is_empty; /* and so have we */
    } locked;
};

/*
 * One call, from the time we are ready to take it. It goes away when it is
 * answered and the last of its tags has come back.
 */
struct rpc_call {
    struct rpc_server       *server;
    struct rpc_worker       *worker;
    const struct rpc_method *method;

    struct rpc_tag      arrived;
    grpc_call          *call;
    grpc_metadata_array received;
    grpc_call_details   details; /* of an unknown method only */
    gpr_timespec        deadline;
    grpc_byte_buffer   *payload;

    struct arena   *arena;
    struct metadata metadata;
    struct str      request;
    struct str      peer;

    unsigned pending; /* tags that are still to come */
    bool     is_answered;

    struct rpc_tag closed;
    bool           is_close_watched;
    bool           is_closed;
    int            was_cancelled;
    void (*cancelled)(void *context);
    void *cancelled_context;

    struct rpc_tag           answered;
    grpc_byte_buffer        *answer;
    grpc_slice               answer_message;
    struct rpc_sent_metadata trailing;
    enum status              answer_status;

    struct rpc_tag    read;
    grpc_byte_buffer *incoming;
    rpc_read_fn      *on_read;
    void             *read_context;

    struct rpc_tag    written;
    grpc_byte_buffer *outgoing;
    rpc_written_fn   *on_written;
    void             *written_context;
    bool              are_headers_sent;
};

static void make_ready(struct rpc_server *server, struct rpc_worker *worker,
                       const struct rpc_method *method);

static void close_one(struct rpc_server *server)
{
    if (atomic_fetch_sub(&server->open, 1) != 1)
        return;

    pthread_mutex_lock(&server->lock);
    server->locked.is_empty = true;
    pthread_mutex_unlock(&server->lock);
    pthread_cond_signal(&server->changed);
}

static void call_free(struct rpc_call *call)
{
    struct rpc_server *server = call->server;

    rpc_metadata_release(&call->trailing);
    grpc_slice_unref(call->answer_message);
    grpc_byte_buffer_destroy(call->answer);
    grpc_byte_buffer_destroy(call->payload);
    grpc_metadata_array_destroy(&call->received);
    grpc_call_details_destroy(&call->details);
    if (call->call)
        grpc_call_unref(call->call);
    arena_free(call->arena);
    free(call);
    close_one(server);
}

static void call_settle(struct rpc_call *call)
{
    assert(call->pending > 0);

    if (--call->pending == 0 && call->is_answered)
        call_free(call);
}

static void start_batch(struct rpc_call *call, const grpc_op ops[], size_t n_ops,
                        struct rpc_tag *tag)
{
    call->pending++;
    grpc_call_error error = grpc_call_start_batch(call->call, ops, n_ops, tag, NULL);
    assert(error == GRPC_CALL_OK);
}

static void call_closed(struct rpc_tag *tag, bool ok)
{
    struct rpc_call *call = container_of(tag, struct rpc_call, closed);
    (void)ok;

    call->is_closed = true;
    if (call->was_cancelled && !call->is_answered && call->cancelled)
        call->cancelled(call->cancelled_context);
    call_settle(call);
}

static grpc_op op_receive_close(struct rpc_call *call)
{
    grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};

    op.data.recv_close_on_server.cancelled = &call->was_cancelled;
    call->is_close_watched = true;
    return op;
}

static void watch_close(struct rpc_call *call)
{
    if (call->is_close_watched)
        return;

    grpc_op op = op_receive_close(call);
    call->closed.run = call_closed;
    start_batch(call, &op, 1, &call->closed);
}

static void call_answered(struct rpc_tag *tag, bool ok)
{
    (void)ok;
    call_settle(container_of(tag, struct rpc_call, answered));
}

static grpc_op op_send_headers(struct rpc_call *call)
{
    call->are_headers_sent = true;
    return (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA};
}

static grpc_op op_send_message(grpc_byte_buffer *message)
{
    grpc_op op = {.op = GRPC_OP_SEND_MESSAGE};

    op.data.send_message.send_message = message;
    return op;
}

static grpc_op op_send_status(struct rpc_call *call)
{
    grpc_op op = {.op = GRPC_OP_SEND_STATUS_FROM_SERVER};

    op.data.send_status_from_server.status = (grpc_status_code)call->answer_status;
    op.data.send_status_from_server.status_details = &call->answer_message;
    op.data.send_status_from_server.trailing_metadata = call->trailing.fields;
    op.data.send_status_from_server.trailing_metadata_count = call->trailing.count;
    return op;
}

/*
 * Everything that is left to say, in one batch. That is what makes a failure
 * Trailers-Only: the library then has the status at hand when it writes the first frame.
 */
static void send_answer(struct rpc_call *call)
{
    grpc_op ops[4];
    size_t  n_ops = 0;

    if (!call->are_headers_sent)
        ops[n_ops++] = op_send_headers(call);
    if (call->answer)
        ops[n_ops++] = op_send_message(call->answer);
    ops[n_ops++] = op_send_status(call);
    if (!call->is_close_watched)
        ops[n_ops++] = op_receive_close(call);

    call->answered.run = call_answered;
    start_batch(call, ops, n_ops, &call->answered);
}

static void headers_sent(struct rpc_tag *tag, bool ok)
{
    struct rpc_call *call = container_of(tag, struct rpc_call, answered);
    (void)ok;

    send_answer(call);
    call_settle(call);
}

static void send_headers_first(struct rpc_call *call)
{
    grpc_op op = op_send_headers(call);

    call->answered.run = headers_sent;
    start_batch(call, &op, 1, &call->answered);
}

void rpc_call_reply(struct rpc_call *call, struct str message, const struct metadata *trailing)
{
    assert(!call->is_answered);

    call->is_answered = true;
    call->answer_status = STATUS_OK;
    call->answer = rpc_buffer_copy(message);
    call->trailing = rpc_metadata_write(trailing, (struct str){0}, call->arena);
    send_answer(call);
}

void rpc_call_fail(struct rpc_call *call, const struct rpc_failure *failure,
                   const struct metadata *trailing)
{
    assert(!call->is_answered && failure->status != STATUS_OK);

    call->is_answered = true;
    call->answer_status = failure->status;
    call->answer_message = rpc_slice_copy(failure->message);
    call->trailing = rpc_metadata_write(trailing, failure->details, call->arena);
    if (failure->headers_first)
        send_headers_first(call);
    else
        send_answer(call);
}

static void fail_short(struct rpc_call *call, enum status status, struct str message)
{
    rpc_call_fail(call, &(struct rpc_failure){.status = status, .message = message}, NULL);
}

static void call_begin(struct rpc_call *call)
{
    call->arena = arena_new(call->server->limits.arena_bytes);
    if (!call->arena || rpc_metadata_read(&call->received, call->arena, &call->metadata) < 0) {
        fail_short(call, STATUS_RESOURCE_EXHAUSTED, STR("out of memory for this call"));
        return;
    }

    if (call->method->is_stream) {
        watch_close(call);
    } else if (!call->payload) {
        fail_short(call, STATUS_INVALID_ARGUMENT, STR("the call has no request message"));
        return;
    } else {
        call->request = rpc_buffer_read(call->payload, call->arena);
        if (!call->request.at) {
            fail_short(call, STATUS_RESOURCE_EXHAUSTED, STR("out of memory for this call"));
            return;
        }
    }
    call->method->handle(call, call->method->context);
}

static void call_arrived(struct rpc_tag *tag, bool ok)
{
    struct rpc_call *call = container_of(tag, struct rpc_call, arrived);

    if (!ok) { /* the server shuts down */
        call_free(call);
        return;
    }
    make_ready(call->server, call->worker, call->method);

    call->pending++; /* it may be answered before this returns */
    call_begin(call);
    call_settle(call);
}

static grpc_call_error request_call(struct rpc_call *call)
{
    grpc_completion_queue *queue = rpc_worker_queue(call->worker);

    if (!call->method->registered)
        return grpc_server_request_call(call->server->server, &call->call, &call->details,
                                        &call->received, queue, queue, &call->arrived);

    return grpc_server_request_registered_call(call->server->server, call->method->registered,
                                               &call->call, &call->deadline, &call->received,
                                               call->method->is_stream ? NULL : &call->payload,
                                               queue, queue, &call->arrived);
}

/* Gets ready for one more call. Without memory there is one less: the others still serve. */
static void make_ready(struct rpc_server *server, struct rpc_worker *worker,
                       const struct rpc_method *method)
{
    struct rpc_call *call = calloc(1, sizeof(*call));
    if (!call)
        return;

    call->server = server;
    call->worker = worker;
    call->method = method;
    call->arrived.run = call_arrived;
    call->answer_message = grpc_empty_slice();
    call->deadline = gpr_inf_future(GPR_CLOCK_MONOTONIC);
    grpc_metadata_array_init(&call->received);
    grpc_call_details_init(&call->details);
    atomic_fetch_add(&server->open, 1);

    if (request_call(call) != GRPC_CALL_OK)
        call_free(call);
}

static void answer_unknown(struct rpc_call *call, void *context)
{
    struct str path = rpc_slice_view(&call->details.method);
    struct str message = arena_format(call->arena, "unknown method %.*s",
                                      (int)(path.len < 200 ? path.len : 200), path.at);
    (void)context;

    fail_short(call, STATUS_UNIMPLEMENTED, message.at ? message : STR("unknown method"));
}

static grpc_arg integer_arg(const char *key, int value)
{
    return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = value};
}

static grpc_server *library_server_new(const struct rpc_server_limits *limits)
{
    grpc_arg args[] = {
        integer_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)limits->max_message_bytes),
        integer_arg(GRPC_ARG_MAX_METADATA_SIZE, (int)limits->max_metadata_bytes),
        integer_arg(GRPC_ARG_MAX_CONCURRENT_STREAMS, (int)limits->max_streams),
        /* Two servers on one port would share it silently. */
        integer_arg(GRPC_ARG_ALLOW_REUSEPORT, 0),
        /* The library inflates without a bound (1 MB to 1 GB): offer no compression at all. */
        integer_arg(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1 << GRPC_COMPRESS_NONE),
        /* Lenient with peers that keep connections alive: theirs may ping every 10 s. */
        integer_arg(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10 * 1000),
        integer_arg(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
    };

    return grpc_server_create(&(grpc_channel_args){.num_args = ARRAY_LENGTH(args), .args = args},
                              NULL);
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
    server->server = library_server_new(&limits);
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
    assert(!server->is_started && server->n_methods < MAX_METHODS);

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
            make_ready(server, server->workers[worker], method);
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

static void server_shut(struct rpc_tag *tag, bool ok)
{
    struct rpc_server *server = container_of(tag, struct rpc_server, shut_tag);
    (void)ok;

    pthread_mutex_lock(&server->lock);
    server->locked.is_shut = true;
    pthread_mutex_unlock(&server->lock);
    pthread_cond_signal(&server->changed);
}

static bool wait_until_shut(struct rpc_server *server, int64_t deadline_ns)
{
    struct timespec deadline = {.tv_sec = deadline_ns / NS_PER_S,
                                .tv_nsec = deadline_ns % NS_PER_S};
    int             r = 0;

    pthread_mutex_lock(&server->lock);
    while (r == 0 && !(server->locked.is_shut && server->locked.is_empty))
        r = pthread_cond_timedwait(&server->changed, &server->lock, &deadline);
    pthread_mutex_unlock(&server->lock);
    return r == 0;
}

void rpc_server_drain(struct rpc_server *server, int64_t deadline_ns)
{
    if (!server->is_started)
        return;

    server->shut_tag.run = server_shut;
    grpc_server_shutdown_and_notify(server->server, rpc_worker_queue(server->workers[0]),
                                    &server->shut_tag);
    if (wait_until_shut(server, deadline_ns))
        return;
    grpc_server_cancel_all_calls(server->server);
    wait_until_shut(server, NEVER_NS);
}

struct arena *rpc_call_arena(struct rpc_call *call)
{
    return call->arena;
}

struct rpc_worker *rpc_call_worker(struct rpc_call *call)
{
    return call->worker;
}

struct str rpc_call_request(const struct rpc_call *call)
{
    return call->request;
}

const struct metadata *rpc_call_metadata(const struct rpc_call *call)
{
    return &call->metadata;
}

int64_t rpc_call_deadline_ns(const struct rpc_call *call)
{
    return rpc_time_to_ns(call->deadline);
}

struct str rpc_call_peer(struct rpc_call *call)
{
    if (!call->peer.at) {
        char *peer = grpc_call_get_peer(call->call);
        call->peer = arena_copy(call->arena, str_from(peer));
        gpr_free(peer);
    }
    return call->peer;
}

void rpc_call_on_cancel(struct rpc_call *call, void (*cancelled)(void *context), void *context)
{
    assert(!call->is_answered && !call->cancelled);

    if (call->is_closed) {
        if (call->was_cancelled)
            cancelled(context);
        return;
    }
    call->cancelled = cancelled;
    call->cancelled_context = context;
    watch_close(call);
}

static void message_read(struct rpc_tag *tag, bool ok)
{
    struct rpc_call *call = container_of(tag, struct rpc_call, read);
    struct str       message = {0};
    (void)ok; /* a read that failed has no message either */

    if (call->incoming) {
        message = rpc_buffer_read(call->incoming, call->arena);
        grpc_byte_buffer_destroy(take(call->incoming));
    }
    rpc_read_fn *on_read = take(call->on_read);
    on_read(call, message, call->read_context);
    call_settle(call);
}

void rpc_stream_read(struct rpc_call *call, rpc_read_fn *read, void *context)
{
    assert(!call->is_answered && !call->on_read);

    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};
    op.data.recv_message.recv_message = &call->incoming;
    call->on_read = read;
    call->read_context = context;
    call->read.run = message_read;
    start_batch(call, &op, 1, &call->read);
}

static void message_written(struct rpc_tag *tag, bool ok)
{
    struct rpc_call *call = container_of(tag, struct rpc_call, written);

    grpc_byte_buffer_destroy(take(call->outgoing));
    rpc_written_fn *on_written = take(call->on_written);
    on_written(call, ok, call->written_context);
    call_settle(call);
}

void rpc_stream_write(struct rpc_call *call, struct str message, rpc_written_fn *written,
                      void *context)
{
    assert(!call->is_answered && !call->on_written);

    grpc_op ops[2];
    size_t  n_ops = 0;
    if (!call->are_headers_sent)
        ops[n_ops++] = op_send_headers(call);
    call->outgoing = rpc_buffer_copy(message);
    ops[n_ops++] = op_send_message(call->outgoing);
    call->on_written = written;
    call->written_context = context;
    call->written.run = message_written;
    start_batch(call, ops, n_ops, &call->written);
}

void rpc_stream_finish(struct rpc_call *call, enum status status, struct str message)
{
    assert(!call->is_answered && !call->on_read && !call->on_written);

    call->is_answered = true;
    call->answer_status = status;
    call->answer_message = rpc_slice_copy(message);
    send_answer(call);
}

grpc_call *rpc_call_handle(struct rpc_call *call)
{
    return call->call;
}
