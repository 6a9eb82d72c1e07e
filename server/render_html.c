#include "server/render.h"

#include <inttypes.h>

/* There are no style attributes, so a Content-Security-Policy can allow this text by its hash. */
static const struct str style = STR_INIT(
    "*{box-sizing:border-box}\n"
    ":root{color-scheme:light dark;--ground:#f4f6f9;--card:#fff;--ink:#18202c;--quiet:#566175;\n"
    "--line:#d3d9e2;--track:#e6eaf0;--bad:#b3261e;--bad-ground:#fdecea;--note:#6f4b00;\n"
    "--note-ground:#fff3d1;--prod:#1a63d6;--canary:#a86200;--one:#7638be;--two:#00736f;\n"
    "--three:#ab1f74}\n"
    "@media(prefers-color-scheme:dark){:root{--ground:#0f141b;--card:#19202a;--ink:#e8ecf3;\n"
    "--quiet:#9fabbc;--line:#313c4b;--track:#2a3441;--bad:#ff8f85;--bad-ground:#3b1816;\n"
    "--note:#ffd67a;--note-ground:#352b10;--prod:#74adff;--canary:#f4b63f;--one:#c6a0f6;\n"
    "--two:#55ccc8;--three:#f78fc7}}\n"
    "body{margin:0 auto;max-width:64rem;padding:1.5rem 1rem 3rem;background:var(--ground);\n"
    "color:var(--ink);font:1rem/1.5 system-ui,sans-serif}\n"
    "h1{margin:0;font-size:1.75rem;line-height:1.2}\n"
    "h2{margin:0;font-size:1.0625rem;line-height:1.4}\n"
    "h1,h2,p,code{overflow-wrap:anywhere}\n"
    "p{margin:.25rem 0 0}\n"
    "a{color:var(--prod)}\n"
    "code,pre{font:.875rem/1.5 ui-monospace,monospace}\n"
    "pre{margin:.5rem 0 0;padding:.5rem .75rem;max-height:16rem;overflow:auto;\n"
    "background:var(--ground);border-radius:.25rem;white-space:pre-wrap;overflow-wrap:anywhere}\n"
    "footer,.facts{color:var(--quiet);font-size:.875rem}\n"
    "footer{margin-top:2rem}\n"
    "ol{list-style:none;margin:0;padding:0}\n"
    "li{margin-top:.75rem}\n"
    "li>ol{margin-left:.5rem;padding-left:clamp(.25rem,2vw,1.25rem);\n"
    "border-left:2px solid var(--line)}\n"
    ".box{padding:.75rem 1rem;background:var(--card);border:1px solid var(--line);\n"
    "border-left:.375rem solid var(--tone);border-radius:.375rem}\n"
    ".badge{display:inline-block;padding:0 .5rem;border:1px solid;border-radius:1rem;\n"
    "color:var(--quiet);font-size:.8125rem;font-weight:600}\n"
    ".version{color:var(--tone)}\n"
    ".bar{display:block;width:100%;height:.5rem;margin-top:.5rem;background:var(--track);\n"
    "border-radius:.25rem;fill:var(--tone)}\n"
    ".bar .call{opacity:.35}\n"
    ".bar+p{margin-top:.5rem}\n"
    ".prod{--tone:var(--prod)}.canary{--tone:var(--canary)}.one{--tone:var(--one)}\n"
    ".two{--tone:var(--two)}.three{--tone:var(--three)}.page{--tone:var(--quiet)}\n"
    ".failed{--tone:var(--bad)}\n"
    ".failed .outcome strong{color:var(--bad)}\n"
    ".failure,.warning{margin:1rem 0 0;padding:.75rem 1rem;border:1px solid;\n"
    "border-radius:.375rem}\n"
    ".failure{color:var(--bad);background:var(--bad-ground)}\n"
    ".warning{color:var(--note);background:var(--note-ground)}\n");

struct page {
    struct text *to;
    uint64_t     whole_us; /* what a full bar stands for */
};

static void add_boxes(const struct page *page, const struct reply *reply);

static void add(const struct page *page, struct str markup)
{
    text_add(page->to, markup);
}

static void add_value(const struct page *page, struct str value)
{
    text_add_html(page->to, value);
}

/* The value between two pieces of markup; nothing when it is empty. */
static void add_around(const struct page *page, struct str before, struct str value,
                       struct str after)
{
    if (str_is_empty(value))
        return;
    add(page, before);
    add_value(page, value);
    add(page, after);
}

/* "870 µs", "17.2 ms", "1.72 s" */
static void add_duration(const struct page *page, uint64_t duration_us)
{
    if (duration_us < 1000)
        text_add_format(page->to, "%" PRIu64 " \u00B5s", duration_us);
    else if (duration_us < UINT64_C(1000000))
        text_add_format(page->to, "%.1f ms", (double)duration_us / 1e3);
    else
        text_add_format(page->to, "%.2f s", (double)duration_us / 1e6);
}

static unsigned share_per_mille(const struct page *page, uint64_t duration_us)
{
    if (duration_us >= page->whole_us)
        return page->whole_us > 0 ? 1000 : 0;
    return (unsigned)((double)duration_us * 1000 / (double)page->whole_us);
}

/* What the caller waited, and over it what the hop itself says it took: the rest went on the way.
 */
static void add_bar(const struct page *page, uint64_t call_us, uint64_t own_us)
{
    text_add_format(page->to,
                    "<svg class=\"bar\" viewBox=\"0 0 1000 1\" preserveAspectRatio=\"none\" "
                    "aria-hidden=\"true\"><rect class=\"call\" width=\"%u\" height=\"1\"/>"
                    "<rect width=\"%u\" height=\"1\"/></svg>\n",
                    share_per_mille(page, call_us), share_per_mille(page, own_us));
}

/* The class that colours a version: the two of the lesson have their own colours. */
static struct str version_class(struct str version)
{
    static const struct str others[] = {STR_INIT("one"), STR_INIT("two"), STR_INIT("three")};

    if (str_equal(version, STR("prod")))
        return STR("prod");
    if (str_equal(version, STR("canary")))
        return STR("canary");
    return others[str_hash(version) % 3];
}

static void open_box(const struct page *page, struct str class)
{
    add(page, STR("<li>\n<article class=\"box "));
    add(page, class);
    add(page, STR("\">\n"));
}

/* What else is inside the item, the boxes below, comes before its end. */
static void close_box(const struct page *page)
{
    add(page, STR("</article>\n"));
}

static void close_item(const struct page *page)
{
    add(page, STR("</li>\n"));
}

static void add_work(const struct page *page, const struct work_report *work)
{
    text_add_format(page->to, "<p>Computed fibonacci(%" PRIu32 ") = %" PRIu64 ", %s; slept ",
                    work->fibonacci_index, work->fibonacci, work->is_odd ? "odd" : "even");
    add_duration(page, work->slept_us);
    add(page, STR("</p>\n"));
}

/* `call` is NULL for the hop that makes this page. */
static void add_hop_facts(const struct page *page, const struct reply *reply,
                          const struct upstream_result *call)
{
    add(page, STR("<p class=\"facts\"><strong>"));
    add_duration(page, reply->duration_us);
    add(page, STR("</strong>"));
    if (call) {
        add(page, STR(" of the "));
        add_duration(page, call->duration_us);
        add(page, STR(" that its caller waited"));
        add_around(page, STR(" for <code>"), call->uri, STR("</code>"));
    }
    add_around(page, STR(", on <code>"), reply->instance, STR("</code>"));
    add(page, STR("</p>\n"));
}

static void add_hop(const struct page *page, const struct reply *reply,
                    const struct upstream_result *call)
{
    open_box(page, version_class(reply->version));
    add(page, STR("<h2>"));
    add_value(page, reply->name);
    add_around(page, STR(" <span class=\"version badge\">"), reply->version, STR("</span>"));
    if (reply->attempt > 1)
        text_add_format(page->to, " <span class=\"badge\">attempt %" PRIu32 "</span>",
                        reply->attempt);
    add(page, STR("</h2>\n"));
    add_hop_facts(page, reply, call);
    add_bar(page, call ? call->duration_us : reply->duration_us, reply->duration_us);
    if (reply->work.is_done)
        add_work(page, &reply->work);
    close_box(page);
    add_boxes(page, reply);
    close_item(page);
}

/* The box of a call that no hop answered. */
static void open_call_box(const struct page *page, const struct upstream_result *call,
                          struct str class)
{
    open_box(page, class);
    add(page, STR("<h2><code>"));
    add_value(page, call->uri);
    add(page, STR("</code></h2>\n<p class=\"facts\"><strong>"));
    add_duration(page, call->duration_us);
    add(page, STR("</strong></p>\n"));
    add_bar(page, call->duration_us, call->duration_us);
    add(page, STR("<p class=\"outcome\">"));
}

static void add_http(const struct page *page, const struct upstream_result *call)
{
    const struct http_result *http = &call->http;

    open_call_box(page, call, http->code < 400 ? STR("page") : STR("failed"));
    text_add_format(page->to, "<strong>%d ", http->code);
    add_value(page, http->reason);
    add(page, STR("</strong></p>\n"));
    add_around(page, STR("<pre>"), http->body,
               http->is_body_cut ? STR("\u2026</pre>\n") : STR("</pre>\n"));
    close_box(page);
    close_item(page);
}

static void add_failure(const struct page *page, const struct failure *failure)
{
    add(page, STR("<strong>"));
    add_value(page, status_name(failure->status));
    add(page, STR("</strong>"));
    add_around(page, STR(" at <strong>"), failure->hop, STR("</strong>"));
    add_around(page, STR(": "), failure->message, STR(""));
}

static void add_failed_call(const struct page *page, const struct upstream_result *call)
{
    open_call_box(page, call, STR("failed"));
    add_failure(page, &call->failure);
    add(page, STR("</p>\n"));
    close_box(page);
    if (call->failure.partial) {
        add(page, STR("<ol>\n"));
        add_hop(page, call->failure.partial, NULL);
        add(page, STR("</ol>\n"));
    }
    close_item(page);
}

static void add_box(const struct page *page, const struct upstream_result *call)
{
    switch (call->outcome) {
    case UPSTREAM_HOP:
        add_hop(page, call->hop, call);
        break;
    case UPSTREAM_HTTP:
        add_http(page, call);
        break;
    case UPSTREAM_FAILURE:
        add_failed_call(page, call);
        break;
    }
}

static void add_boxes(const struct page *page, const struct reply *reply)
{
    if (reply->n_upstreams == 0)
        return;

    add(page, STR("<ol>\n"));
    for (size_t i = 0; i < reply->n_upstreams; i++)
        add_box(page, &reply->upstreams[i]);
    add(page, STR("</ol>\n"));
}

static void add_head(const struct page *page, const struct rendering *rendering)
{
    add(page, STR("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                  "<title>"));
    add_value(page, rendering->reply->name);
    add(page, rendering->failure ? STR(": failed") : STR(": all went well"));
    /* The empty icon keeps browsers from asking for /favicon.ico. */
    add(page, STR("</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>\n"));
    add(page, style);
    add(page, STR("</style>\n</head>\n"));
}

/* A link only to where a browser may safely go: TRACE_URL could say "javascript:". */
static void add_trace(const struct page *page, const struct rendering *rendering)
{
    struct str url = rendering->trace_url;
    bool is_link = str_starts_with(url, STR("http://")) || str_starts_with(url, STR("https://"));

    if (str_is_empty(rendering->reply->trace_id))
        return;
    add(page, STR(", trace "));
    if (is_link)
        add_around(page, STR("<a href=\""), url, STR("\">"));
    add_around(page, STR("<code>"), rendering->reply->trace_id, STR("</code>"));
    if (is_link)
        add(page, STR("</a>"));
}

static void add_header(const struct page *page, const struct rendering *rendering)
{
    add(page, STR("<header>\n<h1>"));
    add_value(page, rendering->reply->name);
    add(page, STR("</h1>\n<p>"));
    add(page, rendering->failure ? STR("Failed after ") : STR("Answered in "));
    add_duration(page, rendering->reply->duration_us);
    add_trace(page, rendering);
    add(page, STR("</p>\n</header>\n"));
}

static void add_banners(const struct page *page, const struct rendering *rendering)
{
    if (rendering->failure) {
        add(page, STR("<p class=\"failure\" role=\"alert\">"));
        add_failure(page, rendering->failure);
        add(page, STR("</p>\n"));
    }
    add_around(page, STR("<p class=\"warning\" role=\"status\">Warning: "), rendering->warning,
               STR("</p>\n"));
}

void render_html(const struct rendering *rendering, struct text *to)
{
    struct page page = {.to = to, .whole_us = rendering->reply->duration_us};

    add_head(&page, rendering);
    add(&page, STR("<body>\n"));
    add_header(&page, rendering);
    add(&page, STR("<main>\n"));
    add_banners(&page, rendering);
    add(&page, STR("<ol>\n"));
    add_hop(&page, rendering->reply, NULL);
    add(&page, STR("</ol>\n</main>\n<footer>The same as lines or as a tree for programs: "
                   "<code>Accept: text/plain</code>, <code>Accept: application/json</code>."
                   "</footer>\n</body>\n</html>\n"));
}
