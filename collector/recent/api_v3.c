#include "collector/recent/api_v3.h"

#include <errno.h>

#include "collector/recent/api_query.h"
#include "collector/recent/recent.h"
#include "collector/recent/span_names.h"
#include "collector/recent/trace_render.h"
#include "common/base/text.h"
#include "common/edge/http_server.h"

static const size_t max_answer_bytes = 16 << 20;
static const size_t first_answer_bytes = 4 << 10;

static const struct str json = STR_INIT("application/json");

static void respond_error(struct http_request *request, int code, struct str message)
{
    struct text body = text_on_heap(64 + message.len);

    text_add_format(&body, "{\"error\":{\"httpCode\":%d,\"message\":", code);
    text_add_json(&body, message);
    text_add(&body, STR("}}"));
    http_respond(request, &(struct http_response){
                              .code = code, .content_type = json, .body = text_view(&body)});
    text_done(&body);
}

/* What a reader of queries, or a lack of memory, says. */
static void respond_failure(struct http_request *request, int error, struct str reason)
{
    if (error == -EINVAL)
        respond_error(request, 400, reason);
    else
        respond_error(request, 503, STR("out of memory"));
}

static void respond_json(struct http_request *request, const struct text *body)
{
    if (body->is_cut)
        respond_failure(request, -ENOMEM, STR(""));
    else
        http_respond(request, &(struct http_response){
                                  .code = 200, .content_type = json, .body = text_view(body)});
}

static void add_operation(const struct span_name *name, struct text *to)
{
    text_add(to, STR("{\"name\":"));
    text_add_json(to, name->name);
    text_add(to, STR(",\"spanKind\":"));
    text_add_json(to, name->kind);
    text_add_char(to, '}');
}

/* `member` is services or operations. */
static void respond_names(struct http_request *request, const char *member,
                          const struct span_names *names)
{
    struct text body = text_on_heap(first_answer_bytes);

    text_add_format(&body, "{\"%s\":[", member);
    for (size_t i = 0; i < names->count; i++) {
        if (i > 0)
            text_add_char(&body, ',');
        if (names->names[i].kind.len > 0)
            add_operation(&names->names[i], &body);
        else
            text_add_json(&body, names->names[i].name);
    }
    text_add(&body, STR("]}"));
    respond_json(request, &body);
    text_done(&body);
}

static void answer_services(struct http_request *request, struct recent *recent)
{
    cleanup_with(trace_list_done) struct trace_list traces = {0};
    cleanup_with(span_names_done) struct span_names names = {0};

    if (recent_list(recent, &traces) < 0 || span_names_of_services(&traces, &names) < 0)
        respond_failure(request, -ENOMEM, STR(""));
    else
        respond_names(request, "services", &names);
}

static void answer_operations(struct http_request *request, struct recent *recent)
{
    cleanup_with(trace_list_done) struct trace_list traces = {0};
    cleanup_with(span_names_done) struct span_names names = {0};
    struct operations_query                         query;
    struct str                                      reason;

    int r = operations_query_read(http_request_query(request), http_request_arena(request), &query,
                                  &reason);
    if (r < 0) {
        respond_failure(request, r, reason);
        return;
    }
    if (recent_list(recent, &traces) < 0 || span_names_of_operations(&traces, &query, &names) < 0)
        respond_failure(request, -ENOMEM, STR(""));
    else
        respond_names(request, "operations", &names);
}

static bool has_match(struct kept_spans rest, const struct find_query *query)
{
    const struct kept_span *span;

    while ((span = kept_spans_next(&rest))) {
        if (find_query_matches(query, span))
            return true;
    }
    return false;
}

/* Lets go of the traces that do not match, and of those that are too many. */
static void keep_matches(struct trace_list *traces, const struct find_query *query)
{
    size_t n = 0;

    for (size_t i = 0; i < traces->count; i++) {
        if (n < query->max_traces && has_match(traces->traces[i].spans, query))
            traces->traces[n++] = traces->traces[i];
        else
            trace_snapshot_done(&traces->traces[i]);
    }
    traces->count = n;
}

/* 0, -E2BIG or -ENOMEM. */
static int render_traces(const struct trace_snapshot traces[], size_t count, struct text *to)
{
    text_add(to, STR("{\"result\":{\"resourceSpans\":["));
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            text_add_char(to, ',');
        int r = trace_render(traces[i].spans, max_answer_bytes, to);
        if (r < 0)
            return r;
    }
    text_add(to, STR("]}}"));
    return 0;
}

static void respond_traces(struct http_request *request, const struct trace_snapshot traces[],
                           size_t count)
{
    if (count == 0) {
        respond_error(request, 404, STR("No traces found"));
        return;
    }

    struct text body = text_on_heap(first_answer_bytes);
    int         r = render_traces(traces, count, &body);
    if (r == -E2BIG)
        respond_error(request, 400,
                      STR("the answer would be longer than 16 MiB: ask for fewer traces "
                          "(query.num_traces)"));
    else if (r < 0)
        respond_failure(request, r, STR(""));
    else
        respond_json(request, &body);
    text_done(&body);
}

static void answer_find(struct http_request *request, struct recent *recent)
{
    cleanup_with(trace_list_done) struct trace_list traces = {0};
    struct find_query                               query;
    struct str                                      reason;

    int r =
        find_query_read(http_request_query(request), http_request_arena(request), &query, &reason);
    if (r == 0)
        r = recent_list(recent, &traces);
    if (r < 0) {
        respond_failure(request, r, reason);
        return;
    }
    keep_matches(&traces, &query);
    respond_traces(request, traces.traces, traces.count);
}

static void answer_get(struct http_request *request, struct recent *recent, struct str digits)
{
    cleanup_with(trace_snapshot_done) struct trace_snapshot trace = {0};
    struct get_query                                        query;
    struct trace_id                                         id;
    struct str                                              reason;

    int r =
        get_query_read(http_request_query(request), http_request_arena(request), &query, &reason);
    if (r < 0)
        respond_failure(request, r, reason);
    else if (trace_id_query_read(digits, &id) < 0)
        respond_error(request, 400,
                      STR("malformed parameter trace_id: 1 to 32 hex digits, not "
                          "all zero, are expected"));
    else
        respond_traces(request, &trace, recent_find(recent, &id, &trace) ? 1 : 0);
}

void api_v3_handle(struct http_request *request, struct recent *recent)
{
    static const struct str get_prefix = STR_INIT("/api/v3/traces/");

    struct str path = http_request_path(request);

    if (!http_request_is_read(request))
        http_respond_not_allowed(request, STR("GET, HEAD"));
    else if (str_equal(path, STR("/api/v3/services")))
        answer_services(request, recent);
    else if (str_equal(path, STR("/api/v3/operations")))
        answer_operations(request, recent);
    else if (str_equal(path, STR("/api/v3/traces")))
        answer_find(request, recent);
    else if (str_starts_with(path, get_prefix))
        answer_get(request, recent,
                   (struct str){path.at + get_prefix.len, path.len - get_prefix.len});
    else
        respond_error(request, 404, STR("not found: here are services, operations and traces"));
}
