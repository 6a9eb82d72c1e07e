#pragma once

/*
 * Destination: one receiver of the journal's records, from its own cursor, at its own pace. Reads
 * ahead as far as its calls allow, sends, and settles what its answers say; the states of what it
 * sends are in destination_private.h.
 *
 * Threads: the relay's, for all of it; `ended` of the options runs on the worker.
 */

#include "collector/relay/batch.h"
#include "collector/relay/ledger.h"
#include "collector/relay/parcel.h"
#include "collector/relay/relay_metrics.h"

struct destination;

struct destination_options {
    const struct relay_destination *destination;
    const struct relay_options     *relay; /* outlives the destination */
    struct batch_pool              *pool;
    size_t                          max_held_bytes; /* of records in memory */
    const struct relay_metrics     *metrics;

    /* On the worker: hand `parcel` to destination_call_ended. */
    void (*ended)(struct parcel *parcel, void *context);
    void *context;
};

/* Opens the cursor. 0 or -errno. */
int destination_new(struct destination              **ret_destination,
                    const struct destination_options *options);

/* No call is in flight, and the worker stands. NULL is fine. */
void destination_free(struct destination *destination);
DEFINE_CLEANUP(struct destination *, destination_free)

struct str destination_name(const struct destination *destination);

/* Settles what the call's verdict says of its parcel. */
void destination_call_ended(struct destination *destination, struct parcel *parcel, int64_t now_ns);

/* Starts what may be started. Returns when there may be more to do, if nothing happens before. */
int64_t destination_advance(struct destination *destination, int64_t now_ns);

/* How far the log must reach until that may start something; UINT64_MAX: it is no help. */
uint64_t destination_wants_until(const struct destination *destination, int64_t now_ns);

/*
 * What may not be kept any longer: what lies before these positions, and records of before
 * `oldest_ns` (real time), from now on. What is in a call is left alone.
 */
struct destination_limits {
    struct journal_position young; /* all before it is older than `oldest_ns` */
    struct journal_position small; /* for the size of the journal */
    int64_t                 oldest_ns;
};
void destination_expire(struct destination *destination, const struct destination_limits *limits);

/* Begins to stop: batches do not wait to be filled any more. */
void destination_hurry(struct destination *destination);

/* Whether nothing is left, or will be tried before `deadline_ns`. */
bool destination_is_done(const struct destination *destination, int64_t deadline_ns);

/* Cancels the calls in flight: they end soon. Nothing new starts. */
void destination_cancel(struct destination *destination);

unsigned destination_calls(const struct destination *destination);

/* Writes the cursor when it has moved; with `sync`, for power failures too. */
void destination_save(struct destination *destination, bool sync);

/* What is before this may leave the disk: the cursor that is there after a power failure. */
uint64_t destination_needs_from(const struct destination *destination);

/* What the books take from the relay's thread. */
struct destination_view {
    struct journal_position read;
    uint64_t                cursor_offset;
    uint64_t                start_span;
    uint64_t                open_spans;
    int64_t                 not_before_ns;
    struct relay_books      books; /* but for received, queued, queued_bytes, retry_in_ns */
};

void destination_view(const struct destination *destination, struct destination_view *ret_view);

/* The books at the time of `end`, which was read after the view. */
struct relay_books destination_books(const struct destination_view *view,
                                     struct journal_position end, int64_t now_ns);

const struct destination_metrics *destination_series(const struct destination *destination);
