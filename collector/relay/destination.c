#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "collector/relay/destination_private.h"

struct journal *destination_journal(const struct destination *destination)
{
    return destination->options.relay->journal;
}

uint64_t destination_unread_bytes(const struct destination *destination)
{
    return journal_end(destination_journal(destination)).offset - destination->ledger.read.offset;
}

struct str destination_name(const struct destination *destination)
{
    return str_from(destination->name);
}

void destination_hurry(struct destination *destination)
{
    destination->is_hurried = true;
}

bool destination_is_done(const struct destination *destination, int64_t deadline_ns)
{
    if (destination->n_calls > 0)
        return false;
    if (destination->peer.not_before_ns >= deadline_ns)
        return true;
    return TAILQ_EMPTY(&destination->ledger.ranges) && destination_unread_bytes(destination) == 0;
}

static void cancel_calls(struct rpc_task *task)
{
    struct destination *destination = container_of(task, struct destination, cancel_task);
    struct parcel      *parcel;

    for (parcel = LIST_FIRST(&destination->live); parcel; parcel = LIST_NEXT(parcel, live))
        otlp_cancel(&parcel->call);
}

void destination_cancel(struct destination *destination)
{
    destination->is_cancelled = true;
    if (destination->n_calls == 0)
        return;
    destination->cancel_task.run = cancel_calls;
    rpc_worker_post(destination->options.relay->worker, &destination->cancel_task);
}

unsigned destination_calls(const struct destination *destination)
{
    return destination->n_calls;
}

void destination_save(struct destination *destination, bool sync)
{
    const struct cursor_state *state = &destination->ledger.cursor;
    int                        r = 0;

    if (state->position.offset != destination->saved.position.offset) {
        r = cursor_save(destination->cursor, state);
        if (r == 0)
            destination->saved = *state;
    }
    if (r == 0 && sync && destination->saved.position.offset != destination->synced_offset) {
        r = cursor_sync(destination->cursor);
        if (r == 0)
            destination->synced_offset = destination->saved.position.offset;
    }
    if (r < 0)
        metrics_add(destination->metrics.cursor_failures, 1);
}

uint64_t destination_needs_from(const struct destination *destination)
{
    return destination->synced_offset;
}

void destination_view(const struct destination *destination, struct destination_view *ret_view)
{
    *ret_view =
        (struct destination_view){.read = destination->ledger.read,
                                  .cursor_offset = destination->ledger.cursor.position.offset,
                                  .start_span = destination->ledger.cursor.start_span,
                                  .open_spans = destination->ledger.open_spans,
                                  .not_before_ns = destination->peer.not_before_ns,
                                  .books = {.name = destination_name(destination),
                                            .in_flight_calls = destination->n_calls,
                                            .in_flight_spans = destination->call_spans,
                                            .calls = destination->calls,
                                            .retries = destination->retries,
                                            .duplicates_at_most = destination->duplicates_at_most,
                                            .batch_limit_bytes = destination->peer.limit_bytes,
                                            .is_backing_off = peer_is_failing(&destination->peer)}};
    memcpy(ret_view->books.counts, destination->ledger.counts, sizeof(ret_view->books.counts));
    _Static_assert(sizeof(ret_view->books.last_error) == sizeof(destination->last_error), "");
    memcpy(ret_view->books.last_error, destination->last_error, sizeof(destination->last_error));
}

struct relay_books destination_books(const struct destination_view *view,
                                     struct journal_position end, int64_t now_ns)
{
    struct relay_books books = view->books;

    books.received = end.span - view->start_span;
    books.queued = end.span - view->read.span + view->open_spans;
    books.queued_bytes = end.offset - view->cursor_offset;
    if (books.is_backing_off && view->not_before_ns > now_ns)
        books.retry_in_ns = view->not_before_ns - now_ns;
    return books;
}

const struct destination_metrics *destination_series(const struct destination *destination)
{
    return &destination->metrics;
}

/* The journal's beginning goes beyond a cursor when the oldest had to leave for their size. */
static int begin_at(struct destination *destination, const struct cursor_state *state)
{
    struct journal_position begin = journal_begin(destination_journal(destination));

    ledger_init(&destination->ledger, state);
    if (state->position.offset >= begin.offset)
        return 0;

    int r = destination_skip_to(destination, begin, RELAY_EXPIRED_SIZE);
    destination_free_settled(destination);
    return r;
}

static int open_cursor(struct destination *destination)
{
    struct journal_position begin = journal_begin(destination_journal(destination));
    struct cursor_state     state = {.position = begin, .start_span = begin.span};

    int r = cursor_open(&destination->cursor, destination->options.relay->directory,
                        destination_name(destination), &state);
    if (r < 0)
        return r;

    journal_reach(destination_journal(destination), state.position);
    destination->saved = state;
    return begin_at(destination, &state);
}

static int open_sender(struct destination *destination)
{
    const struct relay_destination *config = destination->options.destination;

    return otlp_sender_new(&destination->sender, config->protocol, &config->endpoint,
                           destination->options.relay->worker);
}

int destination_new(struct destination **ret_destination, const struct destination_options *options)
{
    const struct relay_options *relay = options->relay;

    cleanup_with(destination_free_at) struct destination *destination =
        calloc(1, sizeof(*destination));
    if (!destination)
        return -ENOMEM;

    destination->options = *options;
    destination->peer = peer(relay->max_in_flight, relay->max_batch_bytes);
    TAILQ_INIT(&destination->ledger.ranges);
    destination->name = strndup(options->destination->name.at, options->destination->name.len);
    if (!destination->name)
        return -ENOMEM;
    destination->metrics = destination_metrics(options->metrics, destination_name(destination));

    int r = open_sender(destination);
    if (r < 0)
        return r;
    r = open_cursor(destination);
    if (r < 0)
        return r;
    *ret_destination = take(destination);
    return 0;
}

static void free_parcels(struct destination *destination)
{
    struct ledger_range *range;

    while ((range = TAILQ_FIRST(&destination->ledger.ranges))) {
        TAILQ_REMOVE(&destination->ledger.ranges, range, link);
        parcel_free(parcel_of(range));
    }
}

void destination_free(struct destination *destination)
{
    if (!destination)
        return;
    assert(destination->n_calls == 0);

    free_parcels(destination);
    otlp_sender_free(destination->sender);
    cursor_close(destination->cursor);
    free(destination->name);
    free(destination);
}
