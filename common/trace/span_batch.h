#pragma once

/*
 * Span batch: an ExportTraceServiceRequest made of what waits in a queue, in
 * memory that is used again for the next.
 *
 * Threads: one.
 */

#include "common/trace/span_queue.h"

struct span_batch_options {
    struct str resource; /* otlp_encode_resource; borrowed, as are the others */
    struct str scope_name, scope_version;
    size_t     max_spans;
};

struct span_batch {
    struct str request; /* until the next is taken */
    size_t     n_spans;

    struct span_batch_options options;
    char                     *buffer; /* the envelope ends where the spans begin */
    size_t                    envelope_bytes;
    size_t                    spans_bytes;
};

/* 0 or -ENOMEM. */
int span_batch_init(struct span_batch *batch, const struct span_batch_options *options);

/* A zeroed batch is fine. */
void span_batch_done(struct span_batch *batch);

/* Takes the oldest spans off the queue. False when nothing waits. */
bool span_batch_take(struct span_batch *batch, struct span_queue *queue);
