#pragma once

/* What the files of a destination share: its life, what it sends, what becomes of that. */

#include "collector/relay/destination.h"
#include "collector/relay/peer.h"

/*
 * A parcel:
 *
 *     READY ── a call may start ──▶ ON ITS WAY
 *     ON ITS WAY ── taken, or refused for good ──▶ SETTLED
 *     ON ITS WAY ── refused, and it has several records: halved ──▶ READY, twice
 *     ON ITS WAY ── too large: cut to the limit before the next try ──▶ READY
 *     ON ITS WAY ── later, or nobody is there ──▶ READY
 *     ON ITS WAY ── a piece of a record that is split: the next piece ──▶ READY
 *     READY ── too old, or the disk is full ──▶ SETTLED
 */

LIST_HEAD(parcel_list, parcel);

struct destination {
    struct destination_options options;
    char                      *name;
    struct destination_metrics metrics;
    struct otlp_sender        *sender;
    struct cursor             *cursor;
    struct cursor_state        saved;
    uint64_t                   synced_offset;

    struct ledger ledger;
    struct peer   peer;
    size_t        held_bytes; /* in parcels that are not settled */
    unsigned      n_calls;    /* in flight */
    uint64_t      call_spans;
    int64_t       started_ns; /* the last call */
    int64_t       trouble_until_ns;
    int64_t       oldest_ns; /* records of before that have expired */
    bool          is_hurried;
    bool          is_cancelled;
    uint64_t      calls, retries, duplicates_at_most;
    char          last_error[OTLP_VERDICT_TEXT_BYTES];

    /* The worker's. */
    struct parcel_list live;
    struct rpc_task    cancel_task;
};

struct journal *destination_journal(const struct destination *destination);
uint64_t        destination_unread_bytes(const struct destination *destination);

/* The rest of the parcel's spans are so; it stays in the ledger until those before it are settled.
 */
void destination_settle(struct destination *destination, struct parcel *parcel,
                        enum relay_count rest);

/* All from the reading place to `end` will not be sent. 0 or -ENOMEM. */
int destination_skip_to(struct destination *destination, struct journal_position end,
                        enum relay_count reason);

/* The records at the start of the parcel that are too old expire. */
void destination_expire_old(struct destination *destination, struct parcel *parcel);

void destination_free_settled(struct destination *destination);
