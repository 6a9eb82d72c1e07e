#include "collector/recent/request_queue.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

struct entry {
    struct entry *next;
    size_t        len;
    char          bytes[];
};

/* Many push; who takes, takes everything, so no entry can come back unnoticed (ABA). */
struct stack {
    _Atomic(struct entry *) top;
};

struct request_queue {
    size_t         max_bytes;
    _Atomic size_t used_bytes; /* of entries that are copied, wait, or are being filed */
    _Atomic bool   is_closed;
    struct stack   waiting;
    sem_t          filled; /* posted once for each time that `waiting` is empty no more */

    /*
     * What is done with goes back to those who offer, to be freed: free() takes a lock of
     * the thread that allocated.
     */
    struct stack spent;

    /* The taker's own. */
    struct entry *batch; /* the oldest first; the head is what was taken */

    _Atomic uint64_t n_offered;
    pthread_mutex_t  lock;
    pthread_cond_t   settled;
    struct {
        uint64_t n_done;
    } locked;
};

/* Returns whether it was empty. */
static bool push(struct stack *stack, struct entry *entry)
{
    struct entry *top = atomic_load(&stack->top);

    do
        entry->next = top;
    while (!atomic_compare_exchange_weak(&stack->top, &top, entry));
    return top == NULL;
}

static struct entry *take_all(struct stack *stack)
{
    return atomic_exchange(&stack->top, NULL);
}

static struct entry *reversed(struct entry *entry)
{
    struct entry *before = NULL;

    while (entry) {
        struct entry *next = entry->next;
        entry->next = before;
        before = entry;
        entry = next;
    }
    return before;
}

static void free_all(struct entry *entry)
{
    while (entry) {
        struct entry *next = entry->next;
        free(entry);
        entry = next;
    }
}

struct request_queue *request_queue_new(size_t max_bytes)
{
    struct request_queue *queue = calloc(1, sizeof(*queue));
    if (!queue)
        return NULL;

    queue->max_bytes = max_bytes;
    sem_init(&queue->filled, 0, 0);
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->settled, NULL);
    return queue;
}

void request_queue_free(struct request_queue *queue)
{
    if (!queue)
        return;

    free_all(take_all(&queue->waiting));
    free_all(take_all(&queue->spent));
    free_all(queue->batch);
    pthread_cond_destroy(&queue->settled);
    pthread_mutex_destroy(&queue->lock);
    sem_destroy(&queue->filled);
    free(queue);
}

static size_t entry_bytes(struct str request)
{
    return sizeof(struct entry) + request.len;
}

static bool reserve(struct request_queue *queue, size_t n_bytes)
{
    size_t used = atomic_load(&queue->used_bytes);

    do {
        if (n_bytes > queue->max_bytes - used)
            return false;
    } while (!atomic_compare_exchange_weak(&queue->used_bytes, &used, used + n_bytes));
    return true;
}

static struct entry *copy_of(struct str request)
{
    struct entry *entry = malloc(entry_bytes(request));
    if (!entry)
        return NULL;

    entry->len = request.len;
    if (request.len > 0)
        memcpy(entry->bytes, request.at, request.len);
    return entry;
}

int request_queue_offer(struct request_queue *queue, struct str request)
{
    if (atomic_load(&queue->is_closed))
        return -ESHUTDOWN;

    free_all(take_all(&queue->spent));
    if (!reserve(queue, entry_bytes(request)))
        return -EAGAIN;

    struct entry *entry = copy_of(request);
    if (!entry) {
        (void)atomic_fetch_sub(&queue->used_bytes, entry_bytes(request));
        return -ENOMEM;
    }
    (void)atomic_fetch_add(&queue->n_offered, 1);
    if (push(&queue->waiting, entry))
        sem_post(&queue->filled);
    return 0;
}

/* Once per post, so there is always something to take; close posts for nothing. */
static void take_batch(struct request_queue *queue)
{
    while (sem_wait(&queue->filled) < 0 && errno == EINTR)
        ;
    queue->batch = reversed(take_all(&queue->waiting));
}

bool request_queue_take(struct request_queue *queue, struct str *ret_request)
{
    if (!queue->batch && !atomic_load(&queue->is_closed))
        take_batch(queue);
    if (atomic_load(&queue->is_closed))
        return false;

    *ret_request = (struct str){queue->batch->bytes, queue->batch->len};
    return true;
}

/* When nothing more waits, nobody may come to free what is spent. */
static void free_spent_when_idle(struct request_queue *queue)
{
    if (!queue->batch && !atomic_load(&queue->waiting.top))
        free_all(take_all(&queue->spent));
}

void request_queue_done(struct request_queue *queue)
{
    struct entry *entry = queue->batch;

    queue->batch = entry->next;
    (void)atomic_fetch_sub(&queue->used_bytes, entry_bytes((struct str){entry->bytes, entry->len}));
    (void)push(&queue->spent, entry);
    free_spent_when_idle(queue);

    pthread_mutex_lock(&queue->lock);
    queue->locked.n_done++;
    pthread_cond_broadcast(&queue->settled);
    pthread_mutex_unlock(&queue->lock);
}

void request_queue_close(struct request_queue *queue)
{
    atomic_store(&queue->is_closed, true);
    sem_post(&queue->filled);

    pthread_mutex_lock(&queue->lock);
    pthread_cond_broadcast(&queue->settled);
    pthread_mutex_unlock(&queue->lock);
}

void request_queue_settle(struct request_queue *queue)
{
    uint64_t n_offered = atomic_load(&queue->n_offered);

    pthread_mutex_lock(&queue->lock);
    while (queue->locked.n_done < n_offered && !atomic_load(&queue->is_closed))
        pthread_cond_wait(&queue->settled, &queue->lock);
    pthread_mutex_unlock(&queue->lock);
}
