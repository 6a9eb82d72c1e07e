#include "collector/journal/segment_list.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void segment_list_done(struct segment_list *list)
{
    free(list->segments);
}

int segment_list_reserve(struct segment_list *list)
{
    if (list->count < list->capacity)
        return 0;

    size_t          capacity = list->capacity > 0 ? list->capacity * 2 : 16;
    struct segment *segments = realloc(list->segments, capacity * sizeof(*segments));
    if (!segments)
        return -ENOMEM;

    list->segments = segments;
    list->capacity = capacity;
    return 0;
}

struct segment *segment_list_last(struct segment_list *list)
{
    return list->count > 0 ? &list->segments[list->count - 1] : NULL;
}

void segment_list_add(struct segment_list *list, const struct segment *segment)
{
    struct segment *last = segment_list_last(list);
    assert(list->segments && list->count < list->capacity);

    if (last && last->base.offset == segment->base.offset)
        *last = *segment;
    else
        list->segments[list->count++] = *segment;
}

struct journal_position segment_list_begin(const struct segment_list *list)
{
    return list->count > 0 ? list->segments[0].base : list->end;
}

static struct segment_extent extent_of(const struct segment_list *list, size_t index)
{
    return (struct segment_extent){
        .start = list->segments[index].base,
        .end = index + 1 < list->count ? list->segments[index + 1].base : list->end,
    };
}

/* The last segment that begins at or before `offset`, else the first. */
static size_t find_index(const struct segment_list *list, uint64_t offset)
{
    size_t low = 0, high = list->count;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (list->segments[middle].base.offset <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

bool segment_list_find(const struct segment_list *list, uint64_t offset,
                       struct segment_extent *ret_extent)
{
    if (list->count == 0 || offset >= list->end.offset)
        return false;

    *ret_extent = extent_of(list, find_index(list, offset));
    return true;
}

struct journal_position segment_list_within(const struct segment_list *list, uint64_t max_bytes,
                                            int64_t oldest_ns)
{
    uint64_t n_bytes = segment_list_disk_bytes(list);

    for (size_t i = 0; i < list->count; i++) {
        const struct segment *segment = &list->segments[i];
        bool                  is_last = i + 1 == list->count;

        if (segment->newest_ns >= oldest_ns && (n_bytes <= max_bytes || is_last))
            return segment->base;
        n_bytes -= segment->disk_bytes;
    }
    return list->end;
}

bool segment_list_drop(struct segment_list *list, uint64_t offset, uint64_t *ret_base)
{
    if (list->count == 0 || extent_of(list, 0).end.offset > offset)
        return false;

    *ret_base = list->segments[0].base.offset;
    list->count--;
    memmove(list->segments, list->segments + 1, list->count * sizeof(*list->segments));
    return true;
}

uint64_t segment_list_disk_bytes(const struct segment_list *list)
{
    uint64_t n_bytes = 0;

    for (size_t i = 0; i < list->count; i++)
        n_bytes += list->segments[i].disk_bytes;
    return n_bytes;
}
