#include "server/exchange.h"

#include <assert.h>

#include "common/base/arena.h"
#include "common/base/log.h"
#include "common/edge/rpc_server.h"

/* The child spans of WORK=fibonacci, which outlast the sleep. */
struct work_spans {
    struct span all, sleep;
};

struct exchange {
    struct exchange_request request;
    struct rpc_worker      *worker;
    struct hop_worker      *uncalled_on; /* whose list it is on; NULL: none */
    struct exchange        *next, *previous;
    struct span             span;
    struct chain_decision   decision;
    struct exchange_result  result;
    struct failure          failure;
    char                    trace_id[TRACE_ID_HEX_LENGTH];

    struct metadata       forwarded;
    struct upstream_call *calls;
    size_t                n_calls;
    size_t                n_started, n_ended;
    struct work_spans    *work;

    struct rpc_timer timer;
    void (*after_wait)(struct exchange *exchange);
    bool is_cancel_watched;
    bool is_cancelled;
};

static enum failure_policy failure_policy(const struct exchange *exchange)
{
    return (enum failure_policy)exchange->request.hop->config->settings.on_upstream_failure;
}

static int64_t realtime_ns(const struct exchange *exchange, int64_t monotonic_ns)
{
    return instant_realtime_ns(exchange->request.arrival, monotonic_ns);
}

static void describe_request(struct exchange *exchange)
{
    const struct exchange_request *request = &exchange->request;
    struct span                   *span = &exchange->span;

    if (request->front == FRONT_GRPC) {
        span_set_str(span, STR("rpc.system"), STR("grpc"));
        span_set_str(span, STR("rpc.service"), STR("tracehop.v1.Hop"));
        span_set_str(span, STR("rpc.method"), STR("Call"));
    } else {
        span_set_str(span, STR("http.request.method"), request->method);
        span_set_str(span, STR("http.route"), request->path);
        span_set_str(span, STR("url.path"), request->path);
        span_set_str(span, STR("url.scheme"), STR("http"));
    }
    span_set_int(span, STR("tracehop.attempt"), exchange->result.reply.attempt);
}

static struct str span_name(const struct exchange_request *request)
{
    if (request->front == FRONT_GRPC)
        return STR("tracehop.v1.Hop/Call");
    return request->kind == EXCHANGE_TIME ? STR("GET /time") : STR("GET /");
}

static void begin_span(struct exchange *exchange)
{
    const struct exchange_request *request = &exchange->request;
    struct reply                  *reply = &exchange->result.reply;

    tracer_begin_server(request->hop->tracer, &exchange->span, span_name(request), request->headers,
                        request->arrival.realtime_ns);
    if (!trace_id_is_zero(&exchange->span.context.trace_id))
        reply->trace_id = trace_id_format(&exchange->span.context.trace_id, exchange->trace_id);
    describe_request(exchange);
}

/* Retries repeat the caller's mark; at the edge, the request id that the gateway made. */
static uint32_t count_attempt(const struct exchange_request *request)
{
    struct str call = metadata_find(request->headers, STR("x-tracehop-call"));
    uint32_t   counted = 1;

    if (str_is_empty(call))
        call = metadata_find(request->headers, STR("x-request-id"));
    if (!str_is_empty(call))
        counted = attempts_count(request->hop->attempts, call, request->arrival.monotonic_ns);
    return chain_attempt(counted, metadata_find(request->headers, STR("x-envoy-attempt-count")));
}

static void decide(struct exchange *exchange)
{
    const struct exchange_request *request = &exchange->request;
    const struct server_settings  *settings = &request->hop->config->settings;
    struct str                     fail = metadata_find(request->headers, STR("fail"));
    struct str                     delay = metadata_find(request->headers, STR("delay"));
    struct fault_plan              plan;
    if (str_is_empty(fail) && str_is_empty(delay))
        return;

    fault_plan_parse(fail, delay, &plan);
    exchange->decision = chain_decide(&(struct chain_input){
        .faults = &plan,
        .role = settings->role,
        .version = settings->version,
        .attempt = exchange->result.reply.attempt,
        .fail_draw = hop_draw(request->hop),
        .delay_draw = hop_draw(request->hop),
    });
    exchange->result.warning = fault_plan_warning(&plan, request->arena);
    metrics_add(request->hop->metrics.ignored_faults, plan.n_bad);
}

static void warn_of_bad_items(const struct exchange *exchange)
{
    static struct log_limit limit = {.interval_ns = 10LL * NS_PER_S};
    uint64_t                suppressed;

    if (str_is_empty(exchange->result.warning) ||
        !log_limit_allows(&limit, exchange->request.arrival.monotonic_ns, &suppressed))
        return;
    log_warning("a fault header has items that cannot be parsed; they are ignored",
                log_str("warning", exchange->result.warning),
                log_int("suppressed", (int64_t)suppressed));
}

static struct str trace_url(const struct exchange *exchange)
{
    static const struct str placeholder = STR_INIT("{trace_id}");
    struct str              pattern = exchange->request.hop->config->settings.trace_url;
    struct str              trace_id = exchange->result.reply.trace_id;
    const char             *hole;
    if (str_is_empty(pattern) || str_is_empty(trace_id))
        return STR("");

    hole = memmem(pattern.at, pattern.len, placeholder.at, placeholder.len);
    if (!hole)
        return pattern;

    struct str before = {.at = pattern.at, .len = (size_t)(hole - pattern.at)};
    struct str after = {.at = hole + placeholder.len,
                        .len = pattern.len - before.len - placeholder.len};
    return arena_format(exchange->request.arena, "%.*s%.*s%.*s", STR_ARGS(before),
                        STR_ARGS(trace_id), STR_ARGS(after));
}

struct exchange *exchange_prepare(const struct exchange_request *request)
{
    const struct server_config *config = request->hop->config;
    struct exchange            *exchange = arena_zalloc(request->arena, sizeof(*exchange));
    if (!exchange)
        return NULL;

    exchange->request = *request;
    exchange->result.http_code = 200;
    exchange->result.reply = (struct reply){
        .role = config->settings.role,
        .version = config->settings.version,
        .name = config->name,
        .instance = config->instance,
        .attempt = count_attempt(request),
    };
    begin_span(exchange);
    decide(exchange);
    warn_of_bad_items(exchange);
    exchange->result.trace_url = trace_url(exchange);
    return exchange;
}

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
    if (result->failure)
        span_set_str(span, STR("error.type"), status_name(status));
    if (is_error)
        span_set_error(span, result->failure->message);
    tracer_end(exchange->request.hop->tracer, span, realtime_ns(exchange, end_ns));
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

static void end(struct exchange *exchange)
{
    struct exchange_request *request = &exchange->request;
    struct exchange_result  *result = &exchange->result;
    enum status              status = result->failure ? result->failure->status : STATUS_OK;
    int64_t                  end_ns = clock_monotonic_ns();
    int64_t                  duration_ns = end_ns - request->arrival.monotonic_ns;

    result->reply.duration_us = (uint64_t)(duration_ns / NS_PER_US);
    end_span(exchange, end_ns);
    call_metrics_count(&request->hop->metrics.fronts[request->front], status, duration_ns,
                       exchange->span.is_recorded ? result->reply.trace_id : (struct str){0});
    hop_metrics_count_attempt(&request->hop->metrics, result->reply.attempt);
    log_request(exchange, status);
    if (exchange->uncalled_on)
        list_remove(exchange);
    request->done(exchange, request->context); /* the exchange is gone */
}

static void fail(struct exchange *exchange, const struct failure *failure, int http_code)
{
    exchange->failure = *failure;
    exchange->failure.partial = &exchange->result.reply;
    exchange->result.failure = &exchange->failure;
    exchange->result.http_code = http_code;
}

/* This hop's own failure. */
static void fail_here(struct exchange *exchange, enum status status, struct str message)
{
    fail(exchange,
         &(struct failure){
             .status = status, .message = message, .hop = exchange->request.hop->config->name},
         status_to_http(status));
}

static void cancel_calls(struct exchange *exchange)
{
    for (size_t i = 0; i < exchange->n_started; i++)
        upstream_call_cancel(&exchange->calls[i]);
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
        cancel_calls(exchange);
    }
}

/* Comes last in a step: when the caller is gone already, the exchange ends inside. */
static void watch_for_cancel(struct exchange *exchange)
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

/* Goes on with `next` after `wait_ns`, at the deadline, or when the caller is gone. */
static void wait_for(struct exchange *exchange, int64_t wait_ns,
                     void (*next)(struct exchange *exchange))
{
    int64_t due_ns = clock_monotonic_ns() + wait_ns;
    if (due_ns > exchange->request.deadline_ns)
        due_ns = exchange->request.deadline_ns;

    exchange->after_wait = next;
    exchange->timer.run = wait_is_over;
    rpc_worker_arm(exchange->worker, &exchange->timer, due_ns);
    watch_for_cancel(exchange);
}

/* Whether there is any point in going on; if not, the exchange has failed. */
static bool goes_on(struct exchange *exchange)
{
    if (exchange->is_cancelled)
        fail_here(exchange, STATUS_CANCELLED,
                  STR("cancelled: the caller is gone, or this hop shuts down"));
    else if (exchange->request.deadline_ns != NEVER_NS &&
             clock_monotonic_ns() >= exchange->request.deadline_ns)
        fail_here(exchange, STATUS_DEADLINE_EXCEEDED, STR("the caller's deadline passed"));
    return !exchange->result.failure;
}

static void gather(struct exchange *exchange)
{
    struct reply           *reply = &exchange->result.reply;
    struct upstream_result *results =
        arena_alloc(exchange->request.arena, exchange->n_started * sizeof(*results));
    if (!results) {
        fail_here(exchange, STATUS_RESOURCE_EXHAUSTED, STR("out of memory for this request"));
        return;
    }

    for (size_t i = 0; i < exchange->n_started; i++)
        results[i] = exchange->calls[i].result;
    reply->upstreams = results;
    reply->n_upstreams = exchange->n_started;

    const struct failure *failure =
        chain_failure(results, reply->n_upstreams, failure_policy(exchange));
    if (exchange->is_cancelled)
        fail_here(exchange, STATUS_CANCELLED,
                  STR("cancelled: the caller is gone, or this hop shuts down"));
    else if (failure)
        fail(exchange, failure, status_to_http(failure->status));
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
        if (chain_failure(&exchange->calls[i].result, 1, failure_policy(exchange)))
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
        end(exchange);
    } else if (has_calls_to_cancel(exchange)) {
        watch_for_cancel(exchange);
    }
}

static void call_upstreams(struct exchange *exchange)
{
    const struct exchange_request *request = &exchange->request;
    struct hop                    *hop = request->hop;
    if (!goes_on(exchange) || request->kind == EXCHANGE_TIME || hop->n_upstreams == 0) {
        end(exchange);
        return;
    }

    exchange->calls = arena_alloc(request->arena, hop->n_upstreams * sizeof(*exchange->calls));
    if (!exchange->calls || forward_headers(&hop->config->forward, request->headers,
                                            &exchange->forwarded, request->arena) < 0) {
        fail_here(exchange, STATUS_RESOURCE_EXHAUSTED, STR("out of memory for this request"));
        end(exchange);
        return;
    }
    exchange->n_calls = hop->n_upstreams;
    call_next(exchange);
}

static void end_work(struct exchange *exchange)
{
    struct tracer *tracer = exchange->request.hop->tracer;
    int64_t        now_ns = clock_monotonic_ns();
    int64_t        slept_ns = realtime_ns(exchange, now_ns) - exchange->work->sleep.start_ns;

    exchange->result.reply.work.slept_us = (uint64_t)(slept_ns / NS_PER_US);
    tracer_end(tracer, &exchange->work->sleep, realtime_ns(exchange, now_ns));
    tracer_end(tracer, &exchange->work->all, realtime_ns(exchange, now_ns));
    call_upstreams(exchange);
}

static void compute(struct exchange *exchange, uint32_t index)
{
    struct tracer      *tracer = exchange->request.hop->tracer;
    struct work_report *report = &exchange->result.reply.work;
    struct span         span;

    tracer_begin_child(tracer, &span, SPAN_INTERNAL, STR("Fibonacci Calculation"),
                       &exchange->work->all, realtime_ns(exchange, clock_monotonic_ns()));
    *report = (struct work_report){
        .is_done = true, .fibonacci_index = index, .fibonacci = fibonacci(index)};
    report->is_odd = report->fibonacci % 2 == 1;
    metrics_add(exchange->request.hop->metrics.fibonacci_calls, 1);
    span_set_int(&span, STR("tracehop.fibonacci.index"), index);
    tracer_end(tracer, &span, realtime_ns(exchange, clock_monotonic_ns()));
    span_set_bool(&exchange->work->all, STR("tracehop.fibonacci.odd"), report->is_odd);
}

static void work(struct exchange *exchange)
{
    struct hop                   *hop = exchange->request.hop;
    const struct server_settings *settings = &hop->config->settings;
    struct work_plan              plan = work_plan((uint32_t)settings->work_fibonacci_max,
                                                   settings->work_sleep_max_ns, hop_draw(hop), hop_draw(hop));

    exchange->work = arena_alloc(exchange->request.arena, sizeof(*exchange->work));
    if (!exchange->work) {
        fail_here(exchange, STATUS_RESOURCE_EXHAUSTED, STR("out of memory for this request"));
        end(exchange);
        return;
    }
    tracer_begin_child(hop->tracer, &exchange->work->all, SPAN_INTERNAL,
                       STR("Fibonacci Odd Or Even"), &exchange->span,
                       realtime_ns(exchange, clock_monotonic_ns()));
    compute(exchange, plan.fibonacci_index);
    tracer_begin_child(hop->tracer, &exchange->work->sleep, SPAN_INTERNAL, STR("Sleep"),
                       &exchange->work->all, realtime_ns(exchange, clock_monotonic_ns()));
    wait_for(exchange, plan.sleep_ns, end_work);
}

static void fail_as_asked(struct exchange *exchange)
{
    const struct chain_decision *decision = &exchange->decision;
    struct str                   message =
        arena_format(exchange->request.arena, "%.*s failed because the fail header asked for it",
                     STR_ARGS(exchange->request.hop->config->name));

    metrics_add(exchange->request.hop->metrics.fails, 1);
    span_set_str(&exchange->span, STR("tracehop.fault"), STR("fail"));
    fail_here(exchange, decision->failure.status, message);
    exchange->result.http_code = decision->failure.http_code;
    exchange->result.headers_first = decision->headers_first;
}

static void act(struct exchange *exchange)
{
    const struct hop *hop = exchange->request.hop;
    if (!goes_on(exchange)) {
        end(exchange);
    } else if (exchange->decision.fails) {
        fail_as_asked(exchange);
        end(exchange);
    } else if (hop->config->settings.work != WORK_NONE &&
               exchange->request.kind == EXCHANGE_CHAIN) {
        work(exchange);
    } else {
        call_upstreams(exchange);
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
    wait_for(exchange, exchange->decision.delay_ns, act);
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
