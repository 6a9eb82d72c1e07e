#pragma once

/*
 * Metrics: counters, gauges and histograms, written by hot paths without a lock
 * and read as Prometheus text or OpenMetrics.
 *
 * A family has a name and label names; a series is one combination of label
 * values. Look a series up once and keep it; it lives as long as the registry.
 * A family holds at most METRICS_MAX_SERIES series; beyond that everything goes
 * to one series whose labels all say "other", so no peer can grow it.
 *
 * Threads: any, for everything.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/str.h"
#include "common/base/text.h"

enum { METRICS_MAX_LABELS = 4, METRICS_MAX_SERIES = 500 };

enum metrics_kind { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

struct metrics;
struct metrics_family;
struct metrics_series;

struct metrics *metrics_new(void);
void            metrics_free(struct metrics *metrics);
DEFINE_CLEANUP(struct metrics *, metrics_free)

/*
 * A new family; the strings are constants. Counters are named without "_total",
 * durations end in "_seconds". `labels` ends with NULL. NULL when memory is short.
 */
struct metrics_family *metrics_family(struct metrics *metrics, enum metrics_kind kind,
                                      const char *name, const char *help,
                                      const char *const labels[]);

/*
 * The series with these label values (copied; as many as the family has labels).
 * Takes a lock. Never NULL.
 */
struct metrics_series *metrics_series(struct metrics_family *family, const struct str values[]);

/* A family without labels, and its only series. */
struct metrics_series *metrics_single(struct metrics *metrics, enum metrics_kind kind,
                                      const char *name, const char *help);

void metrics_add(struct metrics_series *series, uint64_t n);
void metrics_set(struct metrics_series *gauge, int64_t value);
void metrics_change(struct metrics_series *gauge, int64_t by);

/* A duration in a histogram. A `trace_id_hex` (32 digits, or absent) is the bucket's exemplar. */
void metrics_observe_ns(struct metrics_series *histogram, int64_t duration_ns,
                        struct str trace_id_hex);

/* What a counter or gauge shows, and how often a histogram observed. */
uint64_t metrics_value(const struct metrics_series *series);

/* A gauge or counter that is read when the page is made. `read` may take locks of its own. */
void metrics_computed(struct metrics *metrics, enum metrics_kind kind, const char *name,
                      const char *help, double (*read)(void *context), void *context);

/* Adds the process figures: process_resident_memory_bytes, process_open_fds and their kind. */
void metrics_add_process(struct metrics *metrics);

enum metrics_format { METRICS_PROMETHEUS, METRICS_OPENMETRICS };

/* OpenMetrics has exemplars and the closing # EOF; both have HELP and TYPE. */
void metrics_render(struct metrics *metrics, enum metrics_format format, struct text *to);

/* What the scraper's Accept header asks for, and the Content-Type of the answer. */
enum metrics_format metrics_negotiate(struct str accept);
struct str          metrics_content_type(enum metrics_format format);
