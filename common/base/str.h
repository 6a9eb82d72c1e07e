#pragma once

/*
 * Str: a view of bytes that somebody else owns. Passed by value, never freed,
 * not NUL-terminated, may hold any byte. An absent value is `at == NULL`.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *at;
    size_t      len;
};

/* A view of a string literal; also a constant initialiser. */
#define STR(literal) ((struct str){.at = "" literal, .len = sizeof(literal) - 1})
#define STR_INIT(literal)                            \
    {                                                \
        .at = "" literal, .len = sizeof(literal) - 1 \
    }

/* For printf: "%.*s". */
#define STR_ARGS(s) (int)(s).len, (s).at

/* A view of a NUL-terminated string; NULL gives the absent value. */
struct str str_from(const char *text);

static inline bool str_is_empty(struct str s)
{
    return s.len == 0;
}

static inline bool str_equal(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* ASCII only: other bytes must be the same. */
bool str_equal_ignore_case(struct str a, struct str b);

bool str_starts_with(struct str s, struct str prefix);
bool str_ends_with(struct str s, struct str suffix);

/* Without the blanks and tabs at both ends. */
struct str str_trim(struct str s);

/*
 * Cuts the piece before the first `separator` off `rest`. False when nothing is
 * left; "a,,b" gives "a", "", "b"; the empty string gives no piece.
 * Start with `*rest` as the whole string.
 */
bool str_cut(struct str *rest, char separator, struct str *ret_piece);

/* Splits at the first `separator`: false, and nothing set, when there is none. */
bool str_split(struct str s, char separator, struct str *ret_before, struct str *ret_after);

/* Decimal digits only, no sign, no blanks. 0, -EINVAL or -ERANGE. */
int str_to_uint64(struct str s, uint64_t *ret_value);

/* A plain decimal number: DIGITS[.DIGITS] or .DIGITS, no sign, no exponent. 0 or -EINVAL. */
int str_to_decimal(struct str s, double *ret_value);

/* 64-bit FNV-1a of the bytes, for tables that no peer can aim at. */
uint64_t str_hash(struct str s);

/* Well-formed UTF-8 (RFC 3629: no overlong form, no surrogate, at most U+10FFFF). */
bool str_is_utf8(struct str s);

/* How many bytes at the start are well-formed UTF-8. */
size_t str_utf8_prefix(struct str s);
