#include "server/work.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "tests/unit/expect.h"

/* The draws nearest to both ends of [0, 1). */
static const double smallest_draw = 0;
static const double largest_draw = 1 - 0x1.0p-53;

static void fibonacci_numbers_are_right(void **state)
{
    (void)state;
    static const struct {
        uint32_t index;
        uint64_t number;
    } cases[] = {
        {0, 0},
        {1, 1},
        {2, 1},
        {3, 2},
        {10, 55},
        {30, 832040},
        {92, UINT64_C(7540113804746346429)},
        {WORK_MAX_FIBONACCI_INDEX, UINT64_C(12200160415121876738)},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        if (fibonacci(cases[i].index) != cases[i].number)
            fail_msg("F(%u) gave %llu", cases[i].index,
                     (unsigned long long)fibonacci(cases[i].index));
}

static void a_plan_reaches_both_limits_and_no_further(void **state)
{
    (void)state;
    static const struct {
        uint32_t max_index;
        int64_t  max_sleep_ns;
    } cases[] = {
        {0, 0},
        {1, 1},
        {30, 50 * (int64_t)NS_PER_MS},
        {WORK_MAX_FIBONACCI_INDEX, INT64_C(1) << 52},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct work_plan least =
            work_plan(cases[i].max_index, cases[i].max_sleep_ns, smallest_draw, smallest_draw);
        struct work_plan most =
            work_plan(cases[i].max_index, cases[i].max_sleep_ns, largest_draw, largest_draw);

        assert_int_equal(least.fibonacci_index, 0);
        assert_int_equal(least.sleep_ns, 0);
        assert_int_equal(most.fibonacci_index, cases[i].max_index);
        assert_int_equal(most.sleep_ns, cases[i].max_sleep_ns);
    }
}

static void every_index_is_as_likely(void **state)
{
    (void)state;
    enum { MAX_INDEX = 9, DRAWS = 100 * 1000, SIGMA = 95, MAX_SIGMAS = 4 };
    int drawn[MAX_INDEX + 1] = {0};

    for (uint64_t i = 0; i < DRAWS; i++)
        drawn[work_plan(MAX_INDEX, 0, random_unit(random_mix(i)), 0).fibonacci_index]++;

    for (int index = 0; index <= MAX_INDEX; index++) {
        int off = drawn[index] - DRAWS / (MAX_INDEX + 1);
        if (off > MAX_SIGMAS * SIGMA || off < -MAX_SIGMAS * SIGMA)
            fail_msg("index %d was drawn %d times of %d", index, drawn[index], DRAWS);
    }
}

static void the_sleep_has_its_own_draw(void **state)
{
    (void)state;
    struct work_plan plan = work_plan(10, 1000, 0.25, 0.5);

    assert_int_equal(plan.fibonacci_index, 2);
    assert_int_equal(plan.sleep_ns, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fibonacci_numbers_are_right),
        cmocka_unit_test(a_plan_reaches_both_limits_and_no_further),
        cmocka_unit_test(every_index_is_as_likely),
        cmocka_unit_test(the_sleep_has_its_own_draw),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
