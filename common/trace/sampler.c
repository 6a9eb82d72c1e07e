#include "common/trace/sampler.h"

#include <errno.h>

#include "common/base/cleanup.h"

/* A trace is recorded when the last 56 bits of its id, as a number, reach a threshold. */
enum { RANDOM_BYTES = 7 };

static const double random_range = 0x1p56;

static const struct {
    struct str        name;
    enum sampler_kind root;
    bool              follows_parent;
} samplers[] = {
    {STR_INIT("always_on"), SAMPLER_ALWAYS_ON, false},
    {STR_INIT("always_off"), SAMPLER_ALWAYS_OFF, false},
    {STR_INIT("traceidratio"), SAMPLER_RATIO, false},
    {STR_INIT("parentbased_always_on"), SAMPLER_ALWAYS_ON, true},
    {STR_INIT("parentbased_always_off"), SAMPLER_ALWAYS_OFF, true},
    {STR_INIT("parentbased_traceidratio"), SAMPLER_RATIO, true},
};

static int parse_ratio(struct str argument, double *ret_ratio)
{
    double ratio = 1;

    if (!str_is_empty(argument) && (str_to_decimal(argument, &ratio) < 0 || ratio > 1))
        return -EINVAL;
    *ret_ratio = ratio;
    return 0;
}

int sampler_parse(struct str name, struct str argument, struct sampler *ret_sampler)
{
    for (size_t i = 0; i < ARRAY_LENGTH(samplers); i++) {
        if (!str_equal_ignore_case(name, samplers[i].name))
            continue;

        struct sampler sampler = {
            .root = samplers[i].root, .ratio = 1, .follows_parent = samplers[i].follows_parent};
        if (sampler.root == SAMPLER_RATIO && parse_ratio(argument, &sampler.ratio) < 0)
            return -EINVAL;
        *ret_sampler = sampler;
        return 0;
    }
    return -EINVAL;
}

/* The same at every hop, and what a small ratio records a larger one records too. */
static bool ratio_records(double ratio, const struct trace_id *id)
{
    uint64_t random = 0;
    for (size_t i = sizeof(id->bytes) - RANDOM_BYTES; i < sizeof(id->bytes); i++)
        random = random << 8 | id->bytes[i];
    return random >= (uint64_t)((1 - ratio) * random_range);
}

static bool root_records(const struct sampler *sampler, const struct trace_id *id)
{
    switch (sampler->root) {
    case SAMPLER_ALWAYS_ON:
        return true;
    case SAMPLER_ALWAYS_OFF:
        return false;
    case SAMPLER_RATIO:
        return ratio_records(sampler->ratio, id);
    }
    return false;
}

enum sampling sampler_decide(const struct sampler *sampler, const struct trace_context *context)
{
    if (context->sampling == SAMPLING_DEBUG)
        return SAMPLING_DEBUG;
    if (sampler->follows_parent && context->sampling != SAMPLING_DEFERRED)
        return context->sampling;
    return root_records(sampler, &context->trace_id) ? SAMPLING_ACCEPTED : SAMPLING_DENIED;
}
