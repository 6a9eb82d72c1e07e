#include "collector/relay/parcel.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "collector/spans/otlp_split.h"

struct pieces {
    struct otlp_split split;
    struct otlp_split before; /* the piece at hand: to make it again, smaller */
    bool              has_piece;
    struct otlp_piece piece;
    struct batch     *buffer;
};

static void pieces_free(struct pieces *pieces)
{
    if (!pieces)
        return;

    if (pieces->buffer)
        batch_unref(pieces->buffer);
    free(pieces);
}

struct parcel *parcel_new(struct destination *destination)
{
    struct parcel *parcel = calloc(1, sizeof(*parcel));
    if (parcel)
        parcel->destination = destination;
    return parcel;
}

void parcel_free(struct parcel *parcel)
{
    if (!parcel)
        return;
    assert(!parcel->is_on_its_way);

    parcel_empty(parcel);
    free(parcel);
}

struct parcel *parcel_of(struct ledger_range *range)
{
    return container_of(range, struct parcel, range);
}

bool parcel_is_ready(const struct parcel *parcel)
{
    return !parcel->range.is_settled && !parcel->is_on_its_way;
}

void parcel_fill(struct parcel *parcel, struct batch *batch)
{
    parcel->batch = batch;
    parcel->n_records = batch->n_records;
}

void parcel_empty(struct parcel *parcel)
{
    pieces_free(take(parcel->pieces));
    if (parcel->batch)
        batch_unref(take(parcel->batch));
}

static struct str records_view(const struct parcel *parcel)
{
    return batch_view(parcel->batch, parcel->first_record, parcel->n_records);
}

size_t parcel_bytes(const struct parcel *parcel)
{
    return parcel->batch ? records_view(parcel).len : 0;
}

int parcel_cut(struct parcel *parcel, struct ledger *ledger, size_t n_records)
{
    assert(n_records > 0 && n_records < parcel->n_records);

    struct parcel *rest = parcel_new(parcel->destination);
    if (!rest)
        return -ENOMEM;

    size_t cut = parcel->first_record + n_records;
    rest->batch = batch_ref(parcel->batch);
    rest->first_record = cut;
    rest->n_records = parcel->n_records - n_records;
    parcel->n_records = n_records;
    parcel->n_tries = 0;
    ledger_cut(ledger, &parcel->range, parcel->batch->records[cut - 1].end, &rest->range);
    return 0;
}

size_t parcel_records_within(const struct parcel *parcel, size_t max_bytes)
{
    size_t n = 0;

    while (n < parcel->n_records &&
           batch_view(parcel->batch, parcel->first_record, n + 1).len <= max_bytes)
        n++;
    return n;
}

size_t parcel_records_before(const struct parcel *parcel, int64_t time_ns)
{
    size_t n = 0;

    while (n < parcel->n_records &&
           parcel->batch->records[parcel->first_record + n].time_ns < time_ns)
        n++;
    return n;
}

void parcel_offer(struct parcel *parcel)
{
    parcel->request = records_view(parcel);
    parcel->n_spans = parcel->range.open_spans;
}

static int begin_pieces(struct parcel *parcel)
{
    if (parcel->pieces)
        return 0;

    struct pieces *pieces = calloc(1, sizeof(*pieces));
    if (!pieces)
        return -ENOMEM;

    pieces->split = otlp_split(records_view(parcel));
    parcel->pieces = pieces;
    return 0;
}

static void offer_piece(struct parcel *parcel)
{
    parcel->request = parcel->pieces->piece.request;
    parcel->n_spans = parcel->pieces->piece.n_spans;
}

/* The piece at hand is too large now; its spans come again. */
static void withdraw_piece(struct pieces *pieces)
{
    pieces->split = pieces->before;
    pieces->has_piece = false;
}

/* Each piece has a buffer of its own: gRPC may still look at the one before. */
static int renew_buffer(struct pieces *pieces, struct batch_pool *pool)
{
    struct batch *buffer = batch_new(pool);
    if (!buffer)
        return -ENOMEM;

    if (pieces->buffer)
        batch_unref(pieces->buffer);
    pieces->buffer = buffer;
    return 0;
}

static int make_piece(struct parcel *parcel, struct batch_pool *pool, struct journal *journal,
                      size_t max_bytes)
{
    struct pieces *pieces = parcel->pieces;

    int r = renew_buffer(pieces, pool);
    if (r < 0)
        return r;
    r = batch_recall(parcel->batch, journal, parcel->range.start);
    if (r < 0)
        return r;

    pieces->before = pieces->split;
    pieces->has_piece =
        otlp_split_next(&pieces->split, pieces->buffer->bytes, max_bytes, &pieces->piece);
    parcel->n_tries = 0;
    return pieces->has_piece ? 0 : 1;
}

int parcel_next_piece(struct parcel *parcel, struct batch_pool *pool, struct journal *journal,
                      size_t max_bytes)
{
    assert(parcel->n_records == 1);

    int r = begin_pieces(parcel);
    if (r < 0)
        return r;

    struct pieces *pieces = parcel->pieces;
    if (pieces->has_piece && pieces->piece.request.len > max_bytes)
        withdraw_piece(pieces);
    if (!pieces->has_piece) {
        r = make_piece(parcel, pool, journal, max_bytes);
        if (r != 0)
            return r;
    }
    offer_piece(parcel);
    return 0;
}

void parcel_piece_done(struct parcel *parcel)
{
    parcel->pieces->has_piece = false;
}

struct batch *parcel_memory(const struct parcel *parcel)
{
    return parcel->pieces ? parcel->pieces->buffer : parcel->batch;
}

void parcel_put_by(struct parcel *parcel)
{
    if (parcel->batch)
        batch_forget(parcel->batch);
}
