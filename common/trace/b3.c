#include "common/trace/b3.h"

#include <errno.h>

#include "common/base/arena.h"
#include "common/base/text.h"

enum { SHORT_TRACE_ID_HEX_LENGTH = 16 };

static const struct str single_header = STR_INIT("b3");
static const struct str trace_id_header = STR_INIT("x-b3-traceid");
static const struct str span_id_header = STR_INIT("x-b3-spanid");
static const struct str sampled_header = STR_INIT("x-b3-sampled");
static const struct str flags_header = STR_INIT("x-b3-flags");

static int parse_ids(struct str trace_id, struct str span_id, struct trace_context *context)
{
    context->has_ids = true;
    context->is_64_bit = trace_id.len == SHORT_TRACE_ID_HEX_LENGTH;
    if (trace_id_parse(trace_id, &context->trace_id) < 0)
        return -EINVAL;
    return span_id_parse(span_id, &context->span_id);
}

static int parse_letter(char letter, enum sampling *ret_sampling)
{
    switch (letter) {
    case '0':
        *ret_sampling = SAMPLING_DENIED;
        return 0;
    case '1':
        *ret_sampling = SAMPLING_ACCEPTED;
        return 0;
    case 'd':
        *ret_sampling = SAMPLING_DEBUG;
        return 0;
    default:
        return -EINVAL;
    }
}

static char sampling_letter(enum sampling sampling)
{
    if (sampling == SAMPLING_DEBUG)
        return 'd';
    return sampling == SAMPLING_ACCEPTED ? '1' : '0';
}

/* Nothing hangs on the parent's id; some write zeros for the root's. */
static bool is_parent_id(struct str hex)
{
    struct span_id ignored;
    return str_equal(hex, STR("0000000000000000")) || span_id_parse(hex, &ignored) == 0;
}

/* [-{letter}[-{parent id}]] */
static int parse_tail(struct str tail, enum sampling *ret_sampling)
{
    enum { LETTER = 1, PARENT_DASH = 2, PARENT = 3 };

    if (tail.len == 0)
        return 0;
    if (tail.len < PARENT_DASH || tail.at[0] != '-')
        return -EINVAL;
    if (tail.len > PARENT_DASH &&
        (tail.at[PARENT_DASH] != '-' ||
         !is_parent_id((struct str){tail.at + PARENT, tail.len - PARENT})))
        return -EINVAL;
    return parse_letter(tail.at[LETTER], ret_sampling);
}

/* {trace id}-{span id}{tail}, or only the letter */
static int parse_single(struct str value, struct trace_context *context)
{
    struct str trace_id, rest;

    if (value.len == 1)
        return parse_letter(value.at[0], &context->sampling);
    if (!str_split(value, '-', &trace_id, &rest) || rest.len < SPAN_ID_HEX_LENGTH)
        return -EINVAL;
    if (parse_ids(trace_id, (struct str){rest.at, SPAN_ID_HEX_LENGTH}, context) < 0)
        return -EINVAL;
    return parse_tail((struct str){rest.at + SPAN_ID_HEX_LENGTH, rest.len - SPAN_ID_HEX_LENGTH},
                      &context->sampling);
}

int b3_single_extract(const struct metadata *headers, struct trace_context *ret_context)
{
    struct trace_context context = {0};
    struct str           value = metadata_find(headers, single_header);

    if (!value.at)
        return 0;
    if (parse_single(value, &context) < 0)
        return -EINVAL;
    *ret_context = context;
    return 1;
}

/* Debug implies acceptance, so `sampled` does not count beside it. */
static int multi_sampling(const struct metadata *headers, enum sampling *ret_sampling)
{
    struct str sampled = metadata_find(headers, sampled_header);

    if (str_equal(metadata_find(headers, flags_header), STR("1")))
        *ret_sampling = SAMPLING_DEBUG;
    else if (!sampled.at)
        *ret_sampling = SAMPLING_DEFERRED;
    else if (str_equal(sampled, STR("1")) || str_equal_ignore_case(sampled, STR("true")))
        *ret_sampling = SAMPLING_ACCEPTED;
    else if (str_equal(sampled, STR("0")) || str_equal_ignore_case(sampled, STR("false")))
        *ret_sampling = SAMPLING_DENIED;
    else
        return -EINVAL;
    return 0;
}

int b3_multi_extract(const struct metadata *headers, struct trace_context *ret_context)
{
    struct trace_context context = {0};
    struct str           trace_id = metadata_find(headers, trace_id_header);
    struct str           span_id = metadata_find(headers, span_id_header);

    if (multi_sampling(headers, &context.sampling) < 0)
        return -EINVAL;

    if (!trace_id.at && !span_id.at && context.sampling == SAMPLING_DEFERRED)
        return 0;
    if ((trace_id.at || span_id.at) && parse_ids(trace_id, span_id, &context) < 0)
        return -EINVAL;
    *ret_context = context;
    return 1;
}

static struct str format_trace_id(const struct trace_context *context,
                                  char                        hex[TRACE_ID_HEX_LENGTH])
{
    struct str digits = trace_id_format(&context->trace_id, hex);

    if (context->is_64_bit) {
        digits.at += digits.len - SHORT_TRACE_ID_HEX_LENGTH;
        digits.len = SHORT_TRACE_ID_HEX_LENGTH;
    }
    return digits;
}

int b3_single_inject(const struct trace_context *context, struct metadata *headers,
                     struct arena *arena)
{
    char        hex[TRACE_ID_HEX_LENGTH];
    char        buffer[TRACE_ID_HEX_LENGTH + SPAN_ID_HEX_LENGTH + sizeof("--d")];
    struct text value = text_in_buffer(buffer, sizeof(buffer));

    if (!context->has_ids && context->sampling == SAMPLING_DEFERRED)
        return 0;

    if (context->has_ids) {
        text_add(&value, format_trace_id(context, hex));
        text_add_char(&value, '-');
        text_add(&value, span_id_format(&context->span_id, hex));
    }
    if (context->sampling != SAMPLING_DEFERRED) {
        if (context->has_ids)
            text_add_char(&value, '-');
        text_add_char(&value, sampling_letter(context->sampling));
    }
    return metadata_add_copy(headers, arena, single_header, text_view(&value));
}

static int inject_ids(const struct trace_context *context, struct metadata *headers,
                      struct arena *arena)
{
    char hex[TRACE_ID_HEX_LENGTH];
    int  r = metadata_add_copy(headers, arena, trace_id_header, format_trace_id(context, hex));

    return r < 0 ? r
                 : metadata_add_copy(headers, arena, span_id_header,
                                     span_id_format(&context->span_id, hex));
}

/* Never the parent's id: who receives this is to use our span as its parent, not as its own. */
int b3_multi_inject(const struct trace_context *context, struct metadata *headers,
                    struct arena *arena)
{
    if (context->has_ids) {
        int r = inject_ids(context, headers, arena);
        if (r < 0)
            return r;
    }

    switch (context->sampling) {
    case SAMPLING_DENIED:
        return metadata_add(headers, arena, sampled_header, STR("0"));
    case SAMPLING_ACCEPTED:
        return metadata_add(headers, arena, sampled_header, STR("1"));
    case SAMPLING_DEBUG:
        return metadata_add(headers, arena, flags_header, STR("1"));
    case SAMPLING_DEFERRED:
        break;
    }
    return 0;
}
