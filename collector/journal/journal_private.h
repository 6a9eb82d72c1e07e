#pragma once

/* What the parts of the journal share: journal.c, the writer and the reader. */

#include <pthread.h>

#include "collector/journal/journal.h"
#include "collector/journal/journal_group.h"
#include "collector/journal/segment_list.h"

/* What the writer's thread alone uses. */
struct journal_writer {
    int                     file;       /* of the segment being written, or -1 */
    uint64_t                base;       /* its place in the log */
    uint64_t                room_bytes; /* its size */
    struct journal_position end;        /* what is committed of it */
    bool                    has_unsynced;
    uint64_t            hurried_bytes; /* of the segment: the disk was told to begin with them */
    int64_t             sync_due_ns;   /* while it has */
    int                 trouble;       /* 0, or -errno: the disk refuses */
    int64_t             probe_due_ns;
    struct group_pieces pieces;
};

struct journal {
    struct journal_options options;
    uint64_t               segment_bytes;
    int                    directory;
    int                    lock_file;
    pthread_t              thread;
    struct journal_writer  writer;

    pthread_mutex_t lock;
    pthread_cond_t  changed; /* something waits, or the journal closes */

    struct {
        struct segment_list    log;
        uint64_t               trimmed; /* the offset before which nothing is wanted any more */
        struct entry_queue     waiting;
        bool                   is_closing;
        struct journal_figures figures;
    } locked;
};

/* Deletes the segments that nobody wants any more. */
void journal_delete_trimmed(struct journal *journal);

/* The writer's thread, on a journal: runs until that closes and nothing waits. */
void *journal_write_all(void *context);
