#include "common/trace/otlp_sender.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/edge/http_client.h"
#include "common/edge/rpc_client.h"

/* The OTLP specification's limit for a response. */
enum { MAX_RESPONSE_BYTES = 4 << 20, MAX_METADATA_BYTES = 16 * 1024 };

struct otlp_sender {
    struct rpc_worker  *worker;
    struct rpc_peer    *peer; /* gRPC, or: */
    struct http_client *http;
    char               *url;
};

/* Without "b3: 0", proxies on the way would trace the traffic of traces. */
static struct field grpc_fields[] = {
    {STR_INIT("b3"), STR_INIT("0")},
};
static struct field http_fields[] = {
    {STR_INIT("b3"), STR_INIT("0")},
    {STR_INIT("content-type"), STR_INIT("application/x-protobuf")},
};
static const struct metadata grpc_headers = {grpc_fields, ARRAY_LENGTH(grpc_fields),
                                             ARRAY_LENGTH(grpc_fields)};
static const struct metadata http_headers = {http_fields, ARRAY_LENGTH(http_fields),
                                             ARRAY_LENGTH(http_fields)};

static int open_grpc(struct otlp_sender *sender, const struct uri *endpoint)
{
    if (endpoint->scheme != URI_GRPC && endpoint->scheme != URI_HTTP)
        return -EINVAL;

    return rpc_peer_new(&sender->peer, endpoint, 1,
                        "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
                        &(struct rpc_client_options){.max_message_bytes = MAX_RESPONSE_BYTES,
                                                     .max_metadata_bytes = MAX_METADATA_BYTES,
                                                     .max_reconnect_ms = 1000,
                                                     .keepalive_ms = 20000});
}

static int open_http(struct otlp_sender *sender, const struct uri *endpoint)
{
    if (endpoint->scheme != URI_HTTP && endpoint->scheme != URI_HTTPS)
        return -EINVAL;

    sender->url = strndup(endpoint->text.at, endpoint->text.len);
    if (!sender->url)
        return -ENOMEM;
    return http_client_new(&sender->http,
                           &(struct http_client_options){.thread_name = "otlp-http",
                                                         .max_connections = OTLP_MAX_CALLS,
                                                         .max_queued = OTLP_MAX_CALLS});
}

int otlp_sender_new(struct otlp_sender **ret_sender, enum otlp_protocol protocol,
                    const struct uri *endpoint, struct rpc_worker *worker)
{
    struct otlp_sender *sender = calloc(1, sizeof(*sender));
    if (!sender)
        return -ENOMEM;

    sender->worker = worker;
    int r = protocol == OTLP_GRPC ? open_grpc(sender, endpoint) : open_http(sender, endpoint);
    if (r < 0) {
        otlp_sender_free(sender);
        return r;
    }
    *ret_sender = sender;
    return 0;
}

void otlp_sender_free(struct otlp_sender *sender)
{
    if (!sender)
        return;

    http_client_free(sender->http);
    rpc_peer_free(sender->peer);
    free(sender->url);
    free(sender);
}

static void release(struct otlp_call *call)
{
    if (call->release)
        call->release(call->owner);
}

static void run_done(struct rpc_task *task)
{
    struct otlp_call *call = container_of(task, struct otlp_call, task);
    call->done(call);
}

/* Ends the call on the worker, from wherever this runs. */
static void end_soon(struct otlp_call *call, struct otlp_verdict verdict)
{
    call->verdict = verdict;
    call->task.run = run_done;
    rpc_worker_post(call->sender->worker, &call->task);
}

static void grpc_done(struct rpc_outbound *outbound, const struct rpc_outcome *outcome)
{
    struct otlp_call *call = rpc_outbound_context(outbound);

    call->verdict = otlp_judge_grpc(&(struct otlp_grpc_answer){.status = outcome->status,
                                                               .message = outcome->message,
                                                               .details = outcome->details,
                                                               .response = outcome->response});
    arena_free(take(call->arena));
    call->done(call);
}

static void send_grpc(struct otlp_sender *sender, struct otlp_call *call, struct str request,
                      int64_t deadline_ns)
{
    call->arena = arena_new(MAX_RESPONSE_BYTES + 2 * MAX_METADATA_BYTES);
    if (call->arena)
        call->outbound = rpc_start(sender->peer, &(struct rpc_request){.worker = sender->worker,
                                                                       .arena = call->arena,
                                                                       .deadline_ns = deadline_ns,
                                                                       .message = request,
                                                                       .release = call->release,
                                                                       .message_owner = call->owner,
                                                                       .metadata = &grpc_headers,
                                                                       .done = grpc_done,
                                                                       .context = call});
    if (!call->outbound) {
        arena_free(take(call->arena));
        release(call);
        end_soon(call, (struct otlp_verdict){.answer = OTLP_LATER});
    }
}

/* On the client's thread. */
static void http_done(const struct http_outcome *outcome, void *context)
{
    struct otlp_http_answer answer = {.status = outcome->status,
                                      .message = outcome->message,
                                      .code = outcome->code,
                                      .retry_after = outcome->retry_after,
                                      .body = outcome->body};
    release(context);
    end_soon(context, otlp_judge_http(&answer, clock_realtime_ns()));
}

static void send_http(struct otlp_sender *sender, struct otlp_call *call, struct str request,
                      int64_t deadline_ns)
{
    call->http_number =
        http_start(sender->http, &(struct http_call){.url = str_from(sender->url),
                                                     .method = STR("POST"),
                                                     .headers = &http_headers,
                                                     .body = request,
                                                     .deadline_ns = deadline_ns,
                                                     .max_body_bytes = MAX_RESPONSE_BYTES,
                                                     .done = http_done,
                                                     .context = call});
}

void otlp_send(struct otlp_sender *sender, struct otlp_call *call, struct str request,
               int64_t deadline_ns)
{
    *call = (struct otlp_call){
        .done = call->done, .release = call->release, .owner = call->owner, .sender = sender};
    if (sender->peer)
        send_grpc(sender, call, request, deadline_ns);
    else
        send_http(sender, call, request, deadline_ns);
}

void otlp_cancel(struct otlp_call *call)
{
    if (call->outbound)
        rpc_cancel(call->outbound);
    if (call->http_number != 0)
        http_cancel(call->sender->http, call->http_number);
}
