#include "server/forward.h"

#include <errno.h>
#include <stdio.h>

#include "common/base/arena.h"
#include "common/base/cleanup.h"
#include "tests/unit/expect.h"

enum { ARENA_BYTES = 256 * 1024 };

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

static void add(struct metadata *metadata, struct arena *arena, const char *name, struct str value)
{
    assert_int_equal(metadata_add(metadata, arena, str_from(name), value), 0);
}

/* What no list can make go on. */
static const char *const never[] = {
    "authorization",
    "cookie",
    "x-envoy-attempt-count",
    "x-envoy-upstream-rq-timeout-ms",
    "grpc-timeout",
    "grpc-status-details-bin",
    "connection",
    "te",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
    "proxy-authorization",
    "proxy-connection",
    "trailer",
    "host",
    "content-length",
    "content-type",
    "user-agent",
    "accept",
    "accept-encoding",
    "x-tracehop-call",
    "x-tracehop-warning",
    "expect",
    "http2-settings",
    "x-team-bin",
};

static const char *const trace_headers[] = {
    "b3",           "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid",
    "x-b3-sampled", "x-b3-flags",   "traceparent", "tracestate",
};

static void the_built_in_headers_go_on(void **state)
{
    (void)state;
    static const char *const names[] = {
        "x-request-id", "x-ot-span-context", "x-dev-user", "fail", "delay", "baggage"};
    struct forward_list list = {0};

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (!forward_allows(&list, str_from(names[i])))
            fail_msg("%s was held back", names[i]);
}

static void everything_else_stays(void **state)
{
    (void)state;
    static const char *const others[] = {"", "x-request-i", "x-request-id2", "failed", "x-team"};
    struct forward_list      list = {0};

    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        if (forward_allows(&list, str_from(others[i])))
            fail_msg("\"%s\" went on", others[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(never); i++)
        if (forward_allows(&list, str_from(never[i])))
            fail_msg("%s went on", never[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(trace_headers); i++)
        if (forward_allows(&list, str_from(trace_headers[i])))
            fail_msg("%s went on", trace_headers[i]);
}

static void trace_headers_go_on_only_when_tracing_is_off(void **state)
{
    (void)state;
    struct forward_list list = {.copies_trace_context = true};

    for (size_t i = 0; i < ARRAY_LENGTH(trace_headers); i++)
        if (!forward_allows(&list, str_from(trace_headers[i])))
            fail_msg("%s was held back", trace_headers[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(never); i++)
        if (forward_allows(&list, str_from(never[i])))
            fail_msg("%s went on", never[i]);
}

static void extra_names_are_taken_in_any_case(void **state)
{
    struct forward_list list;
    struct str          bad;

    assert_int_equal(forward_list_parse(STR(" x-team,X-Tenant ,, my_key.v1 "), *state, &list, &bad),
                     0);
    assert_int_equal(list.n_extra, 3);
    expect_str(list.extra[0], STR("x-team"));
    expect_str(list.extra[1], STR("x-tenant"));
    expect_str(list.extra[2], STR("my_key.v1"));
    assert_false(list.copies_trace_context);
    assert_true(forward_allows(&list, STR("x-tenant")));
    assert_false(forward_allows(&list, STR("x-tenan")));
}

static void an_empty_list_adds_nothing(void **state)
{
    static const char *const texts[] = {NULL, "", " ", ",", " , "};

    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct forward_list list;
        struct str          bad;
        assert_int_equal(forward_list_parse(str_from(texts[i]), *state, &list, &bad), 0);
        assert_int_equal(list.n_extra, 0);
    }
}

static void a_name_said_twice_or_built_in_is_kept_once(void **state)
{
    struct forward_list list;
    struct str          bad;

    assert_int_equal(forward_list_parse(STR("x-a, fail, X-A"), *state, &list, &bad), 0);
    assert_int_equal(list.n_extra, 1);
}

static void assert_refused(struct arena *arena, const char *name)
{
    struct forward_list list;
    struct str          bad = {0};
    char                text[128];

    snprintf(text, sizeof(text), "x-good, %s, x-fine", name);
    if (forward_list_parse(str_from(text), arena, &list, &bad) != -EINVAL)
        fail_msg("\"%s\" was taken", name);
    expect_str(bad, str_from(name));
}

static void names_that_must_never_go_on_are_refused(void **state)
{
    for (size_t i = 0; i < ARRAY_LENGTH(never); i++)
        assert_refused(*state, never[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(trace_headers); i++)
        assert_refused(*state, trace_headers[i]);
    assert_refused(*state, "Authorization");
    assert_refused(*state, "X-B3-TraceId");
}

static void what_is_no_header_name_is_refused(void **state)
{
    static const char *const names[] = {
        "x team", "x-team:", ":path", "x-team=1", "x\ty", "x-t\xC3\xA4m", "x/y", "x*", "\"x\"",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        assert_refused(*state, names[i]);
}

static void the_list_has_a_limit(void **state)
{
    char   text[16 * (FORWARD_MAX_EXTRA + 1)];
    size_t len = 0;
    for (int i = 0; i <= FORWARD_MAX_EXTRA; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%sx-%d", i > 0 ? "," : "", i);

    struct forward_list list;
    struct str          bad;
    assert_int_equal(forward_list_parse((struct str){text, len}, *state, &list, &bad), -EINVAL);
    expect_str(bad, STR("x-64"));

    struct str all_but_the_last = {text, len - strlen(",x-64")};
    assert_int_equal(forward_list_parse(all_but_the_last, *state, &list, &bad), 0);
    assert_int_equal(list.n_extra, FORWARD_MAX_EXTRA);
}

static void fields_go_on_byte_for_byte_in_order_with_repeats(void **state)
{
    const struct str    bytes = STR(" \xFF\x01;=\"\0 ");
    struct forward_list list = {.extra = {STR("x-team")}, .n_extra = 1};
    struct metadata     from = {0};
    struct metadata     to = {0};
    add(&from, *state, "baggage", bytes);
    add(&from, *state, "cookie", STR("secret"));
    add(&from, *state, "x-team", STR("blue"));
    add(&from, *state, "baggage", STR("b=2"));
    add(&from, *state, "traceparent", STR("00-"));
    add(&from, *state, "fail", STR(""));
    add(&to, *state, "x-tracehop-call", STR("1"));

    assert_int_equal(forward_headers(&list, &from, &to, *state), 0);

    assert_int_equal(to.count, 5);
    expect_str(to.fields[0].name, STR("x-tracehop-call"));
    expect_str(to.fields[1].name, STR("baggage"));
    assert_true(str_equal(to.fields[1].value, bytes));
    expect_str(to.fields[2].name, STR("x-team"));
    expect_str(to.fields[3].name, STR("baggage"));
    expect_str(to.fields[3].value, STR("b=2"));
    expect_str(to.fields[4].name, STR("fail"));
    expect_str(to.fields[4].value, STR(""));
}

static void no_memory_is_reported(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(0);
    struct field                              field = {STR("fail"), STR("1")};
    struct metadata                           from = {.fields = &field, .count = 1, .capacity = 1};
    struct metadata                           to = {0};
    struct forward_list                       list = {0};
    struct str                                bad;

    assert_non_null(arena);
    assert_int_equal(forward_headers(&list, &from, &to, arena), -ENOMEM);
    assert_int_equal(forward_list_parse(STR("X-Team"), arena, &list, &bad), -ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_built_in_headers_go_on),
        cmocka_unit_test(everything_else_stays),
        cmocka_unit_test(trace_headers_go_on_only_when_tracing_is_off),
        cmocka_unit_test(extra_names_are_taken_in_any_case),
        cmocka_unit_test(an_empty_list_adds_nothing),
        cmocka_unit_test(a_name_said_twice_or_built_in_is_kept_once),
        cmocka_unit_test(names_that_must_never_go_on_are_refused),
        cmocka_unit_test(what_is_no_header_name_is_refused),
        cmocka_unit_test(the_list_has_a_limit),
        cmocka_unit_test(fields_go_on_byte_for_byte_in_order_with_repeats),
        cmocka_unit_test(no_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
