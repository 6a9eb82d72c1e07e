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

#include "common/base/cleanup.h"
#include "common/base/str.h"
#include "common/base/text.h"

struct metrics;
struct recent;

struct recent_options {
    size_t max_traces;
    size_t max_bytes;       /* of all spans kept */
    size_t max_trace_bytes; /* of one trace: what comes then is counted and left out */
    size_t max_queue_bytes; /* of copies that wait to be filed */
};

/* 0 or -ENOMEM. */
int  recent_new(struct recent **ret_recent, const struct recent_options *options,
                struct metrics *metrics);
int  recent_start(struct recent *recent); /* 0 or -errno */
void recent_stop(struct recent *recent);
void recent_free(struct recent *recent); /* NULL is fine */
DEFINE_CLEANUP(struct recent *, recent_free)

/* Copies a skimmed ExportTraceServiceRequest. */
void recent_offer(struct recent *recent, struct str request, uint32_t n_spans);

/* Waits until what was offered before is filed. For tests. */
void recent_settle(struct recent *recent);
