#include "collector/http_export.h"

#include <errno.h>

#include "common/base/arena.h"
#include "common/base/cleanup.h"

/* The type without its parameters (RFC 9110, 8.3.1). */
static struct str media_type(struct str content_type)
{
    struct str type, parameters;

    return str_trim(str_split(content_type, ';', &type, &parameters) ? type : content_type);
}

enum media http_media(const struct http_request *request, enum media when_absent)
{
    struct str value = metadata_find(http_request_headers(request), STR("content-type"));
    struct str type = media_type(value);

    if (!value.at)
        return when_absent;
    if (str_equal_ignore_case(type, STR("application/x-protobuf")))
        return MEDIA_PROTOBUF;
    if (str_equal_ignore_case(type, STR("application/json")))
        return MEDIA_JSON;
    return MEDIA_OTHER;
}

enum coding { CODING_NONE, CODING_GZIP, CODING_OTHER };

static enum coding content_coding(const struct http_request *request)
{
    struct str value = metadata_find(http_request_headers(request), STR("content-encoding"));

    if (str_is_empty(value) || str_equal_ignore_case(value, STR("identity")))
        return CODING_NONE;
    if (str_equal_ignore_case(value, STR("gzip")) || str_equal_ignore_case(value, STR("x-gzip")))
        return CODING_GZIP;
    return CODING_OTHER;
}

static void end(struct http_export *export, const struct refusal *refusal)
{
    body_close(&export->body);
    export->answer(export->http, export->media, refusal);
}

static void request_done(struct intake_request *request, const struct refusal *refusal)
{
    end(container_of(request, struct http_export, request), refusal);
}

static void refuse(struct http_request *request, struct intake *intake, enum receiver receiver,
                   enum media media, http_export_answer_fn *answer, struct refusal refusal)
{
    intake_count_refusal(intake, receiver, &refusal);
    answer(request, media, &refusal);
}

/* 0, or -errno and why. */
static int open_body(struct http_export *export, struct refusal *ret_refusal)
{
    enum coding coding = content_coding(export->http);

    if (coding == CODING_OTHER) {
        *ret_refusal = refusal_of_http(415, STR("Content-Encoding must be gzip or identity"));
        return -EINVAL;
    }
    int r = body_open(&export->body, http_request_body(export->http), coding == CODING_GZIP,
                      export->intake->max_request_bytes, &export->intake->in_hand);
    if (r < 0)
        *ret_refusal = refusal_of_body(r);
    return r;
}

struct http_export *http_export_begin(struct http_request *request, struct intake *intake,
                                      enum receiver receiver, enum media media,
                                      http_export_answer_fn *answer)
{
    struct http_export *export = arena_alloc(http_request_arena(request), sizeof(*export));
    struct refusal refusal = refusal_short_of_memory();
    if (!export) {
        refuse(request, intake, receiver, media, answer, refusal);
        return NULL;
    }

    *export = (struct http_export){
        .http = request,
        .media = media,
        .answer = answer,
        .intake = intake,
        .request = {.done = request_done,
                    .receiver = receiver,
                    .arrival = http_request_arrival(request)},
    };
    if (open_body(export, &refusal) < 0) {
        refuse(request, intake, receiver, media, answer, refusal);
        return NULL;
    }
    return export;
}

/* The answer may come from another thread before this returns. */
void http_export_take(struct http_export *export, struct str spans)
{
    export->request.spans = spans;
    http_request_defer(export->http);
    intake_take(export->intake, &export->request);
}

void http_export_refuse(struct http_export *export, struct refusal refusal)
{
    intake_count_refusal(export->intake, export->request.receiver, &refusal);
    end(export, &refusal);
}
