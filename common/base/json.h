#pragma once

/*
 * Json: a document from a stranger, read forward without a tree.
 *
 *     struct json_cursor cursor = json_cursor(document, arena);
 *     struct json_value  value;
 *     if (json_root(&cursor, &value) && value.kind == JSON_KIND_OBJECT)
 *         while (json_next_member(&cursor, &name, &value))
 *             ...
 *     if (json_end(&cursor) < 0)
 *
 * An object or array that was met is entered: read what is in it to its end, or
 * json_skip it. An error is sticky, everything is over then, so it is asked for once.
 *
 * Rules: RFC 8259 to the letter, well-formed UTF-8, no escape of half a surrogate pair, at most
 * JSON_MAX_DEPTH levels. Repeated names are the caller's business. Only strings that have escapes
 * take memory, at most their own size.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct arena;

enum { JSON_MAX_DEPTH = 64 };

enum json_kind {
    JSON_KIND_NULL,
    JSON_KIND_BOOL,
    JSON_KIND_NUMBER,
    JSON_KIND_STRING,
    JSON_KIND_ARRAY,
    JSON_KIND_OBJECT,
};

struct json_value {
    enum json_kind kind;
    bool           is_true; /* BOOL */
    struct str     text;    /* STRING: without escapes; NUMBER: as it is written */
};

/* Its members are its own, but for those of the error. */
struct json_cursor {
    struct arena *arena;
    const char   *start, *at, *end;
    uint64_t      objects; /* a bit for each level, the innermost is the lowest: it is an object */
    unsigned      depth;
    bool          is_first; /* nothing was read yet of what was entered last */

    int         error;  /* 0, -EBADMSG or -ENOMEM; sticky */
    const char *reason; /* of the error, a constant */
};

struct json_cursor json_cursor(struct str document, struct arena *arena);

/* The document itself. False on an error. */
bool json_root(struct json_cursor *cursor, struct json_value *ret_value);

/* The next one in the object, or array, that was entered last. False at its end, which leaves it.
 */
bool json_next_member(struct json_cursor *cursor, struct str *ret_name,
                      struct json_value *ret_value);
bool json_next_element(struct json_cursor *cursor, struct json_value *ret_value);

/* Leaves `value`, the one met last, whatever it is, and checks it all the same. */
void json_skip(struct json_cursor *cursor, const struct json_value *value);

/* What the caller finds wrong ends it like any other error (-EBADMSG, a constant). */
void json_refuse(struct json_cursor *cursor, const char *reason);

/* After everything else: 0, or the error; also when more than blanks follow. */
int json_end(struct json_cursor *cursor);

/* What and where the error is, for the sender: in the arena or a constant. */
struct str json_complaint(const struct json_cursor *cursor);

/*
 * A number by its text, in any of the forms that JSON allows (1e3 is whole, 1.5 is not). 0;
 * -EINVAL when it is not a number, or none of this type; -ERANGE.
 */
int json_to_int64(struct str number, int64_t *ret_value);
int json_to_uint64(struct str number, uint64_t *ret_value);
int json_to_double(struct str number, double *ret_value);

/* How many bytes at the start are a number; 0 when none is there. */
size_t json_number_length(struct str s);
