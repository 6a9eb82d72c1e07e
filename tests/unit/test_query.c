#include "common/base/query.h"

#include <errno.h>

#include "common/base/arena.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "tests/unit/expect.h"

/* The parameters as "name=value;" each, decoded. */
static struct str parse(struct arena *arena, struct str query)
{
    struct text            seen = text_in_arena(arena, 64);
    struct query_parameter parameter;

    while (query_next(&query, arena, &parameter) > 0) {
        text_add(&seen, parameter.name);
        text_add_char(&seen, '=');
        text_add(&seen, parameter.value);
        text_add_char(&seen, ';');
    }
    return text_view(&seen);
}

static void expect_parsed(struct str query, struct str expected)
{
    cleanup_with(arena_free_at) struct arena *arena = arena_new(4096);
    expect_str(parse(arena, query), expected);
}

static void parameters_come_in_order(void **state)
{
    (void)state;
    expect_parsed(STR("b=1&a=2&b=3"), STR("b=1;a=2;b=3;"));
    expect_parsed(STR(""), STR(""));
    expect_parsed((struct str){0}, STR(""));
}

static void values_may_be_missing(void **state)
{
    (void)state;
    expect_parsed(STR("a&b=&=c"), STR("a=;b=;=c;"));
    expect_parsed(STR("&&a=1&"), STR("a=1;"));
}

static void only_the_first_equals_sign_divides(void **state)
{
    (void)state;
    expect_parsed(STR("a=b=c"), STR("a=b=c;"));
}

static void codes_and_blanks_are_decoded(void **state)
{
    (void)state;
    expect_parsed(STR("a%3Db=%2fx%2Fy+z%2B&%61=%c3%A4"), STR("a=b=/x/y z+;a=\xC3\xA4;"));
    expect_parsed(STR("a=%00b"), STR("a=\0b;"));
}

static void what_is_decoded_is_not_decoded_again(void **state)
{
    (void)state;
    expect_parsed(STR("a=%2541%26b"), STR("a=%41&b;"));
}

static void what_is_no_code_stands_for_itself(void **state)
{
    (void)state;
    expect_parsed(STR("a=100%&b=%4&c=%zz%4g"), STR("a=100%;b=%4;c=%zz%4g;"));
}

static void what_does_not_fit_is_told(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(8);
    struct str                                query = STR("a=123456789%20");
    struct query_parameter                    parameter;

    assert_int_equal(query_next(&query, arena, &parameter), -ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_come_in_order),
        cmocka_unit_test(values_may_be_missing),
        cmocka_unit_test(only_the_first_equals_sign_divides),
        cmocka_unit_test(codes_and_blanks_are_decoded),
        cmocka_unit_test(what_is_decoded_is_not_decoded_again),
        cmocka_unit_test(what_is_no_code_stands_for_itself),
        cmocka_unit_test(what_does_not_fit_is_told),
    };
    return cmocka_run_group_tests_name("query", tests, NULL, NULL);
}
