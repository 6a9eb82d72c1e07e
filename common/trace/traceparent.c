#include "common/trace/traceparent.h"

#include <errno.h>

#include "common/base/arena.h"
#include "common/base/text.h"

/* 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 */
enum {
    VERSION_AT = 0,
    TRACE_ID_AT = 3,
    SPAN_ID_AT = 36,
    FLAGS_AT = 53,
    TRACEPARENT_LENGTH = 55,
    BYTE_HEX_LENGTH = 2,
    MAX_TRACE_STATE_LENGTH = 512,
};

static const struct str traceparent_header = STR_INIT("traceparent");
static const struct str tracestate_header = STR_INIT("tracestate");

static struct str part(struct str value, size_t at, size_t length)
{
    return (struct str){value.at + at, length};
}

static bool is_lower_hex(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!((s.at[i] >= '0' && s.at[i] <= '9') || (s.at[i] >= 'a' && s.at[i] <= 'f')))
            return false;
    return true;
}

/* A later version may add to the end of the header, behind a dash. */
static bool has_known_shape(struct str value)
{
    if (value.len < TRACEPARENT_LENGTH || value.at[TRACE_ID_AT - 1] != '-' ||
        value.at[SPAN_ID_AT - 1] != '-' || value.at[FLAGS_AT - 1] != '-')
        return false;

    struct str version = part(value, VERSION_AT, BYTE_HEX_LENGTH);
    if (!is_lower_hex(version) || str_equal(version, STR("ff")))
        return false;
    return value.len == TRACEPARENT_LENGTH ||
           (!str_equal(version, STR("00")) && value.at[TRACEPARENT_LENGTH] == '-');
}

static bool is_odd(char hex_digit)
{
    return hex_digit != '\0' && strchr("13579bdf", hex_digit);
}

static int parse(struct str value, struct trace_context *context)
{
    if (!has_known_shape(value))
        return -EINVAL;

    struct str trace_id = part(value, TRACE_ID_AT, TRACE_ID_HEX_LENGTH);
    struct str span_id = part(value, SPAN_ID_AT, SPAN_ID_HEX_LENGTH);
    struct str flags = part(value, FLAGS_AT, BYTE_HEX_LENGTH);
    if (!is_lower_hex(trace_id) || !is_lower_hex(span_id) || !is_lower_hex(flags))
        return -EINVAL;

    context->has_ids = true;
    context->sampling = is_odd(flags.at[1]) ? SAMPLING_ACCEPTED : SAMPLING_DENIED;
    if (trace_id_parse(trace_id, &context->trace_id) < 0)
        return -EINVAL;
    return span_id_parse(span_id, &context->span_id);
}

static size_t count(const struct metadata *headers, struct str name)
{
    size_t n = 0;
    for (size_t i = 0; i < headers->count; i++)
        n += str_equal(headers->fields[i].name, name);
    return n;
}

static struct str trace_state(const struct metadata *headers)
{
    struct str value = metadata_find(headers, tracestate_header);

    if (value.len == 0 || value.len > MAX_TRACE_STATE_LENGTH)
        return (struct str){0};
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] < ' ' || value.at[i] > '~')
            return (struct str){0};
    return value;
}

int traceparent_extract(const struct metadata *headers, struct trace_context *ret_context)
{
    struct trace_context context = {0};
    struct str           value = metadata_find(headers, traceparent_header);

    if (!value.at)
        return 0;
    if (count(headers, traceparent_header) > 1 || parse(value, &context) < 0)
        return -EINVAL;

    context.trace_state = trace_state(headers);
    *ret_context = context;
    return 1;
}

int traceparent_inject(const struct trace_context *context, struct metadata *headers,
                       struct arena *arena)
{
    if (!context->has_ids)
        return 0;

    char        hex[TRACE_ID_HEX_LENGTH];
    char        buffer[TRACEPARENT_LENGTH];
    struct text value = text_in_buffer(buffer, sizeof(buffer));
    text_add(&value, STR("00-"));
    text_add(&value, trace_id_format(&context->trace_id, hex));
    text_add_char(&value, '-');
    text_add(&value, span_id_format(&context->span_id, hex));
    text_add(&value, sampling_is_recorded(context->sampling) ? STR("-01") : STR("-00"));

    int r = metadata_add_copy(headers, arena, traceparent_header, text_view(&value));
    if (r < 0 || str_is_empty(context->trace_state))
        return r;
    return metadata_add_copy(headers, arena, tracestate_header, context->trace_state);
}
