#pragma once

/*
 * OTLP: spans as bytes of opentelemetry.proto.*. Pure. A span is encoded once,
 * when it ends; a batch is the resource and those bytes, one after the other.
 */

#include "common/base/str.h"
#include "common/base/wire.h"
#include "common/trace/span.h"

enum otlp_protocol { OTLP_GRPC, OTLP_HTTP_PROTOBUF };

enum {
    OTLP_MAX_TEXT_BYTES = 512,       /* longer ones are cut, */
    OTLP_MAX_SPAN_BYTES = 20 * 1024, /* so no span is longer; */
    OTLP_USUAL_SPAN_BYTES = 512,     /* and most are shorter than this */
};

/*
 * Writes `span` as one element of ScopeSpans.spans, tag and length included, so
 * that elements can be strung together. Text that is not UTF-8 is mended, for
 * receivers refuse the whole batch (their protobuf parsers check).
 * The bytes are at the end of `buffer`; `at` is NULL when they do not fit.
 */
struct str otlp_encode_span(const struct span *span, void *buffer, size_t size);

/* Writes a resource with these attributes as the field ResourceSpans.resource. */
struct str otlp_encode_resource(const struct span_attribute attributes[], size_t n_attributes,
                                void *buffer, size_t size);

/*
 * The bytes of an ExportTraceServiceRequest that stand before the strung-together
 * spans: what is left is to append `spans_bytes` bytes of them.
 */
struct str otlp_encode_envelope(struct str resource, struct str scope_name,
                                struct str scope_version, size_t spans_bytes, void *buffer,
                                size_t size);

/*
 * Reads what an ExportTraceServiceResponse says about spans that were refused: none
 * and "" when they were all taken; none and a text is a warning. 0 or -EBADMSG.
 */
int otlp_read_partial_success(struct str response, uint64_t *ret_rejected_spans,
                              struct str *ret_message);

/*
 * Reads RetryInfo out of a google.rpc.Status: 0 and the delay, never negative, or
 * -ENOENT, -EBADMSG.
 */
int rpc_status_retry_delay(struct str status, int64_t *ret_delay_ns);
