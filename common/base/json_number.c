#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/json.h"

/*
 * Of a double's exact decimal form no more than 767 digits matter; of all that follow, only
 * whether one is not zero.
 */
enum { MAX_DIGITS = 800 };

/* Up to these, double arithmetic is exact, and so is its one rounding. */
enum { MAX_EXACT_EXPONENT = 22 };
static const uint64_t max_exact_digits = UINT64_C(1) << 53;

/* (-) digits * 10^exponent; `digits` does not end in 0, unless it is 0. */
struct decimal {
    bool     is_negative;
    bool     is_too_long; /* `digits` did not hold them */
    uint64_t digits;
    int64_t  exponent;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t digits_length(struct str s, size_t from)
{
    size_t i = from;
    while (i < s.len && is_digit(s.at[i]))
        i++;
    return i - from;
}

static size_t exponent_length(struct str s, size_t from)
{
    if (from == s.len || (s.at[from] != 'e' && s.at[from] != 'E'))
        return 0;

    size_t sign = from + 1 < s.len && (s.at[from + 1] == '+' || s.at[from + 1] == '-');
    size_t digits = digits_length(s, from + 1 + sign);
    return digits > 0 ? 1 + sign + digits : 0;
}

static size_t fraction_length(struct str s, size_t from)
{
    if (from == s.len || s.at[from] != '.')
        return 0;

    size_t digits = digits_length(s, from + 1);
    return digits > 0 ? 1 + digits : 0;
}

size_t json_number_length(struct str s)
{
    size_t i = s.len > 0 && s.at[0] == '-';
    size_t whole = digits_length(s, i);
    if (whole == 0)
        return 0;

    i += s.at[i] == '0' ? 1 : whole; /* no zeros in front */
    i += fraction_length(s, i);
    return i + exponent_length(s, i);
}

/* Saturates far beyond what any number of digits could make up for. */
static int64_t exponent_value(struct str s)
{
    static const int64_t far_away = INT64_C(1) << 48;
    int64_t              value = 0;
    bool                 is_negative = s.len > 0 && s.at[0] == '-';

    for (size_t i = s.len > 0 && !is_digit(s.at[0]); i < s.len && value < far_away; i++)
        value = value * 10 + (s.at[i] - '0');
    return is_negative ? -value : value;
}

/* `n_zeros` of them, then a digit that is none. */
static void add_digits(struct decimal *decimal, int64_t n_zeros, char digit)
{
    bool is_too_long = decimal->is_too_long;

    for (int64_t i = 0; decimal->digits > 0 && i <= n_zeros && !is_too_long; i++)
        is_too_long = __builtin_mul_overflow(decimal->digits, 10, &decimal->digits);
    decimal->is_too_long =
        is_too_long ||
        __builtin_add_overflow(decimal->digits, (uint64_t)(digit - '0'), &decimal->digits);
}

/* Zeros count only when another digit follows, so 1000000 and 1e6 are the same decimal. */
static void add_mantissa(struct decimal *decimal, struct str s)
{
    int64_t n_zeros = 0;
    bool    is_fraction = false;

    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] == '.') {
            is_fraction = true;
            continue;
        }
        decimal->exponent -= is_fraction;
        if (s.at[i] == '0') {
            n_zeros++;
            continue;
        }
        add_digits(decimal, n_zeros, s.at[i]);
        n_zeros = 0;
    }
    decimal->exponent += n_zeros;
}

static bool split_exponent(struct str number, struct str *ret_mantissa, struct str *ret_exponent)
{
    return str_split(number, 'e', ret_mantissa, ret_exponent) ||
           str_split(number, 'E', ret_mantissa, ret_exponent);
}

static int parse(struct str number, struct decimal *ret_decimal, struct str *ret_mantissa)
{
    struct str     mantissa = number, exponent = {0};
    struct decimal decimal = {0};

    if (number.len == 0 || json_number_length(number) != number.len)
        return -EINVAL;
    (void)split_exponent(number, &mantissa, &exponent);
    decimal.is_negative = mantissa.at[0] == '-';
    mantissa.at += decimal.is_negative;
    mantissa.len -= decimal.is_negative;
    add_mantissa(&decimal, mantissa);
    decimal.exponent += exponent_value(exponent);

    *ret_decimal = decimal;
    *ret_mantissa = mantissa;
    return 0;
}

/* Without its sign. */
static int whole_value(struct decimal decimal, uint64_t *ret_value)
{
    uint64_t value = decimal.digits;

    if (value == 0 && !decimal.is_too_long) {
        *ret_value = 0;
        return 0;
    }
    if (decimal.exponent < 0)
        return -EINVAL;

    bool is_too_large = decimal.is_too_long;
    for (int64_t i = 0; i < decimal.exponent && !is_too_large; i++)
        is_too_large = __builtin_mul_overflow(value, 10, &value);
    if (is_too_large)
        return -ERANGE;
    *ret_value = value;
    return 0;
}

/* The whole number without its sign. */
static int parse_whole(struct str number, bool *ret_is_negative, uint64_t *ret_value)
{
    struct decimal decimal;
    struct str     ignored;

    int r = parse(number, &decimal, &ignored);
    if (r < 0)
        return r;
    *ret_is_negative = decimal.is_negative;
    return whole_value(decimal, ret_value);
}

int json_to_uint64(struct str number, uint64_t *ret_value)
{
    uint64_t value = 0;
    bool     is_negative = false;

    int r = parse_whole(number, &is_negative, &value);
    if (r < 0)
        return r;
    if (is_negative && value > 0)
        return -ERANGE;
    *ret_value = value;
    return 0;
}

int json_to_int64(struct str number, int64_t *ret_value)
{
    uint64_t value = 0;
    bool     is_negative = false;

    int r = parse_whole(number, &is_negative, &value);
    if (r < 0)
        return r;
    if (value > (uint64_t)INT64_MAX + is_negative)
        return -ERANGE;
    *ret_value = (int64_t)(is_negative ? -value : value);
    return 0;
}

static bool is_exact(struct decimal decimal)
{
    return !decimal.is_too_long && decimal.digits <= max_exact_digits &&
           decimal.exponent >= -MAX_EXACT_EXPONENT && decimal.exponent <= MAX_EXACT_EXPONENT;
}

static double exact_value(struct decimal decimal)
{
    double digits = (double)decimal.digits;
    double power = pow(10, (double)llabs(decimal.exponent));

    return decimal.exponent < 0 ? digits / power : digits * power;
}

/*
 * Given to strtod without a point, for which it has a locale's, and with as many digits as can
 * matter: one more stands for all that are left out.
 */
static double rounded_value(struct str mantissa, int64_t exponent)
{
    char    text[MAX_DIGITS + 32] = "0";
    size_t  n = 1;
    int64_t n_left_out = 0, n_zeros_at_end = 0;

    for (size_t i = 0; i < mantissa.len; i++) {
        if (mantissa.at[i] == '.' || (n == 1 && mantissa.at[i] == '0'))
            continue;
        n_zeros_at_end = mantissa.at[i] == '0' ? n_zeros_at_end + 1 : 0;
        if (n <= MAX_DIGITS)
            text[n++] = mantissa.at[i];
        else
            n_left_out++;
    }
    /* `exponent` is that of the last digit that is not 0. */
    int64_t shift = n_left_out - n_zeros_at_end;
    if (n_left_out > n_zeros_at_end) {
        text[n++] = '1';
        shift--;
    }
    (void)snprintf(text + n, sizeof(text) - n, "e%" PRId64, exponent + shift);
    return strtod(text, NULL);
}

int json_to_double(struct str number, double *ret_value)
{
    struct decimal decimal;
    struct str     mantissa;

    int r = parse(number, &decimal, &mantissa);
    if (r < 0)
        return r;

    double value =
        is_exact(decimal) ? exact_value(decimal) : rounded_value(mantissa, decimal.exponent);
    if (!isfinite(value))
        return -ERANGE;
    *ret_value = decimal.is_negative ? -value : value;
    return 0;
}
