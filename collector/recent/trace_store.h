#pragma once

/*
 * Trace store: the last traces, by id, bounded in number and in bytes; the trace that
 * has been quiet for longest goes first.
 *
 * Threads: one at a time.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "collector/recent/kept_trace.h"

struct trace_store_limits {
    size_t max_traces;
    size_t max_bytes;       /* of all traces */
    size_t max_trace_bytes; /* of one, at most `max_bytes` */
};

/* Its members are its own, but for the counts, which may be read. */
struct trace_store {
    struct trace_store_limits limits;
    size_t                    n_spans;
    size_t                    n_bytes;
    uint64_t                  n_evicted; /* traces */

    struct siphash_key key;
    struct hash_table  traces;
    TAILQ_HEAD(trace_list_head, kept_trace) by_activity; /* the latest first */
};

/* 0 or -errno. */
int  trace_store_init(struct trace_store *store, const struct trace_store_limits *limits);
void trace_store_done(struct trace_store *store);

/*
 * Copies the span to its trace. 0; -EEXIST: it is there already; -EINVAL: it has no
 * trace id; -ENOSPC: its trace is full; -ENOMEM.
 */
int trace_store_file(struct trace_store *store, const struct span_view *span);

/* NULL when it is not kept (any more). Borrowed. */
struct kept_trace *trace_store_find(const struct trace_store *store, const struct trace_id *id);

/* For TAILQ_FOREACH, the latest first; their number. */
static inline size_t trace_store_count(const struct trace_store *store)
{
    return store->traces.count;
}
