/*
 * Whatever the headers say, a plan asks only for what a hop can do. The first
 * line of the input is `fail`, the rest `delay`.
 */

#include "server/fault.h"

#include <assert.h>

#include "common/base/arena.h"
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "tests/fuzz/fuzz.h"

static bool is_probability(double value)
{
    return value >= 0 && value <= 1;
}

static void check_target(const struct fault_target *target)
{
    assert(str_is_empty(target->role) || fault_name_is_valid(target->role));
    assert(str_is_empty(target->version) || fault_name_is_valid(target->version));
    assert(!str_is_empty(target->role) || str_is_empty(target->version));
}

static void check_fail(const struct fail_item *item)
{
    check_target(&item->target);
    assert(is_probability(item->probability));
    assert(item->status.status > STATUS_OK && item->status.status < STATUS_COUNT);
    assert(item->status.http_code >= 400 && item->status.http_code <= 599);
    assert(item->first_attempts <= 1000 * 1000);
}

static void check_delay(const struct delay_item *item)
{
    check_target(&item->target);
    assert(is_probability(item->probability));
    assert(item->delay_ns >= 0 && item->delay_ns <= (int64_t)FAULT_MAX_DELAY_S * NS_PER_S);
}

static void check_warning(const struct fault_plan *plan)
{
    cleanup_with(arena_free_at) struct arena *arena = arena_new(4096);
    struct str                                warning = fault_plan_warning(plan, arena);

    assert(str_is_empty(warning) == (plan->n_bad == 0));
    for (size_t i = 0; i < warning.len; i++)
        assert(warning.at[i] >= ' ' && warning.at[i] <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str        fail = fuzz_input(data, size);
    struct str        delay = {0};
    struct fault_plan plan;

    (void)str_split(fail, '\n', &fail, &delay);
    fault_plan_parse(fail, delay, &plan);

    assert(plan.n_fails <= FAULT_MAX_ITEMS && plan.n_delays <= FAULT_MAX_ITEMS);
    for (size_t i = 0; i < plan.n_fails; i++)
        check_fail(&plan.fails[i]);
    for (size_t i = 0; i < plan.n_delays; i++)
        check_delay(&plan.delays[i]);
    for (size_t i = 0; i < plan.n_bad && i < ARRAY_LENGTH(plan.bad); i++)
        assert(!str_is_empty(plan.bad[i]));
    check_warning(&plan);
    return 0;
}
