#include "server/front_http.h"

#include "common/base/arena.h"
#include "server/accept.h"
#include "server/exchange.h"
#include "server/page_assets.h"
#include "server/parameters.h"
#include "server/render.h"
#include "server/reply_wire.h"
#include "server/wall_clock.h"

enum { FIRST_BODY_BYTES = 512, FIRST_PAGE_BYTES = 40 * 1024 };

/* A request that waits for a worker, or runs on one. */
struct visit {
    struct http_request *request;
    struct exchange     *exchange;
    enum exchange_kind   kind;
    struct parameters    parameters;
    struct hop_worker   *worker;
    struct rpc_task      task;
};

static void answer_short_of_memory(struct http_request *request)
{
    http_respond_text(request, 503, STR("out of memory for this request"));
}

/* Repeated fields are one list (RFC 9110, 5.3). Without memory for it the first one counts. */
static struct str accepted(struct http_request *request)
{
    const struct metadata *headers = http_request_headers(request);
    struct str             accept = metadata_find(headers, STR("accept"));

    for (size_t i = 0; i < headers->count; i++) {
        const struct field *field = &headers->fields[i];
        if (!str_equal(field->name, STR("accept")) || field->value.at == accept.at)
            continue;
        struct str both = arena_format(http_request_arena(request), "%.*s, %.*s", STR_ARGS(accept),
                                       STR_ARGS(field->value));
        accept = both.at ? both : accept;
    }
    return accept;
}

/* Only another hop asks for a message by name; a wildcard is no such wish. */
static bool wants_message(const struct http_request *request)
{
    return str_starts_with(metadata_find(http_request_headers(request), STR("accept")),
                           STR(REPLY_CONTENT_TYPE));
}

static struct str encode_message(const struct exchange_result *result, struct arena *arena)
{
    if (result->failure)
        return failure_encode_details(result->failure, SIZE_MAX, arena);
    return reply_encode(&result->reply, arena);
}

/* A page may do nothing but what it brings along. */
static void add_page_headers(struct metadata *headers, struct arena *arena)
{
    (void)metadata_add(headers, arena, STR("content-security-policy"), page_policy);
    (void)metadata_add(headers, arena, STR("x-content-type-options"), STR("nosniff"));
    (void)metadata_add(headers, arena, STR("referrer-policy"), STR("no-referrer"));
}

static void respond(const struct visit *visit, struct str content_type, struct str body)
{
    struct arena   *arena = http_request_arena(visit->request);
    struct metadata headers = exchange_answer_headers(visit->exchange, arena);

    /* Without memory for them the answer goes out without. */
    if (str_equal(content_type, form_content_type(FORM_HTML)))
        add_page_headers(&headers, arena);
    (void)metadata_add(&headers, arena, STR("vary"), STR("accept"));
    (void)metadata_add(&headers, arena, STR("cache-control"), STR("no-store"));
    http_respond(visit->request, &(struct http_response){
                                     .code = exchange_result(visit->exchange)->http_code,
                                     .content_type = content_type,
                                     .body = body,
                                     .is_constant = true, /* it lives in the request's arena */
                                     .headers = &headers,
                                 });
}

static void respond_with_message(const struct visit *visit)
{
    struct str message =
        encode_message(exchange_result(visit->exchange), http_request_arena(visit->request));

    if (message.at)
        respond(visit, STR(REPLY_CONTENT_TYPE), message);
    else
        answer_short_of_memory(visit->request);
}

static void render(enum form form, const struct rendering *rendering, struct text *to)
{
    switch (form) {
    case FORM_HTML:
        render_html(rendering, to);
        break;
    case FORM_JSON:
        render_json(rendering, to);
        break;
    default:
        render_text(rendering, to);
        break;
    }
}

static struct request_headers asked(const struct visit *visit)
{
    const struct metadata *headers = &visit->parameters.headers;

    return (struct request_headers){.fail = metadata_find(headers, STR("fail")),
                                    .delay = metadata_find(headers, STR("delay")),
                                    .user = metadata_find(headers, STR("x-dev-user"))};
}

static void respond_with_page(const struct visit *visit)
{
    const struct exchange_result *result = exchange_result(visit->exchange);
    enum form                     form = accept_negotiate(accepted(visit->request));
    struct text                   body = text_in_arena(http_request_arena(visit->request),
                                     form == FORM_HTML ? FIRST_PAGE_BYTES : FIRST_BODY_BYTES);

    render(form,
           &(struct rendering){.reply = &result->reply,
                               .failure = result->failure,
                               .trace_url = result->trace_url,
                               .warning = result->warning,
                               .asked = asked(visit),
                               .is_detailed = visit->parameters.is_detailed},
           &body);
    if (body.is_cut)
        answer_short_of_memory(visit->request);
    else
        respond(visit, form_content_type(form), text_view(&body));
}

static void respond_with_time(const struct visit *visit)
{
    struct text body = text_in_arena(http_request_arena(visit->request), FIRST_BODY_BYTES);

    wall_clock_render(http_request_arrival(visit->request).realtime_ns, &body);
    respond(visit, STR("application/json"), text_view(&body));
}

static void answer(struct exchange *exchange, void *context)
{
    const struct visit *visit = context;

    bool is_time = visit->kind == EXCHANGE_TIME;

    if (is_time && !exchange_result(exchange)->failure)
        respond_with_time(visit);
    else if (!is_time && wants_message(visit->request))
        respond_with_message(visit);
    else
        respond_with_page(visit);
}

static void run_on_worker(struct rpc_task *task)
{
    struct visit *visit = container_of(task, struct visit, task);

    exchange_run_uncalled(visit->exchange, visit->worker);
}

static void run(struct visit *visit, struct hop *hop)
{
    if (!exchange_needs_worker(visit->exchange)) {
        exchange_run(visit->exchange, NULL);
        return;
    }
    visit->worker = hop_pick_worker(hop);
    visit->task.run = run_on_worker;
    http_request_defer(visit->request);
    rpc_worker_post(visit->worker->rpc, &visit->task);
}

/* A calling hop says how long it is going to wait, as gRPC does with grpc-timeout. */
static int64_t deadline_of(const struct http_request *request)
{
    struct str told = metadata_find(http_request_headers(request), STR("x-tracehop-timeout-ms"));
    uint64_t   timeout_ms;

    if (str_to_uint64(told, &timeout_ms) < 0 || timeout_ms > INT32_MAX)
        return NEVER_NS;
    return http_request_arrival(request).monotonic_ns + (int64_t)timeout_ms * NS_PER_MS;
}

/* The clock is no part of the mesh, and knows nothing of our parameters. */
static int read_parameters(struct http_request *request, enum exchange_kind kind,
                           struct parameters *ret_parameters)
{
    struct str query = kind == EXCHANGE_CHAIN ? http_request_query(request) : STR("");

    return parameters_read(query, http_request_headers(request), http_request_arena(request),
                           ret_parameters);
}

static void serve(struct http_request *request, struct hop *hop, enum exchange_kind kind)
{
    struct visit *visit = arena_zalloc(http_request_arena(request), sizeof(*visit));
    if (!visit || read_parameters(request, kind, &visit->parameters) < 0) {
        answer_short_of_memory(request);
        return;
    }
    visit->request = request;
    visit->kind = kind;
    visit->exchange = exchange_prepare(&(struct exchange_request){
        .hop = hop,
        .front = FRONT_HTTP,
        .kind = kind,
        .arena = http_request_arena(request),
        .headers = &visit->parameters.headers,
        .ignored = visit->parameters.ignored,
        .n_ignored = visit->parameters.n_ignored,
        .method = http_request_method(request),
        .path = http_request_path(request),
        .arrival = http_request_arrival(request),
        .deadline_ns = deadline_of(request),
        .done = answer,
        .context = visit,
    });
    if (visit->exchange)
        run(visit, hop);
    else
        answer_short_of_memory(request);
}

void front_http_handle(struct http_request *request, void *context)
{
    struct str path = http_request_path(request);
    bool       is_chain = str_equal(path, STR("/"));
    bool       is_time = str_equal(path, STR("/time"));

    if (!is_chain && !is_time)
        http_respond_text(request, 404, STR("not found: this hop serves / and /time"));
    else if (!http_request_is_read(request))
        http_respond_not_allowed(request, STR("GET, HEAD"));
    else
        serve(request, context, is_time ? EXCHANGE_TIME : EXCHANGE_CHAIN);
}
