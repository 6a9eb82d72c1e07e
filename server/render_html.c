#include "server/render.h"

#include <inttypes.h>

#include "server/page.h"
#include "server/page_assets.h"

static void add_head(struct text *to, const struct rendering *rendering)
{
    text_add(to, STR("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                     "<title>"));
    text_add_html(to, rendering->reply->name);
    text_add(to, rendering->failure ? STR(": failed") : STR(": all went well"));
    /* The empty icon keeps browsers from asking for /favicon.ico. */
    text_add(to, STR("</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>"));
    text_add(to, page_style);
    text_add(to, STR("</style>\n</head>\n"));
}

/* A link only to where a browser may safely go: TRACE_URL could say "javascript:". */
static void add_trace(struct text *to, const struct rendering *rendering)
{
    struct str url = rendering->trace_url;
    bool is_link = str_starts_with(url, STR("http://")) || str_starts_with(url, STR("https://"));

    if (str_is_empty(rendering->reply->trace_id))
        return;
    text_add(to, STR("<span>Trace "));
    if (is_link)
        page_add_around(to, STR("<a href=\""), url, STR("\">"));
    page_add_around(to, STR("<code>"), rendering->reply->trace_id, STR("</code>"));
    text_add(to, is_link ? STR("</a></span>\n") : STR("</span>\n"));
}

static void add_calls(struct text *to, uint32_t calls)
{
    if (calls > 0)
        text_add_format(to, "<span>1 request became <strong>%" PRIu32 " call%s</strong></span>\n",
                        calls, calls > 1 ? "s" : "");
}

/* For the script: what counts about this answer. */
static void add_marks(struct text *to, const struct rendering *rendering)
{
    const struct failure *failure = rendering->failure;

    text_add_format(to, " data-calls=\"%" PRIu32 "\"", rendering->reply->calls);
    if (!failure)
        return;
    page_add_around(to, STR(" data-status=\""), status_name(failure->status), STR("\""));
    page_add_around(to, STR(" data-failed-at=\""), failure->hop, STR("\""));
}

static void add_header(struct text *to, const struct rendering *rendering)
{
    text_add(to, STR("<header data-part=\"headline\""));
    add_marks(to, rendering);
    text_add(to, rendering->failure ? STR(" class=\"failed\">\n<h1>") : STR(">\n<h1>"));
    text_add_html(to, rendering->reply->name);
    text_add(to, rendering->failure ? STR(" <em>failed</em> after ") : STR(" answered in "));
    page_add_duration(to, rendering->reply->duration_us);
    text_add(to, STR("</h1>\n<p class=\"facts\">\n"));
    add_calls(to, rendering->reply->calls);
    add_trace(to, rendering);
    text_add(to, STR("</p>\n"));
    if (rendering->failure) {
        text_add(to, STR("<p class=\"failure\">"));
        page_add_failure(to, rendering->failure);
        text_add(to, STR("</p>\n"));
    }
    page_add_around(to, STR("<p class=\"warning\">Warning: "), rendering->warning, STR("</p>\n"));
    text_add(to, STR("</header>\n"));
}

/* All of it is the script's to fill. */
static void add_shares(struct text *to)
{
    text_add(to,
             STR("<section class=\"card outcome\" aria-labelledby=\"shares-title\" "
                 "data-scripted hidden>\n"
                 "<h2 id=\"shares-title\">Who answered</h2>\n"
                 "<p id=\"summary\" role=\"status\">Send 20 or 100 requests to see which version "
                 "answers how many of them, and how many fail.</p>\n"
                 "<div id=\"shares\"></div>\n"
                 "<button id=\"stop\" type=\"button\" hidden>Stop</button>\n"
                 "</section>\n"));
}

void render_html(const struct rendering *rendering, struct text *to)
{
    add_head(to, rendering);
    text_add(to, STR("<body>\n"));
    add_header(to, rendering);
    text_add(to, STR("<main>\n<p id=\"notice\" class=\"warning\" hidden></p>\n"));
    page_add_picture(to, rendering);
    text_add(to, STR("<div class=\"pair\">\n"));
    page_add_form(to, &rendering->asked);
    add_shares(to);
    text_add(to, STR("</div>\n"));
    page_add_times(to, rendering);
    text_add(to, STR("</main>\n<footer>tracehop. The same for terminals and programs: "
                     "<code>Accept: text/plain</code>, <code>Accept: application/json</code>."
                     "</footer>\n<script type=\"module\">"));
    text_add(to, page_script);
    text_add(to, STR("</script>\n</body>\n</html>\n"));
}
