#pragma once

/*
 * Relay: offers the journal's records to each destination until it accepts or permanently refuses
 * them, or until they are too old or too many. Each destination goes at its own pace, from its own
 * cursor. Records travel spliced: export requests one after the other are one export request.
 *
 * Every span that left the queue is in exactly one count (struct relay_books).
 *
 * Threads: one of its own reads the journal and decides; calls run on the borrowed worker. books
 * and wake from any; the rest from one.
 */

#include <stdint.h>

#include "collector/journal/journal.h"
#include "common/base/cleanup.h"
#include "common/base/uri.h"
#include "common/trace/otlp.h"

struct metrics;
struct relay;
struct rpc_worker;

enum { RELAY_MAX_DESTINATIONS = 16 };

struct relay_destination {
    struct str         name; /* as the user wrote it; names the cursor */
    struct uri         endpoint;
    enum otlp_protocol protocol;
};

struct relay_books;

/* What somebody should hear of. */
enum relay_event {
    RELAY_FAILS,   /* a destination does not take spans at the moment: books.last_error, retry_in */
    RELAY_WORKS,   /* it does again */
    RELAY_REFUSES, /* it refused spans for good: books.last_error. As often as that happens. */
};

struct relay_options {
    const struct relay_destination *destinations;
    size_t                          n_destinations;
    struct journal                 *journal;
    const char                     *directory;  /* of the cursors */
    struct rpc_worker              *worker;     /* runs before start, until stop has returned */
    uint64_t                        max_bytes;  /* of the journal: beyond it the oldest expire */
    int64_t                         max_age_ns; /* 0: no limit */
    int64_t                         call_timeout_ns;
    size_t                          max_batch_bytes; /* 3.5 MiB: below every receiver's 4 */
    unsigned max_in_flight; /* calls at once, for each destination: OTLP_MAX_CALLS at most */

    /* Runs on the relay's thread, and must not block. May be NULL. */
    void (*event)(enum relay_event event, const struct relay_books *books, void *context);
    void *context;

    /* Runs in relay_new with each destination that is named no more: its cursor goes. Or NULL. */
    void (*forgotten)(struct str name);
};

/* What became of spans. The numbers are those of the counts in a cursor: never renumber. */
enum relay_count {
    RELAY_DELIVERED = 0,
    RELAY_REJECTED_REFUSED = 1,   /* the destination refused them for good */
    RELAY_REJECTED_PARTIAL = 2,   /* it took the batch but for these (partial_success) */
    RELAY_REJECTED_TOO_LARGE = 3, /* a single span beyond the destination's limit */
    RELAY_EXPIRED_SIZE = 4,       /* the journal was full */
    RELAY_EXPIRED_AGE = 5,
    RELAY_LOST_DAMAGED = 6, /* the disk no longer has them */
    RELAY_COUNTS
};

/* "refused", "partial_success", ...: the reason as metrics and /status say it. */
struct str relay_count_reason(enum relay_count count);

/*
 * The identity: received = counts[] together + queued. All in spans; `received` counts what the
 * journal took since this destination's cursor began.
 */
struct relay_books {
    struct str name;
    uint64_t   received;
    uint64_t   queued;
    uint64_t   counts[RELAY_COUNTS];
    uint64_t   queued_bytes;
    uint64_t   in_flight_calls, in_flight_spans;
    uint64_t   calls, retries;     /* since start */
    uint64_t   duplicates_at_most; /* spans in tries that ended without an answer, since start */
    size_t     batch_limit_bytes;  /* as learned */
    bool       is_backing_off;
    int64_t    retry_in_ns;     /* while it backs off; 0: now */
    char       last_error[160]; /* of the last try that failed; "" after a success */
};

/* 0 or -errno, with the name of the destination that is at fault in `*ret_culprit` (may be NULL).
 */
int relay_new(struct relay **ret_relay, const struct relay_options *options,
              struct metrics *metrics, struct str *ret_culprit);

/* Starts the thread. 0 or -errno. */
int relay_start(struct relay *relay);

/* The journal has more. Never blocks. */
void relay_wake(struct relay *relay);

/*
 * Goes on until all is delivered or `deadline_ns`, then lets go: what is left stays in the
 * journal. Saves and syncs the cursors. Blocks.
 */
void relay_stop(struct relay *relay, int64_t deadline_ns);

/* After stop, or instead of start; the worker stands by then. NULL is fine. */
void relay_free(struct relay *relay);
DEFINE_CLEANUP(struct relay *, relay_free)

size_t relay_destinations(const struct relay *relay);
void   relay_read_books(struct relay *relay, size_t destination, struct relay_books *ret_books);
