#include "common/trace/otlp.h"

#include <errno.h>

#include "common/base/clock.h"

/* Field numbers: proto/opentelemetry/proto/collector, proto/google/rpc, google/protobuf. */
enum { RESPONSE_PARTIAL_SUCCESS = 1 };
enum { PARTIAL_SUCCESS_REJECTED_SPANS = 1, PARTIAL_SUCCESS_ERROR_MESSAGE = 2 };
enum { STATUS_DETAILS = 3 };
enum { ANY_TYPE_URL = 1, ANY_VALUE = 2 };
enum { RETRY_INFO_RETRY_DELAY = 1 };
enum { DURATION_SECONDS = 1, DURATION_NANOS = 2 };

static bool is_field(const struct wire_field *field, uint32_t number, enum wire_type type)
{
    return field->number == number && field->type == type;
}

static int end_of(const struct wire_cursor *cursor)
{
    return cursor->is_bad ? -EBADMSG : 0;
}

struct partial_success {
    int64_t    rejected_spans;
    struct str message;
};

/* A message that comes in pieces is the sum of them: a later piece keeps what it does not set. */
static int read_partial_success(struct str bytes, struct partial_success *partial)
{
    struct wire_cursor cursor = wire_cursor(bytes);
    struct wire_field  field;

    while (wire_next(&cursor, &field)) {
        if (is_field(&field, PARTIAL_SUCCESS_REJECTED_SPANS, WIRE_VARINT))
            partial->rejected_spans = (int64_t)field.value;
        else if (is_field(&field, PARTIAL_SUCCESS_ERROR_MESSAGE, WIRE_BYTES))
            partial->message = field.bytes;
    }
    return end_of(&cursor);
}

int otlp_read_partial_success(struct str response, uint64_t *ret_rejected_spans,
                              struct str *ret_message)
{
    struct partial_success partial = {.message = STR("")};
    struct wire_cursor     cursor = wire_cursor(response);
    struct wire_field      field;
    int                    r = 0;

    while (r == 0 && wire_next(&cursor, &field))
        if (is_field(&field, RESPONSE_PARTIAL_SUCCESS, WIRE_BYTES))
            r = read_partial_success(field.bytes, &partial);
    if (r < 0 || cursor.is_bad)
        return -EBADMSG;

    *ret_rejected_spans = partial.rejected_spans > 0 ? (uint64_t)partial.rejected_spans : 0;
    *ret_message = partial.message;
    return 0;
}

struct duration {
    int64_t seconds;
    int32_t nanos;
};

static int read_duration(struct str bytes, struct duration *duration)
{
    struct wire_cursor cursor = wire_cursor(bytes);
    struct wire_field  field;

    while (wire_next(&cursor, &field)) {
        if (is_field(&field, DURATION_SECONDS, WIRE_VARINT))
            duration->seconds = (int64_t)field.value;
        else if (is_field(&field, DURATION_NANOS, WIRE_VARINT))
            duration->nanos = (int32_t)field.value;
    }
    return end_of(&cursor);
}

static int read_retry_info(struct str bytes, struct duration *duration)
{
    struct wire_cursor cursor = wire_cursor(bytes);
    struct wire_field  field;
    int                r = 0;

    while (r == 0 && wire_next(&cursor, &field))
        if (is_field(&field, RETRY_INFO_RETRY_DELAY, WIRE_BYTES))
            r = read_duration(field.bytes, duration);
    return r < 0 ? r : end_of(&cursor);
}

/* Never negative; what is too long for nanoseconds is forever. */
static int64_t duration_ns(struct duration duration)
{
    int64_t ns;

    if (duration.seconds < 0)
        return 0;
    if (__builtin_mul_overflow(duration.seconds, (int64_t)NS_PER_S, &ns) ||
        __builtin_add_overflow(ns, (int64_t)duration.nanos, &ns))
        return NEVER_NS;
    return ns > 0 ? ns : 0;
}

/* google.protobuf.Any */
struct detail {
    struct str type_url;
    struct str value;
};

static int read_detail(struct str bytes, struct detail *detail)
{
    struct wire_cursor cursor = wire_cursor(bytes);
    struct wire_field  field;

    while (wire_next(&cursor, &field)) {
        if (is_field(&field, ANY_TYPE_URL, WIRE_BYTES))
            detail->type_url = field.bytes;
        else if (is_field(&field, ANY_VALUE, WIRE_BYTES))
            detail->value = field.bytes;
    }
    return end_of(&cursor);
}

/* The first detail that is a RetryInfo: 0, -ENOENT or -EBADMSG. */
static int find_retry_info(struct str status, struct str *ret_retry_info)
{
    struct wire_cursor cursor = wire_cursor(status);
    struct wire_field  field;

    while (wire_next(&cursor, &field)) {
        struct detail detail = {.value = STR("")};

        if (!is_field(&field, STATUS_DETAILS, WIRE_BYTES))
            continue;
        if (read_detail(field.bytes, &detail) < 0)
            return -EBADMSG;
        if (str_ends_with(detail.type_url, STR("/google.rpc.RetryInfo"))) {
            *ret_retry_info = detail.value;
            return 0;
        }
    }
    return cursor.is_bad ? -EBADMSG : -ENOENT;
}

int rpc_status_retry_delay(struct str status, int64_t *ret_delay_ns)
{
    struct duration duration = {0};
    struct str      retry_info;

    int r = find_retry_info(status, &retry_info);
    if (r < 0)
        return r;

    r = read_retry_info(retry_info, &duration);
    if (r < 0)
        return r;
    *ret_delay_ns = duration_ns(duration);
    return 0;
}
