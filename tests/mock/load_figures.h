#pragma once

/*
 * Load figures: what became of a load: which span ids were acknowledged, as ranges, and how long
 * the acknowledgements took.
 *
 * Threads: one at a time.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/text.h"

struct load_range {
    uint64_t first, end; /* without `end` itself */
};

enum {
    LATENCY_STEPS = 32, /* in each power of two: 3 % is the finest that is told apart */
    LATENCY_BUCKETS = 64 * LATENCY_STEPS,
};

struct load_figures {
    struct load_range *ranges; /* in order, apart from each other */
    size_t             n_ranges, capacity;
    uint64_t           n_latencies;
    uint64_t           latencies[LATENCY_BUCKETS];
};

void load_figures_done(struct load_figures *figures);

/* 0 or -ENOMEM. */
int load_figures_acknowledge(struct load_figures *figures, struct load_range range,
                             int64_t latency_ns);

/* So many of a hundred acknowledgements took no longer; 0 when there was none. */
uint64_t load_figures_percentile_ns(const struct load_figures *figures, double percent);

/* [[FIRST, END], ...] */
void load_figures_render_ranges(const struct load_figures *figures, struct text *to);
