#include "common/base/metrics.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/metrics_private.h"

#define US(n) (INT64_C(n) * NS_PER_US)
#define MS(n) (INT64_C(n) * NS_PER_MS)

const struct metrics_bucket_limit metrics_bucket_limits[METRICS_N_BUCKETS] = {
    {US(500), STR_INIT("0.0005")}, {MS(1), STR_INIT("0.001")},  {US(2500), STR_INIT("0.0025")},
    {MS(5), STR_INIT("0.005")},    {MS(10), STR_INIT("0.01")},  {MS(25), STR_INIT("0.025")},
    {MS(50), STR_INIT("0.05")},    {MS(100), STR_INIT("0.1")},  {MS(250), STR_INIT("0.25")},
    {MS(500), STR_INIT("0.5")},    {MS(1000), STR_INIT("1")},   {MS(2500), STR_INIT("2.5")},
    {MS(5000), STR_INIT("5")},     {MS(10000), STR_INIT("10")}, {INT64_MAX, STR_INIT("+Inf")},
};

static const struct str other_values[METRICS_MAX_LABELS] = {STR_INIT("other"), STR_INIT("other"),
                                                            STR_INIT("other"), STR_INIT("other")};

struct metrics *metrics_new(void)
{
    struct metrics *metrics = calloc(1, sizeof(*metrics));
    if (metrics)
        pthread_mutex_init(&metrics->lock, NULL);
    return metrics;
}

static void family_free(struct metrics_family *family)
{
    for (struct metrics_series *series = family->first, *next; series; series = next) {
        next = series->next;
        free(series);
    }
    free(family->other);
    pthread_mutex_destroy(&family->lock);
    free(family);
}
DEFINE_CLEANUP(struct metrics_family *, family_free)

void metrics_free(struct metrics *metrics)
{
    if (!metrics)
        return;

    for (struct metrics_family *family = metrics->first, *next; family; family = next) {
        next = family->next;
        family_free(family);
    }
    pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

/* A page with a name twice is refused whole by scrapers. */
static bool has_family_locked(const struct metrics *metrics, const char *name)
{
    for (struct metrics_family *family = metrics->first; family; family = family->next)
        if (strcmp(family->name, name) == 0)
            return true;
    return false;
}

static void link_family(struct metrics *metrics, struct metrics_family *family)
{
    pthread_mutex_lock(&metrics->lock);
    assert(!has_family_locked(metrics, family->name));

    struct metrics_family *_Atomic *link = &metrics->first;
    while (*link)
        link = &(*link)->next;
    *link = family;
    pthread_mutex_unlock(&metrics->lock);
}

static struct metrics_family *family_new(enum metrics_kind kind, const char *name, const char *help)
{
    struct metrics_family *family = calloc(1, sizeof(*family));
    if (!family)
        return NULL;

    pthread_mutex_init(&family->lock, NULL);
    family->kind = kind;
    family->name = name;
    family->help = help;
    return family;
}

static size_t total_length(const struct str values[], size_t n)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += values[i].len;
    return len;
}

static void copy_values(struct str copies[], const struct str values[], size_t n, char *to)
{
    for (size_t i = 0; i < n; i++) {
        if (values[i].len > 0)
            memcpy(to, values[i].at, values[i].len);
        copies[i] = (struct str){to, values[i].len};
        to += values[i].len;
    }
}

/* One piece of memory: the series, its histogram if it has one, and its label values. */
static struct metrics_series *series_new(const struct metrics_family *family,
                                         const struct str             values[])
{
    bool   is_histogram = family->kind == METRICS_HISTOGRAM;
    size_t fixed_bytes =
        sizeof(struct metrics_series) + (is_histogram ? sizeof(struct metrics_histogram) : 0);
    struct metrics_series *series = calloc(1, fixed_bytes + total_length(values, family->n_labels));
    if (!series)
        return NULL;

    copy_values(series->values, values, family->n_labels, (char *)series + fixed_bytes);
    if (is_histogram) {
        series->histogram = (struct metrics_histogram *)(series + 1);
        atomic_flag_clear(&series->histogram->is_busy);
    }
    return series;
}

struct metrics_family *metrics_family(struct metrics *metrics, enum metrics_kind kind,
                                      const char *name, const char *help,
                                      const char *const labels[])
{
    cleanup_with(family_free_at) struct metrics_family *family = family_new(kind, name, help);
    if (!family)
        return NULL;

    for (; labels[family->n_labels]; family->n_labels++) {
        assert(family->n_labels < METRICS_MAX_LABELS);
        family->labels[family->n_labels] = labels[family->n_labels];
    }

    family->other = series_new(family, other_values);
    if (!family->other)
        return NULL;
    family->is_other_shown = family->n_labels == 0;

    link_family(metrics, family);
    return take(family);
}

static bool has_values(const struct metrics_series *series, const struct str values[], size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!str_equal(series->values[i], values[i]))
            return false;
    return true;
}

/* The series with these values, or NULL and where the next one is linked in. */
static struct metrics_series *find_series(struct metrics_family *family, const struct str values[],
                                          struct metrics_series *_Atomic **ret_link)
{
    struct metrics_series *_Atomic *link = &family->first;
    struct metrics_series          *series;

    while ((series = atomic_load_explicit(link, memory_order_acquire))) {
        if (has_values(series, values, family->n_labels))
            return series;
        link = &series->next;
    }
    *ret_link = link;
    return NULL;
}

static struct metrics_series *other_series(struct metrics_family *family)
{
    family->is_other_shown = true;
    return family->other;
}

static struct metrics_series *series_locked(struct metrics_family *family,
                                            const struct str       values[])
{
    struct metrics_series *_Atomic *link = NULL;
    struct metrics_series          *series = find_series(family, values, &link);
    if (series)
        return series;

    if (family->locked.n_series == METRICS_MAX_SERIES)
        return other_series(family);
    series = series_new(family, values);
    if (!series)
        return other_series(family);

    atomic_store_explicit(link, series, memory_order_release);
    family->locked.n_series++;
    return series;
}

struct metrics_series *metrics_series(struct metrics_family *family, const struct str values[])
{
    struct metrics_series *_Atomic *link;

    if (has_values(family->other, values, family->n_labels))
        return other_series(family);

    struct metrics_series *series = find_series(family, values, &link);
    if (series)
        return series;

    pthread_mutex_lock(&family->lock);
    series = series_locked(family, values);
    pthread_mutex_unlock(&family->lock);
    return series;
}

struct metrics_series *metrics_single(struct metrics *metrics, enum metrics_kind kind,
                                      const char *name, const char *help)
{
    struct metrics_family *family =
        metrics_family(metrics, kind, name, help, (const char *const[]){NULL});
    return family ? family->other : NULL;
}

void metrics_add(struct metrics_series *series, uint64_t n)
{
    atomic_fetch_add_explicit(&series->value, n, memory_order_relaxed);
}

void metrics_set(struct metrics_series *gauge, int64_t value)
{
    atomic_store_explicit(&gauge->value, (uint64_t)value, memory_order_relaxed);
}

void metrics_change(struct metrics_series *gauge, int64_t by)
{
    metrics_add(gauge, (uint64_t)by);
}

bool metrics_histogram_try_lock(struct metrics_histogram *histogram)
{
    return !atomic_flag_test_and_set_explicit(&histogram->is_busy, memory_order_acquire);
}

void metrics_histogram_unlock(struct metrics_histogram *histogram)
{
    atomic_flag_clear_explicit(&histogram->is_busy, memory_order_release);
}

/* One exemplar is as good as another: when somebody else is at them, this one is left out. */
static void set_exemplar(struct metrics_histogram *histogram, size_t bucket, int64_t duration_ns,
                         struct str trace_id_hex)
{
    struct metrics_exemplar exemplar = {
        .is_set = true, .duration_ns = duration_ns, .realtime_ns = clock_realtime_ns()};

    assert(trace_id_hex.len == METRICS_TRACE_ID_LENGTH);
    memcpy(exemplar.trace_id_hex, trace_id_hex.at, METRICS_TRACE_ID_LENGTH);

    if (metrics_histogram_try_lock(histogram)) {
        histogram->exemplars[bucket] = exemplar;
        metrics_histogram_unlock(histogram);
    }
}

void metrics_observe_ns(struct metrics_series *histogram, int64_t duration_ns,
                        struct str trace_id_hex)
{
    struct metrics_histogram *h = histogram->histogram;
    size_t                    bucket = 0;

    if (duration_ns < 0)
        duration_ns = 0;
    while (duration_ns > metrics_bucket_limits[bucket].ns)
        bucket++;

    atomic_fetch_add_explicit(&h->counts[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum_ns, (uint64_t)duration_ns, memory_order_relaxed);
    if (trace_id_hex.at)
        set_exemplar(h, bucket, duration_ns, trace_id_hex);
}

static uint64_t histogram_count(const struct metrics_histogram *histogram)
{
    uint64_t count = 0;
    for (size_t i = 0; i < METRICS_N_BUCKETS; i++)
        count += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
    return count;
}

uint64_t metrics_value(const struct metrics_series *series)
{
    if (series->histogram)
        return histogram_count(series->histogram);
    return atomic_load_explicit(&series->value, memory_order_relaxed);
}

void metrics_computed(struct metrics *metrics, enum metrics_kind kind, const char *name,
                      const char *help, double (*read)(void *context), void *context)
{
    struct metrics_family *family = family_new(kind, name, help);
    if (!family)
        return;

    family->read = read;
    family->read_context = context;
    link_family(metrics, family);
}
