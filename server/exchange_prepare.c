#include "common/base/arena.h"
#include "common/base/log.h"
#include "server/exchange_private.h"

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

/* A hop marks its call with the id of its span, which it also writes into each form of context. */
static struct span_id sent_span(const struct exchange_request *request)
{
    struct span_id id = {0};

    (void)span_id_parse(metadata_find(request->headers, STR("x-tracehop-call")), &id);
    return id;
}

static void begin_span(struct exchange *exchange)
{
    const struct exchange_request *request = &exchange->request;
    struct reply                  *reply = &exchange->result.reply;

    tracer_begin_server(request->hop->tracer, &exchange->span, span_name(request), request->headers,
                        sent_span(request), request->arrival.realtime_ns);
    if (!trace_id_is_zero(&exchange->span.context.trace_id))
        reply->trace_id = trace_id_format(&exchange->span.context.trace_id, exchange->trace_id);
    describe_request(exchange);
}

/* Retries repeat the caller's mark; at the edge, the request id that the gateway made. */
static struct str call_mark(const struct exchange_request *request)
{
    struct str mark = metadata_find(request->headers, STR("x-tracehop-call"));

    return str_is_empty(mark) ? metadata_find(request->headers, STR("x-request-id")) : mark;
}

static uint32_t count_attempt(const struct exchange_request *request, struct str mark)
{
    uint32_t counted = attempts_count(request->hop->attempts, mark, request->arrival.monotonic_ns);

    return chain_attempt(counted, metadata_find(request->headers, STR("x-envoy-attempt-count")));
}

static void decide(struct exchange *exchange)
{
    const struct exchange_request *request = &exchange->request;
    const struct server_settings  *settings = &request->hop->config->settings;
    struct str                     fail = metadata_find(request->headers, STR("fail"));
    struct str                     delay = metadata_find(request->headers, STR("delay"));
    struct fault_plan              plan;

    /* The clock stands in for a program outside the mesh, which knows nothing of our headers. */
    if (request->kind == EXCHANGE_TIME ||
        (str_is_empty(fail) && str_is_empty(delay) && request->n_ignored == 0))
        return;

    /* One after the other, for a seed repeats them by their number. */
    double fail_draw = hop_draw(request->hop);
    double delay_draw = hop_draw(request->hop);

    fault_plan_parse(fail, delay, &plan);
    for (size_t i = 0; i < request->n_ignored; i++)
        fault_plan_add_bad(&plan, request->ignored[i]);
    exchange->decision = chain_decide(&(struct chain_input){
        .faults = &plan,
        .role = settings->role,
        .version = settings->version,
        .attempt = exchange->result.reply.attempt,
        .fail_draw = fail_draw,
        .delay_draw = delay_draw,
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
    log_warning("a request asks for faults that cannot be understood; they are ignored",
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
    exchange->mark = call_mark(request);
    exchange->result.http_code = 200;
    exchange->result.reply = (struct reply){
        .role = config->settings.role,
        .version = config->settings.version,
        .name = config->name,
        .instance = config->instance,
        .attempt = count_attempt(request, exchange->mark),
    };
    begin_span(exchange);
    decide(exchange);
    warn_of_bad_items(exchange);
    exchange->result.trace_url = trace_url(exchange);
    return exchange;
}
