#include "server/exchange.h"

#include <assert.h>

#include "common/base/arena.h"
#include "common/base/log.h"
#include "server/exchange_private.h"

bool exchange_needs_worker(const struct exchange *exchange)
{
    const struct hop *hop = exchange->request.hop;
    if (exchange->decision.delay_ns > 0)
        return true;
    if (exchange->decision.fails || exchange->request.kind == EXCHANGE_TIME)
        return false;
    return hop->n_upstreams > 0 || hop->config->settings.work != WORK_NONE;
}

static bool is_grpc_server_error(enum status status)
{
    /* OpenTelemetry semantic conventions, rpc/grpc.md: the others are the caller's doing. */
    return status == STATUS_UNKNOWN || status == STATUS_DEADLINE_EXCEEDED ||
           status == STATUS_UNIMPLEMENTED || status == STATUS_INTERNAL ||
           status == STATUS_UNAVAILABLE || status == STATUS_DATA_LOSS;
}

static void end_span(struct exchange *exchange, int64_t end_ns)
{
    const struct exchange_result *result = &exchange->result;
    struct span                  *span = &exchange->span;
    enum status                   status = result->failure ? result->failure->status : STATUS_OK;
    bool is_error = exchange->request.front == FRONT_GRPC ? is_grpc_server_error(status)
                                                          : result->http_code >= 500;

    if (exchange->request.front == FRONT_GRPC)
        span_set_int(span, STR("rpc.grpc.status_code"), status);
    else
        span_set_int(span, STR("http.response.status_code"), result->http_code);
    span_set_int(span, STR("tracehop.calls"), result->reply.calls);
    if (result->failure)
        span_set_str(span, STR("error.type"), status_name(status));
    if (is_error && result->failure)
        span_set_error(span, result->failure->message);
    tracer_end(exchange->request.hop->tracer, span, exchange_realtime_ns(exchange, end_ns));
}

static void log_request(const struct exchange *exchange, enum status status)
{
    const struct exchange_request *request = &exchange->request;
    char                           hex[SPAN_ID_HEX_LENGTH];
    struct str request_id = metadata_find(request->headers, STR("x-request-id"));

    if (request_id.len > 64)
        request_id.len = 64;
    log_info("request", log_str("front", front_name(request->front)),
             log_str("path", request->path), log_str("status", status_name(status)),
             log_int("http_code", exchange->result.http_code),
             log_double("duration_ms", (double)exchange->result.reply.duration_us / 1000.0),
             log_int("attempt", exchange->result.reply.attempt),
             log_str("trace_id", exchange->result.reply.trace_id),
             log_str("span_id", span_id_format(&exchange->span.context.span_id, hex)),
             log_str("request_id", request_id));
}

/* This try's, and those of the tries before it, which a proxy hides from the caller. */
static uint32_t count_calls(const struct exchange *exchange, int64_t now_ns)
{
    const struct reply *reply = &exchange->result.reply;

    return attempts_add_cost(exchange->request.hop->attempts, exchange->mark,
                             chain_calls(reply->upstreams, reply->n_upstreams), now_ns);
}

static void list_add(struct exchange *exchange, struct hop_worker *worker)
{
    exchange->uncalled_on = worker;
    exchange->next = worker->uncalled;
    if (exchange->next)
        exchange->next->previous = exchange;
    worker->uncalled = exchange;
}

static void list_remove(struct exchange *exchange)
{
    if (exchange->previous)
        exchange->previous->next = exchange->next;
    else
        exchange->uncalled_on->uncalled = exchange->next;
    if (exchange->next)
        exchange->next->previous = exchange->previous;
}

void exchange_end(struct exchange *exchange)
{
    struct exchange_request *request = &exchange->request;
    struct exchange_result  *result = &exchange->result;
    enum status              status = result->failure ? result->failure->status : STATUS_OK;
    int64_t                  end_ns = clock_monotonic_ns();
    int64_t                  duration_ns = end_ns - request->arrival.monotonic_ns;

    result->reply.duration_us = (uint64_t)(duration_ns / NS_PER_US);
    result->reply.calls = count_calls(exchange, end_ns);
    end_span(exchange, end_ns);
    call_metrics_count(&request->hop->metrics.fronts[request->front], status, duration_ns,
                       exchange->span.is_recorded ? result->reply.trace_id : (struct str){0});
    hop_metrics_count_attempt(&request->hop->metrics, result->reply.attempt);
    log_request(exchange, status);
    if (exchange->uncalled_on)
        list_remove(exchange);
    request->done(exchange, request->context); /* the exchange is gone */
}

void exchange_fail(struct exchange *exchange, const struct failure *failure)
{
    exchange->failure = *failure;
    exchange->failure.partial = &exchange->result.reply;
    exchange->result.failure = &exchange->failure;
    exchange->result.http_code = status_to_http(failure->status);
}

void exchange_fail_here(struct exchange *exchange, enum status status, struct str message)
{
    exchange_fail(exchange, &(struct failure){.status = status,
                                              .message = message,
                                              .hop = exchange->request.hop->config->name});
}

void exchange_fail_cancelled(struct exchange *exchange)
{
    exchange_fail_here(exchange, STATUS_CANCELLED,
                       STR("cancelled: the caller is gone, or this hop shuts down"));
}

void exchange_fail_short_of_memory(struct exchange *exchange)
{
    exchange_fail_here(exchange, STATUS_RESOURCE_EXHAUSTED, STR("out of memory for this request"));
}

/* The exchange may end inside. */
static void cancel(void *context)
{
    struct exchange *exchange = context;

    exchange->is_cancelled = true;
    if (exchange->timer.node.is_armed) {
        rpc_worker_disarm(exchange->worker, &exchange->timer);
        exchange->after_wait(exchange);
    } else {
        exchange_cancel_calls(exchange);
    }
}

void exchange_watch_for_cancel(struct exchange *exchange)
{
    if (!exchange->request.caller || exchange->is_cancel_watched)
        return;

    exchange->is_cancel_watched = true;
    rpc_call_on_cancel(exchange->request.caller, cancel, exchange);
}

static void wait_is_over(struct rpc_timer *timer)
{
    struct exchange *exchange = container_of(timer, struct exchange, timer);

    exchange->after_wait(exchange);
}

void exchange_wait(struct exchange *exchange, int64_t wait_ns,
                   void (*next)(struct exchange *exchange))
{
    int64_t due_ns = clock_monotonic_ns() + wait_ns;
    if (due_ns > exchange->request.deadline_ns)
        due_ns = exchange->request.deadline_ns;

    exchange->after_wait = next;
    exchange->timer.run = wait_is_over;
    rpc_worker_arm(exchange->worker, &exchange->timer, due_ns);
    exchange_watch_for_cancel(exchange);
}

bool exchange_goes_on(struct exchange *exchange)
{
    if (exchange->is_cancelled)
        exchange_fail_cancelled(exchange);
    else if (exchange->request.deadline_ns != NEVER_NS &&
             clock_monotonic_ns() >= exchange->request.deadline_ns)
        exchange_fail_here(exchange, STATUS_DEADLINE_EXCEEDED, STR("the caller's deadline passed"));
    return !exchange->result.failure;
}

static void fail_as_asked(struct exchange *exchange)
{
    const struct chain_decision *decision = &exchange->decision;
    struct str                   message =
        arena_format(exchange->request.arena, "%.*s failed because the fail header asked for it",
                     STR_ARGS(exchange->request.hop->config->name));

    metrics_add(exchange->request.hop->metrics.fails, 1);
    span_set_str(&exchange->span, STR("tracehop.fault"), STR("fail"));
    exchange_fail_here(exchange, decision->failure.status, message);
    exchange->result.http_code = decision->failure.http_code;
    exchange->result.headers_first = decision->headers_first;
}

static void act(struct exchange *exchange)
{
    const struct hop *hop = exchange->request.hop;
    if (!exchange_goes_on(exchange)) {
        exchange_end(exchange);
    } else if (exchange->decision.fails) {
        fail_as_asked(exchange);
        exchange_end(exchange);
    } else if (hop->config->settings.work != WORK_NONE &&
               exchange->request.kind == EXCHANGE_CHAIN) {
        exchange_work(exchange);
    } else {
        exchange_call_upstreams(exchange);
    }
}

void exchange_run(struct exchange *exchange, struct rpc_worker *worker)
{
    assert(worker || !exchange_needs_worker(exchange));

    exchange->worker = worker;
    if (exchange->decision.delay_ns == 0) {
        act(exchange);
        return;
    }
    metrics_add(exchange->request.hop->metrics.delays, 1);
    span_set_int(&exchange->span, STR("tracehop.delay_ms"),
                 exchange->decision.delay_ns / NS_PER_MS);
    exchange_wait(exchange, exchange->decision.delay_ns, act);
}

void exchange_run_uncalled(struct exchange *exchange, struct hop_worker *worker)
{
    list_add(exchange, worker);
    exchange_run(exchange, worker->rpc);
}

static void cancel_uncalled(struct rpc_task *task)
{
    struct hop_worker *worker = container_of(task, struct hop_worker, cancel);

    for (struct exchange *exchange = worker->uncalled, *next; exchange; exchange = next) {
        next = exchange->next;
        cancel(exchange);
    }
}

void exchange_cancel_all(struct hop *hop)
{
    for (size_t i = 0; i < hop->n_workers; i++) {
        hop->workers[i].cancel.run = cancel_uncalled;
        rpc_worker_post(hop->workers[i].rpc, &hop->workers[i].cancel);
    }
}

const struct exchange_result *exchange_result(const struct exchange *exchange)
{
    return &exchange->result;
}

static void add_unless_empty(struct metadata *headers, struct arena *arena, struct str name,
                             struct str value)
{
    /* Without memory for it the answer goes out without this header. */
    if (!str_is_empty(value))
        (void)metadata_add(headers, arena, name, value);
}

struct metadata exchange_answer_headers(const struct exchange *exchange, struct arena *arena)
{
    const struct exchange_result *result = &exchange->result;
    struct metadata               headers = {0};

    add_unless_empty(&headers, arena, STR("x-trace-id"), result->reply.trace_id);
    add_unless_empty(&headers, arena, STR("x-trace-url"), result->trace_url);
    add_unless_empty(&headers, arena, STR("x-tracehop-warning"), result->warning);
    return headers;
}
