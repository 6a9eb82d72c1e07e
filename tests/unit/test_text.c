#include "common/base/text.h"

#include "common/base/arena.h"
#include "common/base/cleanup.h"
#include "tests/unit/expect.h"

#define FFFD "\xEF\xBF\xBD"

static void add_some(struct text *text)
{
    text_add(text, STR("n="));
    text_add_uint(text, UINT64_MAX);
    text_add_char(text, ' ');
    text_add_int(text, INT64_MIN);
    text_add_char(text, ' ');
    text_add_format(text, "%s-%03d", "x", 7);
}

static const struct str some = STR_INIT("n=18446744073709551615 -9223372036854775808 x-007");

static void a_text_grows_on_the_heap(void **state)
{
    (void)state;
    struct text text = text_on_heap(0);

    add_some(&text);
    expect_str(text_view(&text), some);
    assert_false(text.is_cut);
    text_done(&text);
}

static void a_text_grows_in_an_arena(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(1000);
    struct text                               text = text_in_arena(arena, 0);

    add_some(&text);
    expect_str(text_view(&text), some);
    assert_false(text.is_cut);
}

static void a_text_stays_in_its_buffer(void **state)
{
    (void)state;
    char        buffer[100];
    struct text text = text_in_buffer(buffer, sizeof(buffer));

    add_some(&text);
    expect_str(text_view(&text), some);
    assert_ptr_equal(text.at, buffer);
}

static void a_full_buffer_cuts_at_its_last_byte(void **state)
{
    (void)state;
    char        buffer[] = "....#";
    struct text text = text_in_buffer(buffer, 4);

    text_add(&text, STR("abcd"));
    assert_false(text.is_cut);
    text_add(&text, STR("ef"));
    assert_true(text.is_cut);
    expect_str(text_view(&text), STR("abcd"));
    assert_int_equal(buffer[4], '#');
}

static void what_is_cut_is_a_beginning_of_the_whole(void **state)
{
    (void)state;
    char        buffer[4];
    struct text text = text_in_buffer(buffer, sizeof(buffer));

    text_add(&text, STR("ab"));
    text_add(&text, STR("cdefgh"));
    text_add(&text, STR(""));
    text_add_char(&text, 'z');
    text_add_format(&text, "%d", 1);
    expect_str(text_view(&text), STR("abcd"));
    assert_true(text.is_cut);
}

static void a_text_without_room_holds_nothing(void **state)
{
    (void)state;
    struct text text = text_in_buffer(NULL, 0);

    text_add(&text, STR(""));
    assert_false(text.is_cut);
    text_add_format(&text, "%d", 1);
    assert_true(text.is_cut);
    expect_str(text_view(&text), STR(""));
}

static void a_format_needs_one_byte_more_in_a_buffer(void **state)
{
    (void)state;
    char        buffer[] = "....#";
    struct text text = text_in_buffer(buffer, 4);

    text_add_format(&text, "%d", 123);
    assert_false(text.is_cut);
    expect_str(text_view(&text), STR("123"));

    text = text_in_buffer(buffer, 4);
    text_add_format(&text, "%d", 1234);
    assert_true(text.is_cut);
    expect_str(text_view(&text), STR("123"));
    text_add_char(&text, '5');
    expect_str(text_view(&text), STR("123"));
    assert_int_equal(buffer[4], '#');
}

static void a_long_format_makes_room_for_itself(void **state)
{
    (void)state;
    struct text text = text_on_heap(8);

    text_add(&text, STR("abc"));
    text_add_format(&text, "%*d", 5000, 42);
    assert_int_equal(text.len, 5003);
    assert_true(str_ends_with(text_view(&text), STR(" 42")));
    text_done(&text);
}

static void an_arena_that_is_used_up_cuts_the_text(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(24);
    struct text                               text = text_in_arena(arena, 4);

    text_add(&text, STR("abcdef"));
    text_add(&text, STR("0123456789"));
    assert_true(text.is_cut);
    assert_true(str_starts_with(STR("abcdef0123456789"), text_view(&text)));
}

static void an_arena_with_less_than_double_gives_what_is_needed(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(48 + 50);
    struct text                               text = text_in_arena(arena, 48);

    text_add(&text, STR("0123456789012345678901234567890123456789abcdefgh"));
    text_add(&text, STR("ij"));
    assert_false(text.is_cut);
    assert_int_equal(text.len, 50);
}

static void numbers_are_written_to_their_ends(void **state)
{
    (void)state;
    char        buffer[100];
    struct text text = text_in_buffer(buffer, sizeof(buffer));

    text_add_uint(&text, 0);
    text_add_char(&text, ' ');
    text_add_uint(&text, 1234567890);
    text_add_char(&text, ' ');
    text_add_int(&text, -1);
    text_add_char(&text, ' ');
    text_add_int(&text, INT64_MAX);
    expect_str(text_view(&text), STR("0 1234567890 -1 9223372036854775807"));
}

typedef void add_fn(struct text *text, struct str s);

struct escaped {
    struct str raw;
    struct str expected;
};

static void assert_escaped(add_fn *add, const struct escaped cases[], size_t n_cases)
{
    for (size_t i = 0; i < n_cases; i++) {
        char        buffer[200];
        struct text text = text_in_buffer(buffer, sizeof(buffer));
        add(&text, cases[i].raw);
        expect_str(text_view(&text), cases[i].expected);
    }
}

static void json_strings_are_escaped(void **state)
{
    (void)state;
    static const struct escaped cases[] = {
        {STR_INIT(""), STR_INIT("\"\"")},
        {{NULL, 0}, STR_INIT("\"\"")},
        {STR_INIT("plain"), STR_INIT("\"plain\"")},
        {STR_INIT("\"\\/"), STR_INIT("\"\\\"\\\\/\"")},
        {STR_INIT("\b\f\n\r\t"), STR_INIT("\"\\b\\f\\n\\r\\t\"")},
        {STR_INIT("a\0b\x1F\x20\x7F"), STR_INIT("\"a\\u0000b\\u001f \x7F\"")},
        {STR_INIT("\xC3\xA4\xF0\x9F\x98\x80"), STR_INIT("\"\xC3\xA4\xF0\x9F\x98\x80\"")},
        {STR_INIT("a\xFF\xFE\"z"), STR_INIT("\"a" FFFD FFFD "\\\"z\"")},
        {STR_INIT("\xE2\x82"), STR_INIT("\"" FFFD FFFD "\"")},
    };
    assert_escaped(text_add_json, cases, ARRAY_LENGTH(cases));
}

static void html_is_escaped(void **state)
{
    (void)state;
    static const struct escaped cases[] = {
        {STR_INIT(""), STR_INIT("")},
        {STR_INIT("plain"), STR_INIT("plain")},
        {STR_INIT("<a href=\"x\">'&'</a>"),
         STR_INIT("&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;")},
        {STR_INIT("&amp;"), STR_INIT("&amp;amp;")},
        {STR_INIT("\xC3\xA4<\xFF>"), STR_INIT("\xC3\xA4&lt;" FFFD "&gt;")},
    };
    assert_escaped(text_add_html, cases, ARRAY_LENGTH(cases));
}

static void bytes_that_are_not_utf8_are_replaced_one_by_one(void **state)
{
    (void)state;
    static const struct escaped cases[] = {
        {STR_INIT("\xC3\xA4 ok"), STR_INIT("\xC3\xA4 ok")},
        {STR_INIT("\xFF"), STR_INIT(FFFD)},
        {STR_INIT("a\x80\x80"
                  "b"),
         STR_INIT("a" FFFD FFFD "b")},
        {STR_INIT("\xED\xA0\x80"), STR_INIT(FFFD FFFD FFFD)},
        {STR_INIT("end\xF0\x9F"), STR_INIT("end" FFFD FFFD)},
    };
    assert_escaped(text_add_utf8, cases, ARRAY_LENGTH(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_grows_on_the_heap),
        cmocka_unit_test(a_text_grows_in_an_arena),
        cmocka_unit_test(a_text_stays_in_its_buffer),
        cmocka_unit_test(a_full_buffer_cuts_at_its_last_byte),
        cmocka_unit_test(what_is_cut_is_a_beginning_of_the_whole),
        cmocka_unit_test(a_text_without_room_holds_nothing),
        cmocka_unit_test(a_format_needs_one_byte_more_in_a_buffer),
        cmocka_unit_test(a_long_format_makes_room_for_itself),
        cmocka_unit_test(an_arena_that_is_used_up_cuts_the_text),
        cmocka_unit_test(an_arena_with_less_than_double_gives_what_is_needed),
        cmocka_unit_test(numbers_are_written_to_their_ends),
        cmocka_unit_test(json_strings_are_escaped),
        cmocka_unit_test(html_is_escaped),
        cmocka_unit_test(bytes_that_are_not_utf8_are_replaced_one_by_one),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
