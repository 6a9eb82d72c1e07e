#pragma once

/*
 * Otlp text: a message of the schema as one line, field by field as it is on the wire, so that a
 * test shows what it expects: name:"GET" kind:2 status{code:2}. Ids and bytes are hex.
 */

#include <inttypes.h>

#include "collector/spans/otlp_schema.h"
#include "common/base/text.h"

static inline void add_hex(struct text *text, struct str bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        text_add_format(text, "%02x", (unsigned char)bytes.at[i]);
}

static inline void add_number(struct text *text, enum otlp_kind kind, uint64_t value)
{
    double number;
    memcpy(&number, &value, sizeof(number));

    if (kind == OTLP_DOUBLE)
        text_add_format(text, "%.17g", number);
    else if (kind == OTLP_BOOL)
        text_add(text, value == 1 ? STR("true") : STR("false"));
    else if (kind == OTLP_FIXED64)
        text_add_uint(text, value);
    else
        text_add_int(text, (int64_t)value);
}

static inline void add_message(struct text *text, const struct otlp_message *type,
                               struct str message);

static inline void add_field(struct text *text, const struct otlp_field *field,
                             const struct wire_field *value)
{
    if (field->kind == OTLP_MESSAGE) {
        text_add_char(text, '{');
        add_message(text, field->message, value->bytes);
        text_add_char(text, '}');
        return;
    }
    text_add_char(text, ':');
    if (field->kind == OTLP_STRING)
        text_add_json(text, value->bytes);
    else if (field->wire == WIRE_BYTES)
        add_hex(text, value->bytes);
    else
        add_number(text, field->kind, value->value);
}

static inline void add_message(struct text *text, const struct otlp_message *type,
                               struct str message)
{
    struct wire_cursor cursor = wire_cursor(message);
    struct wire_field  field;

    for (bool is_first = true; wire_next(&cursor, &field); is_first = false) {
        const struct otlp_field *known =
            field.number <= OTLP_MAX_FIELD ? &type->fields[field.number] : &type->fields[0];
        text_add(text, is_first ? STR("") : STR(" "));
        if (!known->json_name || known->wire != field.type) {
            text_add_format(text, "?%u", field.number);
            continue;
        }
        text_add(text, str_from(known->json_name));
        add_field(text, known, &field);
    }
    if (cursor.is_bad)
        text_add(text, STR(" BAD"));
}
