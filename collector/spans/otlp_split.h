#pragma once

/*
 * Otlp split: cuts a skimmed ExportTraceServiceRequest that is too large for a receiver
 * into several that are not, at ResourceSpans, then at ScopeSpans, then at spans; resource,
 * scope and unknown fields of an envelope that is cut are repeated in each piece. Each span ends
 * up in exactly one piece, or is counted as too large to be sent at all. Pure.
 *
 * What is written in all is bounded by a few times the request, and so is the time: an envelope
 * that would take more than a quarter of a piece without its children is not cut, nor is one
 * whose own fields are strewn among its children in more than OTLP_MAX_RUNS places. Spans in such
 * an envelope are too large, unless it fits into a piece as a whole.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"
#include "common/base/wire.h"

struct otlp_piece {
    struct str request; /* in the caller's buffer */
    uint32_t   n_spans;
};

enum { OTLP_MAX_RUNS = 8, OTLP_ENVELOPES = 3 };

/* A message with children that is being cut. */
struct otlp_envelope {
    bool               is_open;             /* a beginning of it is in an earlier piece */
    struct wire_cursor rest;                /* what is in no piece yet */
    struct str         runs[OTLP_MAX_RUNS]; /* of its own fields, which stand in every piece */
    size_t             n_runs;
    size_t             own_bytes; /* of all its own fields */
    bool               is_strewn; /* there are more runs */
};

/* Its members are its own, but for n_too_large. */
struct otlp_split {
    uint32_t             n_too_large;
    struct otlp_envelope envelopes[OTLP_ENVELOPES]; /* each in the one before; the first: all */
};

struct otlp_split otlp_split(struct str request);

/*
 * The next piece, of at most `size` bytes, written to `buffer`. False when there are no more.
 * Pieces are filled as far as they go without reordering spans; one may have no spans, like the
 * request. `split->n_too_large` counts the spans that fit into no piece. The size may change
 * from piece to piece.
 */
bool otlp_split_next(struct otlp_split *split, void *buffer, size_t size,
                     struct otlp_piece *ret_piece);
