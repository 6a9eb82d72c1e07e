#include "server/parameters.h"

#include <errno.h>

#include "common/base/arena.h"
#include "common/base/cleanup.h"
#include "tests/unit/expect.h"

enum { ARENA_BYTES = 64 * 1024 };

static struct field    no_fields[1];
static struct metadata nothing = {.fields = no_fields};

static int set_up(void **state)
{
    *state = arena_new(ARENA_BYTES);
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    arena_free(*state);
    return 0;
}

static struct parameters read(const char *query, const struct metadata *headers, void **state)
{
    struct parameters parameters;

    assert_int_equal(parameters_read(str_from(query), headers, *state, &parameters), 0);
    return parameters;
}

static void expect_header(const struct parameters *parameters, const char *name,
                          const char *expected)
{
    expect_str(metadata_find(&parameters->headers, str_from(name)), str_from(expected));
}

static void without_a_query_the_headers_are_the_request_s(void **state)
{
    struct field      fields[] = {{STR("fail"), STR("1")}, {STR("accept"), STR("*/*")}};
    struct metadata   headers = {.fields = fields, .count = 2};
    struct parameters parameters = read("", &headers, state);

    assert_int_equal(parameters.headers.count, 2);
    assert_ptr_equal(parameters.headers.fields, fields);
    assert_int_equal(parameters.n_ignored, 0);
    assert_false(parameters.is_detailed);
}

static void each_parameter_stands_in_for_its_header(void **state)
{
    struct parameters parameters =
        read("fail=backend%3D1%3Aunavailable&delay=100ms&x-dev-user=super+user", &nothing, state);

    assert_int_equal(parameters.headers.count, 3);
    expect_header(&parameters, "fail", "backend=1:unavailable");
    expect_header(&parameters, "delay", "100ms");
    expect_header(&parameters, "x-dev-user", "super user");
}

static void other_parameters_are_nobody_s(void **state)
{
    struct parameters parameters =
        read("b3=0&x-request-id=1&authorization=x&Fail=1&fail%00=1&a", &nothing, state);

    assert_int_equal(parameters.headers.count, 0);
    assert_int_equal(parameters.n_ignored, 0);
}

static void a_header_wins_even_an_empty_one(void **state)
{
    struct field      fields[] = {{STR("fail"), STR("0.1")}, {STR("delay"), STR("")}};
    struct metadata   headers = {.fields = fields, .count = 2};
    struct parameters parameters = read("fail=1&delay=1s&x-dev-user=ann", &headers, state);

    assert_int_equal(parameters.headers.count, 3);
    expect_header(&parameters, "fail", "0.1");
    expect_header(&parameters, "delay", "");
    expect_header(&parameters, "x-dev-user", "ann");
}

static void the_request_s_own_list_stays_as_it_is(void **state)
{
    struct field    fields[2] = {{STR("accept"), STR("*/*")}, {STR("spare"), STR("spare")}};
    struct metadata headers = {.fields = fields, .count = 1, .capacity = 2};

    read("fail=1", &headers, state);
    expect_str(fields[1].name, STR("spare"));
}

static void an_empty_parameter_is_as_if_absent(void **state)
{
    assert_int_equal(read("fail=&delay&x-dev-user=+%09", &nothing, state).headers.count, 0);

    struct parameters parameters = read("fail=&fail=1&fail=2", &nothing, state);
    assert_int_equal(parameters.headers.count, 1);
    expect_header(&parameters, "fail", "1");
}

static void blanks_around_a_value_are_not_part_of_it(void **state)
{
    struct parameters parameters = read("fail=%20%09backend=1+", &nothing, state);

    expect_header(&parameters, "fail", "backend=1");
}

static void a_value_that_no_header_can_have_is_ignored_and_named(void **state)
{
    struct parameters parameters =
        read("fail=1%0d%0ax-evil:1&delay=%00&x-dev-user=\x7F", &nothing, state);

    assert_int_equal(parameters.headers.count, 0);
    assert_int_equal(parameters.n_ignored, 3);
    expect_str(parameters.ignored[0], STR("fail=1\r\nx-evil:1"));
    expect_str(parameters.ignored[2], STR("x-dev-user=\x7F"));
}

static void a_value_that_does_not_count_is_not_complained_of(void **state)
{
    struct field      fields[] = {{STR("fail"), STR("0.1")}};
    struct metadata   headers = {.fields = fields, .count = 1};
    struct parameters parameters = read("fail=%0a&delay=1s&delay=%0a", &headers, state);

    assert_int_equal(parameters.n_ignored, 0);
    expect_header(&parameters, "delay", "1s");
}

static void other_languages_and_bytes_are_values_as_in_headers(void **state)
{
    struct parameters parameters = read("x-dev-user=Am%C3%A9lie%ff", &nothing, state);

    expect_header(&parameters, "x-dev-user", "Am\xC3\xA9lie\xFF");
}

static void detail_counts_with_or_without_a_value(void **state)
{
    assert_true(read("detail", &nothing, state).is_detailed);
    assert_true(read("a&detail=1", &nothing, state).is_detailed);
    assert_true(read("detail=&fail=1", &nothing, state).is_detailed);
    assert_false(read("details&x=detail", &nothing, state).is_detailed);
}

static void without_memory_nothing_is_read(void **state)
{
    cleanup_with(arena_free_at) struct arena *small = arena_new(16);
    struct parameters                         parameters;
    (void)state;

    assert_int_equal(parameters_read(STR("fail=1"), &nothing, small, &parameters), -ENOMEM);
}

#define with_arena(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_arena(without_a_query_the_headers_are_the_request_s),
        with_arena(each_parameter_stands_in_for_its_header),
        with_arena(other_parameters_are_nobody_s),
        with_arena(a_header_wins_even_an_empty_one),
        with_arena(the_request_s_own_list_stays_as_it_is),
        with_arena(an_empty_parameter_is_as_if_absent),
        with_arena(blanks_around_a_value_are_not_part_of_it),
        with_arena(a_value_that_no_header_can_have_is_ignored_and_named),
        with_arena(a_value_that_does_not_count_is_not_complained_of),
        with_arena(other_languages_and_bytes_are_values_as_in_headers),
        with_arena(detail_counts_with_or_without_a_value),
        with_arena(without_memory_nothing_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
