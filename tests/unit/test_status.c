#include "common/base/status.h"

#include <errno.h>

#include "common/base/cleanup.h"
#include "tests/unit/expect.h"

static void every_status_is_found_by_its_own_name(void **state)
{
    (void)state;
    for (int i = 0; i < STATUS_COUNT; i++) {
        enum status found;
        struct str  name = status_name((enum status)i);
        assert_int_equal(status_from_name(name, &found), 0);
        assert_int_equal(found, i);
    }
}

static void names_may_be_in_any_case_and_with_dashes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum status status;
    } cases[] = {
        {"unavailable", STATUS_UNAVAILABLE},
        {"Deadline-Exceeded", STATUS_DEADLINE_EXCEEDED},
        {"data_loss", STATUS_DATA_LOSS},
        {"OK", STATUS_OK},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        enum status status = STATUS_UNKNOWN;
        assert_int_equal(status_from_name(str_from(cases[i].name), &status), 0);
        assert_int_equal(status, cases[i].status);
    }
}

static void other_names_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {"",     "14",        "UNAVAILABL", "UNAVAILABLE ",
                                        "NOPE", "DATA LOSS", "DATALOSS",   "data__loss"};

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        enum status status = STATUS_ABORTED;
        if (status_from_name(str_from(cases[i]), &status) != -EINVAL)
            fail_msg("\"%s\" was taken for %d", cases[i], (int)status);
        assert_int_equal(status, STATUS_ABORTED);
    }
}

static void a_number_that_is_no_status_counts_as_unknown(void **state)
{
    (void)state;
    expect_str(status_name((enum status)17), STR("UNKNOWN"));
    expect_str(status_name((enum status) - 1), STR("UNKNOWN"));
    assert_int_equal(status_to_http((enum status)4711), 500);
}

static void statuses_become_http_codes(void **state)
{
    (void)state;
    static const int codes[STATUS_COUNT] = {
        [STATUS_OK] = 200,
        [STATUS_CANCELLED] = 499,
        [STATUS_UNKNOWN] = 500,
        [STATUS_INVALID_ARGUMENT] = 400,
        [STATUS_DEADLINE_EXCEEDED] = 504,
        [STATUS_NOT_FOUND] = 404,
        [STATUS_ALREADY_EXISTS] = 409,
        [STATUS_PERMISSION_DENIED] = 403,
        [STATUS_RESOURCE_EXHAUSTED] = 429,
        [STATUS_FAILED_PRECONDITION] = 400,
        [STATUS_ABORTED] = 409,
        [STATUS_OUT_OF_RANGE] = 400,
        [STATUS_UNIMPLEMENTED] = 501,
        [STATUS_INTERNAL] = 500,
        [STATUS_UNAVAILABLE] = 503,
        [STATUS_DATA_LOSS] = 500,
        [STATUS_UNAUTHENTICATED] = 401,
    };

    for (int i = 0; i < STATUS_COUNT; i++)
        assert_int_equal(status_to_http((enum status)i), codes[i]);
}

static void http_codes_become_statuses(void **state)
{
    (void)state;
    static const struct {
        int         code;
        enum status status;
    } cases[] = {
        {100, STATUS_OK},
        {200, STATUS_OK},
        {204, STATUS_OK},
        {302, STATUS_OK},
        {399, STATUS_OK},
        {400, STATUS_INVALID_ARGUMENT},
        {401, STATUS_UNAUTHENTICATED},
        {403, STATUS_PERMISSION_DENIED},
        {404, STATUS_NOT_FOUND},
        {405, STATUS_UNIMPLEMENTED},
        {408, STATUS_DEADLINE_EXCEEDED},
        {409, STATUS_ABORTED},
        {410, STATUS_NOT_FOUND},
        {412, STATUS_FAILED_PRECONDITION},
        {413, STATUS_RESOURCE_EXHAUSTED},
        {416, STATUS_OUT_OF_RANGE},
        {418, STATUS_INVALID_ARGUMENT},
        {429, STATUS_RESOURCE_EXHAUSTED},
        {431, STATUS_RESOURCE_EXHAUSTED},
        {499, STATUS_CANCELLED},
        {500, STATUS_INTERNAL},
        {501, STATUS_UNIMPLEMENTED},
        {502, STATUS_UNAVAILABLE},
        {503, STATUS_UNAVAILABLE},
        {504, STATUS_DEADLINE_EXCEEDED},
        {505, STATUS_INTERNAL},
        {599, STATUS_INTERNAL},
        {0, STATUS_UNKNOWN},
        {99, STATUS_UNKNOWN},
        {600, STATUS_UNKNOWN},
        {-1, STATUS_UNKNOWN},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        enum status saw = status_from_http(cases[i].code);
        if (saw != cases[i].status)
            fail_msg("%d became %.*s", cases[i].code, STR_ARGS(status_name(saw)));
    }
}

static void the_way_to_http_and_back_keeps_the_http_code(void **state)
{
    (void)state;
    for (int i = 0; i < STATUS_COUNT; i++) {
        int code = status_to_http((enum status)i);
        assert_int_equal(status_to_http(status_from_http(code)), code);
    }
}

static void registered_codes_have_a_reason(void **state)
{
    (void)state;
    expect_str(http_reason(200), STR("OK"));
    expect_str(http_reason(404), STR("Not Found"));
    expect_str(http_reason(413), STR("Content Too Large"));
    expect_str(http_reason(511), STR("Network Authentication Required"));
}

static void other_codes_have_an_empty_reason(void **state)
{
    (void)state;
    static const int codes[] = {-1, 0, 199, 306, 418, 499, 509, 600};

    for (size_t i = 0; i < ARRAY_LENGTH(codes); i++) {
        assert_non_null(http_reason(codes[i]).at);
        expect_str(http_reason(codes[i]), STR(""));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_is_found_by_its_own_name),
        cmocka_unit_test(names_may_be_in_any_case_and_with_dashes),
        cmocka_unit_test(other_names_are_refused),
        cmocka_unit_test(a_number_that_is_no_status_counts_as_unknown),
        cmocka_unit_test(statuses_become_http_codes),
        cmocka_unit_test(http_codes_become_statuses),
        cmocka_unit_test(the_way_to_http_and_back_keeps_the_http_code),
        cmocka_unit_test(registered_codes_have_a_reason),
        cmocka_unit_test(other_codes_have_an_empty_reason),
    };
    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
