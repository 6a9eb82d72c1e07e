#include "common/base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/arena.h"
#include "common/base/cleanup.h"

enum { ARENA_BYTES = 1 << 20 };

static struct arena *new_arena(void)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    assert_non_null(arena);
    return arena;
}

static void assert_text(struct str actual, struct str expected)
{
    if (!str_equal(actual, expected))
        fail_msg("expected %.*s, saw %.*s", STR_ARGS(expected), STR_ARGS(actual));
}

static const char *complaint(struct str document, struct arena *arena)
{
    struct json_cursor cursor = json_cursor(document, arena);
    struct json_value  value;

    if (json_root(&cursor, &value))
        json_skip(&cursor, &value);
    return json_end(&cursor) < 0 ? cursor.reason : NULL;
}

/* The whole document, read rather than skipped. */
static void read_all(struct json_cursor *cursor, const struct json_value *value)
{
    struct str        name;
    struct json_value inner;

    if (value->kind == JSON_KIND_OBJECT)
        while (json_next_member(cursor, &name, &inner))
            read_all(cursor, &inner);
    if (value->kind == JSON_KIND_ARRAY)
        while (json_next_element(cursor, &inner))
            read_all(cursor, &inner);
}

static void each_kind_of_value_is_read(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = new_arena();

    struct json_cursor cursor = json_cursor(
        STR(" [ null, true ,false,\t-1.5e3\r\n, \"text\", {\"name\" : [ ] } ] "), arena);
    struct json_value value;
    struct str        name;

    assert_true(json_root(&cursor, &value));
    assert_int_equal(value.kind, JSON_KIND_ARRAY);
    assert_true(json_next_element(&cursor, &value));
    assert_int_equal(value.kind, JSON_KIND_NULL);
    assert_true(json_next_element(&cursor, &value));
    assert_int_equal(value.kind, JSON_KIND_BOOL);
    assert_true(value.is_true);
    assert_true(json_next_element(&cursor, &value));
    assert_int_equal(value.kind, JSON_KIND_BOOL);
    assert_false(value.is_true);
    assert_true(json_next_element(&cursor, &value));
    assert_int_equal(value.kind, JSON_KIND_NUMBER);
    assert_text(value.text, STR("-1.5e3"));
    assert_true(json_next_element(&cursor, &value));
    assert_int_equal(value.kind, JSON_KIND_STRING);
    assert_text(value.text, STR("text"));
    assert_true(json_next_element(&cursor, &value));
    assert_int_equal(value.kind, JSON_KIND_OBJECT);
    assert_true(json_next_member(&cursor, &name, &value));
    assert_text(name, STR("name"));
    assert_int_equal(value.kind, JSON_KIND_ARRAY);
    assert_false(json_next_element(&cursor, &value));
    assert_false(json_next_member(&cursor, &name, &value));
    assert_false(json_next_element(&cursor, &value));
    assert_int_equal(json_end(&cursor), 0);
}

static void a_string_without_escapes_takes_no_memory(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = new_arena();

    struct str         document = STR("\"pl\xC3\xA4in / \xF0\x9F\x98\x80\"");
    struct json_cursor cursor = json_cursor(document, arena);
    struct json_value  value;

    assert_true(json_root(&cursor, &value));
    assert_ptr_equal(value.text.at, document.at + 1);
    assert_int_equal(value.text.len, document.len - 2);
    assert_int_equal(arena_used_bytes(arena), 0);
}

static void escapes_are_resolved(void **state)
{
    (void)state;
    static const struct {
        struct str document, text;
    } cases[] = {
        {STR_INIT("\"\\\" \\\\ \\/ \\b\\f\\n\\r\\t\""), STR_INIT("\" \\ / \b\f\n\r\t")},
        {STR_INIT("\"\\u0041\\u007a\""), STR_INIT("Az")},
        {STR_INIT("\"a\\u0000b\""), STR_INIT("a\0b")},
        {STR_INIT("\"\\u007f\\u0080\\u07FF\""), STR_INIT("\x7F\xC2\x80\xDF\xBF")},
        {STR_INIT("\"\\u0800\\uD7FF\\uE000\\uffff\""),
         STR_INIT("\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF")},
        {STR_INIT("\"\\ud800\\udc00\\uDBFF\\uDFFF\""),
         STR_INIT("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF")},
        {STR_INIT("\"before\\tbetween it all, and \\\\ after\""),
         STR_INIT("before\tbetween it all, and \\ after")},
    };
    cleanup_with(arena_free_at) struct arena *arena = new_arena();

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct json_cursor cursor = json_cursor(cases[i].document, arena);
        struct json_value  value;
        assert_true(json_root(&cursor, &value));
        assert_text(value.text, cases[i].text);
        assert_int_equal(json_end(&cursor), 0);
    }
}

static void names_are_strings_too(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = new_arena();

    struct json_cursor cursor = json_cursor(STR("{\"\":1,\"t\\u0061g\":2,\"tag\":3}"), arena);
    struct json_value  value;
    struct str         name;

    assert_true(json_root(&cursor, &value));
    assert_true(json_next_member(&cursor, &name, &value));
    assert_text(name, STR(""));
    assert_true(json_next_member(&cursor, &name, &value));
    assert_text(name, STR("tag"));
    assert_true(json_next_member(&cursor, &name, &value));
    assert_text(name, STR("tag"));
    assert_text(value.text, STR("3"));
    assert_false(json_next_member(&cursor, &name, &value));
    assert_int_equal(json_end(&cursor), 0);
}

static void what_is_not_json_is_refused(void **state)
{
    (void)state;
    static const struct {
        struct str  document;
        const char *reason;
    } cases[] = {
        {STR_INIT(""), "it ends too early"},
        {STR_INIT("  "), "it ends too early"},
        {STR_INIT("\xEF\xBB\xBF[]"), "no value"},
        {STR_INIT("[] []"), "more after its end"},
        {STR_INIT("1 2"), "more after its end"},
        {STR_INIT("[]\0"), "more after its end"},
        {STR_INIT("[,1]"), "no value"},
        {STR_INIT("[1,]"), "no value"},
        {STR_INIT("[1 2]"), "no comma between two values"},
        {STR_INIT("[1}"), "no comma between two values"},
        {STR_INIT("[}"), "no value"},
        {STR_INIT("]"), "no value"},
        {STR_INIT("["), "it ends too early"},
        {STR_INIT("[1"), "it ends too early"},
        {STR_INIT("[1,"), "it ends too early"},
        {STR_INIT("{"), "it ends too early"},
        {STR_INIT("{]"), "no name"},
        {STR_INIT("{\"a\"}"), "no colon after a name"},
        {STR_INIT("{\"a\":}"), "no value"},
        {STR_INIT("{\"a\":1,}"), "no name"},
        {STR_INIT("{,\"a\":1}"), "no name"},
        {STR_INIT("{a:1}"), "no name"},
        {STR_INIT("{1:1}"), "no name"},
        {STR_INIT("{'a':1}"), "no name"},
        {STR_INIT("{\"a\":1 \"b\":2}"), "no comma between two values"},
        {STR_INIT("[\x0c]"), "no value"},
        {STR_INIT("/**/[]"), "no value"},
        {STR_INIT("nul"), "an invalid word"},
        {STR_INIT("True"), "no value"},
        {STR_INIT("truefalse"), "more after its end"},
        {STR_INIT("NaN"), "no value"},
        {STR_INIT("Infinity"), "no value"},
        {STR_INIT("-"), "an invalid number"},
        {STR_INIT("-x"), "an invalid number"},
        {STR_INIT("+1"), "no value"},
        {STR_INIT(".5"), "no value"},
        {STR_INIT("01"), "more after its end"},
        {STR_INIT("-01"), "more after its end"},
        {STR_INIT("1."), "more after its end"},
        {STR_INIT("1.e5"), "more after its end"},
        {STR_INIT("1e"), "more after its end"},
        {STR_INIT("1e+"), "more after its end"},
        {STR_INIT("0x10"), "more after its end"},
        {STR_INIT("\""), "a string without an end"},
        {STR_INIT("\"a long string that ends nowhere"), "a string without an end"},
        {STR_INIT("\"a\\"), "a string without an end"},
        {STR_INIT("\"a\nb\""), "a control character in a string"},
        {STR_INIT("\"a\0b\""), "a control character in a string"},
        {STR_INIT("\"a long string\x1f with a control\""), "a control character in a string"},
        {STR_INIT("\"\\x\""), "an invalid escape"},
        {STR_INIT("\"\\0\""), "an invalid escape"},
        {STR_INIT("\"\\u12\""), "an invalid escape"},
        {STR_INIT("\"\\u123g\""), "an invalid escape"},
        {STR_INIT("\"\\U0041\""), "an invalid escape"},
        {STR_INIT("\"\\ud800\""), "an escape of half a surrogate pair"},
        {STR_INIT("\"\\ud800\\n\""), "an escape of half a surrogate pair"},
        {STR_INIT("\"\\ud800\\ud800\""), "an escape of half a surrogate pair"},
        {STR_INIT("\"\\udc00\\udc00\""), "an escape of half a surrogate pair"},
        {STR_INIT("\"\\udc00\\ud800\""), "an escape of half a surrogate pair"},
        {STR_INIT("\"\xff\""), "a string that is not UTF-8"},
        {STR_INIT("\"\xC0\x80\""), "a string that is not UTF-8"},
        {STR_INIT("\"\xED\xA0\x80\""), "a string that is not UTF-8"},
        {STR_INIT("\"all well so far, and then \xC3\""), "a string that is not UTF-8"},
        {STR_INIT("{\"\xff\":1}"), "a string that is not UTF-8"},
    };
    cleanup_with(arena_free_at) struct arena *arena = new_arena();

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const char *reason = complaint(cases[i].document, arena);
        if (!reason || strcmp(reason, cases[i].reason) != 0)
            fail_msg("%.*s: expected \"%s\", saw \"%s\"", STR_ARGS(cases[i].document),
                     cases[i].reason, reason ? reason : "nothing");
    }
}

static void the_complaint_says_where(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = new_arena();

    struct json_cursor cursor = json_cursor(STR("[1, x]"), arena);
    struct json_value  value;

    assert_true(json_root(&cursor, &value));
    read_all(&cursor, &value);
    assert_int_equal(json_end(&cursor), -EBADMSG);
    assert_text(json_complaint(&cursor), STR("JSON, at byte 4: no value"));
}

static void sixty_four_levels_are_as_many_as_there_may_be(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = new_arena();

    char document[2 * (JSON_MAX_DEPTH + 1)];

    memset(document, '[', JSON_MAX_DEPTH);
    memset(document + JSON_MAX_DEPTH, ']', JSON_MAX_DEPTH);
    assert_null(complaint((struct str){document, 2 * (size_t)JSON_MAX_DEPTH}, arena));

    memset(document, '[', JSON_MAX_DEPTH + 1);
    memset(document + JSON_MAX_DEPTH + 1, ']', JSON_MAX_DEPTH + 1);
    assert_string_equal(complaint((struct str){document, sizeof(document)}, arena),
                        "it nests too deep");
}

static void an_object_around_a_list_is_known_again_when_the_list_ends(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = new_arena();

    assert_null(complaint(STR("{\"a\":[{\"b\":[[],{}]},1],\"c\":{}}"), arena));
    assert_non_null(complaint(STR("{\"a\":[1],2}"), arena));
    assert_non_null(complaint(STR("[{\"a\":1},\"b\":2]"), arena));
}

static void what_is_skipped_is_checked_and_takes_no_memory(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = new_arena();

    struct json_cursor cursor =
        json_cursor(STR("[{\"\\n\":[\"\\t\",{\"x\":1}],\"y\":{}},2]"), arena);
    struct json_value value;

    assert_true(json_root(&cursor, &value));
    assert_true(json_next_element(&cursor, &value));
    json_skip(&cursor, &value);
    assert_true(json_next_element(&cursor, &value));
    assert_text(value.text, STR("2"));
    json_skip(&cursor, &value);
    assert_false(json_next_element(&cursor, &value));
    assert_int_equal(json_end(&cursor), 0);
    assert_int_equal(arena_used_bytes(arena), 0);

    assert_string_equal(complaint(STR("[[[\"\\ud800\"]]]"), arena),
                        "an escape of half a surrogate pair");
}

static void the_callers_refusal_ends_it_like_any_error(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = new_arena();

    struct json_cursor cursor = json_cursor(STR("[1,2,3"), arena);
    struct json_value  value;

    assert_true(json_root(&cursor, &value));
    assert_true(json_next_element(&cursor, &value));
    json_refuse(&cursor, "odd");
    json_refuse(&cursor, "even");
    assert_false(json_next_element(&cursor, &value));
    assert_int_equal(json_end(&cursor), -EBADMSG);
    assert_string_equal(cursor.reason, "odd");
}

static void text_that_does_not_fit_the_arena_is_no_fault_of_the_document(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(8);

    struct json_cursor cursor = json_cursor(STR("\"more than fits\\n\""), arena);
    struct json_value  value;

    assert_false(json_root(&cursor, &value));
    assert_int_equal(json_end(&cursor), -ENOMEM);
}

static void a_document_may_be_cut_at_any_byte(void **state)
{
    (void)state;
    static const struct str document =
        STR_INIT("[{\"name\":\"caf\xC3\xA9 \\u00e9\\n\",\"n\":[1,-2.5e+3,true,null]},{}]");
    cleanup_with(arena_free_at) struct arena *arena = new_arena();

    for (size_t len = 0; len < document.len; len++) {
        char *copy = malloc(len + 1); /* of its own size, for the sanitizer */
        assert_non_null(copy);
        copy = realloc(memcpy(copy, document.at, len), len > 0 ? len : 1);
        assert_non_null(copy);
        if (!complaint((struct str){copy, len}, arena))
            fail_msg("%zu bytes of it were taken for a whole", len);
        free(copy);
    }
    assert_null(complaint(document, arena));
}

static void whole_numbers_have_many_forms(void **state)
{
    (void)state;
    static const struct {
        const char *number;
        int         error;
        int64_t     value;
    } cases[] = {
        {"0", 0, 0},
        {"-0", 0, 0},
        {"-0.0e7", 0, 0},
        {"42", 0, 42},
        {"-42", 0, -42},
        {"1000", 0, 1000},
        {"1e3", 0, 1000},
        {"1E+3", 0, 1000},
        {"1.584324295476870e15", 0, 1584324295476870},
        {"1500.00", 0, 1500},
        {"1500000e-3", 0, 1500},
        {"0.05e2", 0, 5},
        {"100000000000000000000000e-20", 0, 1000},
        {"9223372036854775807", 0, INT64_MAX},
        {"-9223372036854775808", 0, INT64_MIN},
        {"9223372036854775808", -ERANGE, 0},
        {"-9223372036854775809", -ERANGE, 0},
        {"99999999999999999999999", -ERANGE, 0},
        {"1e19", -ERANGE, 0},
        {"1e999999999999999999999", -ERANGE, 0},
        {"0e999999999999999999999", 0, 0},
        {"1e-999999999999999999999", -EINVAL, 0},
        {"1.5", -EINVAL, 0},
        {"15e-1", -EINVAL, 0},
        {"0.1", -EINVAL, 0},
        {"123456789012345678901.5", -EINVAL, 0},
        {"", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1 ", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {"01", -EINVAL, 0},
        {"0x1", -EINVAL, 0},
        {"one", -EINVAL, 0},
        {"-", -EINVAL, 0},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        int64_t value = 0;
        int     error = json_to_int64(str_from(cases[i].number), &value);
        if (error != cases[i].error || value != cases[i].value)
            fail_msg("%s: %d, %" PRId64, cases[i].number, error, value);
    }
}

static void numbers_without_a_sign_go_twice_as_far(void **state)
{
    (void)state;
    uint64_t value = 1;

    assert_int_equal(json_to_uint64(STR("18446744073709551615"), &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(json_to_uint64(STR("18446744073709551616"), &value), -ERANGE);
    assert_int_equal(json_to_uint64(STR("-1"), &value), -ERANGE);
    assert_int_equal(json_to_uint64(STR("-0"), &value), 0);
    assert_true(value == 0);
    assert_int_equal(json_to_uint64(STR("1.8446744073709551615e19"), &value), 0);
    assert_true(value == UINT64_MAX);
}

static void doubles_are_rounded_as_strtod_rounds_them(void **state)
{
    (void)state;
    static const char *const numbers[] = {
        "0",
        "-0.0",
        "0e999999999999",
        "1",
        "-1.5",
        "0.1",
        "0.3",
        "3.141592653589793",
        "123456789012345678901234567890",
        "1e22",
        "1e23",
        "1e-22",
        "1e-23",
        "9007199254740993",
        "9007199254740993e-22",
        "9007199254740992.99999999999999999999999",
        "1.7976931348623157e308",
        "2.2250738585072011e-308",
        "4.9e-324",
        "1e-400",
        "0.000000000000000000000000000000000000000000000000000000000000001e63",
        "8.98846567431157854072637118658521783990352837629224982994587384015786303900142693e307",
        "100000000000000000000000000000000000000000000000000e-50",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        double value = 42, expected = strtod(numbers[i], NULL);
        int    error = json_to_double(str_from(numbers[i]), &value);
        if (error != 0 || value != expected || signbit(value) != signbit(expected))
            fail_msg("%s: %d, %.17g", numbers[i], error, value);
    }
}

/* 1 + 2^-53 lies in the middle of two doubles; only what follows says to which one it goes. */
static void a_digit_far_behind_decides_a_tie(void **state)
{
    (void)state;
    static const char middle[] = "1.00000000000000011102230246251565404236316680908203125";
    char              number[2000];
    double            value;

    assert_int_equal(json_to_double(str_from(middle), &value), 0);
    assert_true(value == 1);

    memset(number, '0', sizeof(number));
    memcpy(number, middle, sizeof(middle) - 1);
    number[sizeof(number) - 1] = '1';
    assert_int_equal(json_to_double((struct str){number, sizeof(number)}, &value), 0);
    assert_true(value == 1 + 0x1p-52);

    number[sizeof(number) - 1] = '0';
    assert_int_equal(json_to_double((struct str){number, sizeof(number)}, &value), 0);
    assert_true(value == 1);
}

static void a_double_beyond_all_is_out_of_range(void **state)
{
    (void)state;
    double value = 42;

    assert_int_equal(json_to_double(STR("1e309"), &value), -ERANGE);
    assert_int_equal(json_to_double(STR("-1e999999999999999999"), &value), -ERANGE);
    assert_int_equal(json_to_double(STR("NaN"), &value), -EINVAL);
    assert_true(value == 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_value_is_read),
        cmocka_unit_test(a_string_without_escapes_takes_no_memory),
        cmocka_unit_test(escapes_are_resolved),
        cmocka_unit_test(names_are_strings_too),
        cmocka_unit_test(what_is_not_json_is_refused),
        cmocka_unit_test(the_complaint_says_where),
        cmocka_unit_test(sixty_four_levels_are_as_many_as_there_may_be),
        cmocka_unit_test(an_object_around_a_list_is_known_again_when_the_list_ends),
        cmocka_unit_test(what_is_skipped_is_checked_and_takes_no_memory),
        cmocka_unit_test(the_callers_refusal_ends_it_like_any_error),
        cmocka_unit_test(text_that_does_not_fit_the_arena_is_no_fault_of_the_document),
        cmocka_unit_test(a_document_may_be_cut_at_any_byte),
        cmocka_unit_test(whole_numbers_have_many_forms),
        cmocka_unit_test(numbers_without_a_sign_go_twice_as_far),
        cmocka_unit_test(doubles_are_rounded_as_strtod_rounds_them),
        cmocka_unit_test(a_digit_far_behind_decides_a_tie),
        cmocka_unit_test(a_double_beyond_all_is_out_of_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
