#include "collector/relay/ledger.h"

#include <assert.h>

static uint64_t sum(const uint64_t counts[])
{
    uint64_t total = 0;

    for (int i = 0; i < RELAY_COUNTS; i++)
        total += counts[i];
    return total;
}

void ledger_init(struct ledger *ledger, const struct cursor_state *state)
{
    *ledger = (struct ledger){.cursor = *state, .read = state->position};
    memcpy(ledger->counts, state->counts, sizeof(ledger->counts));
    ledger->cursor.start_span = state->position.span - sum(ledger->counts);
    TAILQ_INIT(&ledger->ranges);
}

void ledger_append(struct ledger *ledger, struct ledger_range *range, struct journal_position end)
{
    assert(end.offset >= ledger->read.offset && end.span >= ledger->read.span);

    *range = (struct ledger_range){
        .start = ledger->read, .end = end, .open_spans = end.span - ledger->read.span};
    ledger->open_spans += range->open_spans;
    ledger->read = end;
    TAILQ_INSERT_TAIL(&ledger->ranges, range, link);
}

void ledger_cut(struct ledger *ledger, struct ledger_range *range, struct journal_position at,
                struct ledger_range *rest)
{
    assert(range->open_spans == range->end.span - range->start.span);
    assert(at.span >= range->start.span && at.span <= range->end.span);

    *rest = (struct ledger_range){
        .start = at, .end = range->end, .open_spans = range->end.span - at.span};
    range->end = at;
    range->open_spans -= rest->open_spans;
    TAILQ_INSERT_AFTER(&ledger->ranges, range, rest, link);
}

uint64_t ledger_count(struct ledger *ledger, struct ledger_range *range, enum relay_count what,
                      uint64_t n_spans)
{
    if (n_spans > range->open_spans)
        n_spans = range->open_spans;

    range->open_spans -= n_spans;
    range->counts[what] += n_spans;
    ledger->open_spans -= n_spans;
    ledger->counts[what] += n_spans;
    return n_spans;
}

uint64_t ledger_settle(struct ledger *ledger, struct ledger_range *range, enum relay_count rest)
{
    assert(!range->is_settled);

    range->is_settled = true;
    return ledger_count(ledger, range, rest, range->open_spans);
}

static void add_counts(uint64_t to[], const uint64_t counts[])
{
    for (int i = 0; i < RELAY_COUNTS; i++)
        to[i] += counts[i];
}

static void advance_cursor(struct ledger *ledger, const struct ledger_range *range)
{
    add_counts(ledger->cursor.counts, range->counts);
    ledger->cursor.position = range->end;
    assert(range->end.span - ledger->cursor.start_span == sum(ledger->cursor.counts));
}

/* So that one that stays open at the front does not leave an endless list behind it. */
static bool merge_into_previous(struct ledger_range *range, struct ledger_range *previous)
{
    if (!previous || !previous->is_settled || !range->is_settled)
        return false;

    add_counts(previous->counts, range->counts);
    previous->end = range->end;
    return true;
}

struct ledger_range *ledger_take_settled(struct ledger *ledger)
{
    struct ledger_range *previous = NULL, *range;

    for (range = TAILQ_FIRST(&ledger->ranges); range; range = TAILQ_NEXT(range, link)) {
        bool is_first = !previous && range->is_settled;

        if (is_first)
            advance_cursor(ledger, range);
        if (is_first || merge_into_previous(range, previous)) {
            TAILQ_REMOVE(&ledger->ranges, range, link);
            return range;
        }
        previous = range;
    }
    return NULL;
}
