#pragma once

/*
 * B3: trace context as Zipkin's headers carry it, in one header or in several.
 * Pure; for trace_context.c only.
 *
 * Rules: openzipkin/b3-propagation README.
 */

#include "common/trace/trace_context.h"

/* 1 and the context, 0 when the headers have none, -EINVAL when it is malformed. */
int b3_single_extract(const struct metadata *headers, struct trace_context *ret_context);
int b3_multi_extract(const struct metadata *headers, struct trace_context *ret_context);

/* 0 or -ENOMEM. */
int b3_single_inject(const struct trace_context *context, struct metadata *headers,
                     struct arena *arena);
int b3_multi_inject(const struct trace_context *context, struct metadata *headers,
                    struct arena *arena);
