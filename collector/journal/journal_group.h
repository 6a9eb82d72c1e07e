#pragma once

/*
 * Journal group: appended entries that are written, synced and acknowledged together.
 */

#include <sys/uio.h>

#include "collector/journal/journal.h"
#include "collector/journal/journal_record.h"

/* Two pieces for each record: its header, with what aligns it, and its payload (IOV_MAX is 1024).
 */
enum { GROUP_MAX_RECORDS = 512, GROUP_MAX_BYTES = 8 << 20 };

/* Entries in the order of their appends. Empty: `first` is NULL, `last_next` points to it. */
struct entry_queue {
    struct journal_entry  *first;
    struct journal_entry **last_next;
};

struct journal_group {
    struct journal_entry *first;
    size_t                n_records;
    uint64_t              n_bytes; /* in the log */
    int64_t               newest_ns;
};

/* What a group is written from. Zeros to begin with: the first bytes of a slot stay so. */
struct group_pieces {
    uint8_t      headers[GROUP_MAX_RECORDS][RECORD_ALIGNMENT + RECORD_HEADER_BYTES];
    struct iovec vector[GROUP_MAX_RECORDS * 2];
};

void entry_queue_add(struct entry_queue *queue, struct journal_entry *entry);

/*
 * Takes the first entry, and those after it that fit into `max_bytes` with it, within the limits of
 * a group. The queue is not empty.
 */
struct journal_group group_take(struct entry_queue *queue, uint64_t max_bytes);

/*
 * Writes the group at `start` of the log, to the segment in `file` that begins at `base`. 0 and
 * where the group ends, or -errno: then any part of it may be written.
 */
int group_write(const struct journal_group *group, struct group_pieces *pieces, int file,
                uint64_t base, struct journal_position start, struct journal_position *ret_end);

/* Hands the entries back. */
void group_done(const struct journal_group *group, int result);
