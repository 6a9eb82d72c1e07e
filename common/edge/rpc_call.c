#include "common/edge/rpc_call.h"

#include <assert.h>
#include <stdlib.h>

#include <grpc/slice.h>

#include "common/base/arena.h"
#include "common/edge/rpc_server_private.h"

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
    rpc_server_end_call(server);
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

void rpc_call_watch(struct rpc_call *call)
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

void rpc_call_fail_short(struct rpc_call *call, enum status status, struct str message)
{
    rpc_call_fail(call, &(struct rpc_failure){.status = status, .message = message}, NULL);
}

static void call_begin(struct rpc_call *call)
{
    call->arena = arena_new(call->server->limits.arena_bytes);
    if (!call->arena || rpc_metadata_read(&call->received, call->arena, &call->metadata) < 0) {
        rpc_call_fail_short(call, STATUS_RESOURCE_EXHAUSTED, STR("out of memory for this call"));
        return;
    }

    if (call->method->is_stream) {
        rpc_call_watch(call);
    } else if (!call->payload) {
        rpc_call_fail_short(call, STATUS_INVALID_ARGUMENT, STR("the call has no request message"));
        return;
    } else {
        call->is_gzip = rpc_buffer_is_gzip(call->payload);
        call->request = rpc_buffer_read(call->payload, call->arena);
        grpc_byte_buffer_destroy(take(call->payload)); /* a large one need not be there twice */
        if (!call->request.at) {
            rpc_call_fail_short(call, STATUS_RESOURCE_EXHAUSTED,
                                STR("out of memory for this call"));
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
    rpc_call_make_ready(call->server, call->worker, call->method);

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

void rpc_call_make_ready(struct rpc_server *server, struct rpc_worker *worker,
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

bool rpc_call_is_gzip(const struct rpc_call *call)
{
    return call->is_gzip;
}

const struct metadata *rpc_call_metadata(const struct rpc_call *call)
{
    return &call->metadata;
}

int64_t rpc_call_deadline_ns(const struct rpc_call *call)
{
    return rpc_time_to_ns(call->deadline);
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
    rpc_call_watch(call);
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
