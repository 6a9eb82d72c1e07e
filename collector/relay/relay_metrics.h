#pragma once

/*
 * Relay metrics: the series of each destination, labelled with its name.
 *
 * Threads: any.
 */

#include "collector/relay/relay.h"
#include "common/base/metrics.h"
#include "common/trace/otlp_retry.h"

struct relay_metrics {
    struct metrics_family *spans;
    struct metrics_family *calls;
    struct metrics_family *call_duration;
    struct metrics_family *retries;
    struct metrics_family *sent_bytes;
    struct metrics_family *queued_spans;
    struct metrics_family *queued_bytes;
    struct metrics_family *calls_in_flight;
    struct metrics_family *batch_limit;
    struct metrics_family *is_backing_off;
    struct metrics_family *cursor_failures;
};

/* 0 or -ENOMEM. */
int relay_metrics_init(struct relay_metrics *relay_metrics, struct metrics *metrics);

struct destination_metrics {
    struct metrics_series *spans[RELAY_COUNTS];
    struct metrics_series *calls[OTLP_ANSWERS];
    struct metrics_series *call_duration;
    struct metrics_series *retries;
    struct metrics_series *sent_bytes;
    struct metrics_series *queued_spans;
    struct metrics_series *queued_bytes;
    struct metrics_series *calls_in_flight;
    struct metrics_series *batch_limit;
    struct metrics_series *is_backing_off;
    struct metrics_series *cursor_failures;
};

struct destination_metrics destination_metrics(const struct relay_metrics *relay_metrics,
                                               struct str                  name);

/* Sets the gauges. */
void destination_metrics_show(const struct destination_metrics *metrics,
                              const struct relay_books         *books);
