#include "collector/spans/otlp_render.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/spans/skim.h"
#include "common/base/base64.h"
#include "common/base/hex.h"

/*
 * The fields of a message come in any order on the wire, and a repeated one may be mixed with
 * others. One look at all of them finds the last of each number; those that repeat are then
 * gathered, each in a look of its own. A nested message is only looked into when it is rendered.
 */
struct fields {
    const struct otlp_message *type;
    struct str                 message;
    struct wire_field          last[OTLP_MAX_FIELD + 1]; /* number 0: absent */
};

static const struct otlp_field *known_field(const struct otlp_message *type,
                                            const struct wire_field   *field)
{
    if (field->number > OTLP_MAX_FIELD)
        return NULL;

    const struct otlp_field *known = &type->fields[field->number];
    return known->kind != OTLP_UNKNOWN && known->wire == field->type ? known : NULL;
}

static void read_fields(struct fields *fields, const struct otlp_message *type, struct str message)
{
    struct wire_cursor cursor = wire_cursor(message);
    struct wire_field  field;
    uint32_t           one = 0; /* of the oneof, the field seen last */

    *fields = (struct fields){.type = type, .message = message};
    while (wire_next(&cursor, &field)) {
        if (!known_field(type, &field))
            continue;
        if (type->is_oneof)
            fields->last[one].number = 0;
        one = field.number;
        fields->last[one] = field;
    }
}

/* As few digits as read back the same. "-0" would be read as a whole number, without its sign. */
static void add_finite_double(struct text *to, double value)
{
    enum { ALWAYS_ENOUGH = 17 };
    char digits[32];

    for (int n = 15; n <= ALWAYS_ENOUGH; n++) {
        (void)snprintf(digits, sizeof(digits), "%.*g", n, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    text_add(to, str_from(digits));
    if (value == 0 && signbit(value))
        text_add(to, STR(".0"));
}

static void add_double(struct text *to, uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));

    if (isnan(value))
        text_add(to, STR("\"NaN\""));
    else if (isinf(value))
        text_add(to, value > 0 ? STR("\"Infinity\"") : STR("\"-Infinity\""));
    else
        add_finite_double(to, value);
}

static void add_quoted_int(struct text *to, int64_t value)
{
    text_add_char(to, '"');
    text_add_int(to, value);
    text_add_char(to, '"');
}

static void add_quoted_uint(struct text *to, uint64_t value)
{
    text_add_char(to, '"');
    text_add_uint(to, value);
    text_add_char(to, '"');
}

static void add_message(struct text *to, const struct otlp_message *type, struct str message,
                        int depth);

static void add_value(struct text *to, const struct otlp_field *known,
                      const struct wire_field *field, int depth)
{
    switch ((enum otlp_kind)known->kind) {
    case OTLP_UNKNOWN:
        break;
    case OTLP_STRING:
        text_add_json(to, field->bytes);
        break;
    case OTLP_BYTES:
        text_add_char(to, '"');
        text_add_base64(to, field->bytes);
        text_add_char(to, '"');
        break;
    case OTLP_TRACE_ID:
    case OTLP_SPAN_ID:
        text_add_char(to, '"');
        text_add_hex(to, field->bytes);
        text_add_char(to, '"');
        break;
    case OTLP_MESSAGE:
        add_message(to, known->message, field->bytes, depth + 1);
        break;
    case OTLP_BOOL:
        text_add(to, field->value != 0 ? STR("true") : STR("false"));
        break;
    case OTLP_ENUM:
    case OTLP_INT32:
        text_add_int(to, (int32_t)field->value);
        break;
    case OTLP_UINT32:
    case OTLP_FIXED32:
        text_add_uint(to, (uint32_t)field->value);
        break;
    case OTLP_INT64:
        add_quoted_int(to, (int64_t)field->value);
        break;
    case OTLP_FIXED64:
        add_quoted_uint(to, field->value);
        break;
    case OTLP_DOUBLE:
        add_double(to, field->value);
        break;
    }
}

static void add_list(struct text *to, const struct fields *fields, uint32_t number, int depth)
{
    struct wire_cursor       cursor = wire_cursor(fields->message);
    const struct otlp_field *known = &fields->type->fields[number];
    struct wire_field        field;
    bool                     is_first = true;

    text_add_char(to, '[');
    while (wire_next(&cursor, &field)) {
        if (field.number != number || field.type != known->wire)
            continue;
        if (!is_first)
            text_add_char(to, ',');
        is_first = false;
        add_value(to, known, &field, depth);
    }
    text_add_char(to, ']');
}

static bool is_zero(const struct otlp_field *known, const struct wire_field *field)
{
    if (known->wire == WIRE_BYTES)
        return field->bytes.len == 0;
    if (known->wire == WIRE_FIXED64 || known->kind == OTLP_INT64)
        return field->value == 0;
    return (uint32_t)field->value == 0;
}

/* Of messages and of the members of a oneof it matters whether they are there. */
static bool is_shown(const struct fields *fields, uint32_t number)
{
    const struct otlp_field *known = &fields->type->fields[number];
    const struct wire_field *last = &fields->last[number];

    if (last->number == 0)
        return false;
    return fields->type->is_oneof || known->is_repeated || known->kind == OTLP_MESSAGE ||
           !is_zero(known, last);
}

static void add_member(struct text *to, const struct fields *fields, uint32_t number, int depth)
{
    const struct otlp_field *known = &fields->type->fields[number];

    text_add_json(to, str_from(known->json_name));
    text_add_char(to, ':');
    if (known->is_repeated)
        add_list(to, fields, number, depth);
    else
        add_value(to, known, &fields->last[number], depth);
}

static void add_members(struct text *to, const struct fields *fields, int depth)
{
    bool is_first = true;

    for (uint32_t number = 1; number <= OTLP_MAX_FIELD; number++) {
        if (!is_shown(fields, number))
            continue;
        if (!is_first)
            text_add_char(to, ',');
        is_first = false;
        add_member(to, fields, number, depth);
    }
}

/* Recurses no deeper than the skim; it lets nothing pass that is cut off here. */
static void add_message(struct text *to, const struct otlp_message *type, struct str message,
                        int depth)
{
    text_add_char(to, '{');
    if (depth <= SKIM_MAX_DEPTH) {
        struct fields fields;
        read_fields(&fields, type, message);
        add_members(to, &fields, depth);
    }
    text_add_char(to, '}');
}

void otlp_render(const struct otlp_message *type, struct str message, struct text *to)
{
    add_message(to, type, message, 0);
}
