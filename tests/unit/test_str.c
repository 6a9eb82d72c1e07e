#include "common/base/str.h"

#include <errno.h>

#include "common/base/cleanup.h"
#include "tests/unit/expect.h"

static void a_null_string_is_absent_and_an_empty_one_is_not(void **state)
{
    (void)state;
    expect_absent(str_from(NULL));
    assert_non_null(str_from("").at);
    expect_str(str_from("abc"), STR("abc"));
}

static void equality_is_of_bytes(void **state)
{
    (void)state;
    assert_true(str_equal(STR("a\0b"), STR("a\0b")));
    assert_false(str_equal(STR("a\0b"), STR("a\0c")));
    assert_false(str_equal(STR("ab"), STR("abc")));
    assert_true(str_equal((struct str){0}, STR("")));
}

static void case_is_ignored_in_ascii_letters_only(void **state)
{
    (void)state;
    assert_true(str_equal_ignore_case(STR("X-B3-TraceId"), STR("x-b3-traceid")));
    assert_false(str_equal_ignore_case(STR("[x"), STR("{x")));
    assert_false(str_equal_ignore_case(STR("@"), STR("`")));
    assert_false(str_equal_ignore_case(STR("\xC3\x84"), STR("\xC3\xA4")));
    assert_false(str_equal_ignore_case(STR("a"), STR("ab")));
}

static void prefixes_and_suffixes_may_be_the_whole_string(void **state)
{
    (void)state;
    assert_true(str_starts_with(STR("grpc://a"), STR("grpc://")));
    assert_true(str_starts_with(STR("grpc"), STR("grpc")));
    assert_true(str_starts_with(STR("grpc"), STR("")));
    assert_false(str_starts_with(STR("grp"), STR("grpc")));
    assert_true(str_ends_with(STR("a_total"), STR("_total")));
    assert_true(str_ends_with(STR("a"), STR("a")));
    assert_true(str_ends_with((struct str){0}, STR("")));
    assert_false(str_ends_with(STR("total"), STR("_total")));
}

static void blanks_and_tabs_are_trimmed_at_both_ends(void **state)
{
    (void)state;
    expect_str(str_trim(STR(" \t a b\t ")), STR("a b"));
    expect_str(str_trim(STR("ab")), STR("ab"));
    expect_str(str_trim(STR(" \t")), STR(""));
    expect_str(str_trim(STR("")), STR(""));
    expect_str(str_trim(STR("\na\n")), STR("\na\n"));
}

static void assert_pieces(struct str whole, const char *const expected[], size_t n_expected)
{
    struct str piece;

    for (size_t i = 0; i < n_expected; i++) {
        assert_true(str_cut(&whole, ',', &piece));
        expect_str(piece, str_from(expected[i]));
    }
    assert_false(str_cut(&whole, ',', &piece));
}

static void a_list_is_cut_into_its_pieces(void **state)
{
    (void)state;
    assert_pieces(STR("a,b"), (const char *const[]){"a", "b"}, 2);
    assert_pieces(STR("a,,b"), (const char *const[]){"a", "", "b"}, 3);
    assert_pieces(STR(",a"), (const char *const[]){"", "a"}, 2);
    assert_pieces(STR("abc"), (const char *const[]){"abc"}, 1);
}

static void nothing_follows_a_last_separator(void **state)
{
    (void)state;
    assert_pieces(STR("a,"), (const char *const[]){"a"}, 1);
    assert_pieces(STR(","), (const char *const[]){""}, 1);
    assert_pieces(STR(""), NULL, 0);
    assert_pieces((struct str){0}, NULL, 0);
}

static void a_string_is_split_at_its_first_separator(void **state)
{
    (void)state;
    struct str before, after;

    assert_true(str_split(STR("a=b=c"), '=', &before, &after));
    expect_str(before, STR("a"));
    expect_str(after, STR("b=c"));
    assert_true(str_split(STR("="), '=', &before, &after));
    expect_str(before, STR(""));
    expect_str(after, STR(""));
}

static void without_a_separator_nothing_is_split_or_set(void **state)
{
    (void)state;
    struct str before = STR("untouched"), after = STR("untouched");

    assert_false(str_split(STR("abc"), '=', &before, &after));
    assert_false(str_split((struct str){0}, '=', &before, &after));
    expect_str(before, STR("untouched"));
    expect_str(after, STR("untouched"));
}

static void whole_numbers_are_digits_up_to_64_bits(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int         result;
        uint64_t    value;
    } cases[] = {
        {"0", 0, 0},
        {"007", 0, 7},
        {"18446744073709551615", 0, UINT64_MAX},
        {"00000000000000000000000000000001", 0, 1},
        {"18446744073709551616", -ERANGE, 0},
        {"20000000000000000000", -ERANGE, 0},
        {"99999999999999999999999999", -ERANGE, 0},
        {"99999999999999999999999999x", -EINVAL, 0},
        {"", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1 ", -EINVAL, 0},
        {"0x1", -EINVAL, 0},
        {"1.0", -EINVAL, 0},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint64_t value = 0;
        int      r = str_to_uint64(str_from(cases[i].text), &value);
        if (r != cases[i].result || value != cases[i].value)
            fail_msg("\"%s\" gave %d and %llu", cases[i].text, r, (unsigned long long)value);
    }
}

static void decimals_are_read_to_the_nearest_double(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double      value;
    } cases[] = {
        {"0", 0},
        {"1", 1},
        {"0.0", 0},
        {"000.50", 0.5},
        {".5", 0.5},
        {"0.1", 0.1},
        {"0.3", 0.3},
        {"0.999", 0.999},
        {"3.141592653589793", 3.141592653589793},
        {"123456.789", 123456.789},
        {"0.000001", 0.000001},
        {"9007199254740993", 9007199254740992.0},
        {"18446744073709551615", 18446744073709551615.0},
        {"1000000000000000000000", 1e21},
        {"0.30000000000000000000000000000000000000000", 0.3},
        {"0.00000000000000000000000000000000000000000", 0},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        double value = -1;
        int    r = str_to_decimal(str_from(cases[i].text), &value);
        if (r != 0 || value != cases[i].value)
            fail_msg("\"%s\" gave %d and %.17g", cases[i].text, r, value);
    }
}

static void what_is_no_plain_decimal_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",      ".",   "1.",  "..5", "1.2.3", "-1", "+1",    "1e3",  "1E3",
        "0x1p3", "inf", "nan", "1,5", " 1",    "1 ", "1_000", "0.5x", "\xD9\xA1",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        double value = -1;
        int    r = str_to_decimal(str_from(cases[i]), &value);
        if (r != -EINVAL || value != -1)
            fail_msg("\"%s\" gave %d and %g", cases[i], r, value);
    }
}

static void a_decimal_beyond_every_double_is_refused(void **state)
{
    (void)state;
    char   digits[400];
    double value = -1;

    memset(digits, '9', sizeof(digits));
    assert_int_equal(str_to_decimal((struct str){digits, sizeof(digits)}, &value), -EINVAL);
    memset(digits, '0', sizeof(digits));
    assert_int_equal(str_to_decimal((struct str){digits, sizeof(digits)}, &value), 0);
    assert_true(value == 0);
}

/* From the authors' page of the FNV hash: 64-bit FNV-1a test vectors. */
static void the_hash_is_fnv_1a(void **state)
{
    (void)state;
    assert_true(str_hash(STR("")) == UINT64_C(0xcbf29ce484222325));
    assert_true(str_hash(STR("a")) == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(str_hash(STR("foobar")) == UINT64_C(0x85944171f73967e8));
}

struct utf8_case {
    const char *what;
    struct str  text;
    size_t      good; /* bytes at the start that are well-formed */
};

static const struct utf8_case utf8_cases[] = {
    {"nothing", STR_INIT(""), 0},
    {"ASCII", STR_INIT("abc"), 3},
    {"NUL", STR_INIT("a\0b"), 3},
    {"a long run of ASCII", STR_INIT("0123456789abcdefg"), 17},
    {"the first of two bytes", STR_INIT("\xC2\x80"), 2},
    {"the last of two bytes", STR_INIT("\xDF\xBF"), 2},
    {"the first of three bytes", STR_INIT("\xE0\xA0\x80"), 3},
    {"before the surrogates", STR_INIT("\xED\x9F\xBF"), 3},
    {"after the surrogates", STR_INIT("\xEE\x80\x80"), 3},
    {"the last of three bytes", STR_INIT("\xEF\xBF\xBF"), 3},
    {"the first of four bytes", STR_INIT("\xF0\x90\x80\x80"), 4},
    {"the last character", STR_INIT("\xF4\x8F\xBF\xBF"), 4},
    {"a mixture", STR_INIT("a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80z"), 11},
    {"a continuation alone", STR_INIT("a\x80"), 1},
    {"overlong in two bytes", STR_INIT("\xC0\xAF"), 0},
    {"overlong in two bytes, the last", STR_INIT("\xC1\xBF"), 0},
    {"overlong in three bytes", STR_INIT("\xE0\x9F\xBF"), 0},
    {"overlong in four bytes", STR_INIT("\xF0\x8F\xBF\xBF"), 0},
    {"the first surrogate", STR_INIT("\xED\xA0\x80"), 0},
    {"the last surrogate", STR_INIT("\xED\xBF\xBF"), 0},
    {"beyond the last character", STR_INIT("\xF4\x90\x80\x80"), 0},
    {"a lead beyond all", STR_INIT("\xF5\x80\x80\x80"), 0},
    {"FE", STR_INIT("\xFE"), 0},
    {"FF after a long run of ASCII", STR_INIT("0123456789abcdef\xFF"), 16},
    {"FF within a word",
     STR_INIT("0123456789\xFF"
              "bcdefghijklmnop"),
     10},
    {"cut in two bytes", STR_INIT("a\xC3"), 1},
    {"cut in three bytes", STR_INIT("a\xE2\x82"), 1},
    {"cut in four bytes", STR_INIT("a\xF0\x9F\x98"), 1},
    {"a bad third byte", STR_INIT("\xE2\x82\x28"), 0},
    {"a bad fourth byte", STR_INIT("\xF0\x9F\x98\xC0"), 0},
};

static void utf8_is_what_rfc_3629_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(utf8_cases); i++) {
        const struct utf8_case *c = &utf8_cases[i];
        size_t                  good = str_utf8_prefix(c->text);
        if (good != c->good || str_is_utf8(c->text) != (c->good == c->text.len))
            fail_msg("%s: saw %zu good bytes of %zu, expected %zu", c->what, good, c->text.len,
                     c->good);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_null_string_is_absent_and_an_empty_one_is_not),
        cmocka_unit_test(equality_is_of_bytes),
        cmocka_unit_test(case_is_ignored_in_ascii_letters_only),
        cmocka_unit_test(prefixes_and_suffixes_may_be_the_whole_string),
        cmocka_unit_test(blanks_and_tabs_are_trimmed_at_both_ends),
        cmocka_unit_test(a_list_is_cut_into_its_pieces),
        cmocka_unit_test(nothing_follows_a_last_separator),
        cmocka_unit_test(a_string_is_split_at_its_first_separator),
        cmocka_unit_test(without_a_separator_nothing_is_split_or_set),
        cmocka_unit_test(whole_numbers_are_digits_up_to_64_bits),
        cmocka_unit_test(decimals_are_read_to_the_nearest_double),
        cmocka_unit_test(what_is_no_plain_decimal_is_refused),
        cmocka_unit_test(a_decimal_beyond_every_double_is_refused),
        cmocka_unit_test(the_hash_is_fnv_1a),
        cmocka_unit_test(utf8_is_what_rfc_3629_says),
    };
    return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}
