#include "common/base/query.h"

#include <errno.h>
#include <stdbool.h>

#include "common/base/arena.h"
#include "common/base/hex.h"

static bool is_code(struct str s)
{
    return s.len >= 3 && s.at[0] == '%' && hex_digit(s.at[1]) >= 0 && hex_digit(s.at[2]) >= 0;
}

/* The first character of `s`, which is not empty, as it is meant; cuts it off. */
static char decode_first(struct str *s)
{
    char   c = s->at[0];
    size_t length = 1;

    if (is_code(*s)) {
        c = (char)(hex_digit(s->at[1]) * 16 + hex_digit(s->at[2]));
        length = 3;
    } else if (c == '+') {
        c = ' ';
    }
    *s = (struct str){s->at + length, s->len - length};
    return c;
}

static bool is_plain(struct str s)
{
    return !memchr(s.at, '%', s.len) && !memchr(s.at, '+', s.len);
}

static int decode(struct str s, struct arena *arena, struct str *ret_decoded)
{
    if (s.len == 0 || is_plain(s)) {
        *ret_decoded = s;
        return 0;
    }

    char *decoded = arena_alloc(arena, s.len);
    if (!decoded)
        return -ENOMEM;

    size_t n = 0;
    while (s.len > 0)
        decoded[n++] = decode_first(&s);
    *ret_decoded = (struct str){decoded, n};
    return 0;
}

int query_next(struct str *rest, struct arena *arena, struct query_parameter *ret_parameter)
{
    struct str pair;
    do {
        if (!str_cut(rest, '&', &pair))
            return 0;
    } while (pair.len == 0);

    struct str name = pair, value = STR("");
    (void)str_split(pair, '=', &name, &value);

    struct query_parameter parameter;
    int                    r = decode(name, arena, &parameter.name);
    if (r < 0)
        return r;
    r = decode(value, arena, &parameter.value);
    if (r < 0)
        return r;
    *ret_parameter = parameter;
    return 1;
}
