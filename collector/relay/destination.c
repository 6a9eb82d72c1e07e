#include "collector/relay/destination.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "collector/relay/peer.h"
#include "common/base/clock.h"
#include "common/base/random.h"

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

/* With calls in flight, a batch waits to be this large, or this long. */
enum { GATHER_BYTES = 512 * 1024, SUSPECT_TRIES = 2 };
static const int64_t gather_ns = 20 * (int64_t)NS_PER_MS;

/* After the disk, or memory, has failed. */
static const int64_t trouble_ns = NS_PER_S;

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
    char          last_error[sizeof((struct relay_books){}.last_error)];

    /* The worker's. */
    struct parcel_list live;
    struct rpc_task    cancel_task;
};

static int64_t earlier(int64_t a_ns, int64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

static int64_t later(int64_t a_ns, int64_t b_ns)
{
    return a_ns > b_ns ? a_ns : b_ns;
}

struct str destination_name(const struct destination *destination)
{
    return str_from(destination->name);
}

static struct journal *journal_of(const struct destination *destination)
{
    return destination->options.relay->journal;
}

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

static void free_settled(struct destination *destination)
{
    struct ledger_range *range;

    while ((range = ledger_take_settled(&destination->ledger)))
        parcel_free(parcel_of(range));
}

/* The rest of the parcel's spans are so. It stays in the ledger until those before it are settled.
 */
static void settle(struct destination *destination, struct parcel *parcel, enum relay_count rest)
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

/* All from the reading place to `end` will not be sent. 0 or -ENOMEM. */
static int skip_to(struct destination *destination, struct journal_position end,
                   enum relay_count reason)
{
    struct parcel *parcel = parcel_new(destination);
    if (!parcel)
        return -ENOMEM;

    ledger_append(&destination->ledger, &parcel->range, end);
    settle(destination, parcel, reason);
    return 0;
}

static bool is_ready(const struct parcel *parcel)
{
    return !parcel->range.is_settled && !parcel->is_on_its_way;
}

/* The records at the start that are too old. */
static void expire_old(struct destination *destination, struct parcel *parcel)
{
    size_t n_old = parcel_records_before(parcel, destination->oldest_ns);

    if (n_old == 0)
        return;
    if (n_old < parcel->n_records && parcel_cut(parcel, &destination->ledger, n_old) < 0)
        return;
    settle(destination, parcel, RELAY_EXPIRED_AGE);
}

static int append_batch(struct destination *destination, struct batch *batch,
                        const struct journal_chunk *chunk)
{
    struct parcel *parcel = parcel_new(destination);
    if (!parcel)
        return -ENOMEM;

    parcel_fill(parcel, batch_ref(batch));
    ledger_append(&destination->ledger, &parcel->range, chunk->end);
    destination->held_bytes += parcel_bytes(parcel);
    expire_old(destination, parcel);
    return 0;
}

static int read_next(struct destination *destination)
{
    cleanup_with(batch_unref_at) struct batch *batch = NULL;
    struct journal_position                    from = destination->ledger.read;
    struct journal_chunk                       chunk;

    int n = batch_read(&batch, destination->options.pool, journal_of(destination), from,
                       destination->peer.limit_bytes, &chunk);
    if (n < 0)
        return n;
    if (n == 0)
        return chunk.end.offset > from.offset ? skip_to(destination, chunk.end, RELAY_LOST_DAMAGED)
                                              : -EAGAIN;

    if (chunk.start.span > from.span) {
        int r = skip_to(destination, chunk.start, RELAY_LOST_DAMAGED);
        if (r < 0)
            return r;
    }
    return append_batch(destination, batch, &chunk);
}

static uint64_t unread_bytes(const struct destination *destination)
{
    return journal_end(journal_of(destination)).offset - destination->ledger.read.offset;
}

static bool has_room_to_read(const struct destination *destination)
{
    return unread_bytes(destination) > 0 &&
           destination->held_bytes < destination->options.max_held_bytes;
}

/* When a batch may be read; in the past when it need not be gathered any longer. */
static int64_t gathered_ns(const struct destination *destination)
{
    uint64_t n_bytes = unread_bytes(destination);

    if (destination->n_calls == 0 || destination->is_hurried || n_bytes >= GATHER_BYTES ||
        n_bytes >= destination->peer.limit_bytes)
        return destination->trouble_until_ns;
    return later(destination->started_ns + gather_ns, destination->trouble_until_ns);
}

static bool is_time_to_read(const struct destination *destination, int64_t now_ns, int64_t *due_ns)
{
    if (!has_room_to_read(destination))
        return false;

    int64_t gathered = gathered_ns(destination);
    if (now_ns >= gathered)
        return true;
    *due_ns = earlier(*due_ns, gathered);
    return false;
}

/* A record that is too large travels in pieces. 0, 1 when it is settled, or -errno. */
static int prepare_piece(struct destination *destination, struct parcel *parcel)
{
    int r = parcel_next_piece(parcel, destination->options.pool, journal_of(destination),
                              destination->peer.limit_bytes);
    if (r == 1)
        settle(destination, parcel, RELAY_REJECTED_TOO_LARGE);
    if (r == -ENODATA) {
        settle(destination, parcel, RELAY_LOST_DAMAGED);
        r = 1;
    }
    return r;
}

/* Makes the parcel no larger than its destination takes. 0, 1 when it is settled, or -errno. */
static int prepare(struct destination *destination, struct parcel *parcel)
{
    size_t limit_bytes = destination->peer.limit_bytes;

    if (parcel->range.open_spans == 0) {
        settle(destination, parcel, RELAY_DELIVERED);
        return 1;
    }
    if (parcel->pieces)
        return prepare_piece(destination, parcel);

    if (parcel_bytes(parcel) > limit_bytes && parcel->n_records > 1) {
        size_t n_fitting = parcel_records_within(parcel, limit_bytes);
        int    r = parcel_cut(parcel, &destination->ledger, n_fitting > 0 ? n_fitting : 1);
        if (r < 0)
            return r;
    }
    if (parcel_bytes(parcel) > limit_bytes)
        return prepare_piece(destination, parcel);
    parcel_offer(parcel);
    return 0;
}

static void call_ended(struct otlp_call *call)
{
    struct parcel      *parcel = container_of(call, struct parcel, call);
    struct destination *destination = parcel->destination;

    LIST_REMOVE(parcel, live);
    destination->options.ended(parcel, destination->options.context);
}

static void release_memory(void *batch)
{
    batch_unref(batch);
}

static void start_call(struct rpc_task *task)
{
    struct parcel      *parcel = container_of(task, struct parcel, start_task);
    struct destination *destination = parcel->destination;

    LIST_INSERT_HEAD(&destination->live, parcel, live);
    otlp_send(destination->sender, &parcel->call, parcel->request,
              parcel->started_ns + destination->options.relay->call_timeout_ns);
}

static void send(struct destination *destination, struct parcel *parcel, int64_t now_ns)
{
    destination->calls++;
    destination->n_calls++;
    destination->call_spans += parcel->n_spans;
    destination->started_ns = now_ns;
    metrics_add(destination->metrics.sent_bytes, parcel->request.len);
    if (parcel->n_tries++ > 0) {
        destination->retries++;
        metrics_add(destination->metrics.retries, 1);
    }

    parcel->is_on_its_way = true;
    parcel->started_ns = now_ns;
    parcel->start_task.run = start_call;
    parcel->call.done = call_ended;
    parcel->call.release = release_memory;
    parcel->call.owner = batch_ref(parcel_memory(parcel));
    rpc_worker_post(destination->options.relay->worker, &parcel->start_task);
}

/* Those that wait to be sent. */
struct candidates {
    struct parcel *next; /* the one with the fewest tries, the oldest of them */
    unsigned       n;
};

/*
 * While others are taken, one that was not keeps its own distance, so that it holds up nobody.
 * Sets when the first of those is due.
 */
static struct candidates find_candidates(struct destination *destination, int64_t now_ns,
                                         int64_t *due_ns)
{
    bool                 is_failing = peer_is_failing(&destination->peer);
    struct candidates    candidates = {0};
    struct ledger_range *range;

    TAILQ_FOREACH(range, &destination->ledger.ranges, link)
    {
        struct parcel *parcel = parcel_of(range);

        if (!is_ready(parcel))
            continue;
        if (!is_failing && parcel->not_before_ns > now_ns) {
            *due_ns = earlier(*due_ns, parcel->not_before_ns);
            continue;
        }
        candidates.n++;
        if (!candidates.next || parcel->n_tries < candidates.next->n_tries)
            candidates.next = parcel;
    }
    return candidates;
}

/* Does the destination not take anything, or only not this? Another parcel will tell. */
static bool is_suspect(const struct destination *destination, struct candidates candidates)
{
    return candidates.n == 1 && candidates.next->n_tries >= SUSPECT_TRIES &&
           has_room_to_read(destination);
}

/* 0: there may be more to do; -EAGAIN: not before something happens, or `*due_ns`. */
static int advance(struct destination *destination, int64_t now_ns, int64_t *due_ns)
{
    struct candidates candidates = find_candidates(destination, now_ns, due_ns);

    if (!candidates.next)
        return is_time_to_read(destination, now_ns, due_ns) ? read_next(destination) : -EAGAIN;
    if (is_suspect(destination, candidates)) {
        int r = read_next(destination);
        if (r != -EAGAIN)
            return r;
    }

    int r = prepare(destination, candidates.next);
    if (r == 0)
        send(destination, candidates.next, now_ns);
    return r < 0 ? r : 0;
}

static bool may_start(const struct destination *destination, int64_t now_ns)
{
    return !destination->is_cancelled &&
           peer_may_start(&destination->peer, destination->n_calls, now_ns);
}

int64_t destination_advance(struct destination *destination, int64_t now_ns)
{
    int64_t due_ns = NEVER_NS;
    int     r = 0;

    if (now_ns < destination->peer.not_before_ns)
        due_ns = destination->peer.not_before_ns;
    while (r == 0 && may_start(destination, now_ns))
        r = advance(destination, now_ns, &due_ns);
    free_settled(destination);

    /* -EBUSY ends with another destination's call, in a turn for all. */
    if (r == 0 || r == -EAGAIN || r == -EBUSY)
        return due_ns;
    destination->trouble_until_ns = now_ns + trouble_ns;
    return earlier(due_ns, destination->trouble_until_ns);
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
        settle(destination, parcel, RELAY_DELIVERED);
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
        settle(destination, parcel, RELAY_REJECTED_REFUSED);
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
    free_settled(destination);
}

static void expire_before(struct destination *destination, struct journal_position position,
                          enum relay_count reason)
{
    struct ledger_range *range;

    TAILQ_FOREACH(range, &destination->ledger.ranges, link)
    if (is_ready(parcel_of(range)) && range->end.offset <= position.offset)
        settle(destination, parcel_of(range), reason);

    /* Without memory for it, the next time will do. */
    if (destination->ledger.read.offset < position.offset)
        (void)skip_to(destination, position, reason);
}

static void expire_records(struct destination *destination)
{
    struct ledger_range *range;

    TAILQ_FOREACH(range, &destination->ledger.ranges, link)
    if (is_ready(parcel_of(range)))
        expire_old(destination, parcel_of(range));
}

void destination_expire(struct destination *destination, const struct destination_limits *limits)
{
    destination->oldest_ns = limits->oldest_ns;
    expire_before(destination, limits->young, RELAY_EXPIRED_AGE);
    expire_records(destination);
    expire_before(destination, limits->small, RELAY_EXPIRED_SIZE);
    free_settled(destination);
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
    return TAILQ_EMPTY(&destination->ledger.ranges) && unread_bytes(destination) == 0;
}

static void cancel_calls(struct rpc_task *task)
{
    struct destination *destination = container_of(task, struct destination, cancel_task);
    struct parcel      *parcel;

    LIST_FOREACH(parcel, &destination->live, live)
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
    struct journal_position begin = journal_begin(journal_of(destination));

    ledger_init(&destination->ledger, state);
    if (state->position.offset >= begin.offset)
        return 0;

    int r = skip_to(destination, begin, RELAY_EXPIRED_SIZE);
    free_settled(destination);
    return r;
}

static int open_cursor(struct destination *destination)
{
    struct journal_position begin = journal_begin(journal_of(destination));
    struct cursor_state     state = {.position = begin, .start_span = begin.span};

    int r = cursor_open(&destination->cursor, destination->options.relay->directory,
                        destination_name(destination), &state);
    if (r < 0)
        return r;

    journal_reach(journal_of(destination), state.position);
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
