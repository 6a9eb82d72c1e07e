#include "common/trace/span_batch.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/trace/otlp.h"

enum {
    MAX_SCOPE_BYTES = 3 * OTLP_MAX_TEXT_BYTES, /* two texts, and what goes around them */
    MAX_SPANS_BYTES = 7 * 512 * 1024,          /* receivers take 4 MiB in all */
};

int span_batch_init(struct span_batch *batch, const struct span_batch_options *options)
{
    size_t spans_bytes = options->max_spans * OTLP_USUAL_SPAN_BYTES;
    if (spans_bytes < OTLP_MAX_SPAN_BYTES)
        spans_bytes = OTLP_MAX_SPAN_BYTES;
    if (spans_bytes > MAX_SPANS_BYTES)
        spans_bytes = MAX_SPANS_BYTES;

    size_t envelope_bytes = options->resource.len + MAX_SCOPE_BYTES;
    char  *buffer = malloc(envelope_bytes + spans_bytes);
    if (!buffer)
        return -ENOMEM;
    *batch = (struct span_batch){.options = *options,
                                 .buffer = buffer,
                                 .envelope_bytes = envelope_bytes,
                                 .spans_bytes = spans_bytes};
    return 0;
}

void span_batch_done(struct span_batch *batch)
{
    free(batch->buffer);
    *batch = (struct span_batch){.n_spans = 0};
}

bool span_batch_take(struct span_batch *batch, struct span_queue *queue)
{
    const struct span_batch_options *options = &batch->options;

    size_t n_bytes;
    size_t n_spans =
        span_queue_take(queue, options->max_spans, batch->buffer + batch->envelope_bytes,
                        batch->spans_bytes, &n_bytes);
    if (n_spans == 0)
        return false;

    struct str envelope =
        otlp_encode_envelope(options->resource, options->scope_name, options->scope_version,
                             n_bytes, batch->buffer, batch->envelope_bytes);
    assert(envelope.at);
    batch->request = (struct str){envelope.at, envelope.len + n_bytes};
    batch->n_spans = n_spans;
    return true;
}
