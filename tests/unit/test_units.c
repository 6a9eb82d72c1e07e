#include "common/base/units.h"

#include <errno.h>

#include "common/base/cleanup.h"
#include "tests/unit/expect.h"

#define HOUR_NS INT64_C(3600000000000)

static void durations_are_numbers_with_a_unit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t     ns;
    } cases[] = {
        {"0s", 0},
        {"0ns", 0},
        {"1ns", 1},
        {"1us", 1000},
        {"50ms", 50000000},
        {"1.5s", 1500000000},
        {".5s", 500000000},
        {"0.1s", 100000000},
        {"0.000000001s", 1},
        {"1.000000001s", 1000000001},
        {"0.4ns", 0},
        {"1.6ns", 2},
        {"10m", 600000000000},
        {"2h", 2 * HOUR_NS},
        {"8760h", 8760 * HOUR_NS},
        {"2562047h", 2562047 * HOUR_NS},
        {"9223372036s", INT64_C(9223372036000000000)},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        int64_t ns = -1;
        int     r = duration_parse(str_from(cases[i].text), &ns);
        if (r != 0 || ns != cases[i].ns)
            fail_msg("\"%s\" gave %d and %lld ns", cases[i].text, r, (long long)ns);
    }
}

static void durations_beyond_292_years_are_out_of_range(void **state)
{
    (void)state;
    static const char *const cases[] = {"2562048h", "9223372037s", "9223372036854775808ns",
                                        "99999999999999999999h"};

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        int64_t ns = -1;
        int     r = duration_parse(str_from(cases[i]), &ns);
        if (r != -ERANGE || ns != -1)
            fail_msg("\"%s\" gave %d and %lld ns", cases[i], r, (long long)ns);
    }
}

static void what_is_no_duration_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {"",      "0",    "10",    "s",   "10 s",  " 10s",
                                        "10s ",  "10x",  "10S",   "-1s", "+1s",   "1.s",
                                        "1..5s", "1e3s", "1h30m", "10d", "10sec", "infs"};

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        int64_t ns = -1;
        int     r = duration_parse(str_from(cases[i]), &ns);
        if (r != -EINVAL || ns != -1)
            fail_msg("\"%s\" gave %d and %lld ns", cases[i], r, (long long)ns);
    }
}

static void sizes_are_whole_numbers_with_or_without_a_unit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t    bytes;
    } cases[] = {
        {"0", 0},
        {"1", 1},
        {"1B", 1},
        {"4KiB", 4096},
        {"64MiB", UINT64_C(64) << 20},
        {"1GiB", UINT64_C(1) << 30},
        {"17179869183GiB", UINT64_C(17179869183) << 30},
        {"18446744073709551615", UINT64_MAX},
        {"18446744073709551615B", UINT64_MAX},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint64_t bytes = 12345;
        int      r = bytes_parse(str_from(cases[i].text), &bytes);
        if (r != 0 || bytes != cases[i].bytes)
            fail_msg("\"%s\" gave %d and %llu", cases[i].text, r, (unsigned long long)bytes);
    }
}

static void sizes_beyond_64_bits_are_out_of_range(void **state)
{
    (void)state;
    static const char *const cases[] = {"18446744073709551616", "17179869184GiB",
                                        "18014398509481984KiB", "99999999999999999999999MiB"};

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint64_t bytes = 12345;
        int      r = bytes_parse(str_from(cases[i]), &bytes);
        if (r != -ERANGE || bytes != 12345)
            fail_msg("\"%s\" gave %d and %llu", cases[i], r, (unsigned long long)bytes);
    }
}

static void what_is_no_size_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {"",     "B",  "MiB", "1.5GiB", "-1",   "+1",
                                        "1 B",  " 1", "1K",  "1KB",    "1kib", "1MB",
                                        "1TiB", "1b", "1BB", "1KiBB",  "0x10"};

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint64_t bytes = 12345;
        int      r = bytes_parse(str_from(cases[i]), &bytes);
        if (r != -EINVAL || bytes != 12345)
            fail_msg("\"%s\" gave %d and %llu", cases[i], r, (unsigned long long)bytes);
    }
}

static void durations_are_written_in_the_largest_whole_unit(void **state)
{
    (void)state;
    static const struct {
        int64_t    ns;
        struct str text;
    } cases[] = {
        {0, STR_INIT("0ns")},
        {1, STR_INIT("1ns")},
        {1500, STR_INIT("1500ns")},
        {50000000, STR_INIT("50ms")},
        {1500000000, STR_INIT("1500ms")},
        {90000000000, STR_INIT("90s")},
        {60000000000, STR_INIT("1m")},
        {2 * HOUR_NS, STR_INIT("2h")},
        {-1000, STR_INIT("-1us")},
        {INT64_MIN, STR_INIT("-9223372036854775808ns")},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char        buffer[32];
        struct text text = text_in_buffer(buffer, sizeof(buffer));
        text_add_duration(&text, cases[i].ns);
        expect_str(text_view(&text), cases[i].text);
    }
}

static void sizes_are_written_in_the_largest_whole_unit(void **state)
{
    (void)state;
    static const struct {
        uint64_t   bytes;
        struct str text;
    } cases[] = {
        {0, STR_INIT("0")},
        {1000, STR_INIT("1000B")},
        {4096, STR_INIT("4KiB")},
        {3 << 20, STR_INIT("3MiB")},
        {UINT64_C(10) << 30, STR_INIT("10GiB")},
        {UINT64_MAX, STR_INIT("18446744073709551615B")},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char        buffer[32];
        struct text text = text_in_buffer(buffer, sizeof(buffer));
        text_add_bytes(&text, cases[i].bytes);
        expect_str(text_view(&text), cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_numbers_with_a_unit),
        cmocka_unit_test(durations_beyond_292_years_are_out_of_range),
        cmocka_unit_test(what_is_no_duration_is_refused),
        cmocka_unit_test(sizes_are_whole_numbers_with_or_without_a_unit),
        cmocka_unit_test(sizes_beyond_64_bits_are_out_of_range),
        cmocka_unit_test(what_is_no_size_is_refused),
        cmocka_unit_test(durations_are_written_in_the_largest_whole_unit),
        cmocka_unit_test(sizes_are_written_in_the_largest_whole_unit),
    };
    return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
