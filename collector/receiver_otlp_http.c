#include "collector/receiver_otlp_http.h"

#include <errno.h>

#include "collector/http_export.h"
#include "collector/http_refusal.h"
#include "collector/spans/otlp_json.h"
#include "common/base/arena.h"

/* OTLP specification, "OTLP/HTTP Response": 200, in the request's own type, and partial_success
 * unset. */
static void answer(struct http_request *request, enum media media, const struct refusal *refusal)
{
    bool is_json = media == MEDIA_JSON;

    if (refusal)
        http_refusal_respond(request, refusal, media);
    else
        http_respond(request, &(struct http_response){
                                  .code = 200,
                                  .content_type = http_media_type(media),
                                  .body = is_json ? STR("{}") : STR(""),
                                  .is_constant = true,
                              });
}

static struct refusal refusal_of_json(int error, struct str reason)
{
    return error == -EBADMSG ? refusal_malformed(reason) : refusal_of_body(error);
}

static void take_json(struct http_export *export)
{
    struct str spans, reason = STR("");
    int        r = otlp_json_read(export->body.bytes, export->intake->max_request_bytes,
                                  http_request_arena(export->http), &spans, &reason);

    if (r < 0)
        http_export_refuse(export, refusal_of_json(r, reason));
    else
        http_export_take(export, spans);
}

static void receive(struct http_request *request, struct intake *intake, enum media media)
{
    struct http_export *export =
        http_export_begin(request, intake, RECEIVER_OTLP_HTTP, media, answer);
    if (!export)
        return;

    if (media == MEDIA_JSON)
        take_json(export);
    else
        http_export_take(export, export->body.bytes);
}

void receiver_otlp_http_handle(struct http_request *request, void *context)
{
    struct intake *intake = context;
    enum media     media = http_media(request, MEDIA_OTHER);

    if (!str_equal(http_request_path(request), STR("/v1/traces")))
        http_respond_text(request, 404, STR("not found: traces go to /v1/traces"));
    else if (!str_equal(http_request_method(request), STR("POST")))
        http_respond_not_allowed(request, STR("POST"));
    else if (media == MEDIA_OTHER)
        http_refusal_count_and_respond(
            request, intake, RECEIVER_OTLP_HTTP,
            refusal_of_http(
                415, STR("Content-Type must be application/x-protobuf or application/json")));
    else
        receive(request, intake, media);
}

void receiver_otlp_http_refuse(struct http_request *request, int code, void *context)
{
    http_refusal_count_and_respond(request, context, RECEIVER_OTLP_HTTP, refusal_of_edge(code));
}
