#include "server/accept.h"

#include "common/base/cleanup.h"
#include "tests/unit/expect.h"

static const char *const form_names[FORM_COUNT] = {
    [FORM_TEXT] = "text", [FORM_JSON] = "JSON", [FORM_HTML] = "HTML"};

struct negotiation {
    const char *accept;
    enum form   form;
};

static void assert_negotiations(const struct negotiation cases[], size_t n_cases)
{
    for (size_t i = 0; i < n_cases; i++) {
        enum form saw = accept_negotiate(str_from(cases[i].accept));
        if (saw != cases[i].form)
            fail_msg("\"%s\": expected %s, saw %s", cases[i].accept, form_names[cases[i].form],
                     form_names[saw]);
    }
}

static void well_known_clients_get_what_they_like(void **state)
{
    (void)state;
    static const struct negotiation cases[] = {
        /* curl */
        {"*/*", FORM_TEXT},
        /* Chrome */
        {"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,"
         "*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
         FORM_HTML},
        /* Firefox */
        {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", FORM_HTML},
        /* HTTPie, axios */
        {"application/json, */*;q=0.5", FORM_JSON},
        {"application/json, text/plain, */*", FORM_TEXT},
    };
    assert_negotiations(cases, ARRAY_LENGTH(cases));
}

static void the_highest_quality_wins(void **state)
{
    (void)state;
    static const struct negotiation cases[] = {
        {"text/plain;q=0.5, application/json;q=0.6, text/html;q=0.4", FORM_JSON},
        {"text/plain;q=0.998, text/html;q=0.999", FORM_HTML},
        {"text/plain;q=0.1, text/html;q=0.01", FORM_TEXT},
        {"application/json;q=1.000, text/plain;q=0.999", FORM_JSON},
        {"text/html;q=0.3,application/json;q=0.", FORM_HTML},
        {"text/plain; Q=0.2, text/html ; q=0.3", FORM_HTML},
    };
    assert_negotiations(cases, ARRAY_LENGTH(cases));
}

static void a_closer_range_overrules_a_wider_one(void **state)
{
    (void)state;
    static const struct negotiation cases[] = {
        {"*/*, text/plain;q=0.1, application/json;q=0.2", FORM_HTML},
        {"text/*, text/plain;q=0.5", FORM_HTML},
        {"text/plain;q=0.5, text/*", FORM_HTML},
        {"*/*;q=1, text/*;q=0.1", FORM_JSON},
        {"text/plain;q=0, */*", FORM_JSON},
        {"text/html;charset=utf-8;q=0.1, text/html, application/json;q=0.5", FORM_JSON},
        /* RFC 9110, 12.5.1: text/plain is 0.7 there, text/html 0.3, application/json 0.5. */
        {"text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, text/plain;format=fixed;q=0.4, "
         "*/*;q=0.5",
         FORM_TEXT},
        {"text/*;q=0.3, text/plain;q=0.2, */*;q=0.5", FORM_JSON},
    };
    assert_negotiations(cases, ARRAY_LENGTH(cases));
}

static void of_two_sayings_about_the_same_the_kinder_counts(void **state)
{
    (void)state;
    static const struct negotiation cases[] = {
        {"text/html;q=0.9, text/html;q=0.1, application/json;q=0.5", FORM_HTML},
        {"text/html;q=0.1, text/html;q=0.9, application/json;q=0.5", FORM_HTML},
    };
    assert_negotiations(cases, ARRAY_LENGTH(cases));
}

static void of_equal_qualities_the_closer_range_wins(void **state)
{
    (void)state;
    static const struct negotiation cases[] = {
        {"*/*, text/html", FORM_HTML},
        {"*/*, application/json", FORM_JSON},
        {"text/*, application/json", FORM_JSON},
        {"text/plain, text/html;charset=utf-8", FORM_HTML},
        {"*/*;q=0.5, application/json;q=0.5", FORM_JSON},
    };
    assert_negotiations(cases, ARRAY_LENGTH(cases));
}

static void of_equals_text_comes_before_json_before_html(void **state)
{
    (void)state;
    static const struct negotiation cases[] = {
        {"text/html, application/json, text/plain", FORM_TEXT},
        {"text/html, application/json", FORM_JSON},
        {"text/html, text/plain", FORM_TEXT},
        {"text/*", FORM_TEXT},
        {"application/*", FORM_JSON},
    };
    assert_negotiations(cases, ARRAY_LENGTH(cases));
}

static void case_blanks_and_empty_elements_do_not_matter(void **state)
{
    (void)state;
    static const struct negotiation cases[] = {
        {"TEXT/HTML", FORM_HTML},
        {"Application/Json", FORM_JSON},
        {"\t text/html \t", FORM_HTML},
        {", ,text/html,,", FORM_HTML},
        {"text/html;", FORM_HTML},
        {"text/html;;q=1 ; , text/plain;q=0.5", FORM_HTML},
        {"text/html\t;\tcharset=UTF-8", FORM_HTML},
        {"text/html;charset=\"utf-8\"", FORM_HTML},
    };
    assert_negotiations(cases, ARRAY_LENGTH(cases));
}

static void a_range_with_a_foreign_parameter_is_not_ours(void **state)
{
    (void)state;
    static const struct negotiation cases[] = {
        {"text/html;level=1, application/json;q=0.1", FORM_JSON},
        {"text/html;charset=iso-8859-1, application/json;q=0.1", FORM_JSON},
        {"application/json;profile=\"a,b;q=1\\\"\", text/html;q=0.1", FORM_HTML},
        {"application/json;profile=\"\\\\\", text/html;q=0.1", FORM_HTML},
    };
    assert_negotiations(cases, ARRAY_LENGTH(cases));
}

static void a_header_that_accepts_none_of_ours_gets_text(void **state)
{
    (void)state;
    static const struct negotiation cases[] = {
        {NULL, FORM_TEXT},
        {"", FORM_TEXT},
        {" , ", FORM_TEXT},
        {"image/png", FORM_TEXT},
        {"text/html;q=0", FORM_TEXT},
        {"*/*;q=0.000", FORM_TEXT},
        {"text/htm", FORM_TEXT},
        {"text/html5", FORM_TEXT},
        {"application/jsonp", FORM_TEXT},
    };
    assert_negotiations(cases, ARRAY_LENGTH(cases));
}

/* Each would be HTML, were it not for one mistake. */
static void a_malformed_header_gets_text(void **state)
{
    (void)state;
    static const char *const malformed[] = {
        "text/html, *",
        "text/html, text",
        "text/html, text/",
        "text/html, /html",
        "text/html, */html",
        "text/html, text /plain",
        "text/html, text/plain q=1",
        "text/html text/plain",
        "text/html;q",
        "text/html;q=",
        "text/html;=1",
        "text/html;q =1",
        "text/html;q= 1",
        "text/html;q=1.001",
        "text/html;q=2",
        "text/html;q=-1",
        "text/html;q=.5",
        "text/html;q=0.1234",
        "text/html;q=0,5",
        "text/html;q=0.x",
        "text/html;q=1e0",
        "text/html;q=00.5",
        "text/html;a=\"",
        "text/html;a=\"b\\\"",
        "text/html;a=\"b\"c",
        "text/html\n",
        "text/html, \xC3\xA4/b",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(malformed); i++) {
        enum form saw = accept_negotiate(str_from(malformed[i]));
        if (saw != FORM_TEXT)
            fail_msg("\"%s\" gave %s", malformed[i], form_names[saw]);
    }
    assert_int_equal(accept_negotiate(STR("text/html\0")), FORM_TEXT);
}

static void each_form_has_its_content_type(void **state)
{
    (void)state;
    assert_true(str_equal(form_content_type(FORM_TEXT), STR("text/plain; charset=utf-8")));
    assert_true(str_equal(form_content_type(FORM_JSON), STR("application/json")));
    assert_true(str_equal(form_content_type(FORM_HTML), STR("text/html; charset=utf-8")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_known_clients_get_what_they_like),
        cmocka_unit_test(the_highest_quality_wins),
        cmocka_unit_test(a_closer_range_overrules_a_wider_one),
        cmocka_unit_test(of_two_sayings_about_the_same_the_kinder_counts),
        cmocka_unit_test(of_equal_qualities_the_closer_range_wins),
        cmocka_unit_test(of_equals_text_comes_before_json_before_html),
        cmocka_unit_test(case_blanks_and_empty_elements_do_not_matter),
        cmocka_unit_test(a_range_with_a_foreign_parameter_is_not_ours),
        cmocka_unit_test(a_header_that_accepts_none_of_ours_gets_text),
        cmocka_unit_test(a_malformed_header_gets_text),
        cmocka_unit_test(each_form_has_its_content_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
