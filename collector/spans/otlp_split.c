#include "collector/spans/otlp_split.h"

#include <assert.h>

#include "collector/spans/otlp_schema.h"

/* What a message is; all but the last are envelopes of the next. */
enum level { REQUEST, RESOURCE_SPANS, SCOPE_SPANS, SPAN };

static const uint32_t child_numbers[OTLP_ENVELOPES] = {
    [REQUEST] = EXPORT_RESOURCE_SPANS,
    [RESOURCE_SPANS] = RESOURCE_SPANS_SCOPE_SPANS,
    [SCOPE_SPANS] = SCOPE_SPANS_SPANS,
};

enum { MAX_HEAD_BYTES = 6, ENVELOPES_SHARE = 4 /* of a piece; see otlp_split.h */ };

/* A piece under construction; what it holds so far lies before `at`. */
struct piece {
    uint8_t *start, *at;
    size_t   size;
    uint8_t *contents[OTLP_ENVELOPES]; /* of the envelopes that still lack their heads */
    unsigned n_open;
    uint32_t n_spans;
};

static bool is_child(enum level level, const struct wire_field *field)
{
    return field->number == child_numbers[level] && field->type == WIRE_BYTES;
}

static struct str bytes_between(const uint8_t *start, const uint8_t *end)
{
    return (struct str){(const char *)start, (size_t)(end - start)};
}

static uint32_t count_spans(enum level level, struct wire_cursor rest)
{
    struct wire_field field;
    uint32_t          n_spans = 0;

    while (wire_next(&rest, &field))
        if (is_child(level, &field))
            n_spans += level == SCOPE_SPANS ? 1 : count_spans(level + 1, wire_cursor(field.bytes));
    return n_spans;
}

static size_t head_bytes(size_t length)
{
    uint8_t            head[MAX_HEAD_BYTES];
    struct wire_writer writer = wire_writer(head, sizeof(head));

    wire_put_head(&writer, 1, length);
    return wire_written(&writer).len;
}

/* Whether there is room for this much more, and for the heads that will have to go in. */
static bool piece_fits(const struct piece *piece, size_t n_bytes)
{
    const uint8_t *end = piece->at;

    for (unsigned i = piece->n_open; i-- > 0; end = piece->contents[i]) {
        n_bytes += (size_t)(end - piece->contents[i]);
        n_bytes += head_bytes(n_bytes);
    }
    return n_bytes <= piece->size - (size_t)(end - piece->start);
}

static void piece_put(struct piece *piece, struct str bytes)
{
    if (bytes.len > 0)
        memcpy(piece->at, bytes.at, bytes.len);
    piece->at += bytes.len;
}

/* False, and nothing done, when not even the fields that each part repeats fit. */
static bool piece_open(struct piece *piece, const struct otlp_envelope *envelope)
{
    piece->contents[piece->n_open++] = piece->at;
    if (!piece_fits(piece, envelope->own_bytes)) {
        piece->n_open--;
        return false;
    }
    for (size_t i = 0; i < envelope->n_runs; i++)
        piece_put(piece, envelope->runs[i]);
    return true;
}

/* Only now is the length known: the content makes way for it. */
static void piece_close(struct piece *piece, uint32_t number)
{
    uint8_t *content = piece->contents[--piece->n_open];
    size_t   length = (size_t)(piece->at - content);

    uint8_t            buffer[MAX_HEAD_BYTES];
    struct wire_writer writer = wire_writer(buffer, sizeof(buffer));
    wire_put_head(&writer, number, length);
    struct str head = wire_written(&writer);

    memmove(content + head.len, content, length);
    memcpy(content, head.at, head.len);
    piece->at += head.len;
}

/* What is strewn in too many places would have to be looked for again for each piece. */
static void envelope_add(struct otlp_envelope *envelope, struct str field)
{
    struct str *last = envelope->n_runs > 0 ? &envelope->runs[envelope->n_runs - 1] : NULL;

    if (last && last->at + last->len == field.at)
        last->len += field.len;
    else if (envelope->n_runs < OTLP_MAX_RUNS)
        envelope->runs[envelope->n_runs++] = field;
    else
        envelope->is_strewn = true;
    envelope->own_bytes += field.len;
}

static struct otlp_envelope envelope_of(enum level level, struct str message)
{
    struct otlp_envelope envelope = {.rest = wire_cursor(message)};
    struct wire_cursor   cursor = envelope.rest;
    struct wire_field    field;

    for (const uint8_t *start = cursor.at; wire_next(&cursor, &field); start = cursor.at)
        if (!is_child(level, &field))
            envelope_add(&envelope, bytes_between(start, cursor.at));
    return envelope;
}

static bool is_cuttable(const struct otlp_envelope *envelope, size_t size)
{
    size_t most = size / ENVELOPES_SHARE;
    return !envelope->is_strewn && envelope->own_bytes + MAX_HEAD_BYTES <= most;
}

/* Whether a piece could hold this with nothing but the envelopes that are open around it. */
static bool fits_alone(const struct otlp_split *split, enum level level, struct str field,
                       size_t size)
{
    size_t n_bytes = field.len;

    while (--level > REQUEST) {
        n_bytes += split->envelopes[level].own_bytes;
        n_bytes += head_bytes(n_bytes);
    }
    return n_bytes <= size;
}

static bool fill(struct otlp_split *split, enum level level, struct piece *piece);

/* What is left of an envelope, to a piece without any room: its spans count as too large. */
static void drop(struct otlp_split *split, enum level level)
{
    uint8_t      nothing;
    struct piece none = {.start = &nothing, .at = &nothing};

    (void)fill(split, level, &none);
}

/*
 * As much of an envelope as fits. When that is no child at all it is not cut: it may be whole in
 * the next piece, and what is too large will be counted there.
 */
static bool put_part(struct otlp_split *split, enum level level, struct piece *piece)
{
    struct otlp_envelope *envelope = &split->envelopes[level];
    const struct piece    before = *piece;
    const uint32_t        n_too_large = split->n_too_large;
    bool                  is_all = false, is_cut = false;

    if (piece_open(piece, envelope)) {
        const uint8_t *children = piece->at;
        is_all = fill(split, level, piece);
        is_cut = piece->at > children;
    }
    if (is_cut)
        piece_close(piece, child_numbers[level - 1]);
    else
        *piece = before;
    if (!is_cut && !is_all)
        split->n_too_large = n_too_large;
    envelope->is_open = is_cut && !is_all;
    return is_all;
}

static bool put_envelope(struct otlp_split *split, enum level level, struct str field,
                         struct str message, struct piece *piece)
{
    struct otlp_envelope *envelope = &split->envelopes[level];
    bool                  is_whole = !envelope->is_open;

    if (is_whole && piece_fits(piece, field.len)) {
        piece_put(piece, field);
        piece->n_spans += count_spans(level, wire_cursor(message));
        return true;
    }

    if (is_whole)
        *envelope = envelope_of(level, message);
    if (is_cuttable(envelope, piece->size))
        return put_part(split, level, piece);

    envelope->is_open = false;
    if (is_whole && fits_alone(split, level, field, piece->size))
        return false;
    drop(split, level);
    return true;
}

static bool put_span(struct otlp_split *split, struct str field, struct piece *piece)
{
    if (piece_fits(piece, field.len)) {
        piece_put(piece, field);
        piece->n_spans++;
        return true;
    }

    if (fits_alone(split, SPAN, field, piece->size))
        return false;
    split->n_too_large++;
    return true;
}

/* Unknown fields of the request itself belong to nothing that could be repeated. */
static bool put_unknown(struct str field, struct piece *piece)
{
    if (!piece_fits(piece, field.len))
        return field.len > piece->size;
    piece_put(piece, field);
    return true;
}

/*
 * Puts a field of an envelope into the piece, where the envelope's own are already. False when it
 * has to wait for the next piece.
 */
static bool put_field(struct otlp_split *split, enum level level, struct str field,
                      const struct wire_field *read, struct piece *piece)
{
    if (!is_child(level, read))
        return level != REQUEST || put_unknown(field, piece);
    if (level == SCOPE_SPANS)
        return put_span(split, field, piece);
    return put_envelope(split, level + 1, field, read->bytes, piece);
}

/* What is left of an envelope. False when the piece is full before the end. */
static bool fill(struct otlp_split *split, enum level level, struct piece *piece)
{
    struct wire_cursor *rest = &split->envelopes[level].rest;
    struct wire_cursor  next = *rest;
    struct wire_field   read;

    for (; wire_next(&next, &read); *rest = next)
        if (!put_field(split, level, bytes_between(rest->at, next.at), &read, piece))
            return false;
    return true;
}

struct otlp_split otlp_split(struct str request)
{
    return (struct otlp_split){.envelopes[REQUEST] = {.rest = wire_cursor(request)}};
}

bool otlp_split_next(struct otlp_split *split, void *buffer, size_t size,
                     struct otlp_piece *ret_piece)
{
    struct piece piece = {.start = buffer, .at = buffer, .size = size};

    /* Nothing waits for a next piece that does not fit into an empty one. */
    bool is_all = fill(split, REQUEST, &piece);
    assert(is_all || piece.at > piece.start);
    if (piece.at == piece.start)
        return false;
    *ret_piece = (struct otlp_piece){bytes_between(piece.start, piece.at), piece.n_spans};
    return true;
}
