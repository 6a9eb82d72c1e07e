#pragma once

/*
 * Sampler: whether a new span is recorded. Pure. Rules: OpenTelemetry
 * specification, trace/sdk.md, "Built-in samplers".
 */

#include <stdbool.h>

#include "common/trace/trace_context.h"

enum sampler_kind { SAMPLER_ALWAYS_ON, SAMPLER_ALWAYS_OFF, SAMPLER_RATIO };

struct sampler {
    enum sampler_kind root;           /* decides when nobody did before */
    double            ratio;          /* RATIO: the share of traces, 0 to 1 */
    bool              follows_parent; /* a decision that came with the request stands */
};

/*
 * "parentbased_traceidratio" and its kind; `argument` (the ratio) may be empty:
 * 1.0. 0, or -EINVAL for an unknown name or a ratio outside [0, 1].
 */
int sampler_parse(struct str name, struct str argument, struct sampler *ret_sampler);

/*
 * The decision for a span in `context`, whose ids are already those of the trace. DEBUG
 * stays DEBUG.
 */
enum sampling sampler_decide(const struct sampler *sampler, const struct trace_context *context);
