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
bool wire_next(struct wire_cursor *cursor, struct wire_field *ret_field);

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
