#pragma once

/*
 * Trace render: the spans of a trace as OTLP JSON, grouped by resource and scope as they
 * came.
 */

#include "collector/recent/kept_trace.h"
#include "common/base/text.h"

/*
 * Adds the ResourceSpans objects of a trace (at least one span), separated by commas, until the
 * text is longer than `max_bytes` (by what one span adds, at most). 0; -E2BIG; -ENOMEM.
 */
int trace_render(struct kept_spans spans, size_t max_bytes, struct text *to);
