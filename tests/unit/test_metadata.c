#include "common/base/metadata.h"

#include <errno.h>

#include "common/base/arena.h"
#include "common/base/cleanup.h"
#include "tests/unit/expect.h"

static void a_value_is_found_by_its_name(void **state)
{
    (void)state;
    struct field    fields[] = {{STR("b3"), STR("0")}, {STR("x-dev-user"), STR("ann")}};
    struct metadata metadata = {.fields = fields, .count = 2};

    expect_str(metadata_find(&metadata, STR("x-dev-user")), STR("ann"));
    expect_absent(metadata_find(&metadata, STR("x-dev")));
    expect_absent(metadata_find(&metadata, STR("X-Dev-User")));
}

static void the_first_of_repeated_names_is_found(void **state)
{
    (void)state;
    struct field    fields[] = {{STR("fail"), STR("1")}, {STR("fail"), STR("2")}};
    struct metadata metadata = {.fields = fields, .count = 2};

    expect_str(metadata_find(&metadata, STR("fail")), STR("1"));
}

static void an_empty_value_is_not_an_absent_one(void **state)
{
    (void)state;
    struct field    fields[] = {{STR("baggage"), STR("")}};
    struct metadata metadata = {.fields = fields, .count = 1};

    assert_non_null(metadata_find(&metadata, STR("baggage")).at);
    expect_absent(metadata_find(&(struct metadata){0}, STR("baggage")));
}

static void a_value_has_no_control_characters_but_tabs(void **state)
{
    (void)state;
    static const struct str good[] = {STR_INIT(""), STR_INIT("a b\tc"), STR_INIT("\xC3\xA4\xFF~")};
    static const struct str bad[] = {STR_INIT("a\nb"), STR_INIT("\r"), STR_INIT("a\0b"),
                                     STR_INIT("\x7F"), STR_INIT("\x1F")};

    for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
        assert_true(metadata_is_value(good[i]));
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_false(metadata_is_value(bad[i]));
}

static void order_and_repeats_are_kept_as_the_list_grows(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(100000);
    struct metadata                           metadata = {0};

    for (int i = 0; i < 100; i++)
        assert_int_equal(metadata_add(&metadata, arena, STR("n"), arena_format(arena, "%d", i)), 0);

    assert_int_equal(metadata.count, 100);
    for (size_t i = 0; i < 100; i++) {
        expect_str(metadata.fields[i].name, STR("n"));
        expect_str(metadata.fields[i].value, arena_format(arena, "%zu", i));
    }
}

static void values_are_borrowed(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(10000);
    struct metadata                           metadata = {0};
    static const char                         name[] = "name", value[] = "value";

    assert_int_equal(metadata_add(&metadata, arena, str_from(name), str_from(value)), 0);
    assert_ptr_equal(metadata.fields[0].name.at, name);
    assert_ptr_equal(metadata.fields[0].value.at, value);
}

static void without_memory_the_list_stays_as_it_was(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(20 * sizeof(struct field));
    struct metadata                           metadata = {0};
    size_t                                    n = 0;

    while (metadata_add(&metadata, arena, STR("a"), STR("b")) == 0)
        n++;
    assert_int_equal(metadata_add(&metadata, arena, STR("a"), STR("b")), -ENOMEM);
    assert_true(n > 0);
    assert_int_equal(metadata.count, n);
    expect_str(metadata.fields[n - 1].value, STR("b"));
}

static void values_are_copied_when_asked(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(10000);
    char                                      value[] = "ann";
    struct metadata                           metadata = {0};

    assert_int_equal(metadata_add_copy(&metadata, arena, STR("x-dev-user"), (struct str){value, 3}),
                     0);
    value[0] = '?';
    expect_str(metadata_find(&metadata, STR("x-dev-user")), STR("ann"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_found_by_its_name),
        cmocka_unit_test(the_first_of_repeated_names_is_found),
        cmocka_unit_test(an_empty_value_is_not_an_absent_one),
        cmocka_unit_test(a_value_has_no_control_characters_but_tabs),
        cmocka_unit_test(order_and_repeats_are_kept_as_the_list_grows),
        cmocka_unit_test(values_are_borrowed),
        cmocka_unit_test(values_are_copied_when_asked),
        cmocka_unit_test(without_memory_the_list_stays_as_it_was),
    };
    return cmocka_run_group_tests_name("metadata", tests, NULL, NULL);
}
