#pragma once

/*
 * Chain: what a hop decides about one request. Pure: plans, draws and results
 * in, decisions out. The exchange (exchange.h) carries them out.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/fault.h"
#include "server/reply.h"
#include "server/work.h"

/* What is known when a request comes in. The draws are in [0, 1). */
struct chain_input {
    const struct fault_plan *faults;
    struct str               role, version;
    uint32_t                 attempt;
    double                   fail_draw, delay_draw;
};

struct chain_decision {
    int64_t             delay_ns; /* 0: none */
    bool                fails;
    struct fault_status failure;       /* when it fails */
    bool                headers_first; /* when it fails: in the form that a mesh does not retry */
};

struct chain_decision chain_decide(const struct chain_input *input);

/* How many tries of a call there were: what we counted, or a proxy's word when it says more. */
uint32_t chain_attempt(uint32_t counted, struct str envoy_attempt_count);

/*
 * What one try cost in calls: 1 for the hop itself, and what each of its upstreams
 * says that its call cost; an upstream that says nothing, or is no hop, counts as 1.
 * At most UINT32_MAX.
 */
uint32_t chain_calls(const struct upstream_result results[], size_t n_results);

enum failure_policy { FAILURE_PROPAGATES, FAILURE_IS_REPORTED };

/*
 * The upstream failure that makes this hop fail: the first one, NULL when there is
 * none or failures are only reported. An answer that is not a hop's never is one,
 * whatever its code.
 */
const struct failure *chain_failure(const struct upstream_result results[], size_t n_results,
                                    enum failure_policy policy);
