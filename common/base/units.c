#include "common/base/units.h"

#include <errno.h>
#include <math.h>

#include "common/base/cleanup.h"
#include "common/base/clock.h"

struct unit {
    struct str name;
    int64_t    factor;
};

static const struct unit durations[] = {
    {STR_INIT("ns"), 1},
    {STR_INIT("us"), NS_PER_US},
    {STR_INIT("ms"), NS_PER_MS},
    {STR_INIT("s"), NS_PER_S},
    {STR_INIT("m"), INT64_C(60) * NS_PER_S},
    {STR_INIT("h"), INT64_C(3600) * NS_PER_S},
};

static const struct unit sizes[] = {
    {STR_INIT(""), 1},          {STR_INIT("B"), 1},         {STR_INIT("KiB"), 1 << 10},
    {STR_INIT("MiB"), 1 << 20}, {STR_INIT("GiB"), 1 << 30},
};

static bool is_number_part(char c)
{
    return (c >= '0' && c <= '9') || c == '.';
}

/* Cuts `s` where its number ends. The factor of the unit, or 0 when there is no such unit. */
static int64_t cut_unit(struct str *s, const struct unit units[], size_t n_units)
{
    size_t number = 0;
    while (number < s->len && is_number_part(s->at[number]))
        number++;

    struct str name = {s->at + number, s->len - number};
    s->len = number;
    for (size_t i = 0; i < n_units; i++)
        if (str_equal(name, units[i].name))
            return units[i].factor;
    return 0;
}

int duration_parse(struct str s, int64_t *ret_ns)
{
    int64_t factor = cut_unit(&s, durations, ARRAY_LENGTH(durations));
    double  number;

    if (factor == 0 || str_to_decimal(s, &number) < 0)
        return -EINVAL;

    double ns = round(number * (double)factor);
    if (ns >= 0x1p63)
        return -ERANGE;
    *ret_ns = (int64_t)ns;
    return 0;
}

int bytes_parse(struct str s, uint64_t *ret_bytes)
{
    int64_t  factor = cut_unit(&s, sizes, ARRAY_LENGTH(sizes));
    uint64_t number, bytes;

    if (factor == 0)
        return -EINVAL;
    int r = str_to_uint64(s, &number);
    if (r < 0)
        return r;
    if (__builtin_mul_overflow(number, (uint64_t)factor, &bytes))
        return -ERANGE;
    *ret_bytes = bytes;
    return 0;
}

static void add_quantity(struct text *text, uint64_t quantity, const struct unit units[],
                         size_t n_units)
{
    size_t i = n_units - 1;
    while (i > 0 && (quantity == 0 || quantity % (uint64_t)units[i].factor != 0))
        i--;
    text_add_uint(text, quantity / (uint64_t)units[i].factor);
    text_add(text, units[i].name);
}

void text_add_duration(struct text *text, int64_t ns)
{
    if (ns < 0)
        text_add_char(text, '-');
    add_quantity(text, ns < 0 ? -(uint64_t)ns : (uint64_t)ns, durations, ARRAY_LENGTH(durations));
}

void text_add_bytes(struct text *text, uint64_t bytes)
{
    add_quantity(text, bytes, sizes, ARRAY_LENGTH(sizes));
}
