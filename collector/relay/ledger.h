#pragma once

/*
 * Ledger: what became of the spans between a destination's cursor and the place it reads at. The
 * records in between are cut into ranges, in order and without gaps; each has its counts, and is
 * settled when none of its spans is open any more. The cursor is the end of those ranges at the
 * front that are settled, with the counts up to there, exactly. Pure.
 *
 * At any time: spans read since the books began = counts + open spans.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "collector/journal/cursor.h"
#include "collector/relay/relay.h"

/* The owner's, in place from ledger_append until ledger_take_settled hands it back. */
struct ledger_range {
    struct journal_position start;
    struct journal_position end;
    uint64_t                open_spans;
    uint64_t                counts[RELAY_COUNTS];
    bool                    is_settled;
    TAILQ_ENTRY(ledger_range) link;
};

struct ledger {
    struct cursor_state     cursor;
    struct journal_position read; /* the end of the last range */
    uint64_t                open_spans;
    uint64_t                counts[RELAY_COUNTS]; /* settled before others or not */
    TAILQ_HEAD(ledger_range_list, ledger_range) ranges;
};

/* The state is mended when its counts do not add up: they are believed, not `start_span`. */
void ledger_init(struct ledger *ledger, const struct cursor_state *state);

/* The range becomes all from `ledger->read` to `end`, open. */
void ledger_append(struct ledger *ledger, struct ledger_range *range, struct journal_position end);

/* `range`, of which nothing is counted yet, ends at `at`; `rest` is what it had after that. */
void ledger_cut(struct ledger *ledger, struct ledger_range *range, struct journal_position at,
                struct ledger_range *rest);

/* Takes `n_spans` off the open ones, or as many as are open. Returns how many. */
uint64_t ledger_count(struct ledger *ledger, struct ledger_range *range, enum relay_count what,
                      uint64_t n_spans);

/* Counts all spans that are still open so, and settles the range. Returns how many they were. */
uint64_t ledger_settle(struct ledger *ledger, struct ledger_range *range, enum relay_count rest);

/*
 * A settled range that is not needed any more: the cursor has gone beyond it, or another one
 * that is settled has taken in what it says. NULL: none at the moment.
 */
struct ledger_range *ledger_take_settled(struct ledger *ledger);
