#include "common/trace/span.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void attributes_are_kept_in_order(void **state)
{
    (void)state;
    struct span span = {.is_recorded = true};

    span_set_str(&span, STR("a"), STR("text"));
    span_set_int(&span, STR("b"), 2);
    span_set_double(&span, STR("c"), 0.5);
    span_set_bool(&span, STR("d"), true);

    assert_int_equal(span.n_attributes, 4);
    assert_int_equal(span.attributes[0].kind, ATTRIBUTE_STR);
    assert_true(str_equal(span.attributes[0].str, STR("text")));
    assert_int_equal(span.attributes[1].kind, ATTRIBUTE_INT);
    assert_int_equal(span.attributes[1].integer, 2);
    assert_int_equal(span.attributes[2].kind, ATTRIBUTE_DOUBLE);
    assert_true(span.attributes[2].real == 0.5);
    assert_int_equal(span.attributes[3].kind, ATTRIBUTE_BOOL);
    assert_true(span.attributes[3].boolean);
}

static void a_key_that_is_set_again_gets_the_new_value(void **state)
{
    (void)state;
    struct span span = {.is_recorded = true};

    span_set_str(&span, STR("a"), STR("first"));
    span_set_int(&span, STR("b"), 1);
    span_set_int(&span, STR("a"), 2);

    assert_int_equal(span.n_attributes, 2);
    assert_int_equal(span.attributes[0].kind, ATTRIBUTE_INT);
    assert_int_equal(span.attributes[0].integer, 2);
}

static void what_finds_no_room_is_counted(void **state)
{
    (void)state;
    static const char letters[] = "abcdefghijklmnopqr";
    struct span       span = {.is_recorded = true};

    for (size_t i = 0; i < sizeof(letters) - 1; i++)
        span_set_bool(&span, (struct str){letters + i, 1}, false);
    span_set_bool(&span, STR("a"), true);

    assert_int_equal(span.n_attributes, SPAN_MAX_ATTRIBUTES);
    assert_int_equal(span.n_dropped_attributes, 2);
    assert_true(span.attributes[0].boolean);
}

static void an_error_has_a_message(void **state)
{
    (void)state;
    struct span span = {.is_recorded = true};

    span_set_error(&span, STR("no route"));

    assert_true(span.is_error);
    assert_true(str_equal(span.error_message, STR("no route")));
}

static void a_span_that_is_not_recorded_keeps_nothing(void **state)
{
    (void)state;
    struct span span = {.is_recorded = false};

    span_set_int(&span, STR("a"), 1);
    span_set_error(&span, STR("no route"));

    assert_int_equal(span.n_attributes, 0);
    assert_int_equal(span.n_dropped_attributes, 0);
    assert_false(span.is_error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_are_kept_in_order),
        cmocka_unit_test(a_key_that_is_set_again_gets_the_new_value),
        cmocka_unit_test(what_finds_no_room_is_counted),
        cmocka_unit_test(an_error_has_a_message),
        cmocka_unit_test(a_span_that_is_not_recorded_keeps_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
