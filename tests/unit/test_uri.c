#include "common/base/uri.h"

#include <errno.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "tests/unit/expect.h"

static void uris_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char     *text;
        struct str      host;
        struct str      path;
        enum uri_scheme scheme;
        uint16_t        port;
    } cases[] = {
        {"grpc://middleware:9090", STR_INIT("middleware"), STR_INIT("/"), URI_GRPC, 9090},
        {"grpc://middleware:9090/", STR_INIT("middleware"), STR_INIT("/"), URI_GRPC, 9090},
        {"grpcs://a.b.svc.cluster.local:1", STR_INIT("a.b.svc.cluster.local"), STR_INIT("/"),
         URI_GRPCS, 1},
        {"grpc://10.0.0.1:65535", STR_INIT("10.0.0.1"), STR_INIT("/"), URI_GRPC, 65535},
        {"http://clock", STR_INIT("clock"), STR_INIT("/"), URI_HTTP, 80},
        {"https://clock", STR_INIT("clock"), STR_INIT("/"), URI_HTTPS, 443},
        {"HTTP://Clock:8080/time", STR_INIT("Clock"), STR_INIT("/time"), URI_HTTP, 8080},
        {"http://clock/a/b?c=d&e=%20f", STR_INIT("clock"), STR_INIT("/a/b?c=d&e=%20f"), URI_HTTP,
         80},
        {"http://a_container:80/~x/:@!$'()*+,;=", STR_INIT("a_container"),
         STR_INIT("/~x/:@!$'()*+,;="), URI_HTTP, 80},
        {"http://time.example./", STR_INIT("time.example."), STR_INIT("/"), URI_HTTP, 80},
        {"http://3com.example", STR_INIT("3com.example"), STR_INIT("/"), URI_HTTP, 80},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct uri  uri;
        const char *reason = "";
        if (uri_parse(str_from(cases[i].text), &uri, &reason) != 0)
            fail_msg("\"%s\": %s", cases[i].text, reason);
        assert_int_equal(uri.scheme, cases[i].scheme);
        assert_int_equal(uri.port, cases[i].port);
        assert_false(uri.is_ipv6);
        expect_str(uri.text, str_from(cases[i].text));
        expect_str(uri.host, cases[i].host);
        expect_str(uri.path, cases[i].path);
    }
}

static void an_ipv6_address_comes_without_its_brackets(void **state)
{
    (void)state;
    struct uri uri;

    assert_int_equal(uri_parse(STR("grpc://[::1]:9090"), &uri, NULL), 0);
    expect_str(uri.host, STR("::1"));
    assert_true(uri.is_ipv6);
    assert_int_equal(uri.port, 9090);

    assert_int_equal(uri_parse(STR("http://[2001:db8::7]/x"), &uri, NULL), 0);
    expect_str(uri.host, STR("2001:db8::7"));
    assert_int_equal(uri.port, 80);
    expect_str(uri.path, STR("/x"));
}

static void bad_uris_are_refused_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        struct str  text;
        const char *reason;
    } cases[] = {
        {STR_INIT(""), "scheme"},
        {{NULL, 0}, "scheme"},
        {STR_INIT("middleware:9090"), "scheme"},
        {STR_INIT("middleware"), "scheme"},
        {STR_INIT("//middleware:9090"), "scheme"},
        {STR_INIT("grpc:middleware:9090"), "scheme"},
        {STR_INIT("grpc:/middleware:9090"), "scheme"},
        {STR_INIT("://middleware"), "scheme"},
        {STR_INIT("ftp://middleware"), "scheme"},
        {STR_INIT(" http://middleware"), "scheme"},
        {STR_INIT("httpss://middleware"), "scheme"},
        {STR_INIT("http://"), "host is missing"},
        {STR_INIT("http:///time"), "host is missing"},
        {STR_INIT("http://:80"), "host is missing"},
        {STR_INIT("grpc://middleware"), "port is missing"},
        {STR_INIT("grpcs://[::1]"), "port is missing"},
        {STR_INIT("http://a:"), "port"},
        {STR_INIT("http://a:0"), "port"},
        {STR_INIT("http://a:65536"), "port"},
        {STR_INIT("http://a:-1"), "port"},
        {STR_INIT("http://a:80x"), "port"},
        {STR_INIT("http://a:80:81"), "port"},
        {STR_INIT("http://a:99999999999999999999999"), "port"},
        {STR_INIT("http://user@a"), "user"},
        {STR_INIT("http://user:secret@a:80/"), "user"},
        {STR_INIT("http://a b"), "not a name"},
        {STR_INIT("http://a..b"), "not a name"},
        {STR_INIT("http://.a"), "not a name"},
        {STR_INIT("http://."), "not a name"},
        {STR_INIT("http://-a"), "not a name"},
        {STR_INIT("http://a-"), "not a name"},
        {STR_INIT("http://a%62"), "not a name"},
        {STR_INIT("http://\xC3\xA4"), "not a name"},
        {STR_INIT("http://a\0b"), "not a name"},
        {STR_INIT("http://a|b"), "not a name"},
        {STR_INIT("http://256.0.0.1"), "IPv4"},
        {STR_INIT("http://1.2.3"), "IPv4"},
        {STR_INIT("http://1.2.3.4.5"), "IPv4"},
        {STR_INIT("http://80"), "IPv4"},
        {STR_INIT("http://1111111111.2222222222.3333333333.4444444444.5555"), "IPv4"},
        {STR_INIT("http://1.2.3.4."), "IPv4"},
        {STR_INIT("http://[::1"), "IPv6"},
        {STR_INIT("http://[]"), "IPv6"},
        {STR_INIT("http://[1.2.3.4]"), "IPv6"},
        {STR_INIT("http://[::g]"), "IPv6"},
        {STR_INIT("http://[fe80::1%25eth0]"), "IPv6"},
        {STR_INIT("http://[::1\0]"), "IPv6"},
        {STR_INIT("http://[::1]80"), "brackets"},
        {STR_INIT("http://[::1]:"), "port"},
        {STR_INIT("http://::1/"), "host is missing"},
        {STR_INIT("grpc://a:1/path"), "path"},
        {STR_INIT("grpc://a:1?x"), "path"},
        {STR_INIT("http://a?x=y"), "query"},
        {STR_INIT("http://a/b#c"), "fragment"},
        {STR_INIT("http://a#c"), "fragment"},
        {STR_INIT("http://a/b c"), "percent-encoded"},
        {STR_INIT("http://a/\r\nx: y"), "percent-encoded"},
        {STR_INIT("http://a/\xC3\xA4"), "percent-encoded"},
        {STR_INIT("http://a/\0"), "percent-encoded"},
        {STR_INIT("http://a/%"), "percent-encoded"},
        {STR_INIT("http://a/%2"), "percent-encoded"},
        {STR_INIT("http://a/%2g"), "percent-encoded"},
        {STR_INIT("http://a/{trace_id}"), "percent-encoded"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct uri  uri = {.port = 4711};
        const char *reason = "(none)";
        int         r = uri_parse(cases[i].text, &uri, &reason);
        if (r != -EINVAL || !strstr(reason, cases[i].reason))
            fail_msg("\"%.*s\" gave %d, reason \"%s\", not about \"%s\"", STR_ARGS(cases[i].text),
                     r, reason, cases[i].reason);
        assert_int_equal(uri.port, 4711);
    }
}

static void names_have_the_length_that_dns_allows(void **state)
{
    (void)state;
    char label[64], name[255];

    memset(label, 'a', sizeof(label));
    assert_true(uri_is_host((struct str){label, 63}));
    assert_false(uri_is_host((struct str){label, 64}));

    for (size_t i = 0; i < sizeof(name); i++)
        name[i] = i % 2 ? '.' : 'a';
    assert_true(uri_is_host((struct str){name, 253}));
    assert_false(uri_is_host((struct str){name, 255}));
}

static void nothing_beyond_the_end_is_read(void **state)
{
    (void)state;
    static const char text[] = "http://a:80/%2f";
    struct uri        uri;

    assert_int_equal(uri_parse((struct str){text, strlen("http://a:80/%2")}, &uri, NULL), -EINVAL);
    assert_int_equal(uri_parse((struct str){text, strlen("http://a:8")}, &uri, NULL), 0);
    assert_int_equal(uri.port, 8);
}

static void the_reason_may_be_left_out(void **state)
{
    (void)state;
    struct uri uri;
    size_t     count;

    assert_int_equal(uri_parse(STR("nonsense"), &uri, NULL), -EINVAL);
    assert_int_equal(uri_parse_addresses(STR("nonsense"), &uri, 1, &count, NULL), -EINVAL);
}

static void later_addresses_of_a_peer_take_the_first_ones_scheme(void **state)
{
    (void)state;
    struct uri uris[3];
    size_t     count = 0;

    assert_int_equal(
        uri_parse_addresses(STR("grpcs://a:1|b:2|grpcs://[::1]:3"), uris, 3, &count, NULL), 0);
    assert_int_equal(count, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(uris[i].scheme, URI_GRPCS);
        assert_int_equal(uris[i].port, i + 1);
    }
    expect_str(uris[1].host, STR("b"));
    expect_str(uris[1].text, STR("b:2"));
    assert_true(uris[2].is_ipv6);
}

static void one_address_is_a_list_too(void **state)
{
    (void)state;
    struct uri uris[1];
    size_t     count = 0;

    assert_int_equal(uri_parse_addresses(STR("http://a/x"), uris, 1, &count, NULL), 0);
    assert_int_equal(count, 1);
    expect_str(uris[0].path, STR("/x"));
}

static void bad_lists_of_addresses_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *reason;
    } cases[] = {
        {"", "scheme"},
        {"a:1|b:2", "scheme"},
        {"grpc://a:1|http://b:2", "one scheme"},
        {"grpc://a:1|", "host is missing"},
        {"grpc://a:1||b:2", "host is missing"},
        {"|grpc://a:1", "scheme"},
        {"grpc://a:1|b", "port is missing"},
        {"grpc://a:1|b:2|c:3|d:4", "too many"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct uri  uris[3];
        size_t      count = 4711;
        const char *reason = "(none)";
        int         r =
            uri_parse_addresses(str_from(cases[i].text), uris, ARRAY_LENGTH(uris), &count, &reason);
        if (r != -EINVAL || !strstr(reason, cases[i].reason))
            fail_msg("\"%s\" gave %d, reason \"%s\"", cases[i].text, r, reason);
        assert_int_equal(count, 4711);
    }
}

static void a_host_and_a_port_make_an_address(void **state)
{
    (void)state;
    struct uri uri;

    assert_int_equal(uri_parse_host_port(STR("proxy:15001"), &uri, NULL), 0);
    expect_str(uri.host, STR("proxy"));
    expect_str(uri.text, STR("proxy:15001"));
    assert_int_equal(uri.port, 15001);
    assert_int_equal(uri_parse_host_port(STR("[::1]:15001"), &uri, NULL), 0);
    expect_str(uri.host, STR("::1"));
    assert_true(uri.is_ipv6);
}

static void an_address_is_nothing_but_a_host_and_a_port(void **state)
{
    (void)state;
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"", "host is missing"},    {"proxy", "port is missing"}, {"15001", "IPv4"},
        {":15001", "host"},         {"proxy:0", "port"},          {"proxy:1/", "port"},
        {"grpc://proxy:1", "port"}, {"me@proxy:1", "user"},       {"::1:15001", "host"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct uri  uri = {.port = 4711};
        const char *reason = "(none)";
        int         r = uri_parse_host_port(str_from(cases[i].text), &uri, &reason);
        if (r != -EINVAL || !strstr(reason, cases[i].reason))
            fail_msg("\"%s\" gave %d, reason \"%s\"", cases[i].text, r, reason);
        assert_int_equal(uri.port, 4711);
    }
}

static void an_authority_is_the_host_and_always_the_port(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *authority;
    } cases[] = {
        {"grpc://middleware:9090", "middleware:9090"},
        {"http://clock/time", "clock:80"},
        {"https://[::1]", "[::1]:443"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char        buffer[64];
        struct text text = text_in_buffer(buffer, sizeof(buffer));
        struct uri  uri;
        assert_int_equal(uri_parse(str_from(cases[i].uri), &uri, NULL), 0);
        uri_add_authority(&text, &uri);
        expect_str(text_view(&text), str_from(cases[i].authority));
    }
}

static void grpc_and_grpcs_are_grpc(void **state)
{
    (void)state;
    assert_true(uri_is_grpc(&(struct uri){.scheme = URI_GRPC}));
    assert_true(uri_is_grpc(&(struct uri){.scheme = URI_GRPCS}));
    assert_false(uri_is_grpc(&(struct uri){.scheme = URI_HTTP}));
    assert_false(uri_is_grpc(&(struct uri){.scheme = URI_HTTPS}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uris_are_taken_apart),
        cmocka_unit_test(an_ipv6_address_comes_without_its_brackets),
        cmocka_unit_test(bad_uris_are_refused_with_a_reason),
        cmocka_unit_test(names_have_the_length_that_dns_allows),
        cmocka_unit_test(nothing_beyond_the_end_is_read),
        cmocka_unit_test(the_reason_may_be_left_out),
        cmocka_unit_test(later_addresses_of_a_peer_take_the_first_ones_scheme),
        cmocka_unit_test(one_address_is_a_list_too),
        cmocka_unit_test(bad_lists_of_addresses_are_refused),
        cmocka_unit_test(a_host_and_a_port_make_an_address),
        cmocka_unit_test(an_address_is_nothing_but_a_host_and_a_port),
        cmocka_unit_test(an_authority_is_the_host_and_always_the_port),
        cmocka_unit_test(grpc_and_grpcs_are_grpc),
    };
    return cmocka_run_group_tests_name("uri", tests, NULL, NULL);
}
