#include "server/upstream.h"

#include <errno.h>

#include "common/base/arena.h"
#include "common/edge/rpc_call.h"
#include "server/hop.h"
#include "server/reply_wire.h"

enum {
    MAX_REPLY_BYTES = 1024 * 1024, /* of a hop: a whole tree */
    MAX_METADATA_BYTES = 64 * 1024,
    MAX_HTTP_ARENA_BYTES = 2 * 1024 * 1024, /* the answer and its copy */
    MAX_SHOWN_BODY_BYTES = 4 * 1024,        /* of a URL that is not a hop */
};

static const char hop_method[] = "/tracehop.v1.Hop/Call";

static int open_grpc(struct upstream *upstream, const struct upstream_config *config,
                     const struct uri *proxy)
{
    return rpc_peer_new(&upstream->peer, config->addresses, config->n_addresses, hop_method,
                        &(struct rpc_client_options){.max_message_bytes = MAX_REPLY_BYTES,
                                                     .max_metadata_bytes = MAX_METADATA_BYTES,
                                                     .connect_to = proxy});
}

static int open_http(struct upstream *upstream, const struct uri *proxy, struct arena *arena)
{
    upstream->url = arena_copy(arena, upstream->text);
    if (!upstream->url.at)
        return -ENOMEM;

    if (proxy)
        upstream->proxy = proxy->text;
    return 0;
}

int upstream_open(struct upstream *upstream, const struct upstream_config *config,
                  const struct uri *proxy, const struct hop_metrics *metrics, struct arena *arena)
{
    upstream->text = config->text;
    upstream->address = config->addresses[0];
    upstream->metrics = hop_metrics_upstream(metrics, config->text);
    return uri_is_grpc(&upstream->address) ? open_grpc(upstream, config, proxy)
                                           : open_http(upstream, proxy, arena);
}

void upstream_close(struct upstream *upstream)
{
    rpc_peer_free(take(upstream->peer));
}

/* The id of the call's span, by which the called hop also sees what proxies made of the context. */
static struct str call_mark(const struct span *span, struct arena *arena)
{
    struct span_id id = span->context.has_ids ? span->context.span_id : span_id_new();
    char           hex[SPAN_ID_HEX_LENGTH];

    return arena_copy(arena, span_id_format(&id, hex));
}

/*
 * What goes out: the forwarded headers, the trace context, and the mark by which
 * the called hop knows the retries that a proxy makes of this call.
 */
static int write_headers(struct upstream_call *call)
{
    struct metadata *headers = &call->private.headers;
    struct str       mark = call_mark(&call->private.span, call->arena);
    int              r;

    if (!mark.at)
        return -ENOMEM;
    for (size_t i = 0; i < call->headers->count; i++) {
        const struct field *field = &call->headers->fields[i];
        if ((r = metadata_add(headers, call->arena, field->name, field->value)) < 0)
            return r;
    }
    if ((r = metadata_add(headers, call->arena, STR("x-tracehop-call"), mark)) < 0)
        return r;
    return tracer_inject(call->hop->tracer, &call->private.span, headers, call->arena);
}

static void begin_span(struct upstream_call *call)
{
    const struct upstream *upstream = call->upstream;
    struct span           *span = &call->private.span;
    bool                   is_grpc = upstream->peer != NULL;

    call->private.start_ns = clock_monotonic_ns();
    tracer_begin_child(call->hop->tracer, span, SPAN_CLIENT,
                       is_grpc ? STR("tracehop.v1.Hop/Call") : STR("GET"), call->parent,
                       instant_realtime_ns(call->anchor, call->private.start_ns));
    span_set_str(span, STR("server.address"), upstream->address.host);
    span_set_int(span, STR("server.port"), upstream->address.port);
    if (is_grpc) {
        span_set_str(span, STR("rpc.system"), STR("grpc"));
        span_set_str(span, STR("rpc.service"), STR("tracehop.v1.Hop"));
        span_set_str(span, STR("rpc.method"), STR("Call"));
    } else {
        span_set_str(span, STR("http.request.method"), STR("GET"));
        span_set_str(span, STR("url.full"), upstream->text);
    }
}

static void end_span(struct upstream_call *call, enum status status)
{
    char       hex[TRACE_ID_HEX_LENGTH];
    int64_t    end_ns = clock_monotonic_ns();
    int64_t    duration_ns = end_ns - call->private.start_ns;
    struct str trace_id = {0};

    if (call->private.span.is_recorded)
        trace_id = trace_id_format(&call->private.span.context.trace_id, hex);
    call->result.uri = call->upstream->text;
    call->result.duration_us = (uint64_t)(duration_ns / NS_PER_US);
    call_metrics_count(&call->upstream->metrics, status, duration_ns, trace_id);
    tracer_end(call->hop->tracer, &call->private.span, instant_realtime_ns(call->anchor, end_ns));
}

static void set_failure(struct upstream_call *call, enum status status, struct str message,
                        struct str details)
{
    struct upstream_result *result = &call->result;

    result->outcome = UPSTREAM_FAILURE;
    result->failure =
        (struct failure){.status = status, .message = arena_copy(call->arena, message)};
    failure_decode_details(details, call->arena, &result->failure);
    span_set_error(&call->private.span, message);
}

static void set_hop(struct upstream_call *call, struct str reply_bytes)
{
    struct reply *reply = reply_decode(reply_bytes, call->arena);
    if (!reply) {
        set_failure(call, STATUS_INTERNAL, STR("the answer is no reply of a hop"), (struct str){0});
        return;
    }
    call->result.outcome = UPSTREAM_HOP;
    call->result.hop = reply;
}

static enum status result_status(const struct upstream_result *result)
{
    switch (result->outcome) {
    case UPSTREAM_FAILURE:
        return result->failure.status;
    case UPSTREAM_HTTP:
        return status_from_http(result->http.code);
    default:
        return STATUS_OK;
    }
}

static void finish(struct upstream_call *call)
{
    call->private.is_under_way = false;
    end_span(call, result_status(&call->result));
    call->done(call);
}

static void rpc_done(struct rpc_outbound *outbound, const struct rpc_outcome *outcome)
{
    struct upstream_call *call = rpc_outbound_context(outbound);

    span_set_int(&call->private.span, STR("rpc.grpc.status_code"), outcome->status);
    if (outcome->status == STATUS_OK)
        set_hop(call, outcome->response);
    else
        set_failure(call, outcome->status, outcome->message, outcome->details);
    finish(call);
}

static bool start_rpc(struct upstream_call *call)
{
    call->private.rpc = rpc_start(call->upstream->peer, &(struct rpc_request){
                                                            .worker = call->worker,
                                                            .parent = call->caller,
                                                            .arena = call->arena,
                                                            .deadline_ns = call->deadline_ns,
                                                            .message = STR(""),
                                                            .metadata = &call->private.headers,
                                                            .done = rpc_done,
                                                            .context = call,
                                                        });
    return call->private.rpc != NULL;
}

static bool is_hop_answer(const struct http_outcome *outcome)
{
    return str_starts_with(outcome->content_type, STR(REPLY_CONTENT_TYPE));
}

/* A hop's answer over HTTP is the same message as over gRPC: a CallReply, or a status with details.
 */
static void set_http_hop(struct upstream_call *call, const struct http_outcome *outcome)
{
    if (outcome->code < 400)
        set_hop(call, outcome->body);
    else
        set_failure(call, status_from_http(outcome->code), http_reason(outcome->code),
                    outcome->body);
}

static void set_http_result(struct upstream_call *call, const struct http_outcome *outcome)
{
    struct str body = outcome->body;

    if (body.len > MAX_SHOWN_BODY_BYTES)
        body.len = MAX_SHOWN_BODY_BYTES;
    body = arena_copy(call->arena, body);
    call->result.outcome = UPSTREAM_HTTP;
    call->result.http = (struct http_result){
        .code = outcome->code,
        .reason = http_reason(outcome->code),
        .body = body,
        .is_body_cut = outcome->is_body_cut || body.len < outcome->body.len,
    };
    if (outcome->code >= 400)
        span_set_error(&call->private.span, http_reason(outcome->code));
}

static void http_done_on_worker(struct rpc_task *task)
{
    struct upstream_call      *call = container_of(task, struct upstream_call, private.http_task);
    const struct http_outcome *outcome = &call->private.http_outcome;

    if (outcome->status == STATUS_OK)
        span_set_int(&call->private.span, STR("http.response.status_code"), outcome->code);
    if (outcome->status != STATUS_OK)
        set_failure(call, outcome->status, outcome->message, (struct str){0});
    else if (is_hop_answer(outcome))
        set_http_hop(call, outcome);
    else
        set_http_result(call, outcome);
    arena_free(take(call->private.http_arena));
    finish(call);
}

/*
 * On the client's thread, which must not touch the request's arena: what the
 * outcome points to ends with this call, so it moves to an arena in between.
 */
static void http_done(const struct http_outcome *outcome, void *context)
{
    struct upstream_call *call = context;
    struct arena         *arena = call->private.http_arena;
    struct http_outcome  *kept = &call->private.http_outcome;

    *kept = *outcome;
    kept->message = arena_copy(arena, outcome->message);
    kept->content_type = arena_copy(arena, outcome->content_type);
    kept->body = arena_copy(arena, outcome->body);
    call->private.http_task.run = http_done_on_worker;
    rpc_worker_post(call->worker, &call->private.http_task);
}

/* The client wants names and values NUL-terminated, and both to stay until it is done. */
static int write_http_headers(struct upstream_call *call)
{
    struct metadata *headers = &call->private.headers;

    for (size_t i = 0; i < headers->count; i++) {
        struct field *field = &headers->fields[i];
        field->name = arena_copy(call->arena, field->name);
        field->value = arena_copy(call->arena, field->value);
        if (!field->name.at || !field->value.at)
            return -ENOMEM;
    }

    int64_t    left_ms = (call->deadline_ns - clock_monotonic_ns()) / NS_PER_MS;
    struct str timeout = arena_format(call->arena, "%lld", (long long)(left_ms > 0 ? left_ms : 0));
    if (!timeout.at)
        return -ENOMEM;

    int r = metadata_add(headers, call->arena, STR("x-tracehop-timeout-ms"), timeout);
    return r < 0 ? r
                 : metadata_add(headers, call->arena, STR("accept"),
                                STR(REPLY_CONTENT_TYPE ", */*;q=0.5"));
}

static bool start_http(struct upstream_call *call)
{
    call->private.http_arena = arena_new(MAX_HTTP_ARENA_BYTES);
    if (!call->private.http_arena || write_http_headers(call) < 0)
        return false;

    call->private.http = http_start(call->hop->http_client, &(struct http_call){
                                                                .url = call->upstream->url,
                                                                .connect_to = call->upstream->proxy,
                                                                .method = STR("GET"),
                                                                .headers = &call->private.headers,
                                                                .deadline_ns = call->deadline_ns,
                                                                .max_body_bytes = MAX_REPLY_BYTES,
                                                                .done = http_done,
                                                                .context = call,
                                                            });
    return true;
}

bool upstream_call_start(struct upstream_call *call)
{
    begin_span(call);
    call->private.is_under_way = true;
    if (write_headers(call) == 0 && (call->upstream->peer ? start_rpc(call) : start_http(call)))
        return true;

    call->private.is_under_way = false;
    arena_free(take(call->private.http_arena));
    set_failure(call, STATUS_RESOURCE_EXHAUSTED, STR("out of memory for this request"),
                (struct str){0});
    end_span(call, STATUS_RESOURCE_EXHAUSTED);
    return false;
}

void upstream_call_cancel(struct upstream_call *call)
{
    if (!call->private.is_under_way)
        return;

    if (call->upstream->peer)
        rpc_cancel(call->private.rpc);
    else
        http_cancel(call->hop->http_client, call->private.http);
}
