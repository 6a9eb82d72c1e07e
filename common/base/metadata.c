#include "common/base/metadata.h"

#include <errno.h>

#include "common/base/arena.h"

enum { FIRST_CAPACITY = 16 };

struct str metadata_find(const struct metadata *metadata, struct str name)
{
    for (size_t i = 0; i < metadata->count; i++)
        if (str_equal(metadata->fields[i].name, name))
            return metadata->fields[i].value;
    return (struct str){0};
}

bool metadata_is_value(struct str value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.at[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static int grow(struct metadata *metadata, struct arena *arena)
{
    size_t        capacity = metadata->capacity > 0 ? 2 * metadata->capacity : FIRST_CAPACITY;
    struct field *fields = arena_alloc(arena, capacity * sizeof(*fields));
    if (!fields)
        return -ENOMEM;

    if (metadata->count > 0)
        memcpy(fields, metadata->fields, metadata->count * sizeof(*fields));
    metadata->fields = fields;
    metadata->capacity = capacity;
    return 0;
}

int metadata_add(struct metadata *metadata, struct arena *arena, struct str name, struct str value)
{
    if (metadata->count == metadata->capacity) {
        int r = grow(metadata, arena);
        if (r < 0)
            return r;
    }
    metadata->fields[metadata->count++] = (struct field){name, value};
    return 0;
}

int metadata_add_copy(struct metadata *metadata, struct arena *arena, struct str name,
                      struct str value)
{
    struct str copy = arena_copy(arena, value);
    return copy.at ? metadata_add(metadata, arena, name, copy) : -ENOMEM;
}
