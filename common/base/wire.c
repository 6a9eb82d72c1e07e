#include "common/base/wire.h"

enum {
    MAX_VARINT_BYTES = 10,
    MAX_HEAD_BYTES = 5, /* of a tag or a length; every parser refuses longer ones */
    MAX_FIELD_NUMBER = (1 << 29) - 1,
};

/* Arithmetic on NULL is undefined, even by 0; an absent message is as good as an empty one. */
struct wire_cursor wire_cursor(struct str message)
{
    const uint8_t *at = (const uint8_t *)message.at;
    return (struct wire_cursor){.at = at, .end = message.len > 0 ? at + message.len : at};
}

static size_t bytes_left(const struct wire_cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

static bool read_long_varint(struct wire_cursor *cursor, size_t max_bytes, uint64_t *ret_value)
{
    size_t   n = bytes_left(cursor) < max_bytes ? bytes_left(cursor) : max_bytes;
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++) {
        uint8_t byte = cursor->at[i];
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            cursor->at += i + 1;
            *ret_value = value;
            return i + 1 < MAX_VARINT_BYTES || byte <= 1 /* only bit 63 is left */ ||
                   cursor->is_lax;
        }
    }
    return false;
}

static bool read_varint(struct wire_cursor *cursor, size_t max_bytes, uint64_t *ret_value)
{
    if (cursor->at == cursor->end || *cursor->at >= 0x80)
        return read_long_varint(cursor, max_bytes, ret_value);

    *ret_value = *cursor->at++;
    return true;
}

/* Little-endian, whatever the machine. */
static bool read_fixed(struct wire_cursor *cursor, size_t n_bytes, uint64_t *ret_value)
{
    if (bytes_left(cursor) < n_bytes)
        return false;

    uint64_t value = 0;
    for (size_t i = 0; i < n_bytes; i++)
        value |= (uint64_t)cursor->at[i] << (8 * i);
    cursor->at += n_bytes;
    *ret_value = value;
    return true;
}

static bool read_bytes(struct wire_cursor *cursor, struct str *ret_bytes)
{
    uint64_t length;
    if (!read_varint(cursor, MAX_HEAD_BYTES, &length) || length > bytes_left(cursor))
        return false;

    *ret_bytes = (struct str){.at = (const char *)cursor->at, .len = (size_t)length};
    cursor->at += length;
    return true;
}

static bool read_tag(struct wire_cursor *cursor, struct wire_field *field)
{
    uint64_t tag;
    if (!read_varint(cursor, MAX_HEAD_BYTES, &tag))
        return false;

    uint64_t number = tag >> WIRE_TYPE_BITS;
    field->number = (uint32_t)number;
    field->type = (enum wire_type)(tag & ((1 << WIRE_TYPE_BITS) - 1));
    return (number >= 1 && number <= MAX_FIELD_NUMBER) || cursor->is_lax;
}

static bool read_value(struct wire_cursor *cursor, struct wire_field *field)
{
    switch (field->type) {
    case WIRE_VARINT:
        return read_varint(cursor, MAX_VARINT_BYTES, &field->value);
    case WIRE_FIXED64:
        return read_fixed(cursor, 8, &field->value);
    case WIRE_BYTES:
        return read_bytes(cursor, &field->bytes);
    case WIRE_FIXED32:
        return read_fixed(cursor, 4, &field->value);
    }
    return false;
}

bool wire_next_long(struct wire_cursor *cursor, struct wire_field *ret_field)
{
    struct wire_field field = {0};
    if (!read_tag(cursor, &field) || !read_value(cursor, &field)) {
        cursor->is_bad = true;
        cursor->end = cursor->at;
        return false;
    }
    *ret_field = field;
    return true;
}

struct wire_writer wire_writer(void *buffer, size_t size)
{
    uint8_t *start = buffer;
    uint8_t *end = size > 0 ? start + size : start;
    return (struct wire_writer){.start = start, .at = end, .end = end};
}

struct str wire_written(const struct wire_writer *writer)
{
    return (struct str){.at = (const char *)writer->at, .len = (size_t)(writer->end - writer->at)};
}

/* Room for `n_bytes` before what is there; NULL, and full from now on, when there is none. */
static uint8_t *reserve(struct wire_writer *writer, size_t n_bytes)
{
    if (writer->is_full || (size_t)(writer->at - writer->start) < n_bytes) {
        writer->is_full = true;
        return NULL;
    }
    writer->at -= n_bytes;
    return writer->at;
}

static size_t varint_length(uint64_t value)
{
    return (size_t)(63 - __builtin_clzll(value | 1)) / 7 + 1;
}

static void put_raw_varint(struct wire_writer *writer, uint64_t value)
{
    /* Nearly all are tags and lengths of one byte. */
    uint8_t *to = reserve(writer, value < 0x80 ? 1 : varint_length(value));
    if (!to)
        return;

    for (; value >= 0x80; value >>= 7)
        *to++ = (uint8_t)(value | 0x80);
    *to = (uint8_t)value;
}

static void put_raw_fixed(struct wire_writer *writer, size_t n_bytes, uint64_t value)
{
    uint8_t *to = reserve(writer, n_bytes);
    for (size_t i = 0; to && i < n_bytes; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static void put_raw_bytes(struct wire_writer *writer, struct str bytes)
{
    uint8_t *to = reserve(writer, bytes.len);
    if (to && bytes.len > 0)
        memcpy(to, bytes.at, bytes.len);
}

static void put_tag(struct wire_writer *writer, uint32_t number, enum wire_type type)
{
    put_raw_varint(writer, (uint64_t)number << WIRE_TYPE_BITS | type);
}

void wire_put_varint(struct wire_writer *writer, uint32_t number, uint64_t value)
{
    put_raw_varint(writer, value);
    put_tag(writer, number, WIRE_VARINT);
}

void wire_put_fixed64(struct wire_writer *writer, uint32_t number, uint64_t value)
{
    put_raw_fixed(writer, 8, value);
    put_tag(writer, number, WIRE_FIXED64);
}

void wire_put_fixed32(struct wire_writer *writer, uint32_t number, uint32_t value)
{
    put_raw_fixed(writer, 4, value);
    put_tag(writer, number, WIRE_FIXED32);
}

void wire_put_bytes(struct wire_writer *writer, uint32_t number, struct str bytes)
{
    put_raw_bytes(writer, bytes);
    wire_put_head(writer, number, bytes.len);
}

void wire_put_fields(struct wire_writer *writer, struct str fields)
{
    put_raw_bytes(writer, fields);
}

void wire_put_head(struct wire_writer *writer, uint32_t number, size_t length)
{
    put_raw_varint(writer, length);
    put_tag(writer, number, WIRE_BYTES);
}

void wire_close(struct wire_writer *writer, uint32_t number, const uint8_t *end)
{
    wire_put_head(writer, number, (size_t)(end - writer->at));
}
