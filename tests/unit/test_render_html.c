#include "server/render.h"

#include <stdlib.h>

#include "tests/unit/expect.h"
#include "tests/unit/sample_reply.h"

DEFINE_CLEANUP(char *, free)

/* NUL-terminated; the caller frees it. */
static char *render_whole(const struct rendering *rendering)
{
    struct text text = text_on_heap(64);

    render_html(rendering, &text);
    text_add_char(&text, '\0');
    assert_false(text.is_cut);
    return text.at;
}

static void cut_out(char *page, const char *from, const char *to)
{
    char *begin = strstr(page, from);
    assert_non_null(begin);
    begin += strlen(from);
    char *end = strstr(begin, to);
    assert_non_null(end);
    memmove(begin, end, strlen(end) + 1);
}

/* The same without the style and the script, whose words are no markup. */
static char *render(const struct rendering *rendering)
{
    char *page = render_whole(rendering);

    cut_out(page, "<style>", "</style>");
    cut_out(page, "<script type=\"module\">", "</script>");
    return page;
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
                                       STR_INIT("rect"), STR_INIT("input")};

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
    expect_inside(page, "<h1>frontend-prod answered in 172.0 ms</h1>");
    expect_inside(page, "<h3>middleware<span class=\"joint\">-</span>"
                        "<span class=\"version\">canary</span></h3>\n"
                        "<p class=\"time\">154.0 ms</p>");
    expect_inside(page, "<h3>clock:8080/time</h3>\n<p class=\"time\">15.0 ms</p>\n"
                        "<small class=\"verdict\">200 OK</small>");
    expect_inside(page, "<pre>{&quot;time&quot;:&quot;12:43:09 AM&quot;}\n</pre>");
    expect_nowhere(page, "class=\"failure\"");
    expect_nowhere(page, "class=\"warning\">");
}

static void arrows_say_how_a_call_is_made(void **state)
{
    (void)state;
    struct upstream_result calls[] = {
        {.uri = STR("grpc://a:1")}, {.uri = STR("http://b/")}, {.uri = STR("https://c/")}};
    struct reply reply = {.upstreams = calls, .n_upstreams = ARRAY_LENGTH(calls)};

    for (size_t i = 0; i < ARRAY_LENGTH(calls); i++)
        calls[i].outcome = UPSTREAM_HTTP;
    cleanup_with(free_at) char *page = render(&(struct rendering){.reply = &reply});
    expect_inside(page, "called by </span>gRPC</p>");
    expect_inside(page, "called by </span>HTTP</p>");
    expect_inside(page, "called by </span>HTTPS</p>");
}

static void versions_differ_in_colour_and_are_marked_for_the_script(void **state)
{
    (void)state;
    cleanup_with(free_at) char *page = render(&(struct rendering){.reply = &sample_chain});

    expect_inside(page, "<article class=\"node prod\" data-tone=\"prod\" data-version=\"prod\">\n"
                        "<h3>frontend");
    expect_inside(page, "<article class=\"node canary\" data-tone=\"canary\" "
                        "data-version=\"canary\">\n<h3>middleware");
}

static void a_name_that_was_set_is_shown_as_it_is(void **state)
{
    (void)state;
    struct reply reply = {.role = STR("a"), .version = STR("v2"), .name = STR("shop")};

    cleanup_with(free_at) char *page = render(&(struct rendering){.reply = &reply});
    expect_inside(page, "<h3>shop <span class=\"version\">v2</span></h3>");
}

static void a_name_is_escaped_also_when_it_ends_with_the_version(void **state)
{
    (void)state;
    struct reply reply = {.version = STR("v2"), .name = STR("<i>-v2")};

    cleanup_with(free_at) char *page = render(&(struct rendering){.reply = &reply});
    expect_inside(page, "<h3>&lt;i&gt;<span class=\"joint\">-</span>");
}

static void only_repeated_attempts_are_told(void **state)
{
    (void)state;
    cleanup_with(free_at) char *page = render(&(struct rendering){.reply = &sample_chain});

    expect_inside(page, "<p class=\"time\">142.5 ms <span class=\"attempt\">attempt 2</span></p>");
    expect_nowhere(page, "attempt 1");
}

static void what_one_request_cost_is_told_when_it_is_known(void **state)
{
    (void)state;
    static const struct {
        uint32_t    calls;
        const char *words;
    } cases[] = {
        {1, "1 request became <strong>1 call</strong>"},
        {7, "1 request became <strong>7 calls</strong>"},
    };
    struct reply reply = sample_chain;

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        reply.calls = cases[i].calls;
        cleanup_with(free_at) char *page = render(&(struct rendering){.reply = &reply});
        expect_inside(page, cases[i].words);
    }
    reply.calls = 0;
    cleanup_with(free_at) char *page = render(&(struct rendering){.reply = &reply});
    expect_nowhere(page, "1 request became");
}

static void times_say_where_a_hop_ran_what_it_did_and_how_it_was_reached(void **state)
{
    (void)state;
    cleanup_with(free_at) char *page = render(&(struct rendering){.reply = &sample_chain});

    expect_inside(page, "backend-prod<small>501 \u00B5s in earlier tries and on the way to "
                        "<code>grpc://backend:9090</code>, on "
                        "<code>backend-prod-6d4cf56db6-xk2lp</code></small>"
                        "<small>fibonacci(10) = 55 is odd; slept 12.3 ms</small></th>");
}

static void earlier_tries_are_told_of_hops_that_were_tried_again(void **state)
{
    (void)state;
    cleanup_with(free_at) char *page = render(&(struct rendering){.reply = &sample_chain});

    expect_inside(page, "tries and on the way to <code>grpc://backend:9090</code>");
    expect_nowhere(page, "tries and on the way to <code>grpc://middleware:9090</code>");
}

static void work_and_waiting_add_up_to_the_total(void **state)
{
    (void)state;
    cleanup_with(free_at) char *page = render(&(struct rendering){.reply = &sample_chain});

    expect_inside(page, "<td class=\"own\">17.0 ms</td>\n<td class=\"waiting\">155.0 ms</td>\n"
                        "<td class=\"total\">172.0 ms</td>");
    expect_inside(page, "<td class=\"own\">127.5 ms</td>\n<td class=\"waiting\">15.0 ms</td>\n"
                        "<td class=\"total\">142.5 ms</td>");
    expect_inside(page, "<td class=\"own\"></td>\n<td class=\"waiting\"></td>\n"
                        "<td class=\"total\">15.0 ms</td>");
}

static void of_several_calls_only_the_longest_surely_was_waiting(void **state)
{
    (void)state;
    cleanup_with(free_at) char *page = render(&(struct rendering){.reply = &sample_fan});

    expect_inside(page, "<td class=\"own\">\u2264 1.0 ms</td>\n"
                        "<td class=\"waiting\">\u2265 4.0 ms</td>\n"
                        "<td class=\"total\">5.0 ms</td>");
}

static void bars_end_with_that_of_the_caller(void **state)
{
    (void)state;
    cleanup_with(free_at) char *page = render(&(struct rendering){.reply = &sample_chain});

    expect_inside(page, "<rect class=\"waiting\" x=\"98\" width=\"902\"/>"
                        "<rect class=\"own\" x=\"0\" width=\"98\"/>");
    expect_inside(page, "<rect class=\"way\" x=\"98\" width=\"6\"/>"
                        "<rect class=\"waiting\" x=\"168\" width=\"832\"/>"
                        "<rect class=\"own\" x=\"104\" width=\"64\"/>");
}

static void bars_never_leave_that_of_the_caller(void **state)
{
    (void)state;
    struct reply           longer = {.duration_us = UINT64_MAX};
    struct upstream_result call = {
        .outcome = UPSTREAM_HOP, .hop = &longer, .duration_us = UINT64_MAX - 1};
    struct reply reply = {.duration_us = 10, .upstreams = &call, .n_upstreams = 1};

    cleanup_with(free_at) char *page = render(&(struct rendering){.reply = &reply});
    expect_inside(page, "<rect class=\"waiting\" x=\"0\" width=\"1000\"/></svg>");
    expect_inside(page, "<rect class=\"own\" x=\"0\" width=\"1000\"/></svg>");
    reply.duration_us = 0;
    cleanup_with(free_at) char *empty = render(&(struct rendering){.reply = &reply});
    expect_nowhere(empty, "<rect ");
}

static void a_failure_is_announced_with_the_hop_that_failed(void **state)
{
    (void)state;
    cleanup_with(free_at) char *page = render(&(struct rendering){
        .reply = &sample_fan, .failure = &sample_outcomes[0].failure, .warning = STR("ignored")});

    expect_inside(page, "<title>middleware-prod: failed</title>");
    expect_inside(page, "<header data-part=\"headline\" data-calls=\"0\" "
                        "data-status=\"UNAVAILABLE\" data-failed-at=\"clock-prod\"");
    expect_inside(page, "<h1>middleware-prod <em>failed</em> after 5.0 ms</h1>");
    expect_inside(page, "<p class=\"failure\"><strong>UNAVAILABLE</strong> at "
                        "<strong>clock-prod</strong>: rolled</p>");
    expect_inside(page, "<p class=\"warning\">Warning: ignored</p>");
}

static void each_failed_call_says_whose_failure_it_was(void **state)
{
    (void)state;
    cleanup_with(free_at) char *page = render(&(struct rendering){.reply = &sample_fan});

    expect_inside(page, "<article class=\"node prod failed\" data-tone=\"prod\" "
                        "data-version=\"prod\">\n<h3>backend");
    expect_inside(page, "<p class=\"time\">1.0 ms</p>\n"
                        "<small class=\"verdict\">failed in turn</small>");
    expect_inside(page, "<h3>clock:9090</h3>\n<p class=\"time\">900 \u00B5s</p>\n"
                        "<small class=\"verdict here\">failed: <strong>UNAVAILABLE</strong> at "
                        "<strong>clock-prod</strong>: rolled</small>");
    expect_inside(page, "failed: <strong>DEADLINE_EXCEEDED</strong></small>");
    expect_inside(page, "<article class=\"node stranger failed\">\n<h3>time.example/</h3>");
    expect_inside(page, "<small class=\"verdict\">404 Not Found</small>");
    expect_inside(page, "<pre>no such page\u2026</pre>");
}

/* One hop that failed, of which no call is known. */
static char *render_failed(struct str at)
{
    struct failure failure = {.status = STATUS_INTERNAL, .hop = at};
    struct reply   reply = {
          .name = STR("backend-prod"), .version = STR("prod"), .duration_us = 12000};

    return render(&(struct rendering){.reply = &reply, .failure = &failure});
}

static void a_hop_that_called_nobody_failed_by_itself(void **state)
{
    (void)state;
    cleanup_with(free_at) char *named = render_failed(STR("backend-prod"));
    cleanup_with(free_at) char *nameless = render_failed(STR(""));

    expect_inside(named, "failed here: <strong>INTERNAL</strong>");
    expect_inside(named, "<td class=\"own\">12.0 ms</td>");
    expect_inside(nameless, "failed here: <strong>INTERNAL</strong>");
}

static void where_a_tree_was_cut_the_failure_is_further_on(void **state)
{
    (void)state;
    cleanup_with(free_at) char *page = render_failed(STR("clock-prod"));

    expect_inside(page, "failed further on, at clock-prod</small>");
    expect_nowhere(page, "failed here");
    expect_inside(page, "<td class=\"own\"></td>");
    expect_inside(page, "<rect class=\"waiting\" x=\"0\" width=\"1000\"/></svg>");
}

static void the_form_holds_what_was_asked(void **state)
{
    (void)state;
    cleanup_with(free_at) char *page = render(&(struct rendering){
        .reply = &sample_chain,
        .asked = {.fail = STR("backend=1;0.1"), .delay = STR("\">"), .user = STR("super-secret")}});

    expect_inside(page, "<form class=\"card\" method=\"get\" action=\"?\"");
    expect_inside(page, "<input id=\"fail\" name=\"fail\" value=\"backend=1;0.1\"");
    expect_inside(page, "<input id=\"delay\" name=\"delay\" value=\"&quot;&gt;\"");
    expect_inside(page, "<input id=\"x-dev-user\" name=\"x-dev-user\" value=\"super-secret\"");
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
            expect_inside(page, "<span>Trace <code>");
    }
}

static void nothing_external_and_no_other_style_or_script_is_inside(void **state)
{
    (void)state;
    static const char *const    unwanted[] = {"<img",        "<iframe",    "<script src", "src=",
                                              " style=",     " onclick",   " onload",     " onsubmit",
                                              "href=\"http", "javascript:"};
    cleanup_with(free_at) char *page = render(&(struct rendering){.reply = &sample_chain});

    expect_inside(page, "<style></style>");
    expect_inside(page, "<script type=\"module\"></script>");
    for (size_t i = 0; i < ARRAY_LENGTH(unwanted); i++)
        expect_nowhere(page, unwanted[i]);
}

static void the_standard_page_is_small(void **state)
{
    (void)state;
    cleanup_with(free_at) char *page = render_whole(&(struct rendering){.reply = &sample_chain});

    assert_true(strlen(page) < (size_t)40 * 1024);
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

    return render(&(struct rendering){.reply = &reply,
                                      .failure = &failure,
                                      .trace_url = STR("http://jaeger/"),
                                      .warning = text,
                                      .asked = {text, text, text}});
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
        cmocka_unit_test(arrows_say_how_a_call_is_made),
        cmocka_unit_test(versions_differ_in_colour_and_are_marked_for_the_script),
        cmocka_unit_test(a_name_that_was_set_is_shown_as_it_is),
        cmocka_unit_test(a_name_is_escaped_also_when_it_ends_with_the_version),
        cmocka_unit_test(only_repeated_attempts_are_told),
        cmocka_unit_test(what_one_request_cost_is_told_when_it_is_known),
        cmocka_unit_test(times_say_where_a_hop_ran_what_it_did_and_how_it_was_reached),
        cmocka_unit_test(earlier_tries_are_told_of_hops_that_were_tried_again),
        cmocka_unit_test(work_and_waiting_add_up_to_the_total),
        cmocka_unit_test(of_several_calls_only_the_longest_surely_was_waiting),
        cmocka_unit_test(bars_end_with_that_of_the_caller),
        cmocka_unit_test(bars_never_leave_that_of_the_caller),
        cmocka_unit_test(a_failure_is_announced_with_the_hop_that_failed),
        cmocka_unit_test(each_failed_call_says_whose_failure_it_was),
        cmocka_unit_test(a_hop_that_called_nobody_failed_by_itself),
        cmocka_unit_test(where_a_tree_was_cut_the_failure_is_further_on),
        cmocka_unit_test(the_form_holds_what_was_asked),
        cmocka_unit_test(a_trace_is_linked_only_to_where_it_is_safe_to_go),
        cmocka_unit_test(nothing_external_and_no_other_style_or_script_is_inside),
        cmocka_unit_test(the_standard_page_is_small),
        cmocka_unit_test(no_text_becomes_a_tag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
