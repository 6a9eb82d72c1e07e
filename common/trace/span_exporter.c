#include "common/trace/span_exporter.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/edge/rpc_worker.h"
#include "common/trace/otlp_retry.h"
#include "common/trace/otlp_sender.h"
#include "common/trace/span_batch.h"
#include "common/trace/span_queue.h"

/*
 * One batch is on its way at a time, on the worker:
 *
 *     WAITING ── a batch waits, or the schedule says so ──▶ SENDING
 *     SENDING ── taken, refused, or out of time ──▶ WAITING
 *     SENDING ── to be tried again ──▶ BACKING_OFF ── the wait is over ──▶ SENDING
 *     any ── stopping, and nothing is left or the deadline is here ──▶ STOPPED
 */
enum state { WAITING, SENDING, BACKING_OFF, STOPPED };

enum drop_reason {
    DROP_QUEUE_FULL,
    DROP_REFUSED,
    DROP_TIMEOUT,
    DROP_UNREACHABLE,
    DROP_SHUTDOWN,
    DROP_REASON_COUNT
};

/* OTEL_EXPORTER_OTLP_TIMEOUT's default: a receiver that says nothing gets another try. */
static const int64_t max_try_ns = 10 * (int64_t)NS_PER_S;

/* At the end, a receiver that is not there is given this long to appear. */
static const int64_t max_absence_ns = NS_PER_S;

struct span_exporter {
    struct span_exporter_options options;
    struct metrics_series       *exported;
    struct metrics_series       *dropped[DROP_REASON_COUNT];
    struct span_queue           *queue;
    struct rpc_worker           *worker;
    struct otlp_sender          *sender;

    /* The worker's own. */
    enum state        state;
    struct span_batch batch;
    int64_t           batch_deadline_ns;
    struct otlp_call  call;
    struct rpc_timer  timer; /* WAITING: the schedule; BACKING_OFF: the next try */
    int64_t           scheduled_ns;
    int64_t           not_before_ns; /* what the receiver, or reason, asks for */
    unsigned          failures;      /* in a row */
    bool              is_stopping;
    int64_t           stop_began_ns, stop_deadline_ns;
    struct rpc_timer  stop_timer;
    struct rpc_task   stop_task;
    sem_t             stopped;

    struct rpc_task wake_task;
    pthread_mutex_t lock;
    struct {
        bool is_woken; /* wake_task is posted */
        bool is_closed;
    } locked;
};

static int64_t earlier(int64_t a_ns, int64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

static int64_t later(int64_t a_ns, int64_t b_ns)
{
    return a_ns > b_ns ? a_ns : b_ns;
}

static void tell(const struct span_exporter *exporter, enum span_exporter_event event)
{
    if (exporter->options.event)
        exporter->options.event(event, exporter->call.verdict.text, exporter->options.context);
}

/* Counts the batch, but for `n_taken` of its spans, as lost. */
static void end_batch(struct span_exporter *exporter, uint64_t n_taken, enum drop_reason reason)
{
    metrics_add(exporter->exported, n_taken);
    metrics_add(exporter->dropped[reason], exporter->batch.n_spans - n_taken);
    exporter->batch.n_spans = 0;
}

static void stop_here(struct span_exporter *exporter)
{
    rpc_worker_disarm(exporter->worker, &exporter->timer);
    rpc_worker_disarm(exporter->worker, &exporter->stop_timer);

    do
        end_batch(exporter, 0, DROP_SHUTDOWN);
    while (span_batch_take(&exporter->batch, exporter->queue));

    exporter->state = STOPPED;
    sem_post(&exporter->stopped);
}

static void try_batch(struct span_exporter *exporter, int64_t now_ns)
{
    int64_t deadline_ns = earlier(exporter->batch_deadline_ns, now_ns + max_try_ns);

    exporter->state = SENDING;
    otlp_send(exporter->sender, &exporter->call, exporter->batch.request, deadline_ns);
}

/* When the next batch is to go, if no span comes in meanwhile. */
static int64_t next_batch_ns(const struct span_exporter *exporter, size_t n_waiting, int64_t now_ns)
{
    if (n_waiting == 0)
        return now_ns + exporter->options.schedule_delay_ns;
    if (n_waiting >= exporter->options.max_batch_spans || exporter->is_stopping)
        return exporter->not_before_ns;
    return later(exporter->scheduled_ns, exporter->not_before_ns);
}

static bool is_time_to_stop(const struct span_exporter *exporter, size_t n_waiting, int64_t now_ns)
{
    return exporter->is_stopping &&
           (n_waiting == 0 || later(now_ns, exporter->not_before_ns) >= exporter->stop_deadline_ns);
}

static void wait_or_send(struct span_exporter *exporter)
{
    int64_t now_ns = clock_monotonic_ns();
    size_t  n_waiting = span_queue_length(exporter->queue);
    int64_t due_ns = next_batch_ns(exporter, n_waiting, now_ns);

    exporter->state = WAITING;
    if (is_time_to_stop(exporter, n_waiting, now_ns)) {
        stop_here(exporter);
    } else if (now_ns < due_ns) {
        rpc_worker_arm(exporter->worker, &exporter->timer, due_ns);
    } else if (span_batch_take(&exporter->batch, exporter->queue)) {
        rpc_worker_disarm(exporter->worker, &exporter->timer);
        exporter->batch_deadline_ns = now_ns + exporter->options.export_timeout_ns;
        exporter->scheduled_ns = now_ns + exporter->options.schedule_delay_ns;
        try_batch(exporter, now_ns);
    }
}

static enum drop_reason reason_to_give_up(const struct span_exporter *exporter,
                                          enum otlp_answer            answer)
{
    if (exporter->is_stopping)
        return DROP_SHUTDOWN;
    return answer == OTLP_UNREACHABLE ? DROP_UNREACHABLE : DROP_TIMEOUT;
}

/*
 * The next batch waits as well: what the receiver asks for, or its silence, is not
 * about this one.
 */
static void try_later(struct span_exporter *exporter, const struct otlp_verdict *verdict)
{
    int64_t now_ns = clock_monotonic_ns();
    int64_t limit_ns = exporter->batch_deadline_ns;
    if (exporter->is_stopping)
        limit_ns = earlier(limit_ns, exporter->stop_deadline_ns);

    if (exporter->failures++ == 0)
        tell(exporter, SPAN_EXPORTER_FAILS);
    exporter->not_before_ns =
        now_ns + later(verdict->wait_ns, otlp_backoff_ns(exporter->failures, random_id()));
    if (exporter->is_stopping && verdict->answer == OTLP_UNREACHABLE)
        limit_ns = earlier(limit_ns, exporter->stop_began_ns + max_absence_ns);
    if (exporter->not_before_ns < limit_ns) {
        exporter->state = BACKING_OFF;
        rpc_worker_arm(exporter->worker, &exporter->timer, exporter->not_before_ns);
        return;
    }
    end_batch(exporter, 0, reason_to_give_up(exporter, verdict->answer));
    wait_or_send(exporter);
}

static void batch_answered(struct otlp_call *call)
{
    struct span_exporter *exporter = container_of(call, struct span_exporter, call);
    uint64_t              n_spans = exporter->batch.n_spans;
    uint64_t              n_rejected = n_spans;

    if (call->verdict.answer == OTLP_LATER || call->verdict.answer == OTLP_UNREACHABLE) {
        try_later(exporter, &call->verdict);
        return;
    }
    if (call->verdict.answer == OTLP_TAKEN && call->verdict.rejected_spans < n_spans)
        n_rejected = call->verdict.rejected_spans;
    if (exporter->failures > 0)
        tell(exporter, SPAN_EXPORTER_WORKS);
    if (n_rejected > 0)
        tell(exporter, SPAN_EXPORTER_REFUSES);
    exporter->failures = 0;
    end_batch(exporter, n_spans - n_rejected, DROP_REFUSED);
    wait_or_send(exporter);
}

static void timer_ran(struct rpc_timer *timer)
{
    struct span_exporter *exporter = container_of(timer, struct span_exporter, timer);

    if (exporter->state == BACKING_OFF)
        try_batch(exporter, clock_monotonic_ns());
    else
        wait_or_send(exporter);
}

static void woken(struct rpc_task *task)
{
    struct span_exporter *exporter = container_of(task, struct span_exporter, wake_task);

    pthread_mutex_lock(&exporter->lock);
    exporter->locked.is_woken = false;
    pthread_mutex_unlock(&exporter->lock);

    if (exporter->state == WAITING)
        wait_or_send(exporter);
}

/* Under the lock, so that nothing is posted any more once stop has returned. */
static void wake(struct span_exporter *exporter)
{
    pthread_mutex_lock(&exporter->lock);
    if (!exporter->locked.is_woken && !exporter->locked.is_closed) {
        exporter->locked.is_woken = true;
        rpc_worker_post(exporter->worker, &exporter->wake_task);
    }
    pthread_mutex_unlock(&exporter->lock);
}

/*
 * Waking the worker is dear, so it is done once for a batch, and not when there is
 * less: the timer runs.
 */
void span_exporter_offer(struct span_exporter *exporter, struct str span)
{
    int waiting = span_queue_offer(exporter->queue, span);

    if (waiting == -EAGAIN)
        metrics_add(exporter->dropped[DROP_QUEUE_FULL], 1);
    else if (waiting < 0)
        metrics_add(exporter->dropped[DROP_SHUTDOWN], 1);
    else if ((size_t)waiting == exporter->options.max_batch_spans)
        wake(exporter);
}

static void stop_deadline_came(struct rpc_timer *timer)
{
    struct span_exporter *exporter = container_of(timer, struct span_exporter, stop_timer);

    if (exporter->state == SENDING)
        otlp_cancel(&exporter->call);
    else
        stop_here(exporter);
}

static void begin_to_stop(struct rpc_task *task)
{
    struct span_exporter *exporter = container_of(task, struct span_exporter, stop_task);

    exporter->is_stopping = true;
    exporter->stop_began_ns = clock_monotonic_ns();
    rpc_worker_arm(exporter->worker, &exporter->stop_timer, exporter->stop_deadline_ns);
    if (exporter->state == WAITING)
        wait_or_send(exporter);
    else if (exporter->state == BACKING_OFF &&
             exporter->not_before_ns >= exporter->stop_deadline_ns)
        stop_here(exporter);
}

void span_exporter_stop(struct span_exporter *exporter, int64_t deadline_ns)
{
    span_queue_close(exporter->queue);
    pthread_mutex_lock(&exporter->lock);
    exporter->locked.is_closed = true;
    pthread_mutex_unlock(&exporter->lock);

    exporter->stop_deadline_ns = deadline_ns;
    rpc_worker_post(exporter->worker, &exporter->stop_task);
    while (sem_wait(&exporter->stopped) < 0 && errno == EINTR)
        ;
}

static int open_counters(struct span_exporter *exporter, struct metrics *metrics)
{
    static const struct str reasons[DROP_REASON_COUNT] = {
        [DROP_QUEUE_FULL] = STR_INIT("queue_full"), [DROP_REFUSED] = STR_INIT("refused"),
        [DROP_TIMEOUT] = STR_INIT("timeout"),       [DROP_UNREACHABLE] = STR_INIT("unreachable"),
        [DROP_SHUTDOWN] = STR_INIT("shutdown"),
    };

    exporter->exported = metrics_single(metrics, METRICS_COUNTER, "tracehop_spans_exported",
                                        "Spans that the collector took.");
    struct metrics_family *dropped =
        metrics_family(metrics, METRICS_COUNTER, "tracehop_spans_dropped",
                       "Spans that were lost, by reason.", (const char *const[]){"reason", NULL});
    if (!exporter->exported || !dropped)
        return -ENOMEM;

    for (int i = 0; i < DROP_REASON_COUNT; i++)
        exporter->dropped[i] = metrics_series(dropped, &reasons[i]);
    return 0;
}

static int open_memory(struct span_exporter *exporter)
{
    const struct span_exporter_options *options = &exporter->options;

    size_t queue_bytes = options->max_queue_spans * OTLP_USUAL_SPAN_BYTES;
    if (queue_bytes < OTLP_MAX_SPAN_BYTES)
        queue_bytes = OTLP_MAX_SPAN_BYTES;

    exporter->queue = span_queue_new(options->max_queue_spans, queue_bytes);
    if (!exporter->queue)
        return -ENOMEM;
    return span_batch_init(&exporter->batch,
                           &(struct span_batch_options){.resource = options->resource,
                                                        .scope_name = options->scope_name,
                                                        .scope_version = options->scope_version,
                                                        .max_spans = options->max_batch_spans});
}

static int open_sender(struct span_exporter *exporter)
{
    const struct span_exporter_options *options = &exporter->options;

    exporter->worker = options->worker;
    int r =
        otlp_sender_new(&exporter->sender, options->protocol, &options->endpoint, exporter->worker);
    if (r < 0)
        return r;

    exporter->call.done = batch_answered;
    exporter->timer.run = timer_ran;
    exporter->stop_timer.run = stop_deadline_came;
    exporter->wake_task.run = woken;
    exporter->stop_task.run = begin_to_stop;
    wait_or_send(exporter);
    return 0;
}

int span_exporter_new(struct span_exporter              **ret_exporter,
                      const struct span_exporter_options *options, struct metrics *metrics)
{
    cleanup_with(span_exporter_free_at) struct span_exporter *exporter =
        calloc(1, sizeof(*exporter));
    if (!exporter)
        return -ENOMEM;

    exporter->options = *options;
    if (exporter->options.schedule_delay_ns < NS_PER_MS)
        exporter->options.schedule_delay_ns = NS_PER_MS;
    pthread_mutex_init(&exporter->lock, NULL);
    sem_init(&exporter->stopped, 0, 0);

    int r = open_counters(exporter, metrics);
    if (r < 0)
        return r;
    r = open_memory(exporter);
    if (r < 0)
        return r;
    r = open_sender(exporter);
    if (r < 0)
        return r;
    *ret_exporter = take(exporter);
    return 0;
}

void span_exporter_free(struct span_exporter *exporter)
{
    if (!exporter)
        return;

    otlp_sender_free(exporter->sender);
    span_queue_free(exporter->queue);
    span_batch_done(&exporter->batch);
    sem_destroy(&exporter->stopped);
    pthread_mutex_destroy(&exporter->lock);
    free(exporter);
}
