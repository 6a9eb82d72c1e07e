#include "common/base/random.h"

#include <pthread.h>
#include <stdlib.h>

#include "tests/unit/expect.h"

enum { THREADS = 4, IDS = 10000 };

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void *draw_ids(void *ids)
{
    for (int i = 0; i < IDS; i++)
        ((uint64_t *)ids)[i] = random_id();
    return NULL;
}

/* Two equal ones among 40,000 of 64 bits: once in 23 billion runs. */
static void ids_differ_within_and_between_threads(void **state)
{
    (void)state;
    static uint64_t ids[THREADS][IDS];
    pthread_t       threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, draw_ids, ids[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);

    uint64_t *all = &ids[0][0];
    qsort(all, (size_t)THREADS * IDS, sizeof(*all), compare);
    assert_true(all[0] != 0);
    for (int i = 1; i < THREADS * IDS; i++)
        assert_true(all[i] != all[i - 1]);
}

/* Each bit is set in half of the draws; 10 standard deviations away is no chance. */
static void each_bit_of_an_id_is_fair(void **state)
{
    (void)state;
    int set[64] = {0};

    for (int i = 0; i < IDS; i++) {
        uint64_t id = random_id();
        for (int bit = 0; bit < 64; bit++)
            set[bit] += (int)((id >> bit) & 1);
    }
    for (int bit = 0; bit < 64; bit++)
        assert_in_range(set[bit], IDS / 2 - 500, IDS / 2 + 500);
}

/* The first numbers of splitmix64 with seed 0 are the mixes of 0 and of its increment. */
static void the_mix_is_that_of_splitmix64(void **state)
{
    (void)state;
    assert_true(random_mix(0) == UINT64_C(0xe220a8397b1dcdaf));
    assert_true(random_mix(UINT64_C(0x9e3779b97f4a7c15)) == UINT64_C(0x6e789e6aa1b965f4));
    assert_true(random_mix(1) != random_mix(2));
}

static void a_unit_is_at_least_zero_and_below_one(void **state)
{
    (void)state;
    assert_true(random_unit(0) == 0.0);
    assert_true(random_unit(UINT64_MAX) < 1.0);
    assert_true(random_unit(UINT64_MAX) == 1.0 - 0x1.0p-53);
    assert_true(random_unit(UINT64_C(1) << 63) == 0.5);
    assert_true(random_unit(UINT64_C(1) << 11) == 0x1.0p-53);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_differ_within_and_between_threads),
        cmocka_unit_test(each_bit_of_an_id_is_fair),
        cmocka_unit_test(the_mix_is_that_of_splitmix64),
        cmocka_unit_test(a_unit_is_at_least_zero_and_below_one),
    };
    return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
