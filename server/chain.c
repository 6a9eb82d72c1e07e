#include "server/chain.h"

struct chain_decision chain_decide(const struct chain_input *input)
{
    const struct fail_item  *fail = fault_plan_fail_for(input->faults, input->role, input->version);
    const struct delay_item *delay =
        fault_plan_delay_for(input->faults, input->role, input->version);
    struct chain_decision decision = {0};

    if (delay && delay_item_strikes(delay, input->delay_draw))
        decision.delay_ns = delay->delay_ns;

    if (fail && fail_item_strikes(fail, input->attempt, input->fail_draw)) {
        decision.fails = true;
        decision.failure = fail->status;
        decision.headers_first = fail->headers_first;
    }
    return decision;
}

uint32_t chain_attempt(uint32_t counted, struct str envoy_attempt_count)
{
    uint64_t told;

    if (str_to_uint64(envoy_attempt_count, &told) < 0 || told > UINT32_MAX || told < counted)
        return counted;
    return (uint32_t)told;
}

/* What the upstream says itself, which may be anything; 0: nothing. */
static uint32_t told_calls(const struct upstream_result *result)
{
    switch (result->outcome) {
    case UPSTREAM_HOP:
        return result->hop->calls;
    case UPSTREAM_FAILURE:
        return result->failure.partial ? result->failure.partial->calls : 0;
    case UPSTREAM_HTTP:
        break;
    }
    return 0;
}

uint32_t chain_calls(const struct upstream_result results[], size_t n_results)
{
    uint64_t calls = 1;

    for (size_t i = 0; i < n_results; i++) {
        uint32_t told = told_calls(&results[i]);
        calls += told > 0 ? told : 1;
    }
    return calls < UINT32_MAX ? (uint32_t)calls : UINT32_MAX;
}

const struct failure *chain_failure(const struct upstream_result results[], size_t n_results,
                                    enum failure_policy policy)
{
    if (policy == FAILURE_IS_REPORTED)
        return NULL;

    for (size_t i = 0; i < n_results; i++) {
        if (results[i].outcome == UPSTREAM_FAILURE)
            return &results[i].failure;
    }
    return NULL;
}
