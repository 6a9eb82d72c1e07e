#include "common/trace/span_queue.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* Two rings, of the spans' bytes and of their lengths, in step. */
struct span_queue {
    size_t          max_spans;
    size_t          max_bytes;
    pthread_mutex_t lock;

    struct {
        size_t first; /* the oldest span's place in `lengths` */
        size_t count;
        size_t start; /* the oldest span's place in `bytes` */
        size_t used_bytes;
        bool   is_closed;
    } locked;

    /* Places in use belong to the taker, the others to who holds the lock. */
    size_t *lengths;
    char   *bytes;
};

struct span_queue *span_queue_new(size_t max_spans, size_t max_bytes)
{
    assert(max_spans > 0 && max_bytes > 0);

    cleanup_with(span_queue_free_at) struct span_queue *queue = calloc(1, sizeof(*queue));
    if (!queue)
        return NULL;

    pthread_mutex_init(&queue->lock, NULL);
    queue->max_spans = max_spans;
    queue->max_bytes = max_bytes;
    queue->lengths = malloc(max_spans * sizeof(*queue->lengths));
    queue->bytes = malloc(max_bytes);
    return queue->lengths && queue->bytes ? take(queue) : NULL;
}

void span_queue_free(struct span_queue *queue)
{
    if (!queue)
        return;

    free(queue->bytes);
    free(queue->lengths);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void copy_in(struct span_queue *queue, size_t place, struct str span)
{
    size_t until_wrap = smaller(span.len, queue->max_bytes - place);
    memcpy(queue->bytes + place, span.at, until_wrap);
    memcpy(queue->bytes, span.at + until_wrap, span.len - until_wrap);
}

static void copy_out(const struct span_queue *queue, size_t place, char *to, size_t n_bytes)
{
    size_t until_wrap = smaller(n_bytes, queue->max_bytes - place);
    memcpy(to, queue->bytes + place, until_wrap);
    memcpy(to + until_wrap, queue->bytes, n_bytes - until_wrap);
}

static int offer_locked(struct span_queue *queue, struct str span)
{
    if (queue->locked.is_closed)
        return -ESHUTDOWN;
    if (queue->locked.count == queue->max_spans ||
        queue->max_bytes - queue->locked.used_bytes < span.len)
        return -EAGAIN;

    copy_in(queue, (queue->locked.start + queue->locked.used_bytes) % queue->max_bytes, span);
    queue->lengths[(queue->locked.first + queue->locked.count) % queue->max_spans] = span.len;
    queue->locked.used_bytes += span.len;
    queue->locked.count++;
    return (int)queue->locked.count;
}

int span_queue_offer(struct span_queue *queue, struct str span)
{
    assert(span.len > 0);

    pthread_mutex_lock(&queue->lock);
    int r = offer_locked(queue, span);
    pthread_mutex_unlock(&queue->lock);
    return r;
}

static void drop_locked(struct span_queue *queue, size_t n_spans, size_t n_bytes)
{
    queue->locked.first = (queue->locked.first + n_spans) % queue->max_spans;
    queue->locked.start = (queue->locked.start + n_bytes) % queue->max_bytes;
    queue->locked.count -= n_spans;
    queue->locked.used_bytes -= n_bytes;

    /* A queue that is seldom long then touches only the first pages of its memory. */
    if (queue->locked.count == 0)
        queue->locked.first = queue->locked.start = 0;
}

size_t span_queue_take(struct span_queue *queue, size_t max_spans, void *buffer, size_t size,
                       size_t *ret_bytes)
{
    pthread_mutex_lock(&queue->lock);
    size_t waiting = smaller(queue->locked.count, max_spans);
    size_t first = queue->locked.first;
    size_t start = queue->locked.start;
    pthread_mutex_unlock(&queue->lock);

    size_t n_spans = 0, n_bytes = 0;
    while (n_spans < waiting) {
        size_t length = queue->lengths[(first + n_spans) % queue->max_spans];
        if (length > size - n_bytes)
            break;
        n_bytes += length;
        n_spans++;
    }
    copy_out(queue, start, buffer, n_bytes);

    pthread_mutex_lock(&queue->lock);
    drop_locked(queue, n_spans, n_bytes);
    pthread_mutex_unlock(&queue->lock);
    *ret_bytes = n_bytes;
    return n_spans;
}

size_t span_queue_length(struct span_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    size_t count = queue->locked.count;
    pthread_mutex_unlock(&queue->lock);
    return count;
}

void span_queue_close(struct span_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->locked.is_closed = true;
    pthread_mutex_unlock(&queue->lock);
}
