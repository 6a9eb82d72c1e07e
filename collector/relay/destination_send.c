#include <errno.h>

#include "collector/relay/destination_private.h"
#include "common/base/clock.h"

/* With calls in flight, a batch waits to be this large, or this long. */
enum { GATHER_BYTES = 512 * 1024 };
static const int64_t gather_ns = 20 * (int64_t)NS_PER_MS;

/* After so many tries it may be the parcel, not the destination. */
enum { SUSPECT_TRIES = 2 };

/* After the disk, or memory, has failed. */
static const int64_t trouble_ns = NS_PER_S;

static int64_t earlier(int64_t a_ns, int64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

static int64_t later(int64_t a_ns, int64_t b_ns)
{
    return a_ns > b_ns ? a_ns : b_ns;
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
    destination_expire_old(destination, parcel);
    return 0;
}

static int read_next(struct destination *destination)
{
    cleanup_with(batch_unref_at) struct batch *batch = NULL;
    struct journal_position                    from = destination->ledger.read;
    struct journal_chunk                       chunk;

    int n = batch_read(&batch, destination->options.pool, destination_journal(destination), from,
                       destination->peer.limit_bytes, &chunk);
    if (n < 0)
        return n;
    if (n == 0)
        return chunk.end.offset > from.offset
                   ? destination_skip_to(destination, chunk.end, RELAY_LOST_DAMAGED)
                   : -EAGAIN;

    if (chunk.start.span > from.span) {
        int r = destination_skip_to(destination, chunk.start, RELAY_LOST_DAMAGED);
        if (r < 0)
            return r;
    }
    return append_batch(destination, batch, &chunk);
}

static bool has_room_to_read(const struct destination *destination)
{
    return destination_unread_bytes(destination) > 0 &&
           destination->held_bytes < destination->options.max_held_bytes;
}

/* When a batch may be read; in the past when it need not be gathered any longer. */
static int64_t gathered_ns(const struct destination *destination)
{
    uint64_t n_bytes = destination_unread_bytes(destination);

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
    int r = parcel_next_piece(parcel, destination->options.pool, destination_journal(destination),
                              destination->peer.limit_bytes);
    if (r == 1)
        destination_settle(destination, parcel, RELAY_REJECTED_TOO_LARGE);
    if (r == -ENODATA) {
        destination_settle(destination, parcel, RELAY_LOST_DAMAGED);
        r = 1;
    }
    return r;
}

/* Makes the parcel no larger than its destination takes. 0, 1 when it is settled, or -errno. */
static int prepare(struct destination *destination, struct parcel *parcel)
{
    size_t limit_bytes = destination->peer.limit_bytes;

    if (parcel->range.open_spans == 0) {
        destination_settle(destination, parcel, RELAY_DELIVERED);
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

    for (range = TAILQ_FIRST(&destination->ledger.ranges); range; range = TAILQ_NEXT(range, link)) {
        struct parcel *parcel = parcel_of(range);

        if (!parcel_is_ready(parcel))
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
    destination_free_settled(destination);

    /* -EBUSY ends with another destination's call, in a turn for all. */
    if (r == 0 || r == -EAGAIN || r == -EBUSY)
        return due_ns;
    destination->trouble_until_ns = now_ns + trouble_ns;
    return earlier(due_ns, destination->trouble_until_ns);
}

/* The first record begins a batch, or the time in which one is gathered; then it is to be large. */
uint64_t destination_wants_until(const struct destination *destination, int64_t now_ns)
{
    uint64_t read = destination->ledger.read.offset;

    if (!may_start(destination, now_ns) ||
        destination->held_bytes >= destination->options.max_held_bytes)
        return UINT64_MAX;
    if (destination->n_calls == 0 || destination_unread_bytes(destination) == 0)
        return read + 1;
    return read + (destination->peer.limit_bytes < GATHER_BYTES ? destination->peer.limit_bytes
                                                                : GATHER_BYTES);
}
