#include "tests/mock/load_figures.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

void load_figures_done(struct load_figures *figures)
{
    free(figures->ranges);
}

/* A power of two, and within it one of LATENCY_STEPS equal parts. */
static size_t bucket_of(uint64_t ns)
{
    if (ns < LATENCY_STEPS)
        return (size_t)ns;

    unsigned power = 63 - (unsigned)__builtin_clzll(ns);
    uint64_t step = (ns >> (power - 5)) - LATENCY_STEPS;
    return (size_t)(power - 4) * LATENCY_STEPS + (size_t)step;
}

/* The upper end of a bucket. */
static uint64_t bucket_end(size_t bucket)
{
    if (bucket < LATENCY_STEPS)
        return bucket;

    unsigned power = (unsigned)(bucket / LATENCY_STEPS) + 4;
    uint64_t step = bucket % LATENCY_STEPS + LATENCY_STEPS + 1;
    return (step << (power - 5)) - 1;
}

/* The first range that begins after `id`. */
static size_t find_after(const struct load_figures *figures, uint64_t id)
{
    size_t low = 0, high = figures->n_ranges;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (figures->ranges[middle].first > id)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static int insert(struct load_figures *figures, size_t at, struct load_range range)
{
    if (figures->n_ranges == figures->capacity) {
        size_t             capacity = figures->capacity > 0 ? 2 * figures->capacity : 64;
        struct load_range *ranges = realloc(figures->ranges, capacity * sizeof(*ranges));
        if (!ranges)
            return -ENOMEM;
        figures->ranges = ranges;
        figures->capacity = capacity;
    }
    assert(figures->ranges);
    memmove(&figures->ranges[at + 1], &figures->ranges[at],
            (figures->n_ranges - at) * sizeof(range));
    figures->ranges[at] = range;
    figures->n_ranges++;
    return 0;
}

static void drop(struct load_figures *figures, size_t at)
{
    figures->n_ranges--;
    memmove(&figures->ranges[at], &figures->ranges[at + 1],
            (figures->n_ranges - at) * sizeof(figures->ranges[0]));
}

/* Joins the range with its neighbours, of which there may be two. */
static int add_range(struct load_figures *figures, struct load_range range)
{
    size_t             at = find_after(figures, range.first);
    struct load_range *before = at > 0 ? &figures->ranges[at - 1] : NULL;
    struct load_range *after = at < figures->n_ranges ? &figures->ranges[at] : NULL;

    if (before && before->end == range.first) {
        before->end = range.end;
        if (after && after->first == range.end) {
            before->end = after->end;
            drop(figures, at);
        }
        return 0;
    }
    if (after && after->first == range.end) {
        after->first = range.first;
        return 0;
    }
    return insert(figures, at, range);
}

int load_figures_acknowledge(struct load_figures *figures, struct load_range range,
                             int64_t latency_ns)
{
    figures->latencies[bucket_of((uint64_t)latency_ns)]++;
    figures->n_latencies++;
    return add_range(figures, range);
}

uint64_t load_figures_percentile_ns(const struct load_figures *figures, double percent)
{
    double   wanted = (double)figures->n_latencies * percent / 100;
    uint64_t seen = 0;

    for (size_t bucket = 0; bucket < LATENCY_BUCKETS; bucket++) {
        seen += figures->latencies[bucket];
        if (seen > 0 && (double)seen >= wanted)
            return bucket_end(bucket);
    }
    return 0;
}

void load_figures_render_ranges(const struct load_figures *figures, struct text *to)
{
    text_add_char(to, '[');
    for (size_t i = 0; i < figures->n_ranges; i++)
        text_add_format(to, "%s[%ju,%ju]", i > 0 ? "," : "", (uintmax_t)figures->ranges[i].first,
                        (uintmax_t)figures->ranges[i].end);
    text_add_char(to, ']');
}
