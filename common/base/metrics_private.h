#pragma once

/*
 * What metrics.c keeps and metrics_render.c shows. Lists only grow, and an
 * element is whole before it is linked in, so readers take no lock.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "common/base/metrics.h"

enum { METRICS_N_BUCKETS = 15, METRICS_TRACE_ID_LENGTH = 32 };

/* Upper limits of the buckets, the last of which has none. */
struct metrics_bucket_limit {
    int64_t    ns;
    struct str seconds;
};

extern const struct metrics_bucket_limit metrics_bucket_limits[METRICS_N_BUCKETS];

struct metrics_exemplar {
    bool    is_set;
    char    trace_id_hex[METRICS_TRACE_ID_LENGTH];
    int64_t duration_ns;
    int64_t realtime_ns;
};

struct metrics_histogram {
    _Atomic uint64_t        sum_ns;
    _Atomic uint64_t        counts[METRICS_N_BUCKETS]; /* each bucket's own */
    atomic_flag             is_busy;                   /* held: `exemplars` are read or written */
    struct metrics_exemplar exemplars[METRICS_N_BUCKETS];
};

struct metrics_series {
    struct metrics_series *_Atomic next;
    struct str                     values[METRICS_MAX_LABELS];
    _Atomic uint64_t               value;     /* of a gauge: an int64_t in two's complement */
    struct metrics_histogram      *histogram; /* NULL but in a histogram */
};

struct metrics_family {
    struct metrics_family *_Atomic next;
    enum metrics_kind              kind;
    const char                    *name;
    const char                    *help;
    const char                    *labels[METRICS_MAX_LABELS];
    size_t                         n_labels;

    double (*read)(void *context); /* NULL: the family has series */
    void *read_context;

    struct metrics_series *_Atomic first;
    struct metrics_series         *other; /* when it is full; without labels: the only one */
    _Atomic bool                   is_other_shown;

    pthread_mutex_t lock;
    struct {
        size_t n_series;
    } locked; /* and linking a series in */
};

struct metrics {
    struct metrics_family *_Atomic first;
    pthread_mutex_t                lock; /* linking a family in */
};

/* Keeps exemplars still: false when somebody else has them now. */
bool metrics_histogram_try_lock(struct metrics_histogram *histogram);
void metrics_histogram_unlock(struct metrics_histogram *histogram);
