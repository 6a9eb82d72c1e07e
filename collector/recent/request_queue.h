#pragma once

/*
 * Request queue: copies of requests, from those who took them in to one thread that has time.
 * Who offers is never held up: a full queue refuses, and there is no lock that the taker,
 * whom the scheduler may set aside at any moment, could hold meanwhile.
 *
 * Threads: offer from any; take and done from one; free when none is inside.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/cleanup.h"
#include "common/base/str.h"

struct request_queue;

/* Holds about `max_bytes`, and touches no more of them than it needs. NULL when memory is short. */
struct request_queue *request_queue_new(size_t max_bytes);
void                  request_queue_free(struct request_queue *queue);
DEFINE_CLEANUP(struct request_queue *, request_queue_free)

/* Copies the request in. 0; -EAGAIN: full; -ESHUTDOWN. */
int request_queue_offer(struct request_queue *queue, struct str request);

/*
 * Waits for the oldest request. False after close. Its bytes are there until
 * request_queue_done, which every take owes.
 */
bool request_queue_take(struct request_queue *queue, struct str *ret_request);
void request_queue_done(struct request_queue *queue);

/* Refuses requests from now on and ends the taking; what waits is dropped by free. */
void request_queue_close(struct request_queue *queue);

/* Waits until every request that was offered before is done, or the queue closed. */
void request_queue_settle(struct request_queue *queue);
