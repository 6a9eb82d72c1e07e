#pragma once

/*
 * Rpc worker: one gRPC completion queue, one thread, and everything that runs on
 * it: calls in both directions, timers, and tasks posted from other threads.
 * The hard rule: nothing that runs on a worker blocks.
 *
 * The names start with rpc_ because the library took grpc_.
 *
 * Threads: rpc_worker_post from any; timers from the worker's own; the rest from
 * the thread that made it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/timer_heap.h"

struct rpc_worker;
typedef struct grpc_completion_queue grpc_completion_queue;

/* Initialises the gRPC library and sends its messages to our log. Once, before the first thread. */
void rpc_init(void);

/*
 * After everything of this folder is freed. Blocks until the library has ended its
 * threads, a second at most.
 */
void rpc_shutdown(void);

/* What another thread wants run here. Embed it; it is the caller's again when `run` begins. */
struct rpc_task {
    void (*run)(struct rpc_task *task);
    struct rpc_task *next; /* the worker's, while posted */
};

/* Something to run at a time. Embed it, zeroed but for `run`. */
struct rpc_timer {
    void (*run)(struct rpc_timer *timer);
    struct timer_node node; /* the worker's */
};

/* What the completion queue hands back. Embed one per batch in flight. */
struct rpc_tag {
    void (*run)(struct rpc_tag *tag, bool ok);
};

/* "grpc-0", "grpc-1", ...: what a program calls its workers, of which it has no more than that. */
enum { RPC_MAX_WORKERS = 16 };
const char *rpc_worker_name(size_t number);

/* `name` (at most 15 bytes, a constant) is what the thread is called. 0 or -ENOMEM. */
int  rpc_worker_new(struct rpc_worker **ret_worker, const char *name);
void rpc_worker_free(struct rpc_worker *worker);
DEFINE_CLEANUP(struct rpc_worker *, rpc_worker_free)

/* Starts the thread. A server's workers start after it is added to their queues. 0 or -errno. */
int rpc_worker_start(struct rpc_worker *worker);

/*
 * Runs what is still posted, then ends the thread and waits for it. Nothing may
 * be in flight on the worker any more: a batch on a queue that was shut down
 * aborts the process (grpc_cq_begin_op), so owners count their calls.
 */
void rpc_worker_stop(struct rpc_worker *worker);

/* Runs `task` on the worker, after those posted before it. Any thread. */
void rpc_worker_post(struct rpc_worker *worker, struct rpc_task *task);

/* Runs `timer` once the monotonic clock shows `due_ns`; moves it when it is armed already. */
void rpc_worker_arm(struct rpc_worker *worker, struct rpc_timer *timer, int64_t due_ns);

/* Fine when it is not armed. */
void rpc_worker_disarm(struct rpc_worker *worker, struct rpc_timer *timer);

/* Whether the caller runs on this worker. */
bool rpc_worker_is_current(const struct rpc_worker *worker);

/* For this folder only. */
grpc_completion_queue *rpc_worker_queue(struct rpc_worker *worker);
