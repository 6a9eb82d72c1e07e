#pragma once

/*
 * Span walk: the spans of a skimmed ExportTraceServiceRequest, one by one, with the fields
 * that others than the sender and the destination need. Views only; allocates nothing; pure.
 * Takes time in proportion to the request, whatever the order of its fields.
 *
 *     struct span_walk walk = span_walk(request);
 *     struct span_view span;
 *     while (span_walk_next(&walk, &span))
 *
 * Of a resource or scope that comes in pieces, which protobuf would merge, the last piece is
 * seen. Bytes that were not skimmed end the walk early, and do nothing worse.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"
#include "common/base/wire.h"

struct span_view {
    struct str resource; /* the Resource message, "" when there is none */
    struct str resource_schema_url;
    struct str scope; /* the InstrumentationScope message, likewise */
    struct str scope_schema_url;
    struct str service_name; /* of the resource: absent when it has none */
    struct str bytes;        /* the whole Span message */

    struct str trace_id, span_id, parent_span_id; /* raw bytes; "" when absent */
    struct str name;
    uint32_t   kind;             /* opentelemetry.proto.trace.v1.Span.SpanKind */
    uint64_t   start_ns, end_ns; /* real time */
    uint32_t   status_code;      /* 2: error */
};

struct span_walk {
    struct wire_cursor request, resource_spans, scope_spans;
    struct span_view   context; /* what the spans at hand have in common */
};

struct span_walk span_walk(struct str request);
bool             span_walk_next(struct span_walk *walk, struct span_view *ret_span);

/* The attributes of a message, one by one: `number` is that of its repeated KeyValue. */
struct attribute_view {
    struct str key;
    struct str value; /* the AnyValue message */
};
struct wire_cursor attribute_walk(struct str message);
bool attribute_walk_next(struct wire_cursor *walk, uint32_t number, struct attribute_view *ret);

/* The string in an AnyValue; absent when it holds something else. */
struct str any_value_string(struct str any_value);
