#include "common/base/str.h"

#include <errno.h>
#include <math.h>

struct str str_from(const char *text)
{
    return (struct str){.at = text, .len = text ? strlen(text) : 0};
}

static char to_lower(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return c;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool str_equal_ignore_case(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;

    for (size_t i = 0; i < a.len; i++)
        if (to_lower(a.at[i]) != to_lower(b.at[i]))
            return false;
    return true;
}

bool str_starts_with(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_equal((struct str){s.at, prefix.len}, prefix);
}

bool str_ends_with(struct str s, struct str suffix)
{
    if (s.len < suffix.len)
        return false;
    return suffix.len == 0 || memcmp(s.at + (s.len - suffix.len), suffix.at, suffix.len) == 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct str str_trim(struct str s)
{
    while (s.len > 0 && is_blank(s.at[0])) {
        s.at++;
        s.len--;
    }
    while (s.len > 0 && is_blank(s.at[s.len - 1]))
        s.len--;
    return s;
}

bool str_split(struct str s, char separator, struct str *ret_before, struct str *ret_after)
{
    const char *found = s.len > 0 ? memchr(s.at, separator, s.len) : NULL;
    if (!found)
        return false;

    size_t before = (size_t)(found - s.at);
    *ret_before = (struct str){s.at, before};
    *ret_after = (struct str){found + 1, s.len - before - 1};
    return true;
}

bool str_cut(struct str *rest, char separator, struct str *ret_piece)
{
    if (str_is_empty(*rest))
        return false;

    if (!str_split(*rest, separator, ret_piece, rest)) {
        *ret_piece = *rest;
        *rest = (struct str){rest->at + rest->len, 0};
    }
    return true;
}

int str_to_uint64(struct str s, uint64_t *ret_value)
{
    uint64_t value = 0;
    bool     is_too_large = false;

    if (str_is_empty(s))
        return -EINVAL;

    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.at[i]))
            return -EINVAL;
        is_too_large |= __builtin_mul_overflow(value, 10, &value) ||
                        __builtin_add_overflow(value, (uint64_t)(s.at[i] - '0'), &value);
    }

    if (is_too_large)
        return -ERANGE;
    *ret_value = value;
    return 0;
}

/* digits * 10^exponent, with as many digits as 64 bits hold: more than a double can tell apart. */
struct decimal {
    uint64_t digits;
    int      exponent;
};

static void decimal_add(struct decimal *decimal, char digit, bool is_fraction)
{
    if (decimal->digits > (UINT64_MAX - 9) / 10) {
        decimal->exponent += !is_fraction;
        return;
    }
    decimal->digits = decimal->digits * 10 + (uint64_t)(digit - '0');
    decimal->exponent -= is_fraction;
}

static double decimal_value(struct decimal decimal)
{
    double digits = (double)decimal.digits;

    /* Divided, not multiplied by 0.1: a power of ten is exact, its inverse is not. */
    if (decimal.exponent < 0)
        return digits / pow(10, -decimal.exponent);
    return decimal.digits == 0 ? 0 : digits * pow(10, decimal.exponent);
}

int str_to_decimal(struct str s, double *ret_value)
{
    struct decimal decimal = {0};
    bool           is_fraction = false;

    if (str_is_empty(s) || !is_digit(s.at[s.len - 1]))
        return -EINVAL;

    for (size_t i = 0; i < s.len; i++) {
        if (is_digit(s.at[i]))
            decimal_add(&decimal, s.at[i], is_fraction);
        else if (s.at[i] == '.' && !is_fraction)
            is_fraction = true;
        else
            return -EINVAL;
    }

    double value = decimal_value(decimal);
    if (!isfinite(value))
        return -EINVAL;
    *ret_value = value;
    return 0;
}

uint64_t str_hash(struct str s)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < s.len; i++) {
        hash ^= (uint8_t)s.at[i];
        hash *= UINT64_C(0x100000001b3);
    }
    return hash;
}

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

/*
 * The length of the multi-byte character at the start, or 0. The second byte's
 * range, by the first: RFC 3629, section 4.
 */
static size_t utf8_character(const uint8_t *at, size_t len)
{
    uint8_t first = at[0];
    size_t  n = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    uint8_t low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    uint8_t high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;

    if (first < 0xC2 || first > 0xF4 || len < n || at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if (!is_continuation(at[i]))
            return 0;
    return n;
}

static uint64_t load_word(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

static bool is_ascii_word(uint64_t word)
{
    return (word & UINT64_C(0x8080808080808080)) == 0;
}

size_t str_utf8_prefix(struct str s)
{
    const uint8_t *at = (const uint8_t *)s.at;
    size_t         i = 0;

    while (i < s.len) {
        if (s.len - i >= sizeof(uint64_t) && is_ascii_word(load_word(s.at + i))) {
            i += sizeof(uint64_t);
            continue;
        }
        size_t n = at[i] < 0x80 ? 1 : utf8_character(at + i, s.len - i);
        if (n == 0)
            break;
        i += n;
    }
    return i;
}

/* Whole words, the last of which may overlap the one before. */
static bool is_ascii(struct str s)
{
    uint64_t seen = 0;

    if (s.len < sizeof(seen)) {
        for (size_t i = 0; i < s.len; i++)
            seen |= (uint8_t)s.at[i];
        return is_ascii_word(seen);
    }
    for (size_t i = 0; i + sizeof(seen) < s.len; i += sizeof(seen))
        seen |= load_word(s.at + i);
    return is_ascii_word(seen | load_word(s.at + s.len - sizeof(seen)));
}

/* Nearly all strings are ASCII, and quicker to see than characters are to tell apart. */
bool str_is_utf8(struct str s)
{
    return is_ascii(s) || str_utf8_prefix(s) == s.len;
}
