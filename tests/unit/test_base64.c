#include "common/base/base64.h"

#include "tests/unit/expect.h"

#include <errno.h>

#include "common/base/cleanup.h"
#include "common/base/hex.h"

static void expect_decoded(struct str base64, struct str expected)
{
    uint8_t bytes[64];
    size_t  len = 0;

    assert_true(base64_decoded_size(base64) <= sizeof(bytes));
    if (base64_decode(base64, bytes, &len) != 0)
        fail_msg("%.*s was refused", STR_ARGS(base64));
    assert_true(len <= base64_decoded_size(base64));
    struct str decoded = {(const char *)bytes, len};
    expect_str(decoded, expected);
}

/* RFC 4648, section 10. */
static void base64_is_decoded_with_padding_and_without(void **state)
{
    (void)state;
    expect_decoded(STR(""), STR(""));
    expect_decoded(STR("Zg=="), STR("f"));
    expect_decoded(STR("Zg"), STR("f"));
    expect_decoded(STR("Zm8="), STR("fo"));
    expect_decoded(STR("Zm8"), STR("fo"));
    expect_decoded(STR("Zm9v"), STR("foo"));
    expect_decoded(STR("Zm9vYg=="), STR("foob"));
    expect_decoded(STR("Zm9vYmFy"), STR("foobar"));
}

static void both_alphabets_are_known(void **state)
{
    (void)state;
    expect_decoded(STR("+/+/"), STR("\xfb\xff\xbf"));
    expect_decoded(STR("-_-_"), STR("\xfb\xff\xbf"));
    expect_decoded(STR("AZaz09"), STR("\x01\x96\xb3\xd3"));
}

static void what_is_not_base64_is_refused(void **state)
{
    (void)state;
    static const struct str cases[] = {
        STR_INIT("A"),     STR_INIT("="),        STR_INIT("=="),     STR_INIT("===="),
        STR_INIT("A==="),  STR_INIT("AA="),      STR_INIT("AAA=="),  STR_INIT("AAAA="),
        STR_INIT("AA==A"), STR_INIT("AA==AAAA"), STR_INIT("AA A"),   STR_INIT("AAA\n"),
        STR_INIT("AA.A"),  STR_INIT("AA\0A"),    STR_INIT("AA\xC3"),
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint8_t bytes[64];
        size_t  len = 42;
        if (base64_decode(cases[i], bytes, &len) != -EINVAL || len != 42)
            fail_msg("%.*s was decoded", STR_ARGS(cases[i]));
    }
}

static void hex_is_decoded_in_either_case(void **state)
{
    (void)state;
    uint8_t bytes[4];

    assert_true(hex_decode(STR("00Aa9fF0"), bytes));
    assert_memory_equal(bytes, "\x00\xaa\x9f\xf0", 4);
    assert_true(hex_decode(STR(""), bytes));
}

static void what_is_not_hex_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {"0", "000", "0g", "g0", " 0", "0x", "@A", "`a", "/0", ":0"};

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint8_t bytes[4];
        if (hex_decode(str_from(cases[i]), bytes))
            fail_msg("%s was decoded", cases[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_is_decoded_with_padding_and_without),
        cmocka_unit_test(both_alphabets_are_known),
        cmocka_unit_test(what_is_not_base64_is_refused),
        cmocka_unit_test(hex_is_decoded_in_either_case),
        cmocka_unit_test(what_is_not_hex_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
