#pragma once

/*
 * Traceparent: trace context as the W3C's two headers carry it. Pure; for
 * trace_context.c only.
 *
 * Rules: W3C Trace Context Level 1, sections 3.2 and 3.3.
 */

#include "common/trace/trace_context.h"

/*
 * 1 and the context, 0 when the headers have none, -EINVAL when it is malformed.
 * A tracestate that cannot stand in a header, or is too long, is left out; so are
 * the entries of a second tracestate header, which are the oldest.
 */
int traceparent_extract(const struct metadata *headers, struct trace_context *ret_context);

/* Nothing for a context without ids. 0 or -ENOMEM. */
int traceparent_inject(const struct trace_context *context, struct metadata *headers,
                       struct arena *arena);
