#include "server/attempts.h"

#include <pthread.h>
#include <stdio.h>

#include "tests/unit/expect.h"

enum { CAPACITY = 64, TTL_NS = 1000 };

static int set_up(void **state)
{
    *state = attempts_new(CAPACITY, TTL_NS);
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    attempts_free(*state);
    return 0;
}

static uint32_t count_numbered(struct attempts *attempts, unsigned number, int64_t now_ns)
{
    char call[16];
    int  len = snprintf(call, sizeof(call), "call-%u", number);
    return attempts_count(attempts, (struct str){call, (size_t)len}, now_ns);
}

static void the_first_sight_is_attempt_one(void **state)
{
    assert_int_equal(attempts_count(*state, STR("a"), 0), 1);
    assert_int_equal(attempts_count(*state, STR("b"), 0), 1);
}

static void each_repeat_is_one_more(void **state)
{
    for (uint32_t i = 1; i <= 5; i++) {
        assert_int_equal(attempts_count(*state, STR("a"), i), i);
        assert_int_equal(attempts_count(*state, STR("b"), i), i);
    }
}

static void calls_without_a_name_are_not_one_call(void **state)
{
    assert_int_equal(attempts_count(*state, STR(""), 0), 1);
    assert_int_equal(attempts_count(*state, STR(""), 0), 1);
    assert_int_equal(attempts_count(*state, (struct str){0}, 0), 1);
}

static void a_call_is_forgotten_after_its_time(void **state)
{
    assert_int_equal(attempts_count(*state, STR("a"), 0), 1);
    assert_int_equal(attempts_count(*state, STR("a"), TTL_NS + 1), 1);
}

static void each_sight_renews_the_time(void **state)
{
    assert_int_equal(attempts_count(*state, STR("a"), 0), 1);
    assert_int_equal(attempts_count(*state, STR("a"), TTL_NS), 2);
    assert_int_equal(attempts_count(*state, STR("a"), TTL_NS + TTL_NS), 3);
}

static void a_flood_of_other_calls_never_makes_a_count_grow(void **state)
{
    for (unsigned i = 0; i < 100 * CAPACITY; i++)
        assert_int_equal(count_numbered(*state, i, 0), 1);
}

static void what_was_seen_last_survives_a_flood(void **state)
{
    for (unsigned i = 0; i < 100 * CAPACITY; i++)
        count_numbered(*state, i, i / 100);

    /* The last call of each set is younger than all others there. */
    assert_int_equal(count_numbered(*state, 100 * CAPACITY - 1, CAPACITY), 2);
}

static void the_oldest_of_a_full_table_gives_way_to_the_new(void **state)
{
    (void)state;
    enum { WAYS = 8 }; /* with so small a capacity there is one set, and this is its size */
    cleanup_with(attempts_free_at) struct attempts *attempts = attempts_new(1, TTL_NS);
    assert_non_null(attempts);

    for (unsigned i = 0; i < WAYS; i++)
        count_numbered(attempts, i, i);
    assert_int_equal(count_numbered(attempts, 0, WAYS), 2);
    assert_int_equal(count_numbered(attempts, WAYS, WAYS + 1), 1);

    assert_int_equal(count_numbered(attempts, 0, WAYS + 2), 3);
    assert_int_equal(count_numbered(attempts, 2, WAYS + 2), 2);
    assert_int_equal(count_numbered(attempts, 1, WAYS + 2), 1);
}

static void the_expired_give_way_before_the_oldest(void **state)
{
    (void)state;
    enum { WAYS = 8 };
    cleanup_with(attempts_free_at) struct attempts *attempts = attempts_new(1, TTL_NS);
    assert_non_null(attempts);

    for (unsigned i = 0; i < WAYS; i++)
        count_numbered(attempts, i, i < WAYS / 2 ? 0 : TTL_NS);
    for (unsigned i = WAYS; i < WAYS + WAYS / 2; i++)
        assert_int_equal(count_numbered(attempts, i, TTL_NS + 1), 1);
    for (unsigned i = WAYS / 2; i < WAYS; i++)
        assert_int_equal(count_numbered(attempts, i, TTL_NS + 2), 2);
}

static void what_a_call_costs_is_what_all_its_tries_do(void **state)
{
    attempts_count(*state, STR("a"), 0);
    attempts_count(*state, STR("b"), 0);
    assert_int_equal(attempts_add_cost(*state, STR("a"), 5, 1), 5);
    attempts_count(*state, STR("a"), 2);
    assert_int_equal(attempts_add_cost(*state, STR("b"), 100, 2), 100);
    assert_int_equal(attempts_add_cost(*state, STR("a"), 7, 3), 12);
}

static void a_try_that_ends_after_a_later_one_still_counts(void **state)
{
    attempts_count(*state, STR("a"), 0);
    attempts_count(*state, STR("a"), 1);
    assert_int_equal(attempts_add_cost(*state, STR("a"), 2, 2), 2);
    assert_int_equal(attempts_add_cost(*state, STR("a"), 9, 3), 11);
    attempts_count(*state, STR("a"), 4);
    assert_int_equal(attempts_add_cost(*state, STR("a"), 1, 5), 12);
}

static void a_cost_is_never_more_than_fits(void **state)
{
    attempts_count(*state, STR("a"), 0);
    assert_int_equal(attempts_add_cost(*state, STR("a"), UINT32_MAX - 1, 0), UINT32_MAX - 1);
    assert_int_equal(attempts_add_cost(*state, STR("a"), 1, 0), UINT32_MAX);
    assert_int_equal(attempts_add_cost(*state, STR("a"), UINT32_MAX, 0), UINT32_MAX);
}

static void a_call_without_a_name_costs_what_its_only_try_does(void **state)
{
    assert_int_equal(attempts_add_cost(*state, STR(""), 3, 0), 3);
    assert_int_equal(attempts_add_cost(*state, STR(""), 4, 0), 4);
}

static void a_try_of_a_forgotten_call_costs_what_it_does_and_leaves_no_trace(void **state)
{
    attempts_count(*state, STR("a"), 0);
    attempts_add_cost(*state, STR("a"), 5, 0);
    assert_int_equal(attempts_add_cost(*state, STR("a"), 7, TTL_NS + 1), 7);
    assert_int_equal(attempts_add_cost(*state, STR("never seen"), 7, 0), 7);
    assert_int_equal(attempts_add_cost(*state, STR("never seen"), 8, 0), 8);
    assert_int_equal(attempts_count(*state, STR("never seen"), 0), 1);

    assert_int_equal(attempts_count(*state, STR("a"), TTL_NS + 1), 1);
    assert_int_equal(attempts_add_cost(*state, STR("a"), 1, TTL_NS + 1), 1);
}

static void the_end_of_a_try_renews_the_time(void **state)
{
    attempts_count(*state, STR("a"), 0);
    attempts_add_cost(*state, STR("a"), 5, TTL_NS);
    assert_int_equal(attempts_count(*state, STR("a"), TTL_NS + TTL_NS), 2);
}

static void the_end_of_a_forgotten_try_takes_nobody_s_place(void **state)
{
    (void)state;
    enum { WAYS = 8 };
    cleanup_with(attempts_free_at) struct attempts *attempts = attempts_new(1, TTL_NS);
    assert_non_null(attempts);

    for (unsigned i = 0; i < WAYS; i++)
        count_numbered(attempts, i, i);
    attempts_add_cost(attempts, STR("forgotten"), 1, WAYS);
    for (unsigned i = 0; i < WAYS; i++)
        assert_int_equal(count_numbered(attempts, i, WAYS), 2);
}

static void who_takes_a_place_does_not_inherit_its_cost(void **state)
{
    (void)state;
    enum { WAYS = 8 };
    cleanup_with(attempts_free_at) struct attempts *attempts = attempts_new(1, TTL_NS);
    assert_non_null(attempts);

    attempts_count(attempts, STR("old"), 0);
    attempts_add_cost(attempts, STR("old"), 1000, 0);
    for (unsigned i = 0; i < WAYS - 1; i++)
        count_numbered(attempts, i, 1);
    attempts_count(attempts, STR("new"), 2);
    assert_int_equal(attempts_add_cost(attempts, STR("new"), 1, 2), 1);
}

enum { THREADS = 4, SIGHTS_PER_THREAD = 5000 };

static void *see_one_call(void *attempts)
{
    for (int i = 0; i < SIGHTS_PER_THREAD; i++) {
        attempts_count(attempts, STR("shared"), 0);
        attempts_add_cost(attempts, STR("shared"), 2, 0);
    }
    return NULL;
}

static void threads_lose_no_sight_and_no_cost(void **state)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, see_one_call, *state), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(attempts_count(*state, STR("shared"), 0), THREADS * SIGHTS_PER_THREAD + 1);
    assert_int_equal(attempts_add_cost(*state, STR("shared"), 1, 0),
                     2 * THREADS * SIGHTS_PER_THREAD + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_sight_is_attempt_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_repeat_is_one_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(calls_without_a_name_are_not_one_call, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_call_is_forgotten_after_its_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_sight_renews_the_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flood_of_other_calls_never_makes_a_count_grow, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_was_seen_last_survives_a_flood, set_up, tear_down),
        cmocka_unit_test(the_oldest_of_a_full_table_gives_way_to_the_new),
        cmocka_unit_test(the_expired_give_way_before_the_oldest),
        cmocka_unit_test_setup_teardown(what_a_call_costs_is_what_all_its_tries_do, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_try_that_ends_after_a_later_one_still_counts, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_cost_is_never_more_than_fits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_call_without_a_name_costs_what_its_only_try_does, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_try_of_a_forgotten_call_costs_what_it_does_and_leaves_no_trace, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_end_of_a_try_renews_the_time, set_up, tear_down),
        cmocka_unit_test(the_end_of_a_forgotten_try_takes_nobody_s_place),
        cmocka_unit_test(who_takes_a_place_does_not_inherit_its_cost),
        cmocka_unit_test_setup_teardown(threads_lose_no_sight_and_no_cost, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
