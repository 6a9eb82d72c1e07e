#pragma once

/*
 * Hop metrics: the figures of one hop, looked up once so that counting takes no lock.
 *
 * Threads: any, once made.
 */

#include "common/base/metrics.h"
#include "common/base/status.h"

enum front { FRONT_HTTP, FRONT_GRPC, FRONT_COUNT };

struct str front_name(enum front front);

/* One peer of ours, in either direction: requests by status, and how long they took. */
struct call_metrics {
    struct metrics_series *requests[STATUS_COUNT];
    struct metrics_series *duration;
};

struct hop_metrics {
    struct call_metrics    fronts[FRONT_COUNT];
    struct metrics_series *fails, *delays; /* rolled and carried out */
    struct metrics_series *ignored_faults; /* items that could not be parsed */
    struct metrics_series
        *attempts[4]; /* requests seen for the 1st, 2nd, 3rd time, and more often */
    struct metrics_series *fibonacci_calls;
    struct metrics_family *upstream_requests; /* for call_metrics_find */
    struct metrics_family *upstream_durations;
};

void hop_metrics_init(struct hop_metrics *ret_metrics, struct metrics *metrics);

/* The figures of the upstream `uri`. Takes locks: once per upstream. */
struct call_metrics hop_metrics_upstream(const struct hop_metrics *metrics, struct str uri);

/* Counts one call. `trace_id_hex` may be absent. */
void call_metrics_count(const struct call_metrics *metrics, enum status status, int64_t duration_ns,
                        struct str trace_id_hex);

void hop_metrics_count_attempt(const struct hop_metrics *metrics, uint32_t attempt);
