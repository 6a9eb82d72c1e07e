#include "server/chain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base/clock.h"

static struct chain_decision decide(const char *fail, const char *delay, double draw,
                                    uint32_t attempt)
{
    struct fault_plan plan;

    fault_plan_parse(str_from(fail), str_from(delay), &plan);
    return chain_decide(&(struct chain_input){.faults = &plan,
                                              .role = STR("backend"),
                                              .version = STR("prod"),
                                              .attempt = attempt,
                                              .fail_draw = draw,
                                              .delay_draw = draw});
}

static void without_faults_nothing_happens(void **state)
{
    struct chain_decision decision = decide("", "", 0.0, 1);
    (void)state;

    assert_false(decision.fails);
    assert_int_equal(decision.delay_ns, 0);
}

static void a_failure_carries_its_status_and_form(void **state)
{
    struct chain_decision decision = decide("backend=1:unavailable:trailers", "", 0.99, 1);
    (void)state;

    assert_true(decision.fails);
    assert_int_equal(decision.failure.status, STATUS_UNAVAILABLE);
    assert_int_equal(decision.failure.http_code, 503);
    assert_true(decision.headers_first);
}

static void a_delay_and_a_failure_can_strike_together(void **state)
{
    struct chain_decision decision = decide("0.5", "100ms:0.5", 0.4, 1);
    (void)state;

    assert_true(decision.fails);
    assert_int_equal(decision.delay_ns, 100 * NS_PER_MS);
}

static void the_first_attempts_fail_and_the_next_does_not(void **state)
{
    (void)state;

    assert_true(decide("first-2", "", 0.0, 1).fails);
    assert_true(decide("first-2", "", 0.0, 2).fails);
    assert_false(decide("first-2", "", 0.0, 3).fails);
}

static void a_proxy_that_counted_more_attempts_is_believed(void **state)
{
    (void)state;

    assert_int_equal(chain_attempt(1, STR("3")), 3);
    assert_int_equal(chain_attempt(4, STR("1")), 4);
    assert_int_equal(chain_attempt(2, STR("")), 2);
    assert_int_equal(chain_attempt(2, STR("many")), 2);
    assert_int_equal(chain_attempt(2, STR("99999999999999999999")), 2);
}

static void the_first_failed_upstream_fails_the_hop(void **state)
{
    struct upstream_result results[] = {
        {.outcome = UPSTREAM_HTTP, .http = {.code = 502}},
        {.outcome = UPSTREAM_FAILURE, .failure = {.status = STATUS_UNAVAILABLE}},
        {.outcome = UPSTREAM_FAILURE, .failure = {.status = STATUS_INTERNAL}},
    };
    (void)state;

    assert_ptr_equal(chain_failure(results, 3, FAILURE_PROPAGATES), &results[1].failure);
}

static void a_bad_answer_of_a_stranger_fails_nothing(void **state)
{
    struct upstream_result result = {.outcome = UPSTREAM_HTTP, .http = {.code = 404}};
    (void)state;

    assert_null(chain_failure(&result, 1, FAILURE_PROPAGATES));
}

static void failures_that_are_only_reported_fail_nothing(void **state)
{
    struct upstream_result result = {.outcome = UPSTREAM_FAILURE,
                                     .failure = {.status = STATUS_INTERNAL}};
    (void)state;

    assert_null(chain_failure(&result, 1, FAILURE_IS_REPORTED));
}

static void a_hop_that_calls_nobody_costs_one_call(void **state)
{
    (void)state;

    assert_int_equal(chain_calls(NULL, 0), 1);
}

static void each_upstream_adds_what_it_says_or_one(void **state)
{
    struct reply           hop = {.calls = 7}, partial = {.calls = 20}, silent = {.calls = 0};
    struct upstream_result results[] = {
        {.outcome = UPSTREAM_HOP, .hop = &hop},
        {.outcome = UPSTREAM_HOP, .hop = &silent},
        {.outcome = UPSTREAM_HTTP, .http = {.code = 200}},
        {.outcome = UPSTREAM_FAILURE, .failure = {STATUS_INTERNAL, .partial = &partial}},
        {.outcome = UPSTREAM_FAILURE, .failure = {STATUS_INTERNAL, .partial = &silent}},
        {.outcome = UPSTREAM_FAILURE, .failure = {STATUS_UNAVAILABLE}},
    };
    (void)state;

    assert_int_equal(chain_calls(results, 6), 1 + 7 + 1 + 1 + 20 + 1 + 1);
}

static void strangers_cannot_make_the_calls_overflow(void **state)
{
    struct reply           boaster = {.calls = UINT32_MAX};
    struct upstream_result results[] = {
        {.outcome = UPSTREAM_HOP, .hop = &boaster},
        {.outcome = UPSTREAM_FAILURE, .failure = {STATUS_INTERNAL, .partial = &boaster}},
    };
    (void)state;

    assert_int_equal(chain_calls(results, 1), UINT32_MAX);
    assert_int_equal(chain_calls(results, 2), UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_faults_nothing_happens),
        cmocka_unit_test(a_failure_carries_its_status_and_form),
        cmocka_unit_test(a_delay_and_a_failure_can_strike_together),
        cmocka_unit_test(the_first_attempts_fail_and_the_next_does_not),
        cmocka_unit_test(a_proxy_that_counted_more_attempts_is_believed),
        cmocka_unit_test(the_first_failed_upstream_fails_the_hop),
        cmocka_unit_test(a_bad_answer_of_a_stranger_fails_nothing),
        cmocka_unit_test(failures_that_are_only_reported_fail_nothing),
        cmocka_unit_test(a_hop_that_calls_nobody_costs_one_call),
        cmocka_unit_test(each_upstream_adds_what_it_says_or_one),
        cmocka_unit_test(strangers_cannot_make_the_calls_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
