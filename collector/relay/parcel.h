#pragma once

/*
 * Parcel: a range of records that travels to one destination by itself, in one request, or, when
 * its only record is too large for the destination, in pieces of it, one after the other.
 *
 * Threads: one; while it is on its way, `start_task`, `call` and `live` are the worker's.
 */

#include "collector/relay/batch.h"
#include "collector/relay/ledger.h"
#include "common/edge/rpc_worker.h"
#include "common/trace/otlp_sender.h"

struct destination;
struct pieces;

struct parcel {
    struct ledger_range range;
    struct destination *destination;
    struct batch       *batch; /* NULL: there is nothing to be sent, and the range is settled */
    size_t              first_record;
    size_t              n_records;
    struct pieces      *pieces; /* of a record that is being split, or NULL */

    bool       is_on_its_way;
    unsigned   n_tries;       /* of this request */
    int64_t    started_ns;    /* the last of them */
    int64_t    not_before_ns; /* the next, while others are taken */
    struct str request;
    uint64_t   n_spans; /* in the request */

    struct rpc_task  start_task;
    struct otlp_call call;
    LIST_ENTRY(parcel) live;
    STAILQ_ENTRY(parcel) ended;
};

/* One without records. NULL when memory is short. */
struct parcel *parcel_new(struct destination *destination);
void           parcel_free(struct parcel *parcel);
DEFINE_CLEANUP(struct parcel *, parcel_free)

struct parcel *parcel_of(struct ledger_range *range);

/* Neither settled nor on its way. */
bool parcel_is_ready(const struct parcel *parcel);

/* `batch` is the parcel's now, all of it. */
void parcel_fill(struct parcel *parcel, struct batch *batch);

/* Gives the bytes back; the range stays. */
void parcel_empty(struct parcel *parcel);

size_t parcel_bytes(const struct parcel *parcel);

/* Moves its records from number `n_records` on, counted from its first, to a new one. 0 or -ENOMEM.
 */
int parcel_cut(struct parcel *parcel, struct ledger *ledger, size_t n_records);

/* How many records at the start fit into `max_bytes`: 0 when the first is larger. */
size_t parcel_records_within(const struct parcel *parcel, size_t max_bytes);

/* Makes `request` all of its records. */
void parcel_offer(struct parcel *parcel);

/* How many records at the start are older than that. */
size_t parcel_records_before(const struct parcel *parcel, int64_t time_ns);

/*
 * Makes `request` the next piece of at most `max_bytes`, or the one at hand again when it is
 * no larger. 0; 1 when there are no more: the spans that are still open were too large for
 * one; or an error of batch_recall.
 */
int parcel_next_piece(struct parcel *parcel, struct batch_pool *pool, struct journal *journal,
                      size_t max_bytes);

/* The piece at hand is settled, the next one is next. */
void parcel_piece_done(struct parcel *parcel);

/* What `request` points into: to be kept while anybody looks at that. */
struct batch *parcel_memory(const struct parcel *parcel);

/* Its destination does not answer: another's may need the memory of what is very large. */
void parcel_put_by(struct parcel *parcel);
