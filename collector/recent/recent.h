#pragma once

/*
 * Recent: the last traces, to be looked at. Fed after the commit with copies, off the
 * acknowledging path: when it cannot keep up it skips requests and counts them. Bounded in traces
 * and in bytes; the trace that has been quiet for longest goes first.
 *
 * Threads: offer from any, never blocks; queries from any; one thread of its own, of low priority,
 * files the spans.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/recent/kept_trace.h"
#include "common/base/cleanup.h"
#include "common/base/str.h"

struct metrics;
struct recent;

struct recent_options {
    size_t max_traces;
    size_t max_bytes;       /* of all traces kept */
    size_t max_trace_bytes; /* of one trace: what comes then is counted and left out */
    size_t max_queue_bytes; /* of copies that wait to be filed */
    size_t max_bytes_per_s; /* that are offered; 0: no limit */
};

/* 0 or -errno. */
int  recent_new(struct recent **ret_recent, const struct recent_options *options,
                struct metrics *metrics);
int  recent_start(struct recent *recent); /* 0 or -errno */
void recent_stop(struct recent *recent);  /* what waits is not filed any more */
void recent_free(struct recent *recent);  /* NULL is fine; not while snapshots are held */
DEFINE_CLEANUP(struct recent *, recent_free)

/* Copies a skimmed ExportTraceServiceRequest. */
void recent_offer(struct recent *recent, struct str request, uint32_t n_spans);

/* Waits until what was offered before is filed. For tests. */
void recent_settle(struct recent *recent);

/*
 * A trace as it was when it was asked for. It does not change, and its memory stays, until
 * it is done with: it may be evicted meanwhile, and is then beyond the limits.
 */
struct trace_snapshot {
    struct kept_trace *trace;
    struct kept_spans  spans; /* at least one */
};
void trace_snapshot_done(struct trace_snapshot *snapshot); /* all zero is fine */

/* False when the trace is not there. */
bool recent_find(struct recent *recent, const struct trace_id *id,
                 struct trace_snapshot *ret_snapshot);

/* All traces, the last active one first. Takes as long, under a lock, as to count them. */
struct trace_list {
    struct trace_snapshot *traces;
    size_t                 count;
};
int  recent_list(struct recent *recent, struct trace_list *ret_list); /* 0 or -ENOMEM */
void trace_list_done(struct trace_list *list);
