#include "common/base/siphash.h"

#include "common/base/cleanup.h"
#include "tests/unit/expect.h"

/* The key and the messages of the authors' test vectors: the bytes 0, 1, 2, ... */
static const struct siphash_key key = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};

static void the_published_vectors_come_out(void **state)
{
    (void)state;
    static const struct {
        size_t   len;
        uint64_t hash;
    } cases[] = {
        {0, UINT64_C(0x726fdb47dd0e0e31)},  {1, UINT64_C(0x74f839c593dc67fd)},
        {7, UINT64_C(0xab0200f58b01d137)},  {8, UINT64_C(0x93f5f5799a932462)},
        {15, UINT64_C(0xa129ca6149be45e5)},
    };
    char message[16];
    for (size_t i = 0; i < sizeof(message); i++)
        message[i] = (char)i;

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint64_t saw = siphash(key, (struct str){message, cases[i].len});
        if (saw != cases[i].hash)
            fail_msg("%zu bytes gave %016llx", cases[i].len, (unsigned long long)saw);
    }
}

static void an_absent_value_is_the_empty_one(void **state)
{
    (void)state;
    assert_true(siphash(key, (struct str){0}) == siphash(key, STR("")));
}

static void another_key_gives_another_hash(void **state)
{
    (void)state;
    struct siphash_key low = {key.low ^ 1, key.high};
    struct siphash_key high = {key.low, key.high ^ 1};

    assert_true(siphash(key, STR("call")) != siphash(low, STR("call")));
    assert_true(siphash(key, STR("call")) != siphash(high, STR("call")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_vectors_come_out),
        cmocka_unit_test(an_absent_value_is_the_empty_one),
        cmocka_unit_test(another_key_gives_another_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
