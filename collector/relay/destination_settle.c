#include <errno.h>

#include "collector/relay/destination_private.h"
#include "common/base/random.h"

static void tell(const struct destination *destination, enum relay_event event, int64_t now_ns)
{
    const struct relay_options *relay = destination->options.relay;
    struct destination_view     view;
    if (!relay->event)
        return;

    destination_view(destination, &view);
    struct relay_books books = destination_books(&view, journal_end(relay->journal), now_ns);
    relay->event(event, &books, relay->context);
}

void destination_free_settled(struct destination *destination)
{
    struct ledger_range *range;

    while ((range = ledger_take_settled(&destination->ledger)))
        parcel_free(parcel_of(range));
}

void destination_settle(struct destination *destination, struct parcel *parcel,
                        enum relay_count rest)
{
    destination->held_bytes -= parcel_bytes(parcel);
    parcel_empty(parcel);
    metrics_add(destination->metrics.spans[rest],
                ledger_settle(&destination->ledger, &parcel->range, rest));
}

static void count(struct destination *destination, struct parcel *parcel, enum relay_count what,
                  uint64_t n_spans)
{
    metrics_add(destination->metrics.spans[what],
                ledger_count(&destination->ledger, &parcel->range, what, n_spans));
}

int destination_skip_to(struct destination *destination, struct journal_position end,
                        enum relay_count reason)
{
    struct parcel *parcel = parcel_new(destination);
    if (!parcel)
        return -ENOMEM;

    ledger_append(&destination->ledger, &parcel->range, end);
    destination_settle(destination, parcel, reason);
    return 0;
}

void destination_expire_old(struct destination *destination, struct parcel *parcel)
{
    size_t n_old = parcel_records_before(parcel, destination->oldest_ns);

    if (n_old == 0)
        return;
    if (n_old < parcel->n_records && parcel_cut(parcel, &destination->ledger, n_old) < 0)
        return;
    destination_settle(destination, parcel, RELAY_EXPIRED_AGE);
}

static void note_error(struct destination *destination, const struct otlp_verdict *verdict)
{
    memcpy(destination->last_error, verdict->text, sizeof(destination->last_error));
}

static void taken(struct destination *destination, struct parcel *parcel)
{
    uint64_t n_rejected = parcel->call.verdict.rejected_spans;
    if (n_rejected > parcel->n_spans)
        n_rejected = parcel->n_spans;

    peer_took(&destination->peer);
    destination->last_error[0] = '\0';
    count(destination, parcel, RELAY_REJECTED_PARTIAL, n_rejected);
    if (parcel->pieces) {
        count(destination, parcel, RELAY_DELIVERED, parcel->n_spans - n_rejected);
        parcel_piece_done(parcel);
    } else {
        destination_settle(destination, parcel, RELAY_DELIVERED);
    }
}

/* One bad record does not take good ones with it. */
static void refused(struct destination *destination, struct parcel *parcel, bool is_datas_fault)
{
    if (parcel->pieces) {
        count(destination, parcel, RELAY_REJECTED_REFUSED, parcel->n_spans);
        parcel_piece_done(parcel);
    } else if (is_datas_fault && parcel->n_records > 1) {
        /* Without memory for that it is sent, and refused, once more. */
        (void)parcel_cut(parcel, &destination->ledger, parcel->n_records / 2);
        return;
    } else {
        destination_settle(destination, parcel, RELAY_REJECTED_REFUSED);
    }
}

static void too_large(struct destination *destination, struct parcel *parcel)
{
    const struct otlp_verdict *verdict = &parcel->call.verdict;

    if (!peer_refused_size(&destination->peer, parcel->request.len, verdict->max_bytes))
        refused(destination, parcel, true);
}

static void failed(struct destination *destination, struct parcel *parcel, int64_t now_ns)
{
    const struct otlp_verdict *verdict = &parcel->call.verdict;

    if (verdict->may_be_taken)
        destination->duplicates_at_most += parcel->n_spans;
    parcel_put_by(parcel);
    parcel->not_before_ns = now_ns + otlp_backoff_ns(parcel->n_tries, random_id());

    bool is_first =
        peer_failed(&destination->peer, &(struct peer_failure){
                                            .started_ns = parcel->started_ns,
                                            .now_ns = now_ns,
                                            .wait_ns = verdict->wait_ns,
                                            .is_absent = verdict->answer == OTLP_UNREACHABLE,
                                            .random = random_id(),
                                        });
    if (is_first && !destination->is_cancelled)
        tell(destination, RELAY_FAILS, now_ns);
}

static void answered(struct destination *destination, struct parcel *parcel, int64_t now_ns)
{
    uint64_t n_refused = destination->ledger.counts[RELAY_REJECTED_REFUSED];
    bool     works_again = peer_answered(&destination->peer, parcel->started_ns);

    if (parcel->call.verdict.answer == OTLP_TAKEN)
        taken(destination, parcel);
    else if (parcel->call.verdict.answer == OTLP_TOO_LARGE)
        too_large(destination, parcel);
    else
        refused(destination, parcel, parcel->call.verdict.is_datas_fault);

    if (works_again)
        tell(destination, RELAY_WORKS, now_ns);
    if (destination->ledger.counts[RELAY_REJECTED_REFUSED] > n_refused)
        tell(destination, RELAY_REFUSES, now_ns);
}

void destination_call_ended(struct destination *destination, struct parcel *parcel, int64_t now_ns)
{
    const struct otlp_verdict *verdict = &parcel->call.verdict;

    parcel->is_on_its_way = false;
    destination->n_calls--;
    destination->call_spans -= parcel->n_spans;
    metrics_add(destination->metrics.calls[verdict->answer], 1);
    metrics_observe_ns(destination->metrics.call_duration, now_ns - parcel->started_ns,
                       (struct str){0});
    if (verdict->answer != OTLP_TAKEN)
        note_error(destination, verdict);

    if (verdict->answer == OTLP_LATER || verdict->answer == OTLP_UNREACHABLE)
        failed(destination, parcel, now_ns);
    else
        answered(destination, parcel, now_ns);
    destination_free_settled(destination);
}

static void expire_before(struct destination *destination, struct journal_position position,
                          enum relay_count reason)
{
    struct ledger_range *range;

    for (range = TAILQ_FIRST(&destination->ledger.ranges); range; range = TAILQ_NEXT(range, link))
        if (parcel_is_ready(parcel_of(range)) && range->end.offset <= position.offset)
            destination_settle(destination, parcel_of(range), reason);

    /* Without memory for it, the next time will do. */
    if (destination->ledger.read.offset < position.offset)
        (void)destination_skip_to(destination, position, reason);
}

static void expire_records(struct destination *destination)
{
    struct ledger_range *range;

    for (range = TAILQ_FIRST(&destination->ledger.ranges); range; range = TAILQ_NEXT(range, link))
        if (parcel_is_ready(parcel_of(range)))
            destination_expire_old(destination, parcel_of(range));
}

void destination_expire(struct destination *destination, const struct destination_limits *limits)
{
    destination->oldest_ns = limits->oldest_ns;
    expire_before(destination, limits->young, RELAY_EXPIRED_AGE);
    expire_records(destination);
    expire_before(destination, limits->small, RELAY_EXPIRED_SIZE);
    destination_free_settled(destination);
}
