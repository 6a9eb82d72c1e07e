#include "collector/spans/skim.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "collector/spans/otlp_schema.h"
#include "common/base/wire.h"

/* protobuf for C++ parses no message that is longer. */
static const size_t max_request_bytes = INT32_MAX - 16;

/*
 * The forerunner of scope_spans, gone from OTLP (0.19); but the Collector still reads it, so that
 * it cannot pass as an unknown field: its spans would be in nobody's count, its errors unseen.
 */
enum { RESOURCE_SPANS_RETIRED = 1000 };

struct skim {
    uint32_t    n_spans;
    const char *reason;
};

static bool refuse(struct skim *skim, const char *reason)
{
    skim->reason = reason;
    return false;
}

static bool skim_message(struct skim *skim, const struct otlp_message *type, struct str message,
                         unsigned depth);

static bool is_id(struct str bytes, size_t length)
{
    return bytes.len == length || bytes.len == 0;
}

static bool skim_unknown(struct skim *skim, const struct otlp_message *type, uint32_t number)
{
    if (type == &otlp_resource_spans && number == RESOURCE_SPANS_RETIRED)
        return refuse(skim, "spans in field 1000 of a ResourceSpans, which OTLP has retired");
    return true;
}

/* What is not checked here any value of its wire type may be: parsers cut numbers to size. */
static bool skim_field(struct skim *skim, const struct otlp_message *type,
                       const struct wire_field *field, unsigned depth)
{
    static const struct otlp_field unknown;
    const struct otlp_field       *known =
        field->number <= OTLP_MAX_FIELD ? &type->fields[field->number] : &unknown;

    if (known->kind == OTLP_UNKNOWN)
        return skim_unknown(skim, type, field->number);
    if (known->wire != field->type)
        return refuse(skim, "a field is of another wire type than in OTLP");

    switch (known->kind) {
    case OTLP_MESSAGE:
        return skim_message(skim, known->message, field->bytes, depth + 1);
    case OTLP_STRING:
        return str_is_utf8(field->bytes) || refuse(skim, "a string is not UTF-8");
    case OTLP_TRACE_ID:
        return is_id(field->bytes, 16) || refuse(skim, "a trace_id is neither 16 bytes nor empty");
    case OTLP_SPAN_ID:
        return is_id(field->bytes, 8) ||
               refuse(skim, "a span_id or parent_span_id is neither 8 bytes nor empty");
    default:
        return true;
    }
}

/* Recurses no deeper than SKIM_MAX_DEPTH. */
static bool skim_message(struct skim *skim, const struct otlp_message *type, struct str message,
                         unsigned depth)
{
    struct wire_cursor cursor = wire_cursor(message);
    struct wire_field  field;

    if (depth > SKIM_MAX_DEPTH)
        return refuse(skim, "messages are nested more than 64 deep");

    while (wire_next(&cursor, &field))
        if (!skim_field(skim, type, &field, depth))
            return false;
    skim->n_spans += type == &otlp_span;
    return !cursor.is_bad || refuse(skim, "not protobuf, or cut short");
}

int skim_request(struct str request, uint32_t *ret_n_spans, const char **ret_reason)
{
    struct skim skim = {0};

    if (request.len > max_request_bytes)
        (void)refuse(&skim, "longer than 2 GiB");
    else if (skim_message(&skim, &otlp_export_request, request, 0)) {
        *ret_n_spans = skim.n_spans;
        return 0;
    }
    *ret_reason = skim.reason;
    return -EBADMSG;
}
