#include "common/trace/tracer.h"

#include <assert.h>
#include <stdlib.h>

#include "common/trace/otlp.h"
#include "common/trace/span_exporter.h"

struct tracer {
    struct tracer_options  options;
    struct metrics_series *malformed;
};

struct tracer *tracer_new(const struct tracer_options *options, struct metrics *metrics)
{
    struct tracer         *tracer = malloc(sizeof(*tracer));
    struct metrics_series *malformed =
        metrics_single(metrics, METRICS_COUNTER, "tracehop_trace_contexts_malformed",
                       "Trace contexts in requests that could not be read.");
    if (!tracer || !malformed) {
        free(tracer);
        return NULL;
    }

    *tracer = (struct tracer){.options = *options, .malformed = malformed};
    return tracer;
}

void tracer_free(struct tracer *tracer)
{
    free(tracer);
}

static struct trace_context extract(struct tracer *tracer, const struct metadata *headers,
                                    struct span_id sent)
{
    struct trace_extraction extraction =
        trace_context_extract(headers, &tracer->options.propagators, sent);

    if (extraction.malformed > 0)
        metrics_add(tracer->malformed, extraction.malformed);
    return extraction.context;
}

static void continue_or_begin_trace(struct span *span, const struct trace_context *caller)
{
    span->context = *caller;
    if (caller->has_ids) {
        span->parent_id = caller->span_id;
        span->has_remote_parent = true;
    } else {
        span->context.has_ids = true;
        span->context.trace_id = trace_id_new();
    }
    span->context.span_id = span_id_new();
}

void tracer_begin_server(struct tracer *tracer, struct span *span, struct str name,
                         const struct metadata *headers, struct span_id sent, int64_t start_ns)
{
    *span = (struct span){.kind = SPAN_SERVER, .name = name, .start_ns = start_ns};
    if (tracer->options.is_disabled)
        return;

    struct trace_context caller = extract(tracer, headers, sent);
    continue_or_begin_trace(span, &caller);
    span->context.sampling = sampler_decide(&tracer->options.sampler, &span->context);
    span->is_recorded = sampling_is_recorded(span->context.sampling);
}

void tracer_begin_child(struct tracer *tracer, struct span *span, enum span_kind kind,
                        struct str name, const struct span *parent, int64_t start_ns)
{
    *span = (struct span){.kind = kind, .name = name, .start_ns = start_ns};
    if (tracer->options.is_disabled)
        return;

    span->context = parent->context;
    span->context.span_id = span_id_new();
    span->parent_id = parent->context.span_id;
    span->is_recorded = parent->is_recorded;
}

int tracer_inject(const struct tracer *tracer, const struct span *span, struct metadata *headers,
                  struct arena *arena)
{
    if (tracer->options.is_disabled)
        return 0;
    return trace_context_inject(&span->context, &tracer->options.propagators, headers, arena);
}

void tracer_end(struct tracer *tracer, struct span *span, int64_t end_ns)
{
    char buffer[OTLP_MAX_SPAN_BYTES];

    span->end_ns = end_ns;
    if (!span->is_recorded || !tracer->options.exporter)
        return;

    struct str bytes = otlp_encode_span(span, buffer, sizeof(buffer));
    assert(bytes.at);
    span_exporter_offer(tracer->options.exporter, bytes);
}
