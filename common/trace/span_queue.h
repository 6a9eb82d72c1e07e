#pragma once

/*
 * Span queue: the bounded hand-over of ended spans, as bytes, from request
 * threads to one exporter. A full queue never delays a request: it refuses the
 * span and counts it.
 *
 * Threads: offer from any; take from one; free when none is inside.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/str.h"

struct span_queue;

/* Holds at most `max_spans` spans and `max_bytes` bytes of them. NULL when memory is short. */
struct span_queue *span_queue_new(size_t max_spans, size_t max_bytes);
void               span_queue_free(struct span_queue *queue);
DEFINE_CLEANUP(struct span_queue *, span_queue_free)

/*
 * Copies the span in; it is not empty. The number of spans now waiting, or -EAGAIN:
 * full, or -ESHUTDOWN.
 */
int span_queue_offer(struct span_queue *queue, struct str span);

/*
 * Moves up to `max_spans` spans, as many as fit, to `buffer`, strung together.
 * Returns how many, and their length in bytes. The copying holds nobody up.
 */
size_t span_queue_take(struct span_queue *queue, size_t max_spans, void *buffer, size_t size,
                       size_t *ret_bytes);

size_t span_queue_length(struct span_queue *queue);

/* Refuses spans from now on; what waits can still be taken. */
void span_queue_close(struct span_queue *queue);
