#include "collector/receiver_otlp_grpc.h"

#include "collector/body.h"
#include "collector/intake.h"
#include "common/base/arena.h"
#include "common/base/cleanup.h"
#include "common/edge/rpc_server.h"

/* Lives in the call's arena. */
struct export
{
    struct rpc_call      *call;
    struct rpc_worker    *worker;
    struct intake_request request;
    struct rpc_task       answer; /* runs on the worker */
    struct body           body;
    bool                  is_refused;
    struct refusal        refusal;
};

static void fail(struct rpc_call *call, const struct refusal *refusal)
{
    char buffer[REFUSAL_MAX_BYTES];

    rpc_call_fail(call,
                  &(struct rpc_failure){.status = refusal->status,
                                        .message = refusal->message,
                                        .details = refusal_encode(refusal, buffer)},
                  NULL);
}

/* A full success is an empty ExportTraceServiceResponse. */
static void answer(struct rpc_task *task)
{
    struct export *export = container_of(task, struct export, answer);

    body_close(&export->body);
    if (export->is_refused)
        fail(export->call, &export->refusal);
    else
        rpc_call_reply(export->call, STR(""), NULL);
}

static void export_done(struct intake_request *request, const struct refusal *refusal)
{
    struct export *export = container_of(request, struct export, request);

    export->is_refused = refusal != NULL;
    if (refusal)
        export->refusal = *refusal;

    export->answer.run = answer;
    if (rpc_worker_is_current(export->worker))
        answer(&export->answer);
    else
        rpc_worker_post(export->worker, &export->answer);
}

static void refuse(struct rpc_call *call, struct intake *intake, struct refusal refusal)
{
    intake_count_refusal(intake, RECEIVER_OTLP_GRPC, &refusal);
    fail(call, &refusal);
}

static void handle(struct rpc_call *call, void *context)
{
    struct intake *intake = context;
    struct export *export = arena_zalloc(rpc_call_arena(call), sizeof(*export));
    if (!export) {
        refuse(call, intake, refusal_short_of_memory());
        return;
    }

    export->call = call;
    export->worker = rpc_call_worker(call);
    export->request = (struct intake_request){
        .done = export_done, .receiver = RECEIVER_OTLP_GRPC, .arrival = clock_instant()};

    int r = body_open(&export->body, rpc_call_request(call), rpc_call_is_gzip(call),
                      intake->max_request_bytes, &intake->in_hand);
    if (r < 0) {
        refuse(call, intake, refusal_of_body(r));
        return;
    }
    export->request.spans = export->body.bytes;
    intake_take(intake, &export->request);
}

void receiver_otlp_grpc_add_to(struct rpc_server *server, struct intake *intake)
{
    rpc_server_add_unary(server, "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
                         handle, intake);
}
