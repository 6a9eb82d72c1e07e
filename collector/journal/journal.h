#pragma once

/*
 * Journal: the durable queue between receivers and destinations. Records are appended to a
 * log of segments and never changed; an append is acknowledged when it is as durable as was asked
 * for; any number of readers read the log, each from a position of its own. The journal knows
 * nothing of readers: they say what may go (journal_trim).
 *
 * A position is a byte offset in the log since its birth, and the number of spans before it. The
 * numbers never start again, so the spans between two positions are known even where
 * the bytes between them are lost.
 *
 * Threads: append, read and the positions from any; open and close from one. One thread of its own
 * writes: it takes all that waits, writes it at once, and syncs it once (group commit).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/str.h"

struct journal;

enum journal_durability {
    JOURNAL_SYNC,     /* acknowledged after fdatasync: survives loss of power */
    JOURNAL_INTERVAL, /* after the write; synced in the background: survives the process */
    JOURNAL_NONE,     /* after the write; the kernel writes it back when it likes */
};

struct journal_options {
    const char             *directory; /* made when it is not there */
    enum journal_durability durability;
    int64_t                 sync_interval_ns;  /* JOURNAL_INTERVAL */
    uint64_t                max_bytes;         /* sizes the segments; see journal_position_within */
    size_t                  max_waiting_bytes; /* of appends that are not committed */
    /* Runs on the writer's thread when there is more to read. May be NULL. */
    void (*committed)(void *context);
    void *context;
};

struct journal_position {
    uint64_t offset;
    uint64_t span;
};

/* What opening found and repaired. */
struct journal_recovery {
    uint64_t n_bytes, n_spans; /* that can be read */
    uint64_t cut_bytes;        /* torn tail */
    uint64_t skipped_bytes;    /* damaged middle, as far as it was looked at */
};

enum {
    JOURNAL_MAX_PAYLOAD_BYTES = 1 << 30, /* of a record */
    JOURNAL_LEAST_READ_BYTES = 4096      /* of a reader's buffer */
};

/*
 * 0; -EBUSY: another process has this journal; else -errno (the directory cannot be used). Only
 * the last segment is read through, so this takes the time of one segment.
 */
int journal_open(struct journal **ret_journal, const struct journal_options *options,
                 struct journal_recovery *ret_recovery);

/* Commits what waits, syncs whatever the durability, ends the thread. NULL is fine. */
void journal_close(struct journal *journal);
DEFINE_CLEANUP(struct journal *, journal_close)

/* What wants to be kept. Embed it; it and its payload are the caller's again when `done` begins. */
struct journal_entry {
    /*
     * Runs once on the writer's thread: 0 when it is kept; -ENOSPC, -EIO and their kind when it is
     * not (it may be tried again). Does not block.
     */
    void (*done)(struct journal_entry *entry, int result);
    struct str            payload;
    uint32_t              n_spans;
    int64_t               time_ns; /* real time, for the age */
    struct journal_entry *next;    /* the journal's, meanwhile */
    uint32_t              checksum;
};

/*
 * 0: `done` will run. -EAGAIN: too much waits. -ENOSPC, -EIO: the disk refuses at the moment;
 * the journal looks again by itself. -ESHUTDOWN. -EMSGSIZE. Never blocks on the disk. When nothing
 * waits, one record is let in that is larger than all that may wait.
 */
int journal_append(struct journal *journal, struct journal_entry *entry);

/*
 * Somebody has been at `position`, so the log goes on there at least: what the disk lost behind
 * its end is not made up for with numbers that were given before. Every reader's position is to be
 * reported after opening; one beyond the end, before the first append.
 */
void journal_reach(struct journal *journal, struct journal_position position);

/* The first record that is there, and the end of what is committed. */
struct journal_position journal_begin(struct journal *journal);
struct journal_position journal_end(struct journal *journal);

/*
 * The position of the oldest segment that stays when the log shall have at most `max_bytes` on
 * disk, and no segment in which all is older than `oldest_ns` (real time; INT64_MIN: no matter).
 * Single records that are too old are the reader's to pass over. Never beyond journal_end.
 */
struct journal_position journal_position_within(struct journal *journal, uint64_t max_bytes,
                                                int64_t oldest_ns);

/*
 * Deletes the segments that end at or before `offset`. The last stays, as it knows the numbers;
 * but not where the disk refuses to begin another: then the readers know them (journal_reach).
 */
void journal_trim(struct journal *journal, uint64_t offset);

/* Bytes on disk, preallocated ones included. */
uint64_t journal_disk_bytes(struct journal *journal);

struct journal_record {
    struct journal_position end; /* where the next one begins */
    struct str              payload;
    uint32_t                n_spans;
    int64_t                 time_ns;
};

struct journal_chunk {
    struct journal_position start; /* of the first record; after `from` when some were lost */
    struct journal_position end;   /* of the last: read on from here */
    size_t                  n_records;
    size_t n_bytes;      /* of all payloads, which stand one after the other in the buffer */
    size_t wanted_bytes; /* -ENOBUFS: the buffer that the first record needs */
};

/*
 * Reads committed records from `from` on: as many as there are, as fit into `size` bytes and
 * `max_records`. Their payloads are strung together at the start of `buffer`. A record that is
 * damaged (its checksum) is skipped; the chunk ends before a gap, and the next read starts after
 * it: its `start` says so. A `from` before journal_begin continues at journal_begin.
 *
 * The number of records; 0 when there is nothing to read: `end` is then the end of the log, and the
 * spans between `from` and there are lost. -ENOBUFS with `wanted_bytes` or -errno (the disk fails):
 * `end` then says where it is to be tried again, and the spans before it are lost.
 */
int journal_read(struct journal *journal, struct journal_position from, void *buffer, size_t size,
                 struct journal_record records[], size_t max_records,
                 struct journal_chunk *ret_chunk);

/* For the books; any thread. */
struct journal_figures {
    uint64_t appended_bytes, appended_records, appended_spans; /* committed since open */
    uint64_t groups, syncs, failed_writes;
    uint64_t waiting_bytes;
    uint64_t skipped_bytes; /* damaged, seen while reading */
    int      trouble;       /* 0, or -errno that appends get at the moment */
};
struct journal_figures journal_figures(struct journal *journal);
