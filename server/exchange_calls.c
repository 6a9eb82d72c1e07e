#include "common/base/arena.h"
#include "server/exchange_private.h"

static void gather(struct exchange *exchange)
{
    struct reply           *reply = &exchange->result.reply;
    struct upstream_result *results =
        arena_alloc(exchange->request.arena, exchange->n_started * sizeof(*results));
    if (!results) {
        exchange_fail_short_of_memory(exchange);
        return;
    }

    for (size_t i = 0; i < exchange->n_started; i++)
        results[i] = exchange->calls[i].result;
    reply->upstreams = results;
    reply->n_upstreams = exchange->n_started;

    const struct failure *failure =
        chain_failure(results, reply->n_upstreams, exchange_policy(exchange));
    if (exchange->is_cancelled)
        exchange_fail_cancelled(exchange);
    else if (failure)
        exchange_fail(exchange, failure);
}

static void call_next(struct exchange *exchange);

static void call_ended(struct upstream_call *call)
{
    struct exchange *exchange = call->context;

    exchange->n_ended++;
    call_next(exchange);
}

static void start_call(struct exchange *exchange)
{
    const struct exchange_request *request = &exchange->request;
    struct hop                    *hop = request->hop;
    size_t                         number = exchange->n_started++;
    struct upstream_call          *call = &exchange->calls[number];
    int64_t deadline_ns = clock_monotonic_ns() + hop->config->settings.upstream_timeout_ns;

    *call = (struct upstream_call){
        .hop = hop,
        .upstream = &hop->upstreams[number],
        .worker = exchange->worker,
        .arena = request->arena,
        .caller = request->caller,
        .parent = &exchange->span,
        .headers = &exchange->forwarded,
        .anchor = request->arrival,
        .deadline_ns = deadline_ns < request->deadline_ns ? deadline_ns : request->deadline_ns,
        .done = call_ended,
        .context = exchange,
    };
    if (!upstream_call_start(call))
        exchange->n_ended++;
}

/* A failure that will fail this hop makes the calls after it pointless. */
static bool has_failed(const struct exchange *exchange)
{
    for (size_t i = 0; i < exchange->n_ended; i++) {
        if (chain_failure(&exchange->calls[i].result, 1, exchange_policy(exchange)))
            return true;
    }
    return false;
}

static bool may_start_another(const struct exchange *exchange)
{
    const struct hop *hop = exchange->request.hop;

    if (exchange->n_started == exchange->n_calls || exchange->is_cancelled)
        return false;
    if (hop->config->settings.upstream_order == UPSTREAM_PARALLEL)
        return true;
    return exchange->n_ended == exchange->n_started && !has_failed(exchange);
}

/* The core cancels gRPC calls together with their parent; for the others somebody must watch. */
static bool has_calls_to_cancel(const struct exchange *exchange)
{
    for (size_t i = 0; i < exchange->n_calls; i++) {
        if (!exchange->request.hop->upstreams[i].peer)
            return true;
    }
    return false;
}

static void call_next(struct exchange *exchange)
{
    while (may_start_another(exchange))
        start_call(exchange);

    if (exchange->n_ended == exchange->n_started) {
        gather(exchange);
        exchange_end(exchange);
    } else if (has_calls_to_cancel(exchange)) {
        exchange_watch_for_cancel(exchange);
    }
}

void exchange_call_upstreams(struct exchange *exchange)
{
    const struct exchange_request *request = &exchange->request;
    struct hop                    *hop = request->hop;
    if (!exchange_goes_on(exchange) || request->kind == EXCHANGE_TIME || hop->n_upstreams == 0) {
        exchange_end(exchange);
        return;
    }

    exchange->calls = arena_alloc(request->arena, hop->n_upstreams * sizeof(*exchange->calls));
    if (!exchange->calls || forward_headers(&hop->config->forward, request->headers,
                                            &exchange->forwarded, request->arena) < 0) {
        exchange_fail_short_of_memory(exchange);
        exchange_end(exchange);
        return;
    }
    exchange->n_calls = hop->n_upstreams;
    call_next(exchange);
}

void exchange_cancel_calls(struct exchange *exchange)
{
    for (size_t i = 0; i < exchange->n_started; i++)
        upstream_call_cancel(&exchange->calls[i]);
}
