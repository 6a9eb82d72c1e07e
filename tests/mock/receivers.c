#include "tests/mock/receivers.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/edge/proto.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"
#include "tests/mock/backend.h"

typedef Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceResponse ExportResponse;
typedef Opentelemetry__Proto__Collector__Trace__V1__ExportTracePartialSuccess  PartialSuccess;

void receivers_init(struct receivers *receivers, struct backend *backend, struct rpc_worker *worker)
{
    *receivers = (struct receivers){.backend = backend, .worker = worker};
    TAILQ_INIT(&receivers->waiting);
}

/* An ExportTraceServiceResponse. */
static struct str encode_response(const struct script_verdict *verdict, struct arena *arena)
{
    PartialSuccess partial =
        OPENTELEMETRY__PROTO__COLLECTOR__TRACE__V1__EXPORT_TRACE_PARTIAL_SUCCESS__INIT;
    ExportResponse response =
        OPENTELEMETRY__PROTO__COLLECTOR__TRACE__V1__EXPORT_TRACE_SERVICE_RESPONSE__INIT;

    if (verdict->rejected > 0) {
        partial.rejected_spans = (int64_t)verdict->rejected;
        partial.error_message = (char *)verdict->message;
        response.partial_success = &partial;
    }
    return proto_pack(&response.base, arena);
}

static struct str encode_retry_info(int64_t delay_ns, struct arena *arena)
{
    Google__Protobuf__Duration delay = GOOGLE__PROTOBUF__DURATION__INIT;
    Google__Rpc__RetryInfo     info = GOOGLE__RPC__RETRY_INFO__INIT;

    delay.seconds = delay_ns / NS_PER_S;
    delay.nanos = (int32_t)(delay_ns % NS_PER_S);
    info.retry_delay = &delay;
    return proto_pack(&info.base, arena);
}

/* A google.rpc.Status, with RetryInfo when the script says so. */
static struct str encode_status(const struct script_verdict *verdict, struct arena *arena)
{
    Google__Rpc__Status    status = GOOGLE__RPC__STATUS__INIT;
    Google__Protobuf__Any  detail = GOOGLE__PROTOBUF__ANY__INIT;
    Google__Protobuf__Any *details = &detail;

    status.code = (int32_t)verdict->status;
    status.message = (char *)verdict->message;
    if (verdict->retry_after_ns >= 0) {
        struct str info = encode_retry_info(verdict->retry_after_ns, arena);
        detail.type_url = (char *)"type.googleapis.com/google.rpc.RetryInfo";
        detail.value = (ProtobufCBinaryData){.len = info.len, .data = (uint8_t *)info.at};
        status.n_details = 1;
        status.details = &details;
    }
    return proto_pack(&status.base, arena);
}

/* Over gRPC. */

struct grpc_visit {
    struct rpc_timer      timer;
    struct receivers     *receivers;
    struct rpc_call      *call;
    struct script_verdict verdict;
};

static void answer_grpc(struct grpc_visit *visit)
{
    const struct script_verdict *verdict = &visit->verdict;
    struct arena                *arena = rpc_call_arena(visit->call);
    bool                         has_details = verdict->retry_after_ns >= 0;

    if (verdict->status == STATUS_OK)
        rpc_call_reply(visit->call, encode_response(verdict, arena), NULL);
    else
        rpc_call_fail(visit->call,
                      &(struct rpc_failure){.status = verdict->status,
                                            .message = str_from(verdict->message),
                                            .details = has_details ? encode_status(verdict, arena)
                                                                   : (struct str){0}},
                      NULL);
}

static void grpc_delay_over(struct rpc_timer *timer)
{
    answer_grpc(container_of(timer, struct grpc_visit, timer));
}

/* Nobody waits for the answer any more. */
static void grpc_cancelled(void *context)
{
    struct grpc_visit *visit = context;

    rpc_worker_disarm(visit->receivers->worker, &visit->timer);
    rpc_call_fail(visit->call,
                  &(struct rpc_failure){.status = STATUS_CANCELLED, .message = STR("cancelled")},
                  NULL);
}

static bool is_untraced(const struct metadata *headers)
{
    return str_equal(metadata_find(headers, STR("b3")), STR("0"));
}

void receive_grpc(struct rpc_call *call, void *context)
{
    struct receivers  *receivers = context;
    struct grpc_visit *visit = arena_zalloc(rpc_call_arena(call), sizeof(*visit));
    assert(visit);

    *visit =
        (struct grpc_visit){.receivers = receivers, .call = call, .timer.run = grpc_delay_over};
    visit->verdict =
        is_untraced(rpc_call_metadata(call))
            ? backend_receive(receivers->backend, rpc_call_request(call), rpc_call_arena(call))
            : backend_receive_nonsense(receivers->backend, "no \"b3: 0\"");
    if (!visit->verdict.hangs && visit->verdict.delay_ns == 0) {
        answer_grpc(visit);
        return;
    }
    if (!visit->verdict.hangs)
        rpc_worker_arm(receivers->worker, &visit->timer,
                       clock_monotonic_ns() + visit->verdict.delay_ns);
    rpc_call_on_cancel(call, grpc_cancelled, visit);
}

/* Over HTTP. */

struct http_visit {
    struct rpc_task       task;
    struct rpc_timer      timer;
    struct receivers     *receivers;
    struct http_request  *request;
    struct script_verdict verdict;
    TAILQ_ENTRY(http_visit) link; /* in waiting */
};

static struct str format_retry_after(const struct script_verdict *verdict, struct arena *arena)
{
    int64_t   seconds = (verdict->retry_after_ns + NS_PER_S - 1) / NS_PER_S;
    time_t    when = (time_t)(clock_realtime_ns() / NS_PER_S + seconds);
    struct tm calendar;
    char      date[64];

    if (!verdict->says_date)
        return arena_format(arena, "%jd", (intmax_t)seconds);
    gmtime_r(&when, &calendar);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &calendar);
    return arena_copy(arena, str_from(date));
}

static void answer_http(struct http_visit *visit)
{
    const struct script_verdict *verdict = &visit->verdict;
    struct arena                *arena = http_request_arena(visit->request);
    struct field                 retry_after = {.name = STR("retry-after")};
    struct metadata              headers = {.fields = &retry_after};

    if (verdict->retry_after_ns >= 0) {
        retry_after.value = format_retry_after(verdict, arena);
        headers.count = 1;
    }
    http_respond(visit->request,
                 &(struct http_response){
                     .code = verdict->http_code,
                     .content_type = STR("application/x-protobuf"),
                     .body = verdict->status == STATUS_OK ? encode_response(verdict, arena)
                                                          : encode_status(verdict, arena),
                     .is_constant = true, /* it lives in the request's arena */
                     .headers = &headers,
                 });
}

static void http_delay_over(struct rpc_timer *timer)
{
    struct http_visit *visit = container_of(timer, struct http_visit, timer);

    TAILQ_REMOVE(&visit->receivers->waiting, visit, link);
    answer_http(visit);
}

/* On the worker. */
static void http_wait(struct rpc_task *task)
{
    struct http_visit *visit = container_of(task, struct http_visit, task);
    struct receivers  *receivers = visit->receivers;

    if (receivers->is_releasing) {
        answer_http(visit);
        return;
    }
    TAILQ_INSERT_TAIL(&receivers->waiting, visit, link);
    if (!visit->verdict.hangs)
        rpc_worker_arm(receivers->worker, &visit->timer,
                       clock_monotonic_ns() + visit->verdict.delay_ns);
}

static const char *http_violation(const struct http_request *request)
{
    const struct metadata *headers = http_request_headers(request);

    if (!str_equal(http_request_path(request), STR("/v1/traces")))
        return "not to /v1/traces";
    if (!str_equal(http_request_method(request), STR("POST")))
        return "no POST";
    if (!str_equal(metadata_find(headers, STR("content-type")), STR("application/x-protobuf")))
        return "not application/x-protobuf";
    if (metadata_find(headers, STR("content-encoding")).at)
        return "an encoding that was not asked for";
    return is_untraced(headers) ? NULL : "no \"b3: 0\"";
}

void receive_http(struct http_request *request, void *context)
{
    struct receivers  *receivers = context;
    struct arena      *arena = http_request_arena(request);
    struct http_visit *visit = arena_zalloc(arena, sizeof(*visit));
    assert(visit);

    const char *violation = http_violation(request);
    *visit = (struct http_visit){.receivers = receivers,
                                 .request = request,
                                 .task.run = http_wait,
                                 .timer.run = http_delay_over};
    visit->verdict = violation
                         ? backend_receive_nonsense(receivers->backend, violation)
                         : backend_receive(receivers->backend, http_request_body(request), arena);
    if (!visit->verdict.hangs && visit->verdict.delay_ns == 0) {
        answer_http(visit);
        return;
    }
    http_request_defer(request);
    rpc_worker_post(receivers->worker, &visit->task);
}

static void release_on_worker(struct rpc_task *task)
{
    struct receivers  *receivers = container_of(task, struct receivers, release);
    struct http_visit *visit;

    receivers->is_releasing = true;
    while ((visit = TAILQ_FIRST(&receivers->waiting))) {
        TAILQ_REMOVE(&receivers->waiting, visit, link);
        rpc_worker_disarm(receivers->worker, &visit->timer);
        answer_http(visit);
    }
}

void receivers_release(struct receivers *receivers)
{
    receivers->release.run = release_on_worker;
    rpc_worker_post(receivers->worker, &receivers->release);
}
