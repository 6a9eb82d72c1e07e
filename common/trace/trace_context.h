#pragma once

/*
 * Trace context: which trace a request belongs to, as headers say it: B3 (one
 * header or several) and W3C. Pure: headers in, context out, and back.
 *
 * Rules: openzipkin/b3-propagation README; W3C Trace Context Level 1, section 3;
 * OpenTelemetry specification, context/api-propagators.md.
 */

#include <stdbool.h>

#include "common/base/metadata.h"
#include "common/trace/trace_id.h"

enum propagator {
    PROPAGATOR_B3,           /* one header: b3 */
    PROPAGATOR_B3_MULTI,     /* x-b3-traceid and its kind */
    PROPAGATOR_TRACECONTEXT, /* traceparent, tracestate */
    PROPAGATOR_BAGGAGE,      /* nothing to do: the header is on the forwarding list */
    PROPAGATOR_COUNT
};

struct propagators {
    enum propagator order[PROPAGATOR_COUNT];
    size_t          count;
};

/* "b3multi,tracecontext,baggage", or "none". 0 or -EINVAL with the piece that is wrong. */
int propagators_parse(struct str text, struct propagators *ret_propagators, struct str *ret_bad);

/* What earlier hops decided about recording this trace. */
enum sampling {
    SAMPLING_DEFERRED, /* nothing: it is for this hop to decide */
    SAMPLING_DENIED,
    SAMPLING_ACCEPTED,
    SAMPLING_DEBUG, /* accepted, and past every sampler */
};

struct trace_context {
    bool            has_ids;   /* without them, only `sampling` was said ("b3: 0") */
    bool            is_64_bit; /* the trace id came in 16 digits, and goes out so in B3 */
    struct trace_id trace_id;
    struct span_id  span_id; /* of the caller's span when extracted, of our own when injected */
    enum sampling   sampling;
    struct str      trace_state; /* W3C; borrowed */
};

struct trace_extraction {
    struct trace_context context;   /* all zero when nothing usable was found: begin a new trace */
    unsigned             malformed; /* how many header forms were there but wrong */
};

/*
 * The first usable context in the order of `propagators`. Either B3 propagator
 * reads both B3 forms, the single header first. A malformed form is counted and
 * the next one tried; ids of two traces are never mixed.
 *
 * `sent` is the span id that the caller wrote into every form; zero: unknown. Many
 * proxies rewrite only one form, so the first context gives way to a later one of
 * the same trace when it still has that id and the later one has another.
 */
struct trace_extraction trace_context_extract(const struct metadata    *headers,
                                              const struct propagators *propagators,
                                              struct span_id            sent);

/* Appends `context` in every configured form; values live in `arena`. 0 or -ENOMEM. */
int trace_context_inject(const struct trace_context *context, const struct propagators *propagators,
                         struct metadata *headers, struct arena *arena);

/* Whether a header (lower case) carries trace context, so is continued and not copied. */
bool trace_context_owns_header(struct str name);

/* Whether the decision is to record. */
static inline bool sampling_is_recorded(enum sampling sampling)
{
    return sampling == SAMPLING_ACCEPTED || sampling == SAMPLING_DEBUG;
}
