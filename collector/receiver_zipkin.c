#include "collector/receiver_zipkin.h"

#include <errno.h>

#include "collector/http_export.h"
#include "collector/http_refusal.h"
#include "collector/spans/zipkin.h"
#include "common/base/arena.h"

static void answer(struct http_request *request, enum media media, const struct refusal *refusal)
{
    (void)media; /* Zipkin's errors are text */

    if (refusal)
        http_refusal_respond(request, refusal, MEDIA_OTHER);
    else
        http_respond(request, &(struct http_response){.code = 202,
                                                      .content_type = STR("text/plain"),
                                                      .body = STR(""),
                                                      .is_constant = true});
}

static int read_spans(const struct http_export *export, struct zipkin_result *ret_result)
{
    struct arena *arena = http_request_arena(export->http);
    size_t        max_bytes = export->intake->max_request_bytes;

    if (str_is_empty(export->body.bytes)) /* the reference server takes it, too */
        return 0;
    if (export->media == MEDIA_JSON)
        return zipkin_read_json(export->body.bytes, max_bytes, arena, ret_result);
    return zipkin_read_protobuf(export->body.bytes, max_bytes, arena, ret_result);
}

static void take_spans(struct http_export *export)
{
    struct zipkin_result result = {.request = STR(""), .reason = STR("")};
    int                  r = read_spans(export, &result);

    if (r == 0 && result.n_bad > 0)
        intake_count_bad_spans(export->intake, RECEIVER_ZIPKIN, result.n_bad);
    if (r == -EBADMSG || (r == 0 && result.n_spans == 0 && result.n_bad > 0))
        http_export_refuse(export, refusal_malformed(result.reason));
    else if (r < 0)
        http_export_refuse(export, refusal_of_body(r));
    else
        http_export_take(export, result.request);
}

static void receive(struct http_request *request, struct intake *intake, enum media media)
{
    struct http_export *export = http_export_begin(request, intake, RECEIVER_ZIPKIN, media, answer);

    if (export)
        take_spans(export);
}

static void refuse(struct http_request *request, struct intake *intake, int code, struct str why)
{
    http_refusal_count_and_respond(request, intake, RECEIVER_ZIPKIN, refusal_of_http(code, why));
}

void receiver_zipkin_handle(struct http_request *request, void *context)
{
    struct str path = http_request_path(request);
    enum media media = http_media(request, MEDIA_JSON);

    if (str_equal(path, STR("/api/v1/spans")))
        refuse(request, context, 400,
               STR("this is Zipkin v1, which is not supported: send v2 to /api/v2/spans"));
    else if (!str_equal(path, STR("/api/v2/spans")))
        http_respond_text(request, 404, STR("not found: spans go to /api/v2/spans"));
    else if (!str_equal(http_request_method(request), STR("POST")))
        http_respond_not_allowed(request, STR("POST"));
    else if (media == MEDIA_OTHER)
        refuse(request, context, 415,
               STR("Content-Type must be application/json or application/x-protobuf"));
    else
        receive(request, context, media);
}

void receiver_zipkin_refuse(struct http_request *request, int code, void *context)
{
    http_refusal_count_and_respond(request, context, RECEIVER_ZIPKIN, refusal_of_edge(code));
}
