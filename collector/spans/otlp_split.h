#pragma once

/*
 * Otlp split: cuts a skimmed ExportTraceServiceRequest that is too large for a receiver
 * into several that are not, at ResourceSpans, then at ScopeSpans, then at spans; resource,
 * scope and unknown fields of an envelope that is cut are repeated in each piece. Each span ends
 * up in exactly one piece, or is counted as too large to be sent at all. Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct otlp_piece {
    struct str request; /* in the caller's buffer */
    uint32_t   n_spans;
};

/* Its members are its own, but for n_too_large. */
struct otlp_split {
    struct str request;
    uint32_t   n_too_large;
    size_t     at;
};

struct otlp_split otlp_split(struct str request);

/*
 * The next piece, of at most `size` bytes, written to `buffer`. False when there are no more.
 * Pieces are filled as far as they go without reordering spans. `split->n_too_large` counts the
 * spans that fit into no piece.
 */
bool otlp_split_next(struct otlp_split *split, void *buffer, size_t size,
                     struct otlp_piece *ret_piece);
