#pragma once

/*
 * Segment scan: reads a segment through and says what is whole in it. Takes a fixed
 * amount of memory, whatever the size of the records.
 */

#include <stdint.h>

#include "collector/journal/journal.h"

struct segment_scan {
    uint64_t                n_records;
    struct journal_position first; /* the start of the first record, when there is one */
    struct journal_position end;   /* of the last; else where the scan began */
    int64_t                 newest_ns;
    uint64_t                skipped_bytes; /* damaged, before the last record */
    uint64_t                torn_bytes;    /* after it; what follows is zeros or nothing */
};

/* The records of the open segment at `base`, those from the span `base.span` on. 0 or -errno. */
int segment_scan(int file, struct journal_position base, struct segment_scan *ret_scan);
