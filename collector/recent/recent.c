#include "collector/recent/recent.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "collector/recent/request_queue.h"
#include "collector/recent/trace_store.h"
#include "collector/spans/span_walk.h"
#include "common/base/clock.h"
#include "common/base/metrics.h"

enum skip_reason {
    SKIP_QUEUE_FULL,
    SKIP_TOO_FAST,
    SKIP_TRACE_FULL,
    SKIP_NO_TRACE_ID,
    SKIP_NO_MEMORY,
    SKIP_REASON_COUNT
};

struct recent {
    struct metrics_series *skipped[SKIP_REASON_COUNT];
    struct metrics_series *evicted;
    struct metrics_series *n_traces, *n_spans, *n_bytes;
    struct request_queue  *queue;
    pthread_t              thread;
    size_t                 max_bytes_per_s;
    _Atomic int64_t        second_end_ns; /* of the second whose bytes are counted */
    _Atomic size_t         second_bytes;

    pthread_mutex_t lock;
    struct {
        struct trace_store store;
    } locked;
};

static int open_metrics(struct recent *recent, struct metrics *metrics)
{
    static const struct str reasons[SKIP_REASON_COUNT] = {
        [SKIP_QUEUE_FULL] = STR_INIT("queue_full"), [SKIP_TOO_FAST] = STR_INIT("too_fast"),
        [SKIP_TRACE_FULL] = STR_INIT("trace_full"), [SKIP_NO_TRACE_ID] = STR_INIT("no_trace_id"),
        [SKIP_NO_MEMORY] = STR_INIT("no_memory"),
    };

    struct metrics_family *skipped = metrics_family(
        metrics, METRICS_COUNTER, "tracehop_collector_recent_skipped_spans",
        "Spans that the recent traces lack, by reason.", (const char *const[]){"reason", NULL});
    recent->evicted =
        metrics_single(metrics, METRICS_COUNTER, "tracehop_collector_recent_evicted_traces",
                       "Recent traces that made room for others.");
    recent->n_traces = metrics_single(metrics, METRICS_GAUGE, "tracehop_collector_recent_traces",
                                      "Traces kept to be looked at.");
    recent->n_spans = metrics_single(metrics, METRICS_GAUGE, "tracehop_collector_recent_spans",
                                     "Spans of the recent traces.");
    recent->n_bytes = metrics_single(metrics, METRICS_GAUGE, "tracehop_collector_recent_bytes",
                                     "Memory that the recent traces take.");
    if (!skipped || !recent->evicted || !recent->n_traces || !recent->n_spans || !recent->n_bytes)
        return -ENOMEM;

    for (int i = 0; i < SKIP_REASON_COUNT; i++)
        recent->skipped[i] = metrics_series(skipped, &reasons[i]);
    return 0;
}

int recent_new(struct recent **ret_recent, const struct recent_options *options,
               struct metrics *metrics)
{
    cleanup_with(recent_free_at) struct recent *recent = calloc(1, sizeof(*recent));
    if (!recent)
        return -ENOMEM;

    recent->max_bytes_per_s = options->max_bytes_per_s;
    pthread_mutex_init(&recent->lock, NULL);
    int r = trace_store_init(&recent->locked.store, &(struct trace_store_limits){
                                                        .max_traces = options->max_traces,
                                                        .max_bytes = options->max_bytes,
                                                        .max_trace_bytes = options->max_trace_bytes,
                                                    });
    if (r < 0)
        return r;
    r = open_metrics(recent, metrics);
    if (r < 0)
        return r;
    recent->queue = request_queue_new(options->max_queue_bytes);
    if (!recent->queue)
        return -ENOMEM;
    *ret_recent = take(recent);
    return 0;
}

void recent_free(struct recent *recent)
{
    if (!recent)
        return;

    request_queue_free(recent->queue);
    trace_store_done(&recent->locked.store);
    pthread_mutex_destroy(&recent->lock);
    free(recent);
}

static void show_figures_locked(const struct recent *recent)
{
    const struct trace_store *store = &recent->locked.store;

    metrics_set(recent->n_traces, (int64_t)trace_store_count(store));
    metrics_set(recent->n_spans, (int64_t)store->n_spans);
    metrics_set(recent->n_bytes, (int64_t)store->n_bytes);
    metrics_add(recent->evicted, store->n_evicted - metrics_value(recent->evicted));
}

static void count_skipped(struct recent *recent, int error)
{
    if (error == -EINVAL)
        metrics_add(recent->skipped[SKIP_NO_TRACE_ID], 1);
    else if (error == -ENOSPC)
        metrics_add(recent->skipped[SKIP_TRACE_FULL], 1);
    else if (error == -ENOMEM)
        metrics_add(recent->skipped[SKIP_NO_MEMORY], 1);
}

/* The lock is taken for each span, so that a large request keeps nobody waiting. */
static void file_request(struct recent *recent, struct str request)
{
    struct span_walk walk = span_walk(request);
    struct span_view span;

    while (span_walk_next(&walk, &span)) {
        pthread_mutex_lock(&recent->lock);
        int r = trace_store_file(&recent->locked.store, &span);
        pthread_mutex_unlock(&recent->lock);
        count_skipped(recent, r);
    }
    pthread_mutex_lock(&recent->lock);
    show_figures_locked(recent);
    pthread_mutex_unlock(&recent->lock);
}

/* Linux knows priorities of threads, by this name; only this one is changed. */
static void step_back(void)
{
    enum { LEAST_PRIORITY = 19 };
    (void)setpriority(PRIO_PROCESS, 0 /* the calling thread */, LEAST_PRIORITY);
}

static void *file_requests(void *context)
{
    struct recent *recent = context;
    struct str     request;

    (void)pthread_setname_np(pthread_self(), "recent");
    step_back();
    while (request_queue_take(recent->queue, &request)) {
        file_request(recent, request);
        request_queue_done(recent->queue);
    }
    return NULL;
}

int recent_start(struct recent *recent)
{
    return -pthread_create(&recent->thread, NULL, file_requests, recent);
}

void recent_stop(struct recent *recent)
{
    request_queue_close(recent->queue);
    pthread_join(recent->thread, NULL);
}

/* Those who begin a second at the same time agree, or count a little too little. */
static bool is_too_fast(struct recent *recent, size_t n_bytes)
{
    int64_t now_ns = clock_monotonic_ns();

    if (recent->max_bytes_per_s == 0)
        return false;
    if (now_ns >= atomic_load(&recent->second_end_ns)) {
        atomic_store(&recent->second_end_ns, now_ns + NS_PER_S);
        atomic_store(&recent->second_bytes, 0);
    }
    return atomic_fetch_add(&recent->second_bytes, n_bytes) + n_bytes > recent->max_bytes_per_s;
}

void recent_offer(struct recent *recent, struct str request, uint32_t n_spans)
{
    if (n_spans == 0)
        return;

    if (is_too_fast(recent, request.len))
        metrics_add(recent->skipped[SKIP_TOO_FAST], n_spans);
    else if (request_queue_offer(recent->queue, request) == -EAGAIN)
        metrics_add(recent->skipped[SKIP_QUEUE_FULL], n_spans);
}

void recent_settle(struct recent *recent)
{
    request_queue_settle(recent->queue);
}

static struct trace_snapshot snapshot_of(struct kept_trace *trace)
{
    return (struct trace_snapshot){
        .trace = kept_trace_ref(trace),
        .spans = {trace->first_span, trace->n_spans},
    };
}

void trace_snapshot_done(struct trace_snapshot *snapshot)
{
    kept_trace_unref(snapshot->trace);
    *snapshot = (struct trace_snapshot){0};
}

bool recent_find(struct recent *recent, const struct trace_id *id,
                 struct trace_snapshot *ret_snapshot)
{
    pthread_mutex_lock(&recent->lock);
    struct kept_trace *trace = trace_store_find(&recent->locked.store, id);
    if (trace)
        *ret_snapshot = snapshot_of(trace);
    pthread_mutex_unlock(&recent->lock);
    return trace;
}

static size_t count_traces(struct recent *recent)
{
    pthread_mutex_lock(&recent->lock);
    size_t count = trace_store_count(&recent->locked.store);
    pthread_mutex_unlock(&recent->lock);
    return count;
}

static void list_locked(struct recent *recent, struct trace_list *list, size_t max_traces)
{
    struct kept_trace *trace = TAILQ_FIRST(&recent->locked.store.by_activity);

    for (; trace && list->count < max_traces; trace = TAILQ_NEXT(trace, link))
        list->traces[list->count++] = snapshot_of(trace);
}

/* Traces that come between the counting and the listing push out the quietest. */
int recent_list(struct recent *recent, struct trace_list *ret_list)
{
    size_t            max_traces = count_traces(recent);
    struct trace_list list = {.traces = calloc(max_traces + 1, sizeof(*list.traces))};
    if (!list.traces)
        return -ENOMEM;

    pthread_mutex_lock(&recent->lock);
    list_locked(recent, &list, max_traces);
    pthread_mutex_unlock(&recent->lock);
    *ret_list = list;
    return 0;
}

void trace_list_done(struct trace_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        trace_snapshot_done(&list->traces[i]);
    free(list->traces);
    *list = (struct trace_list){0};
}
