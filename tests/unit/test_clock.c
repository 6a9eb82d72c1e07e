#include "common/base/clock.h"

#include <time.h>

#include "tests/unit/expect.h"

static void the_monotonic_clock_never_goes_back(void **state)
{
    (void)state;
    int64_t last = clock_monotonic_ns();

    for (int i = 0; i < 10000; i++) {
        int64_t now = clock_monotonic_ns();
        assert_true(now >= last);
        last = now;
    }
}

static void the_real_time_is_that_of_the_system(void **state)
{
    (void)state;
    int64_t before = (int64_t)time(NULL) - 1;
    int64_t now = clock_realtime_ns();
    int64_t after = (int64_t)time(NULL) + 1;

    assert_in_range(now / NS_PER_S, before, after);
}

static void an_instant_is_both_clocks_at_once(void **state)
{
    (void)state;
    int64_t        monotonic = clock_monotonic_ns(), realtime = clock_realtime_ns();
    struct instant instant = clock_instant();

    assert_in_range(instant.monotonic_ns, monotonic, clock_monotonic_ns());
    assert_in_range(instant.realtime_ns, realtime, clock_realtime_ns());
}

static void real_times_are_judged_from_the_anchor(void **state)
{
    (void)state;
    struct instant anchor = {.monotonic_ns = 1000, .realtime_ns = 5000000};

    assert_int_equal(instant_realtime_ns(anchor, 1000), 5000000);
    assert_int_equal(instant_realtime_ns(anchor, 1250), 5000250);
    assert_int_equal(instant_realtime_ns(anchor, 0), 4999000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_monotonic_clock_never_goes_back),
        cmocka_unit_test(the_real_time_is_that_of_the_system),
        cmocka_unit_test(an_instant_is_both_clocks_at_once),
        cmocka_unit_test(real_times_are_judged_from_the_anchor),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
