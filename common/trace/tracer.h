#pragma once

/*
 * Tracer: makes spans and sends the recorded ones away. One per program.
 *
 * Threads: any, once made.
 */

#include "common/base/clock.h"
#include "common/base/metrics.h"
#include "common/trace/sampler.h"
#include "common/trace/span.h"
#include "common/trace/trace_context.h"

struct tracer;
struct span_exporter;

struct tracer_options {
    bool                  is_disabled; /* OTEL_SDK_DISABLED: no spans are made */
    struct propagators    propagators;
    struct sampler        sampler;
    struct span_exporter *exporter; /* borrowed; NULL: recorded spans go nowhere */
};

/* NULL when memory is short. */
struct tracer *tracer_new(const struct tracer_options *options, struct metrics *metrics);
void           tracer_free(struct tracer *tracer);
DEFINE_CLEANUP(struct tracer *, tracer_free)

/*
 * Begins the span of a request that came with `headers`: a child of the context
 * in them, or the root of a new trace. `sent` is the caller's span as it told
 * otherwise, or zero (trace_context_extract says what for). Malformed contexts are
 * counted.
 */
void tracer_begin_server(struct tracer *tracer, struct span *span, struct str name,
                         const struct metadata *headers, struct span_id sent, int64_t start_ns);

/* Begins a span inside `parent`. */
void tracer_begin_child(struct tracer *tracer, struct span *span, enum span_kind kind,
                        struct str name, const struct span *parent, int64_t start_ns);

/* Appends the headers that make the receiver's span a child of `span`. 0 or -ENOMEM. */
int tracer_inject(const struct tracer *tracer, const struct span *span, struct metadata *headers,
                  struct arena *arena);

/* Ends the span, and sends it away when it is recorded. */
void tracer_end(struct tracer *tracer, struct span *span, int64_t end_ns);
