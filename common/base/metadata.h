#pragma once

/*
 * Metadata: the headers of one request, whatever protocol brought them.
 * Names are lower case; order and repeats are kept; values are any bytes.
 * Fields borrow: they live as long as the arena or literal they came from.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"

struct arena;

struct field {
    struct str name;
    struct str value;
};

struct metadata {
    struct field *fields;
    size_t        count;
    size_t        capacity;
};

/* The first value of `name` (lower case); absent (`at == NULL`) when there is none. */
struct str metadata_find(const struct metadata *metadata, struct str name);

/* Whether HTTP lets a header have this value: no control characters but tabs (RFC 9110, 5.5). */
bool metadata_is_value(struct str value);

/* Appends a field that borrows both views; the list grows in `arena`. 0 or -ENOMEM. */
int metadata_add(struct metadata *metadata, struct arena *arena, struct str name, struct str value);

/* The same with a copy of `value`, in `arena`. */
int metadata_add_copy(struct metadata *metadata, struct arena *arena, struct str name,
                      struct str value);
