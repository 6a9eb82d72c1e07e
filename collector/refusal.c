#include "collector/refusal.h"

#include <errno.h>

#include "common/base/wire.h"

enum { RETRY_SOON_S = 1, MAX_MESSAGE_BYTES = 512 };

/* proto/google/rpc/{status,error_details}.proto, google/protobuf/{any,duration}.proto */
enum { STATUS_CODE = 1, STATUS_MESSAGE = 2, STATUS_DETAILS = 3 };
enum { ANY_TYPE_URL = 1, ANY_VALUE = 2 };
enum { RETRY_INFO_DELAY = 1, DURATION_SECONDS = 1 };

#define RETRY_INFO_URL "type.googleapis.com/google.rpc.RetryInfo"

struct refusal refusal_malformed(struct str message)
{
    return (struct refusal){STATUS_INVALID_ARGUMENT, 400, message, STR("malformed"), 0};
}

struct refusal refusal_too_large(void)
{
    return (struct refusal){STATUS_RESOURCE_EXHAUSTED, 413,
                            STR("the request is larger than MAX_REQUEST_BYTES allows"),
                            STR("too_large"), 0};
}

struct refusal refusal_busy(void)
{
    return (struct refusal){STATUS_UNAVAILABLE, 503,
                            STR("too much is waiting to be kept: send it again later"), STR("busy"),
                            RETRY_SOON_S};
}

struct refusal refusal_short_of_memory(void)
{
    return (struct refusal){STATUS_UNAVAILABLE, 503,
                            STR("out of memory for this request: send it again later"),
                            STR("memory"), RETRY_SOON_S};
}

struct refusal refusal_not_kept(int error)
{
    switch (error) {
    case -EAGAIN:
        return refusal_busy();
    case -ESHUTDOWN:
        return (struct refusal){STATUS_UNAVAILABLE, 503, STR("shutting down"), STR("shutdown"),
                                RETRY_SOON_S};
    case -ENOSPC:
    case -EDQUOT:
        return (struct refusal){STATUS_UNAVAILABLE, 503,
                                STR("the disk of the journal is full: send it again later"),
                                STR("disk_full"), RETRY_SOON_S};
    default:
        return (struct refusal){STATUS_UNAVAILABLE, 503,
                                STR("the journal cannot be written: send it again later"),
                                STR("disk_error"), RETRY_SOON_S};
    }
}

struct refusal refusal_of_body(int error)
{
    switch (error) {
    case -E2BIG:
        return refusal_too_large();
    case -EAGAIN:
        return refusal_busy();
    case -ENOMEM:
        return refusal_short_of_memory();
    default:
        return refusal_malformed(STR("the body is not gzip, or is cut off"));
    }
}

struct refusal refusal_of_http(int http_code, struct str message)
{
    return (struct refusal){status_from_http(http_code), http_code, message, STR("not_understood"),
                            0};
}

static void put_retry_info(struct wire_writer *writer, int64_t retry_after_s)
{
    const uint8_t *any_end = writer->at;
    const uint8_t *info_end = writer->at;
    const uint8_t *delay_end = writer->at;

    wire_put_varint(writer, DURATION_SECONDS, (uint64_t)retry_after_s);
    wire_close(writer, RETRY_INFO_DELAY, delay_end);
    wire_close(writer, ANY_VALUE, info_end);
    wire_put_bytes(writer, ANY_TYPE_URL, STR(RETRY_INFO_URL));
    wire_close(writer, STATUS_DETAILS, any_end);
}

static struct str cut_message(struct str message)
{
    if (message.len > MAX_MESSAGE_BYTES)
        message.len = MAX_MESSAGE_BYTES;
    message.len = str_utf8_prefix(message);
    return message;
}

struct str refusal_encode(const struct refusal *refusal, char buffer[static REFUSAL_MAX_BYTES])
{
    struct wire_writer writer = wire_writer(buffer, REFUSAL_MAX_BYTES);

    if (refusal->retry_after_s > 0)
        put_retry_info(&writer, refusal->retry_after_s);
    wire_put_bytes(&writer, STATUS_MESSAGE, cut_message(refusal->message));
    wire_put_varint(&writer, STATUS_CODE, (uint64_t)refusal->status);
    return wire_written(&writer);
}

void refusal_render(const struct refusal *refusal, struct text *to)
{
    text_add_format(to, "{\"code\":%d,\"message\":", (int)refusal->status);
    text_add_json(to, cut_message(refusal->message));
    if (refusal->retry_after_s > 0)
        text_add_format(
            to, ",\"details\":[{\"@type\":\"" RETRY_INFO_URL "\",\"retryDelay\":\"%llds\"}]",
            (long long)refusal->retry_after_s);
    text_add_char(to, '}');
}
