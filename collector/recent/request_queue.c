#include "collector/recent/request_queue.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

/*
 * A ring of records: a head, the bytes, and padding. Positions only grow. A record lies in one
 * piece; where none fits before the end of the ring, a head says to go on at its start.
 *
 * An empty ring begins again at its start, so that a queue that is seldom long touches
 * only the first pages of its memory.
 */
struct head {
    uint64_t len;
};

static const uint64_t go_on_at_start = UINT64_MAX;

struct request_queue {
    char  *ring;
    size_t size; /* a multiple of a head */

    _Atomic uint64_t offered; /* up to here are records */
    _Atomic uint64_t done;    /* up to here they may be overwritten */
    uint64_t         start;   /* the position at the start of the ring; changes when it is empty */
    _Atomic bool     is_closed;
    sem_t            filled; /* posted when the ring is empty no more */
    pthread_mutex_t  offer_lock;

    uint64_t taken_end; /* the taker's own: where the record ends that it has, or 0 */

    pthread_mutex_t settle_lock;
    pthread_cond_t  settled; /* `done` has changed, or `is_closed` */
};

static size_t rounded(size_t n_bytes)
{
    return (n_bytes + sizeof(struct head) - 1) / sizeof(struct head) * sizeof(struct head);
}

struct request_queue *request_queue_new(size_t max_bytes)
{
    cleanup_with(request_queue_free_at) struct request_queue *queue = calloc(1, sizeof(*queue));
    if (!queue)
        return NULL;

    sem_init(&queue->filled, 0, 0);
    pthread_mutex_init(&queue->offer_lock, NULL);
    pthread_mutex_init(&queue->settle_lock, NULL);
    pthread_cond_init(&queue->settled, NULL);
    queue->size = rounded(max_bytes);
    queue->ring = malloc(queue->size);
    return queue->ring ? take(queue) : NULL;
}

void request_queue_free(struct request_queue *queue)
{
    if (!queue)
        return;

    free(queue->ring);
    pthread_cond_destroy(&queue->settled);
    pthread_mutex_destroy(&queue->settle_lock);
    pthread_mutex_destroy(&queue->offer_lock);
    sem_destroy(&queue->filled);
    free(queue);
}

static size_t place_of(const struct request_queue *queue, uint64_t position)
{
    return (size_t)((position - queue->start) % queue->size);
}

static struct head *head_at(const struct request_queue *queue, uint64_t position)
{
    return (struct head *)(void *)(queue->ring + place_of(queue, position));
}

static void write_record(struct request_queue *queue, uint64_t position, struct str request)
{
    struct head *head = head_at(queue, position);

    head->len = request.len;
    if (request.len > 0)
        memcpy(head + 1, request.at, request.len);
}

/* Under the lock of those who offer. */
static int offer_locked(struct request_queue *queue, struct str request)
{
    uint64_t at = atomic_load(&queue->offered);
    uint64_t done = atomic_load(&queue->done);

    if (at == done)
        queue->start = at;
    size_t n_bytes = sizeof(struct head) + rounded(request.len);
    size_t until_end = queue->size - place_of(queue, at);
    size_t skipped = n_bytes > until_end ? until_end : 0;
    if (skipped + n_bytes > queue->size - (at - done))
        return -EAGAIN;

    if (skipped > 0)
        head_at(queue, at)->len = go_on_at_start;
    write_record(queue, at + skipped, request);
    atomic_store(&queue->offered, at + skipped + n_bytes);
    /* Meanwhile the taker may be done with all before: it sees what was just offered, or it is
     * seen here. */
    if (atomic_load(&queue->done) == at)
        sem_post(&queue->filled);
    return 0;
}

int request_queue_offer(struct request_queue *queue, struct str request)
{
    if (atomic_load(&queue->is_closed))
        return -ESHUTDOWN;

    pthread_mutex_lock(&queue->offer_lock);
    int r = offer_locked(queue, request);
    pthread_mutex_unlock(&queue->offer_lock);
    return r;
}

/* The ring may have been emptied and filled several times since the last wait: one post is enough.
 */
static void wait_for_post(struct request_queue *queue)
{
    while (sem_wait(&queue->filled) < 0 && errno == EINTR)
        ;
    while (sem_trywait(&queue->filled) == 0)
        ;
}

bool request_queue_take(struct request_queue *queue, struct str *ret_request)
{
    assert(queue->taken_end == 0);

    uint64_t at = atomic_load(&queue->done);
    while (atomic_load(&queue->offered) == at && !atomic_load(&queue->is_closed))
        wait_for_post(queue);
    if (atomic_load(&queue->is_closed))
        return false;

    if (head_at(queue, at)->len == go_on_at_start)
        at += queue->size - place_of(queue, at);
    const struct head *head = head_at(queue, at);
    queue->taken_end = at + sizeof(*head) + rounded((size_t)head->len);
    *ret_request = (struct str){(const char *)(head + 1), (size_t)head->len};
    return true;
}

void request_queue_done(struct request_queue *queue)
{
    atomic_store(&queue->done, queue->taken_end);
    queue->taken_end = 0;

    pthread_mutex_lock(&queue->settle_lock);
    pthread_cond_broadcast(&queue->settled);
    pthread_mutex_unlock(&queue->settle_lock);
}

void request_queue_close(struct request_queue *queue)
{
    atomic_store(&queue->is_closed, true);
    sem_post(&queue->filled);

    pthread_mutex_lock(&queue->settle_lock);
    pthread_cond_broadcast(&queue->settled);
    pthread_mutex_unlock(&queue->settle_lock);
}

void request_queue_settle(struct request_queue *queue)
{
    uint64_t offered = atomic_load(&queue->offered);

    pthread_mutex_lock(&queue->settle_lock);
    while (atomic_load(&queue->done) < offered && !atomic_load(&queue->is_closed))
        pthread_cond_wait(&queue->settled, &queue->settle_lock);
    pthread_mutex_unlock(&queue->settle_lock);
}
