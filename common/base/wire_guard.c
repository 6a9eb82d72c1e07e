#include "common/base/wire_guard.h"

#include <errno.h>
#include <stdbool.h>

#include "common/base/wire.h"

struct walk {
    struct wire_limits limits;
    unsigned           n_fields;
};

/*
 * Lax, for whatever protobuf-c would descend into must count: a stricter cursor
 * would take such a message for plain bytes, and let pass all that it nests.
 */
static struct wire_cursor lax_cursor(struct str message)
{
    struct wire_cursor cursor = wire_cursor(message);
    cursor.is_lax = true;
    return cursor;
}

/* Looks at one level only, as protobuf-c does before it descends. */
static bool reads_as_protobuf(struct str bytes)
{
    struct wire_cursor cursor = lax_cursor(bytes);
    struct wire_field  field;

    while (wire_next(&cursor, &field))
        ;
    return !cursor.is_bad;
}

/* Of a message that reads as protobuf. Recurses no deeper than the limit. */
static int walk_message(struct walk *walk, struct str message, unsigned depth)
{
    struct wire_cursor cursor = lax_cursor(message);
    struct wire_field  field;

    while (wire_next(&cursor, &field)) {
        if (++walk->n_fields > walk->limits.max_fields)
            return -E2BIG;
        if (field.type != WIRE_BYTES || !reads_as_protobuf(field.bytes))
            continue;
        if (depth == walk->limits.max_depth)
            return -ELOOP;

        int r = walk_message(walk, field.bytes, depth + 1);
        if (r < 0)
            return r;
    }
    return 0;
}

int wire_guard(struct str message, struct wire_limits limits)
{
    struct walk walk = {.limits = limits};

    if (!reads_as_protobuf(message))
        return -EBADMSG;
    return walk_message(&walk, message, 0);
}
