#include "common/trace/trace_id.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "common/base/cleanup.h"

static void assert_str(struct str actual, struct str expected)
{
    if (!str_equal(actual, expected))
        fail_msg("expected %.*s, saw %.*s", STR_ARGS(expected), STR_ARGS(actual));
}

static void new_ids_are_set_and_differ(void **state)
{
    (void)state;
    struct trace_id traces[2] = {trace_id_new(), trace_id_new()};
    struct span_id  spans[2] = {span_id_new(), span_id_new()};

    assert_false(trace_id_is_zero(&traces[0]));
    assert_false(span_id_is_zero(&spans[0]));
    assert_false(trace_id_equal(&traces[0], &traces[1]));
    assert_false(span_id_equal(&spans[0], &spans[1]));
}

static void a_trace_id_is_read_and_written_digit_by_digit(void **state)
{
    (void)state;
    struct trace_id id;
    char            hex[TRACE_ID_HEX_LENGTH];

    assert_int_equal(trace_id_parse(STR("0123456789abcdef0011223344556677"), &id), 0);
    assert_memory_equal(id.bytes,
                        "\x01\x23\x45\x67\x89\xab\xcd\xef\x00\x11\x22\x33\x44\x55\x66\x77", 16);
    assert_str(trace_id_format(&id, hex), STR("0123456789abcdef0011223344556677"));
}

static void a_span_id_is_read_and_written_digit_by_digit(void **state)
{
    (void)state;
    struct span_id id;
    char           hex[SPAN_ID_HEX_LENGTH];

    assert_int_equal(span_id_parse(STR("fedcba9876543210"), &id), 0);
    assert_memory_equal(id.bytes, "\xfe\xdc\xba\x98\x76\x54\x32\x10", 8);
    assert_str(span_id_format(&id, hex), STR("fedcba9876543210"));
}

static void a_trace_id_of_16_digits_is_padded_on_the_left(void **state)
{
    (void)state;
    struct trace_id id;
    char            hex[TRACE_ID_HEX_LENGTH];

    assert_int_equal(trace_id_parse(STR("fedcba9876543210"), &id), 0);
    assert_str(trace_id_format(&id, hex), STR("0000000000000000fedcba9876543210"));
}

static void upper_case_is_read_and_lower_case_written(void **state)
{
    (void)state;
    struct span_id id;
    char           hex[SPAN_ID_HEX_LENGTH];

    assert_int_equal(span_id_parse(STR("ABCDEFabcdef0000"), &id), 0);
    assert_str(span_id_format(&id, hex), STR("abcdefabcdef0000"));
}

static void what_is_no_trace_id_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "0",
        "0123456789abcde",
        "0123456789abcdef0",
        "0123456789abcdef001122334455667",
        "0123456789abcdef00112233445566778",
        "0000000000000000",
        "00000000000000000000000000000000",
        "0123456789abcdeg",
        "0123456789abcde/",
        "0123456789abcde:",
        "0123456789abcde@",
        "0123456789abcde`",
        "-123456789abcdef",
        " 123456789abcdef",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct trace_id id = {{1}};
        if (trace_id_parse(str_from(cases[i]), &id) != -EINVAL)
            fail_msg("\"%s\" was taken", cases[i]);
        assert_true(trace_id_equal(&id, &(struct trace_id){{1}}));
    }
}

static void what_is_no_span_id_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "0123456789abcde",
        "0123456789abcdef0",
        "0123456789abcdef0011223344556677",
        "0000000000000000",
        "0123456789abcdxf",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct span_id id = {{1}};
        if (span_id_parse(str_from(cases[i]), &id) != -EINVAL)
            fail_msg("\"%s\" was taken", cases[i]);
        assert_true(span_id_equal(&id, &(struct span_id){{1}}));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_ids_are_set_and_differ),
        cmocka_unit_test(a_trace_id_is_read_and_written_digit_by_digit),
        cmocka_unit_test(a_span_id_is_read_and_written_digit_by_digit),
        cmocka_unit_test(a_trace_id_of_16_digits_is_padded_on_the_left),
        cmocka_unit_test(upper_case_is_read_and_lower_case_written),
        cmocka_unit_test(what_is_no_trace_id_is_refused),
        cmocka_unit_test(what_is_no_span_id_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
