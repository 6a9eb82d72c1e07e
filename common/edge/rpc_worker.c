#include "common/edge/rpc_worker.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include <grpc/grpc.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>

#include "common/base/clock.h"
#include "common/base/log.h"

enum { SHUTDOWN_MS = 1000 };

struct rpc_worker {
    const char            *name;
    grpc_completion_queue *queue;
    pthread_t              thread;
    bool                   is_started;

    /*
     * How other threads reach this one: an empty batch on a call that leads
     * nowhere completes at once, on our queue. The C API has no other way to post.
     */
    grpc_call     *wake_call;
    struct rpc_tag wake_tag;

    struct timer_heap timers; /* the worker's own thread only */
    struct rpc_task   stop_task;

    pthread_mutex_t lock;
    struct {
        struct rpc_task  *first; /* posted, in order */
        struct rpc_task **last;
    } locked;
};

static _Thread_local const struct rpc_worker *current_worker;

/* What matters of these comes back as a status; the rest helps to debug the library. */
static void log_library_message(gpr_log_func_args *args)
{
    log_debug(args->message, log_text("library", "grpc"));
}

void rpc_init(void)
{
    gpr_set_log_function(log_library_message);
    grpc_init();
}

/*
 * What was destroyed may live on for a moment in a thread of the library, say the connection
 * of a channel that was about to be tried again. That thread then takes the library down, which
 * nothing tells of, and must not find the process half gone.
 */
void rpc_shutdown(void)
{
    int64_t deadline_ns = clock_monotonic_ns() + (int64_t)SHUTDOWN_MS * NS_PER_MS;

    grpc_shutdown();
    while (grpc_is_initialized() && clock_monotonic_ns() < deadline_ns)
        nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
}

static void run_posted(struct rpc_tag *tag, bool ok)
{
    struct rpc_worker *worker = container_of(tag, struct rpc_worker, wake_tag);
    (void)ok;

    pthread_mutex_lock(&worker->lock);
    struct rpc_task *task = worker->locked.first;
    worker->locked.first = NULL;
    worker->locked.last = &worker->locked.first;
    pthread_mutex_unlock(&worker->lock);

    while (task) {
        struct rpc_task *next = task->next;
        task->run(task);
        task = next;
    }
}

static void run_due_timers(struct rpc_worker *worker)
{
    if (!worker->timers.earliest)
        return;

    int64_t            now_ns = clock_monotonic_ns();
    struct timer_node *node;
    while ((node = timer_heap_take_due(&worker->timers, now_ns))) {
        struct rpc_timer *timer = container_of(node, struct rpc_timer, node);
        timer->run(timer);
    }
}

static gpr_timespec next_wake_up(const struct rpc_worker *worker)
{
    if (!worker->timers.earliest)
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);

    return (gpr_timespec){.tv_sec = worker->timers.earliest->due_ns / NS_PER_S,
                          .tv_nsec = (int32_t)(worker->timers.earliest->due_ns % NS_PER_S),
                          .clock_type = GPR_CLOCK_MONOTONIC};
}

static void run_until_shut_down(struct rpc_worker *worker)
{
    for (;;) {
        grpc_event event = grpc_completion_queue_next(worker->queue, next_wake_up(worker), NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN)
            return;

        if (event.type == GRPC_OP_COMPLETE) {
            struct rpc_tag *tag = event.tag;
            tag->run(tag, event.success);
        }
        run_due_timers(worker);
    }
}

static void *worker_thread(void *argument)
{
    struct rpc_worker *worker = argument;

    pthread_setname_np(pthread_self(), worker->name);
    current_worker = worker;
    run_until_shut_down(worker);
    return NULL;
}

static grpc_call *wake_call_new(grpc_completion_queue *queue)
{
    grpc_channel *nowhere = grpc_lame_client_channel_create("wake", GRPC_STATUS_UNAVAILABLE, "");
    grpc_call    *call =
        grpc_channel_create_call(nowhere, NULL, 0, queue, grpc_slice_from_static_string("/wake"),
                                 NULL, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    grpc_channel_destroy(nowhere); /* the call holds on to it */
    return call;
}

const char *rpc_worker_name(size_t number)
{
    static const char *const names[RPC_MAX_WORKERS] = {
        "grpc-0", "grpc-1", "grpc-2",  "grpc-3",  "grpc-4",  "grpc-5",  "grpc-6",  "grpc-7",
        "grpc-8", "grpc-9", "grpc-10", "grpc-11", "grpc-12", "grpc-13", "grpc-14", "grpc-15"};

    assert(number < RPC_MAX_WORKERS);
    return names[number];
}

int rpc_worker_new(struct rpc_worker **ret_worker, const char *name)
{
    struct rpc_worker *worker = calloc(1, sizeof(*worker));
    if (!worker)
        return -ENOMEM;

    worker->name = name;
    worker->queue = grpc_completion_queue_create_for_next(NULL);
    worker->wake_call = wake_call_new(worker->queue);
    worker->wake_tag.run = run_posted;
    worker->locked.last = &worker->locked.first;
    pthread_mutex_init(&worker->lock, NULL);

    *ret_worker = worker;
    return 0;
}

int rpc_worker_start(struct rpc_worker *worker)
{
    assert(!worker->is_started);

    int r = pthread_create(&worker->thread, NULL, worker_thread, worker);
    if (r != 0)
        return -r;

    worker->is_started = true;
    return 0;
}

static void shut_queue(struct rpc_task *task)
{
    struct rpc_worker *worker = container_of(task, struct rpc_worker, stop_task);

    grpc_completion_queue_shutdown(worker->queue);
}

void rpc_worker_stop(struct rpc_worker *worker)
{
    if (!worker->is_started)
        return;

    worker->stop_task.run = shut_queue;
    rpc_worker_post(worker, &worker->stop_task);
    pthread_join(worker->thread, NULL);
    worker->is_started = false;
    grpc_completion_queue_destroy(take(worker->queue));
}

void rpc_worker_free(struct rpc_worker *worker)
{
    if (!worker)
        return;
    assert(!worker->is_started);

    grpc_call_unref(worker->wake_call);
    if (worker->queue) {
        grpc_completion_queue_shutdown(worker->queue);
        run_until_shut_down(worker);
        grpc_completion_queue_destroy(worker->queue);
    }
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}

void rpc_worker_post(struct rpc_worker *worker, struct rpc_task *task)
{
    task->next = NULL;

    pthread_mutex_lock(&worker->lock);
    bool is_first = !worker->locked.first;
    *worker->locked.last = task;
    worker->locked.last = &task->next;
    pthread_mutex_unlock(&worker->lock);

    /* Only whoever fills the empty list wakes the worker, so one batch at most is under way. */
    if (is_first) {
        grpc_call_error error =
            grpc_call_start_batch(worker->wake_call, NULL, 0, &worker->wake_tag, NULL);
        assert(error == GRPC_CALL_OK);
    }
}

void rpc_worker_arm(struct rpc_worker *worker, struct rpc_timer *timer, int64_t due_ns)
{
    rpc_worker_disarm(worker, timer);
    timer_heap_add(&worker->timers, &timer->node, due_ns);
}

void rpc_worker_disarm(struct rpc_worker *worker, struct rpc_timer *timer)
{
    assert(rpc_worker_is_current(worker) || !worker->is_started);

    if (timer->node.is_armed)
        timer_heap_remove(&worker->timers, &timer->node);
}

bool rpc_worker_is_current(const struct rpc_worker *worker)
{
    return current_worker == worker;
}

grpc_completion_queue *rpc_worker_queue(struct rpc_worker *worker)
{
    return worker->queue;
}
