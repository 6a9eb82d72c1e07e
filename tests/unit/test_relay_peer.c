#include "collector/relay/peer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "common/base/clock.h"

enum { MAX_CALLS = 8, MAX_BYTES = 1 << 20 };

static const int64_t second = NS_PER_S;

static struct peer_failure failure_at(int64_t now_ns)
{
    return (struct peer_failure){.started_ns = now_ns, .now_ns = now_ns, .random = UINT64_MAX};
}

static bool fail_at(struct peer *peer, int64_t now_ns)
{
    struct peer_failure failure = failure_at(now_ns);
    return peer_failed(peer, &failure);
}

static void at_first_all_calls_may_start(void **state)
{
    (void)state;
    struct peer it = peer(MAX_CALLS, MAX_BYTES);

    assert_false(peer_is_failing(&it));
    assert_true(peer_may_start(&it, MAX_CALLS - 1, 0));
    assert_false(peer_may_start(&it, MAX_CALLS, 0));
}

static void after_a_failure_one_call_is_tried_after_a_while(void **state)
{
    (void)state;
    struct peer it = peer(MAX_CALLS, MAX_BYTES);

    assert_true(fail_at(&it, second));
    assert_true(peer_is_failing(&it));
    assert_false(peer_may_start(&it, 0, second));
    assert_false(peer_may_start(&it, 0, it.not_before_ns - 1));
    assert_true(peer_may_start(&it, 0, it.not_before_ns));
    assert_false(peer_may_start(&it, 1, it.not_before_ns));
}

static void with_answers_the_window_grows_again(void **state)
{
    (void)state;
    struct peer it = peer(MAX_CALLS, MAX_BYTES);

    fail_at(&it, second);
    assert_true(peer_answered(&it, 2 * second));
    assert_false(peer_is_failing(&it));
    assert_int_equal(it.window, 2);
    assert_false(peer_answered(&it, 2 * second));
    assert_int_equal(it.window, 4);
    assert_false(peer_answered(&it, 2 * second));
    assert_false(peer_answered(&it, 2 * second));
    assert_int_equal(it.window, MAX_CALLS);
}

static void the_wait_grows_with_each_round_not_with_each_call(void **state)
{
    (void)state;
    struct peer it = peer(MAX_CALLS, MAX_BYTES);

    fail_at(&it, second);
    int64_t first_ns = it.not_before_ns;
    for (int i = 0; i < 10; i++) {
        struct peer_failure together = {.started_ns = 0, .now_ns = second, .random = UINT64_MAX};
        assert_false(peer_failed(&it, &together));
    }
    assert_int_equal(it.not_before_ns, first_ns);

    assert_false(fail_at(&it, 2 * second));
    assert_true(it.not_before_ns - 2 * second > first_ns - second);
}

static void an_answer_to_an_older_call_ends_no_series(void **state)
{
    (void)state;
    struct peer it = peer(MAX_CALLS, MAX_BYTES);

    fail_at(&it, second);
    assert_false(peer_answered(&it, 0));
    assert_true(peer_is_failing(&it));
    assert_int_equal(it.window, 1);
}

static void what_the_destination_asks_for_is_waited(void **state)
{
    (void)state;
    struct peer         it = peer(MAX_CALLS, MAX_BYTES);
    struct peer_failure failure = failure_at(second);

    failure.wait_ns = 100 * second;
    peer_failed(&it, &failure);
    assert_int_equal(it.not_before_ns, 101 * second);

    /* A shorter wait does not take it back. */
    fail_at(&it, 2 * second);
    assert_int_equal(it.not_before_ns, 101 * second);
}

static void somebody_absent_is_looked_for_every_second(void **state)
{
    (void)state;
    struct peer it = peer(MAX_CALLS, MAX_BYTES);

    for (int i = 1; i < 100; i++) {
        struct peer_failure failure = failure_at((int64_t)i * 10 * second);
        failure.is_absent = true;
        peer_failed(&it, &failure);
        assert_true(it.not_before_ns <= failure.now_ns + second);
    }
}

static void a_limit_that_is_told_is_taken(void **state)
{
    (void)state;
    struct peer it = peer(MAX_CALLS, MAX_BYTES);

    assert_true(peer_refused_size(&it, MAX_BYTES, 400000));
    assert_int_equal(it.limit_bytes, 400000);
    for (int i = 0; i < 1000; i++)
        peer_took(&it);
    assert_int_equal(it.limit_bytes, 400000);
}

static void a_limit_that_is_not_told_is_guessed_and_doubted(void **state)
{
    (void)state;
    struct peer it = peer(MAX_CALLS, MAX_BYTES);

    assert_true(peer_refused_size(&it, MAX_BYTES, 0));
    assert_int_equal(it.limit_bytes, MAX_BYTES / 2);
    assert_true(peer_refused_size(&it, MAX_BYTES / 2, 0));
    assert_int_equal(it.limit_bytes, MAX_BYTES / 4);

    for (int i = 0; i < 1000; i++)
        peer_took(&it);
    assert_int_equal(it.limit_bytes, MAX_BYTES);
}

static void a_limit_above_the_request_is_no_limit(void **state)
{
    (void)state;
    struct peer it = peer(MAX_CALLS, MAX_BYTES);

    assert_true(peer_refused_size(&it, 500000, 4 << 20));
    assert_int_equal(it.limit_bytes, 250000);
}

static void a_small_request_cannot_be_too_large(void **state)
{
    (void)state;
    struct peer it = peer(MAX_CALLS, MAX_BYTES);

    assert_false(peer_refused_size(&it, 10000, 0));
    assert_int_equal(it.limit_bytes, MAX_BYTES);
}

static void the_lowest_limit_counts(void **state)
{
    (void)state;
    struct peer it = peer(MAX_CALLS, MAX_BYTES);

    assert_true(peer_refused_size(&it, MAX_BYTES, 100000));
    assert_true(peer_refused_size(&it, MAX_BYTES, 0)); /* was in flight meanwhile */
    assert_int_equal(it.limit_bytes, 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_first_all_calls_may_start),
        cmocka_unit_test(after_a_failure_one_call_is_tried_after_a_while),
        cmocka_unit_test(with_answers_the_window_grows_again),
        cmocka_unit_test(the_wait_grows_with_each_round_not_with_each_call),
        cmocka_unit_test(an_answer_to_an_older_call_ends_no_series),
        cmocka_unit_test(what_the_destination_asks_for_is_waited),
        cmocka_unit_test(somebody_absent_is_looked_for_every_second),
        cmocka_unit_test(a_limit_that_is_told_is_taken),
        cmocka_unit_test(a_limit_that_is_not_told_is_guessed_and_doubted),
        cmocka_unit_test(a_limit_above_the_request_is_no_limit),
        cmocka_unit_test(a_small_request_cannot_be_too_large),
        cmocka_unit_test(the_lowest_limit_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
