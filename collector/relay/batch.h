#pragma once

/*
 * Batch: records in memory, strung together as one request. Batches are shared by those who
 * send parts of them; their memory comes from a pool and goes back to it. What is larger than the
 * pool's buffers is read into memory of its own, one such batch at a time: while its destination
 * does not answer, it is forgotten, for another destination's.
 *
 * Threads: batch_unref from any; the rest from one.
 */

#include <stdbool.h>
#include <stddef.h>

#include "collector/journal/journal.h"
#include "common/base/cleanup.h"
#include "common/base/str.h"

struct batch_pool;

/* Buffers have JOURNAL_LEAST_READ_BYTES at least. 0 or -ENOMEM. */
int batch_pool_new(struct batch_pool **ret_pool, size_t buffer_bytes);

/* Batches that are still in use outlive it. NULL is fine. */
void batch_pool_free(struct batch_pool *pool);
DEFINE_CLEANUP(struct batch_pool *, batch_pool_free)

/* Frees the buffers that nobody has needed since the last time. */
void batch_pool_trim(struct batch_pool *pool);

struct batch_record {
    struct journal_position end;
    size_t                  bytes_end; /* in the batch */
    int64_t                 time_ns;   /* real time */
};

struct batch {
    char                *bytes;
    size_t               n_records;
    struct batch_record *records;

    /* The pool's. */
    struct batch_pool *pool;
    unsigned           n_refs;
    size_t             capacity;
    bool               is_in_memory;
    struct batch      *next_free;
};

/* An empty one of the pool's size. NULL when memory is short. */
struct batch *batch_new(struct batch_pool *pool);

struct batch *batch_ref(struct batch *batch);
void          batch_unref(struct batch *batch);
DEFINE_CLEANUP(struct batch *, batch_unref)

/* Its records from number `first` on. */
struct str batch_view(const struct batch *batch, size_t first, size_t n_records);

/*
 * Reads as many records from `from` on as fit into `max_bytes` (at least JOURNAL_LEAST_READ_BYTES,
 * at most the pool's size), or one that is larger. Their number, 0 and no batch when there are
 * none, -EBUSY while another one that is too large for the pool is in use, -ENOMEM, or what
 * journal_read says.
 */
int batch_read(struct batch **ret_batch, struct batch_pool *pool, struct journal *journal,
               struct journal_position from, size_t max_bytes, struct journal_chunk *ret_chunk);

/* Gives back the memory of a batch that is larger than the pool's, but not its place. */
void batch_forget(struct batch *batch);

/*
 * Reads it again, from where it was read, when it was forgotten. 0, -EBUSY as batch_read,
 * -ENODATA when the journal has no longer the same, or what journal_read says.
 */
int batch_recall(struct batch *batch, struct journal *journal, struct journal_position from);
