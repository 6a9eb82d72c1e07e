#include "server/render.h"

#include <stdlib.h>

#include "tests/unit/expect.h"
#include "tests/unit/sample_reply.h"

DEFINE_CLEANUP(char *, free)

/* NUL-terminated; the caller frees it. */
static char *render(const struct rendering *rendering)
{
    struct text text = text_on_heap(64);

    render_html(rendering, &text);
    text_add_char(&text, '\0');
    assert_false(text.is_cut);
    return text.at;
}

static void expect_inside(const char *page, const char *wanted)
{
    if (!strstr(page, wanted))
        fail_msg("no \"%s\" in\n%s", wanted, page);
}

static void expect_nowhere(const char *page, const char *unwanted)
{
    if (strstr(page, unwanted))
        fail_msg("\"%s\" in\n%s", unwanted, page);
}

static bool has_no_end_tag(struct str name)
{
    static const struct str names[] = {STR_INIT("!DOCTYPE"), STR_INIT("meta"), STR_INIT("link"),
                                       STR_INIT("rect")};

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (str_equal(name, names[i]))
            return true;
    return false;
}

static struct str tag_name(const char *tag)
{
    return (struct str){tag, strcspn(tag, " >/")};
}

/* Every tag is closed, in the opposite order. */
static void expect_balanced(const char *page)
{
    enum { MAX_DEPTH = 256 };
    struct str open[MAX_DEPTH] = {{0}};
    size_t     depth = 0;

    for (const char *at = strchr(page, '<'); at; at = strchr(at + 1, '<')) {
        struct str name = tag_name(at[1] == '/' ? at + 2 : at + 1);
        if (at[1] == '/') {
            assert_true(depth > 0);
            expect_str(name, open[--depth]);
        } else if (!has_no_end_tag(name)) {
            assert_true(depth < MAX_DEPTH);
            open[depth++] = name;
        }
    }
    assert_int_equal(depth, 0);
}

static void a_page_is_a_whole_and_balanced_document(void **state)
{
    (void)state;
    const struct rendering renderings[] = {
        {.reply = &sample_chain},
        {.reply = &sample_fan,
         .failure = &sample_outcomes[0].failure,
         .trace_url = STR("http://jaeger/"),
         .warning = STR("ignored")},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(renderings); i++) {
        cleanup_with(free_at) char *page = render(&renderings[i]);
        assert_ptr_equal(strstr(page, "<!DOCTYPE html>\n<html lang=\"en\">"), page);
        assert_true(str_ends_with(str_from(page), STR("</html>\n")));
        expect_balanced(page);
    }
}

static void every_hop_and_page_of_the_chain_is_shown(void **state)
{
    (void)state;
    cleanup_with(free_at) char *page = render(&(struct rendering){.reply = &sample_chain});

    expect_inside(page, "<title>frontend-prod: all went well</title>");
    expect_inside(page, "<h1>frontend-prod</h1>\n<p>Answered in 172.0 ms");
    expect_inside(page, "<h2>middleware-canary <span class=\"version badge\">canary</span></h2>");
    expect_inside(page, "<strong>154.0 ms</strong> of the 155.0 ms that its caller waited for "
                        "<code>grpc://middleware:9090</code>");
    expect_inside(page, "<span class=\"badge\">attempt 2</span>");
    expect_inside(page, "on <code>backend-prod-6d4cf56db6-xk2lp</code>");
    expect_inside(page, "Computed fibonacci(10) = 55, odd; slept 12.3 ms");
    expect_inside(page, "<h2><code>http://clock:8080/time</code></h2>");
    expect_inside(page, "<strong>200 OK</strong>");
    expect_inside(page, "<pre>{&quot;time&quot;:&quot;12:43:09 AM&quot;}\n</pre>");
    expect_nowhere(page, "class=\"failure\"");
    expect_nowhere(page, "class=\"warning\"");
    expect_nowhere(page, "attempt 1");
}

static void versions_differ_in_colour(void **state)
{
    (void)state;
    cleanup_with(free_at) char *page = render(&(struct rendering){.reply = &sample_chain});

    expect_inside(page, "<article class=\"box prod\">\n<h2>frontend-prod");
    expect_inside(page, "<article class=\"box canary\">\n<h2>middleware-canary");
}

static void bars_are_shares_of_the_whole(void **state)
{
    (void)state;
    cleanup_with(free_at) char *page = render(&(struct rendering){.reply = &sample_chain});

    expect_inside(page, "<rect class=\"call\" width=\"1000\" height=\"1\"/>"
                        "<rect width=\"1000\" height=\"1\"/>");
    expect_inside(page, "<rect class=\"call\" width=\"901\" height=\"1\"/>"
                        "<rect width=\"895\" height=\"1\"/>");
}

static void bars_never_leave_their_box(void **state)
{
    (void)state;
    struct reply           longer = {.duration_us = UINT64_MAX};
    struct upstream_result call = {.outcome = UPSTREAM_HOP, .hop = &longer, .duration_us = 1};
    struct reply           reply = {.upstreams = &call, .n_upstreams = 1};

    cleanup_with(free_at) char *page = render(&(struct rendering){.reply = &reply});
    expect_inside(page, "<rect class=\"call\" width=\"0\" height=\"1\"/>");
    reply.duration_us = 10;
    cleanup_with(free_at) char *other = render(&(struct rendering){.reply = &reply});
    expect_inside(other, "<rect class=\"call\" width=\"100\" height=\"1\"/>"
                         "<rect width=\"1000\" height=\"1\"/>");
}

static void a_failure_is_announced_with_the_hop_that_failed(void **state)
{
    (void)state;
    cleanup_with(free_at) char *page = render(&(struct rendering){
        .reply = &sample_fan, .failure = &sample_outcomes[0].failure, .warning = STR("ignored")});

    expect_inside(page, "<title>middleware-prod: failed</title>");
    expect_inside(page, "Failed after 5.0 ms");
    expect_inside(page, "<p class=\"failure\" role=\"alert\"><strong>UNAVAILABLE</strong> at "
                        "<strong>clock-prod</strong>: rolled</p>");
    expect_inside(page, "<p class=\"warning\" role=\"status\">Warning: ignored</p>");
}

static void failed_calls_show_what_was_done_before(void **state)
{
    (void)state;
    cleanup_with(free_at) char *page = render(&(struct rendering){.reply = &sample_fan});

    expect_inside(page, "<article class=\"box failed\">\n<h2><code>grpc://backend:9090</code>");
    expect_inside(page, "<h2>backend-prod ");
    expect_inside(page, "<h2><code>grpc://clock:9090</code>");
    expect_inside(page, "<strong>900 \u00B5s</strong>");
    expect_inside(page, "<strong>DEADLINE_EXCEEDED</strong></p>");
    expect_inside(page, "<article class=\"box failed\">\n<h2><code>http://time.example/</code>");
    expect_inside(page, "<strong>404 Not Found</strong>");
    expect_inside(page, "<pre>no such page\u2026</pre>");
}

static void a_trace_is_linked_only_to_where_it_is_safe_to_go(void **state)
{
    (void)state;
    static const struct {
        struct str  url;
        const char *link; /* NULL: none */
    } cases[] = {
        {STR_INIT("http://jaeger/trace/1?a=1&b=2"),
         "<a href=\"http://jaeger/trace/1?a=1&amp;b=2\">"},
        {STR_INIT("https://jaeger/"), "<a href=\"https://jaeger/\">"},
        {STR_INIT("https://x/\" onclick=\"y"), "<a href=\"https://x/&quot; onclick=&quot;y\">"},
        {STR_INIT(""), NULL},
        {STR_INIT("javascript:alert(1)"), NULL},
        {STR_INIT("//jaeger/"), NULL},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        cleanup_with(free_at) char *page =
            render(&(struct rendering){.reply = &sample_chain, .trace_url = cases[i].url});
        expect_inside(page, "<code>463ac35c9f6413ad48485a3953bb6124</code>");
        if (cases[i].link)
            expect_inside(page, cases[i].link);
        else
            expect_nowhere(page, "<a ");
    }
}

static void nothing_external_and_nothing_that_runs_is_inside(void **state)
{
    (void)state;
    static const char *const    unwanted[] = {"<script", "<img",        "<iframe",
                                              "src=",    "url(",        "@import",
                                              " style=", "href=\"http", "javascript:"};
    cleanup_with(free_at) char *page = render(&(struct rendering){.reply = &sample_chain});

    for (size_t i = 0; i < ARRAY_LENGTH(unwanted); i++)
        expect_nowhere(page, unwanted[i]);
}

/* The tree of one of each, every text of it the given one. */
static char *render_with(struct str text)
{
    struct reply           below = {.name = text, .version = STR("prod"), .instance = text};
    struct upstream_result calls[] = {
        {.uri = text, .outcome = UPSTREAM_HOP, .hop = &below},
        {.uri = text, .outcome = UPSTREAM_HTTP, .http = {500, text, text, true}},
        {.uri = text, .outcome = UPSTREAM_FAILURE, .failure = {13, text, text, &below}},
    };
    struct reply   reply = {.name = text,
                            .version = text,
                            .instance = text,
                            .trace_id = text,
                            .upstreams = calls,
                            .n_upstreams = ARRAY_LENGTH(calls)};
    struct failure failure = {13, text, text, &reply};

    return render(&(struct rendering){
        .reply = &reply, .failure = &failure, .trace_url = STR("http://jaeger/"), .warning = text});
}

static size_t count_tags(const char *page)
{
    size_t n_tags = 0;
    for (; *page; page++)
        n_tags += *page == '<';
    return n_tags;
}

static void no_text_becomes_a_tag(void **state)
{
    (void)state;
    static const struct str hostile[] = {
        STR_INIT("<script>alert(1)</script>"),        STR_INIT("</pre></article><h1>"),
        STR_INIT("\"'><img src=x onerror=alert(1)>"), STR_INIT("<!--"),
        STR_INIT("\xC0\xBCscript\xC0\xBE"),
    };
    cleanup_with(free_at) char *harmless = render_with(STR("x"));

    for (size_t i = 0; i < ARRAY_LENGTH(hostile); i++) {
        cleanup_with(free_at) char *page = render_with(hostile[i]);
        expect_balanced(page);
        assert_int_equal(count_tags(page), count_tags(harmless));
        assert_true(str_is_utf8(str_from(page)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_a_whole_and_balanced_document),
        cmocka_unit_test(every_hop_and_page_of_the_chain_is_shown),
        cmocka_unit_test(versions_differ_in_colour),
        cmocka_unit_test(bars_are_shares_of_the_whole),
        cmocka_unit_test(bars_never_leave_their_box),
        cmocka_unit_test(a_failure_is_announced_with_the_hop_that_failed),
        cmocka_unit_test(failed_calls_show_what_was_done_before),
        cmocka_unit_test(a_trace_is_linked_only_to_where_it_is_safe_to_go),
        cmocka_unit_test(nothing_external_and_nothing_that_runs_is_inside),
        cmocka_unit_test(no_text_becomes_a_tag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
