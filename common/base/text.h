#pragma once

/*
 * Text: a string under construction. It grows in an arena, on the heap or not
 * at all; what does not fit is cut off and `is_cut` stays set, so a writer
 * checks once, at the end.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct arena;

struct text {
    char         *at; /* not NUL-terminated */
    size_t        len;
    size_t        capacity;
    bool          is_cut;
    bool          is_heap;
    struct arena *arena; /* NULL: fixed or on the heap */
};

/* Grows in `arena`. */
struct text text_in_arena(struct arena *arena, size_t capacity);

/* Stays in `buffer`. */
struct text text_in_buffer(char *buffer, size_t capacity);

/* Grows on the heap; end it with text_done. */
struct text text_on_heap(size_t capacity);
void        text_done(struct text *text);

struct str text_view(const struct text *text);

void text_add(struct text *text, struct str s);
void text_add_char(struct text *text, char c);
void text_add_uint(struct text *text, uint64_t value);
void text_add_int(struct text *text, int64_t value);
/* In a fixed buffer a formatted piece must leave one byte free (for vsnprintf's NUL), or is cut. */
void text_add_format(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* As a quoted JSON string (RFC 8259). Bytes that are not UTF-8 become U+FFFD. */
void text_add_json(struct text *text, struct str s);

/*
 * With & < > " ' as entities, safe in HTML text and in quoted attributes. Bytes that are not
 * UTF-8 become U+FFFD.
 */
void text_add_html(struct text *text, struct str s);

/* As UTF-8: bytes that are not become U+FFFD. */
void text_add_utf8(struct text *text, struct str s);
