#include "collector/http_refusal.h"

#include "common/base/arena.h"

struct str http_media_type(enum media media)
{
    switch (media) {
    case MEDIA_PROTOBUF:
        return STR("application/x-protobuf");
    case MEDIA_JSON:
        return STR("application/json");
    default:
        return STR("text/plain; charset=utf-8");
    }
}

/* RFC 9110, 10.2.3 and 15.5.16. */
static struct metadata headers_of(const struct refusal *refusal, struct arena *arena)
{
    struct metadata headers = {0};

    if (refusal->retry_after_s > 0)
        (void)metadata_add(&headers, arena, STR("retry-after"),
                           arena_format(arena, "%lld", (long long)refusal->retry_after_s));
    if (refusal->http_code == 415)
        (void)metadata_add(&headers, arena, STR("accept-encoding"), STR("gzip, identity"));
    return headers;
}

static struct text body_of(const struct refusal *refusal, enum media media, struct arena *arena)
{
    struct text body = text_in_arena(arena, REFUSAL_MAX_BYTES);
    char        buffer[REFUSAL_MAX_BYTES];

    if (media == MEDIA_PROTOBUF) {
        text_add(&body, refusal_encode(refusal, buffer));
    } else if (media == MEDIA_JSON) {
        refusal_render(refusal, &body);
    } else {
        text_add(&body, refusal->message);
        text_add_char(&body, '\n');
    }
    return body;
}

void http_refusal_respond(struct http_request *request, const struct refusal *refusal,
                          enum media media)
{
    struct arena   *arena = http_request_arena(request);
    struct metadata headers = headers_of(refusal, arena);
    struct text     body = body_of(refusal, media, arena);

    http_respond(request, &(struct http_response){.code = refusal->http_code,
                                                  .content_type = http_media_type(media),
                                                  .body = text_view(&body),
                                                  .is_constant = true, /* in the arena */
                                                  .headers = &headers});
}

void http_refusal_count_and_respond(struct http_request *request, struct intake *intake,
                                    enum receiver receiver, struct refusal refusal)
{
    enum media media = receiver == RECEIVER_ZIPKIN ? MEDIA_OTHER : http_media(request, MEDIA_OTHER);

    intake_count_refusal(intake, receiver, &refusal);
    http_refusal_respond(request, &refusal, media);
}

struct refusal refusal_of_edge(int http_code)
{
    if (http_code == 413)
        return refusal_too_large();
    if (http_code == 503)
        return refusal_busy();
    return refusal_of_http(http_code, http_reason(http_code));
}
