#pragma once

/*
 * Wire: protobuf bytes, read and written without a tree.
 *
 * A cursor reads forward; its error is sticky, so a whole message is read and
 * the error asked for once. A writer fills its buffer from the end towards the
 * start, fields in reverse order, so the length of a nested message is known
 * when it is needed and nothing is measured beforehand.
 *
 * Rules: protobuf.dev/programming-guides/encoding.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

enum { WIRE_TYPE_BITS = 3 }; /* of a tag; the rest is the number of the field */

struct wire_cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool           is_bad; /* sticky */
    bool           is_lax; /* numbers and varints may be out of range, as for protobuf-c */
};

struct wire_field {
    uint32_t       number;
    enum wire_type type;
    uint64_t       value; /* VARINT, FIXED64, FIXED32 */
    struct str     bytes; /* BYTES: a view into what is read */
};

struct wire_cursor wire_cursor(struct str message);

/*
 * The next field. False at the end, and on bytes that are not protobuf: field
 * number 0 or above 2^29-1, group wire types, a varint above 10 bytes or 64 bits, a tag
 * or length above 5 bytes, a length beyond the end. Ask `is_bad` to tell the two apart.
 */
static inline bool wire_next(struct wire_cursor *cursor, struct wire_field *ret_field);

struct wire_writer {
    uint8_t *start;
    uint8_t *at; /* the first byte written so far */
    uint8_t *end;
    bool     is_full; /* sticky: something did not fit, the content is void */
};

struct wire_writer wire_writer(void *buffer, size_t size);

/* What has been written. */
struct str wire_written(const struct wire_writer *writer);

/* Each puts one whole field before what is there. */
void wire_put_varint(struct wire_writer *writer, uint32_t number, uint64_t value);
void wire_put_fixed64(struct wire_writer *writer, uint32_t number, uint64_t value);
void wire_put_fixed32(struct wire_writer *writer, uint32_t number, uint32_t value);
void wire_put_bytes(struct wire_writer *writer, uint32_t number, struct str bytes);

/* Puts fields that are encoded already. */
void wire_put_fields(struct wire_writer *writer, struct str fields);

/*
 * Puts the tag and the length of BYTES field `number` before what is there. The
 * content is `length` bytes: what is there, and what the caller will append to it.
 */
void wire_put_head(struct wire_writer *writer, uint32_t number, size_t length);

/*
 * Makes all that was written since `end` the content of nested field `number`:
 *
 *     const uint8_t *end = writer.at;
 *     wire_put_...(&writer, ...);
 *     wire_close(&writer, 4, end);
 */
void wire_close(struct wire_writer *writer, uint32_t number, const uint8_t *end);

/* Any field; what wire_next falls back to. */
bool wire_next_long(struct wire_cursor *cursor, struct wire_field *ret_field);

/*
 * Nearly all fields have a tag of one byte, and nearly all lengths and varints are as short: those
 * are read where they are asked for. A bad cursor has no bytes left.
 */
static inline bool wire_next(struct wire_cursor *cursor, struct wire_field *ret_field)
{
    const uint8_t *at = cursor->at;
    size_t         left = (size_t)(cursor->end - at);

    if (left < 2 || at[0] < 1 << WIRE_TYPE_BITS || at[0] >= 0x80 || at[1] >= 0x80)
        return left > 0 && wire_next_long(cursor, ret_field);

    enum wire_type type = (enum wire_type)(at[0] & ((1 << WIRE_TYPE_BITS) - 1));
    uint32_t       number = at[0] >> WIRE_TYPE_BITS;
    if (type == WIRE_BYTES && at[1] <= left - 2) {
        *ret_field = (struct wire_field){
            .number = number, .type = type, .bytes = {(const char *)at + 2, at[1]}};
        cursor->at = at + 2 + at[1];
        return true;
    }
    if (type == WIRE_VARINT) {
        *ret_field = (struct wire_field){.number = number, .type = type, .value = at[1]};
        cursor->at = at + 2;
        return true;
    }
    return wire_next_long(cursor, ret_field);
}
