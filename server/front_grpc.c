#include "server/front_grpc.h"

#include "server/exchange.h"
#include "server/reply_wire.h"

/*
 * What a failure may carry in grpc-status-details-bin. Headers are what proxies
 * bound most tightly: Envoy takes 60 KiB of them, many clients 8, and base64 adds a third.
 */
enum { MAX_DETAILS_BYTES = 4096 };

static void answer_failure(struct rpc_call *call, const struct exchange_result *result,
                           const struct metadata *headers)
{
    struct arena *arena = rpc_call_arena(call);

    rpc_call_fail(call,
                  &(struct rpc_failure){
                      .status = result->failure->status,
                      .message = result->failure->message,
                      .details = failure_encode_details(result->failure, MAX_DETAILS_BYTES, arena),
                      .headers_first = result->headers_first,
                  },
                  headers);
}

static void fail_short_of_memory(struct rpc_call *call)
{
    rpc_call_fail(call,
                  &(struct rpc_failure){.status = STATUS_RESOURCE_EXHAUSTED,
                                        .message = STR("out of memory for this request")},
                  NULL);
}

/* A reply says itself which trace it belongs to: of what answers carry, only a warning is left. */
static void answer_reply(struct rpc_call *call, const struct exchange_result *result)
{
    struct field          field = {STR("x-tracehop-warning"), result->warning};
    const struct metadata warning = {.fields = &field, .count = 1};

    struct str message = reply_encode(&result->reply, rpc_call_arena(call));
    if (message.at)
        rpc_call_reply(call, message, str_is_empty(result->warning) ? NULL : &warning);
    else
        fail_short_of_memory(call);
}

static void answer(struct exchange *exchange, void *context)
{
    struct rpc_call              *call = context;
    const struct exchange_result *result = exchange_result(exchange);

    if (result->failure) {
        struct metadata headers = exchange_answer_headers(exchange, rpc_call_arena(call));
        answer_failure(call, result, &headers);
    } else {
        answer_reply(call, result);
    }
}

static void handle(struct rpc_call *call, void *context)
{
    struct exchange *exchange = exchange_prepare(&(struct exchange_request){
        .hop = context,
        .front = FRONT_GRPC,
        .kind = EXCHANGE_CHAIN,
        .arena = rpc_call_arena(call),
        .caller = call,
        .headers = rpc_call_metadata(call),
        .path = STR("/tracehop.v1.Hop/Call"),
        .arrival = clock_instant(),
        .deadline_ns = rpc_call_deadline_ns(call),
        .done = answer,
        .context = call,
    });

    if (exchange)
        exchange_run(exchange, rpc_call_worker(call));
    else
        fail_short_of_memory(call);
}

void front_grpc_add_to(struct rpc_server *server, struct hop *hop)
{
    rpc_server_add_unary(server, "/tracehop.v1.Hop/Call", handle, hop);
}
