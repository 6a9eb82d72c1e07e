#pragma once

/*
 * Segment list: the segments of the log, oldest first, and its end. A segment reaches to
 * the base of the next, the last to the end: what is missing between two belongs to
 * the first of them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/journal/journal.h"

struct segment {
    struct journal_position base;
    uint64_t                disk_bytes;
    int64_t                 began_ns;  /* real time */
    int64_t                 newest_ns; /* nothing in it is younger */
};

struct segment_list {
    struct segment         *segments;
    size_t                  count, capacity;
    struct journal_position end; /* of what may be read */
};

/* A segment as a reader sees it. */
struct segment_extent {
    struct journal_position start, end;
};

void segment_list_done(struct segment_list *list);

/* Makes room for one more. 0 or -ENOMEM. */
int segment_list_reserve(struct segment_list *list);

/*
 * Adds the segment that begins at the list's end, after segment_list_reserve. It takes the place of
 * one that begins there too (and that nothing was committed to).
 */
void segment_list_add(struct segment_list *list, const struct segment *segment);

struct segment *segment_list_last(struct segment_list *list);

struct journal_position segment_list_begin(const struct segment_list *list);

/* The segment that reading goes on in at `offset`; false when that is the end or beyond. */
bool segment_list_find(const struct segment_list *list, uint64_t offset,
                       struct segment_extent *ret_extent);

/* As journal_position_within. */
struct journal_position segment_list_within(const struct segment_list *list, uint64_t max_bytes,
                                            int64_t oldest_ns);

/* Takes the oldest out if it ends at or before `offset`. */
bool segment_list_drop(struct segment_list *list, uint64_t offset, uint64_t *ret_base);

uint64_t segment_list_disk_bytes(const struct segment_list *list);
