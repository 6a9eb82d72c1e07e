#include "collector/spans/otlp_json.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "collector/spans/otlp_schema.h"
#include "common/base/arena.h"
#include "common/base/base64.h"
#include "common/base/cleanup.h"
#include "common/base/hex.h"
#include "common/base/json.h"
#include "common/base/wire_builder.h"

enum { TRACE_ID_BYTES = 16, SPAN_ID_BYTES = 8, MAX_REASON_BYTES = 256 };

/* Where in the document a value is, for the reason; each lives in the frame that reads it. */
struct place {
    const struct place        *outer; /* NULL: the document itself */
    const struct otlp_message *type;
    uint32_t                   number; /* of the field in it */
    size_t                     nth;    /* of a repeated field, from 1; 0: all of it */
};

struct reader {
    struct json_cursor  json;
    struct wire_builder request;
    struct arena       *arena;
    struct str          reason; /* empty: what is wrong, if anything, is the JSON itself */
};

static const struct otlp_field *field_at(const struct place *place)
{
    return &place->type->fields[place->number];
}

/* The places from the outermost to this one: "resourceSpans[0].resource". */
static void add_place(struct text *text, const struct place *place)
{
    if (place->outer) {
        add_place(text, place->outer);
        text_add_char(text, '.');
    }
    text_add(text, str_from(field_at(place)->json_name));
    if (place->nth > 0) {
        text_add_char(text, '[');
        text_add_uint(text, place->nth - 1);
        text_add_char(text, ']');
    }
}

/* The path is cut rather than what follows it. */
static void refuse(struct reader *reader, const struct place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void refuse(struct reader *reader, const struct place *place, const char *format, ...)
{
    char        path_bytes[MAX_REASON_BYTES / 2], what[MAX_REASON_BYTES / 4];
    struct text path = text_in_buffer(path_bytes, sizeof(path_bytes));
    va_list     arguments;

    add_place(&path, place);
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);

    reader->reason = arena_format(reader->arena, "%.*s%s: %s", STR_ARGS(text_view(&path)),
                                  path.is_cut ? "..." : "", what);
    json_refuse(&reader->json, "not what the schema says");
}

/* 0: the message has no such field. */
static uint32_t field_number(const struct otlp_message *type, struct str name)
{
    for (uint32_t number = 1; number <= OTLP_MAX_FIELD; number++) {
        const char *json_name = type->fields[number].json_name;
        if (json_name && str_equal(str_from(json_name), name))
            return number;
    }
    return 0;
}

static void read_string(struct reader *reader, const struct place *place,
                        const struct json_value *value)
{
    if (value->kind != JSON_KIND_STRING)
        refuse(reader, place, "wants a string");
    else
        wire_build_bytes(&reader->request, place->number, value->text);
}

static void read_bytes(struct reader *reader, const struct place *place,
                       const struct json_value *value)
{
    struct str bytes = STR("");

    if (value->kind != JSON_KIND_STRING) {
        refuse(reader, place, "wants a string of base64");
        return;
    }
    uint8_t *decoded = arena_alloc(reader->arena, base64_decoded_size(value->text));
    if (!decoded) {
        reader->request.error = -ENOMEM;
        return;
    }
    if (base64_decode(value->text, decoded, &bytes.len) < 0) {
        refuse(reader, place, "not base64");
        return;
    }
    bytes.at = (const char *)decoded;
    wire_build_bytes(&reader->request, place->number, bytes);
}

/* Hex, not base64: the OTLP specification's one departure from protobuf's mapping. */
static void read_id(struct reader *reader, const struct place *place,
                    const struct json_value *value, size_t n_bytes)
{
    uint8_t id[TRACE_ID_BYTES];

    if (value->kind != JSON_KIND_STRING)
        refuse(reader, place, "wants a string of hex digits");
    else if (value->text.len != 0 && value->text.len != 2 * n_bytes)
        refuse(reader, place, "%zu hex digits, wants %zu", value->text.len, 2 * n_bytes);
    else if (!hex_decode(value->text, id))
        refuse(reader, place, "not hex digits");
    else
        wire_build_bytes(&reader->request, place->number,
                         (struct str){(const char *)id, value->text.len / 2});
}

static void read_bool(struct reader *reader, const struct place *place,
                      const struct json_value *value)
{
    if (value->kind != JSON_KIND_BOOL)
        refuse(reader, place, "wants true or false");
    else
        wire_build_varint(&reader->request, place->number, value->is_true);
}

/* In the form that protobuf's mapping gives to what JSON has no numbers for. */
static int special_double(struct str text, double *ret_value)
{
    if (str_equal(text, STR("NaN")))
        *ret_value = NAN;
    else if (str_equal(text, STR("Infinity")))
        *ret_value = INFINITY;
    else if (str_equal(text, STR("-Infinity")))
        *ret_value = -INFINITY;
    else
        return -EINVAL;
    return 0;
}

static bool is_numeric(const struct json_value *value)
{
    return value->kind == JSON_KIND_NUMBER || value->kind == JSON_KIND_STRING;
}

static void read_double(struct reader *reader, const struct place *place,
                        const struct json_value *value)
{
    double   number;
    uint64_t bits;
    int      r = -EINVAL;

    if (is_numeric(value))
        r = json_to_double(value->text, &number);
    if (r == -EINVAL && value->kind == JSON_KIND_STRING)
        r = special_double(value->text, &number);
    if (r < 0) {
        refuse(reader, place, r == -ERANGE ? "out of range" : "wants a number");
        return;
    }
    memcpy(&bits, &number, sizeof(bits));
    wire_build_fixed64(&reader->request, place->number, bits);
}

/* `ret_value` as protobuf has it: a negative one fills 64 bits. */
static int whole_number(enum otlp_kind kind, struct str text, uint64_t *ret_value)
{
    bool    is_32_bits = kind == OTLP_INT32 || kind == OTLP_ENUM;
    int64_t value;
    int     r;

    if (kind == OTLP_FIXED64 || kind == OTLP_FIXED32 || kind == OTLP_UINT32) {
        r = json_to_uint64(text, ret_value);
        return r == 0 && kind != OTLP_FIXED64 && *ret_value > UINT32_MAX ? -ERANGE : r;
    }

    r = json_to_int64(text, &value);
    if (r == 0 && is_32_bits && (value < INT32_MIN || value > INT32_MAX))
        r = -ERANGE;
    if (r == 0)
        *ret_value = (uint64_t)value;
    return r;
}

/* Names are not OTLP's form, but that of protobuf's mapping, so many senders write them. */
static const struct {
    const struct otlp_message *type;
    struct str                 name;
    uint64_t                   value;
} enum_names[] = {
    {&otlp_span, STR_INIT("SPAN_KIND_UNSPECIFIED"), 0},
    {&otlp_span, STR_INIT("SPAN_KIND_INTERNAL"), 1},
    {&otlp_span, STR_INIT("SPAN_KIND_SERVER"), 2},
    {&otlp_span, STR_INIT("SPAN_KIND_CLIENT"), 3},
    {&otlp_span, STR_INIT("SPAN_KIND_PRODUCER"), 4},
    {&otlp_span, STR_INIT("SPAN_KIND_CONSUMER"), 5},
    {&otlp_span_status, STR_INIT("STATUS_CODE_UNSET"), 0},
    {&otlp_span_status, STR_INIT("STATUS_CODE_OK"), 1},
    {&otlp_span_status, STR_INIT("STATUS_CODE_ERROR"), 2},
};

static int enum_by_name(const struct otlp_message *type, struct str name, uint64_t *ret_value)
{
    for (size_t i = 0; i < ARRAY_LENGTH(enum_names); i++)
        if (enum_names[i].type == type && str_equal(enum_names[i].name, name)) {
            *ret_value = enum_names[i].value;
            return 0;
        }
    return -EINVAL;
}

static void put_number(struct reader *reader, const struct place *place, uint64_t value)
{
    switch (field_at(place)->wire) {
    case WIRE_FIXED64:
        wire_build_fixed64(&reader->request, place->number, value);
        break;
    case WIRE_FIXED32:
        wire_build_fixed32(&reader->request, place->number, (uint32_t)value);
        break;
    default:
        wire_build_varint(&reader->request, place->number, value);
    }
}

static void read_whole_number(struct reader *reader, const struct place *place,
                              const struct json_value *value)
{
    enum otlp_kind kind = field_at(place)->kind;
    uint64_t       number;
    int            r = -EINVAL;

    if (is_numeric(value))
        r = whole_number(kind, value->text, &number);
    if (r == -EINVAL && kind == OTLP_ENUM && value->kind == JSON_KIND_STRING)
        r = enum_by_name(place->type, value->text, &number);

    if (r == 0)
        put_number(reader, place, number);
    else
        refuse(reader, place, r == -ERANGE ? "out of range" : "wants a whole number");
}

static void read_members(struct reader *reader, const struct place *outer,
                         const struct otlp_message *type);

/* No deeper than JSON_MAX_DEPTH, for each message is an object. */
static void read_message(struct reader *reader, const struct place *place,
                         const struct json_value *value)
{
    if (value->kind != JSON_KIND_OBJECT) {
        refuse(reader, place, "wants an object");
        return;
    }
    struct wire_open open = wire_build_open(&reader->request, place->number);
    read_members(reader, place, field_at(place)->message);
    wire_build_close(&reader->request, open);
}

static void read_one(struct reader *reader, const struct place *place,
                     const struct json_value *value)
{
    switch ((enum otlp_kind)field_at(place)->kind) {
    case OTLP_STRING:
        return read_string(reader, place, value);
    case OTLP_BYTES:
        return read_bytes(reader, place, value);
    case OTLP_TRACE_ID:
        return read_id(reader, place, value, TRACE_ID_BYTES);
    case OTLP_SPAN_ID:
        return read_id(reader, place, value, SPAN_ID_BYTES);
    case OTLP_MESSAGE:
        return read_message(reader, place, value);
    case OTLP_BOOL:
        return read_bool(reader, place, value);
    case OTLP_DOUBLE:
        return read_double(reader, place, value);
    default:
        return read_whole_number(reader, place, value);
    }
}

static void read_each(struct reader *reader, struct place *place, const struct json_value *list)
{
    struct json_value value;

    if (list->kind != JSON_KIND_ARRAY) {
        refuse(reader, place, "wants a list");
        return;
    }
    while (json_next_element(&reader->json, &value)) {
        place->nth++;
        read_one(reader, place, &value);
    }
}

/* Each field is written when it comes: one that comes twice does so in what is written. */
static void read_members(struct reader *reader, const struct place *outer,
                         const struct otlp_message *type)
{
    struct str        name;
    struct json_value value;

    while (json_next_member(&reader->json, &name, &value)) {
        struct place place = {.outer = outer, .type = type, .number = field_number(type, name)};

        if (place.number == 0 || value.kind == JSON_KIND_NULL)
            json_skip(&reader->json, &value);
        else if (field_at(&place)->is_repeated)
            read_each(reader, &place, &value);
        else
            read_one(reader, &place, &value);
    }
}

static void read_document(struct reader *reader)
{
    struct json_value value;

    if (!json_root(&reader->json, &value))
        return;
    if (value.kind == JSON_KIND_OBJECT)
        read_members(reader, NULL, &otlp_export_request);
    else
        json_refuse(&reader->json, "no object");
}

/*
 * What is written is hardly ever larger than what it is made of. The one member that grows is an
 * enum below zero, from 10 bytes ("kind":-1,) to 11.
 */
static size_t size_bound(struct str json)
{
    return json.len + json.len / 8 + 16;
}

int otlp_json_read(struct str json, size_t max_bytes, struct arena *arena, struct str *ret_request,
                   struct str *ret_reason)
{
    size_t        bound = size_bound(json);
    struct reader reader = {
        .json = json_cursor(json, arena),
        .request = wire_builder(arena, bound < max_bytes ? bound : max_bytes, max_bytes),
        .arena = arena,
    };

    read_document(&reader);
    int r = json_end(&reader.json);
    if (r == -EBADMSG)
        *ret_reason = str_is_empty(reader.reason) ? json_complaint(&reader.json) : reader.reason;
    if (r == 0)
        r = reader.request.error;
    if (r == 0)
        *ret_request = wire_built(&reader.request);
    return r;
}
