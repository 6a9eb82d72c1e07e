/*
 * The pieces of a request hold its spans, in their order and in their envelopes, but for those
 * that are counted as too large. The first two bytes are the size of a piece.
 */

#include <assert.h>
#include <stdlib.h>

#include "collector/spans/otlp_split.h"
#include "collector/spans/skim.h"
#include "collector/spans/span_walk.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_PIECE_BYTES = UINT16_MAX };

static bool is_same(const struct span_view *a, const struct span_view *b)
{
    return str_equal(a->bytes, b->bytes) && str_equal(a->resource, b->resource) &&
           str_equal(a->scope, b->scope) &&
           str_equal(a->resource_schema_url, b->resource_schema_url) &&
           str_equal(a->scope_schema_url, b->scope_schema_url);
}

/* Steps over the spans of the request that are missing before this one. */
static void find_in(struct span_walk *request, const struct span_view *span)
{
    struct span_view original;

    do
        assert(span_walk_next(request, &original));
    while (!is_same(&original, span));
}

static void check_piece(const struct otlp_piece *piece, struct span_walk *request)
{
    struct span_walk walk = span_walk(piece->request);
    struct span_view span;
    uint32_t         n_spans;
    const char      *reason;

    assert(skim_request(piece->request, &n_spans, &reason) == 0);
    assert(n_spans == piece->n_spans);
    while (span_walk_next(&walk, &span))
        find_in(request, &span);
}

static void check(struct str request, uint32_t n_spans, size_t size)
{
    static uint8_t    buffer[MAX_PIECE_BYTES];
    struct otlp_split split = otlp_split(request);
    struct span_walk  walk = span_walk(request);
    struct otlp_piece piece;

    while (otlp_split_next(&split, buffer + (sizeof(buffer) - size), size, &piece)) {
        assert(piece.request.len > 0 && piece.request.len <= size);
        check_piece(&piece, &walk);
        n_spans -= piece.n_spans;
    }
    assert(n_spans == split.n_too_large);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t    n_spans;
    const char *reason;

    if (size < 2)
        return 0;
    struct str request = fuzz_input(data + 2, size - 2);
    if (skim_request(request, &n_spans, &reason) == 0)
        check(request, n_spans, (size_t)data[0] << 8 | data[1]);
    return 0;
}
