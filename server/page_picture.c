#include "server/page.h"

#include <inttypes.h>

enum { MAX_COLUMNS = 6 }; /* of the style; a longer chain scrolls */

static void add_calls(struct text *to, const struct reply *reply);

static unsigned depth_of(const struct reply *reply)
{
    unsigned deepest = 0;

    for (size_t i = 0; i < reply->n_upstreams; i++) {
        const struct reply *hop = page_hop(&reply->upstreams[i]);
        unsigned            depth = hop ? depth_of(hop) : 1;
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + 1;
}

/* How a call is made, by the scheme of its URI. */
static struct str protocol_of(struct str uri)
{
    if (str_starts_with(uri, STR("grpc")))
        return STR("gRPC");
    return str_starts_with(uri, STR("https")) ? STR("HTTPS") : STR("HTTP");
}

/* Without the scheme: that is what the arrow says. */
static struct str address_of(struct str uri)
{
    struct str scheme, rest;

    if (!str_split(uri, ':', &scheme, &rest) || !str_starts_with(rest, STR("//")))
        return uri;
    return (struct str){rest.at + 2, rest.len - 2};
}

static void add_arrow(struct text *to, const struct upstream_result *call)
{
    text_add(to,
             page_is_bad(call) ? STR("<p class=\"arrow failed\">") : STR("<p class=\"arrow\">"));
    text_add(to, STR("<span class=\"unseen\">called by </span>"));
    text_add(to, protocol_of(call->uri));
    text_add(to, STR("</p>\n"));
}

static void open_node(struct text *to, struct str tone, bool is_failed)
{
    text_add(to, STR("<article class=\"node "));
    text_add(to, tone);
    text_add(to, is_failed ? STR(" failed\"") : STR("\""));
}

static void add_time(struct text *to, uint64_t duration_us, uint32_t attempt)
{
    text_add(to, STR("<p class=\"time\">"));
    page_add_duration(to, duration_us);
    if (attempt > 1)
        text_add_format(to, " <span class=\"attempt\">attempt %" PRIu32 "</span>", attempt);
    text_add(to, STR("</p>\n"));
}

/* `failure` is NULL when all went well. */
static void add_hop(struct text *to, const struct reply *reply, const struct failure *failure)
{
    struct str tone = page_tone(reply->version);

    open_node(to, tone, failure);
    page_add_around(to, STR(" data-tone=\""), tone, STR("\""));
    page_add_around(to, STR(" data-version=\""), reply->version, STR("\""));
    text_add(to, STR(">\n<h3>"));
    page_add_name(to, reply);
    text_add(to, STR("</h3>\n"));
    add_time(to, reply->duration_us, reply->attempt);
    if (failure)
        page_add_verdict(to, reply, failure);
    text_add(to, STR("</article>\n"));
    add_calls(to, reply);
}

static void open_stranger(struct text *to, const struct upstream_result *call)
{
    open_node(to, STR("stranger"), page_is_bad(call));
    text_add(to, STR(">\n<h3>"));
    text_add_html(to, address_of(call->uri));
    text_add(to, STR("</h3>\n"));
    add_time(to, call->duration_us, 0);
}

static void add_http(struct text *to, const struct upstream_result *call)
{
    const struct http_result *http = &call->http;

    open_stranger(to, call);
    text_add_format(to, "<small class=\"verdict\">%d ", http->code);
    text_add_html(to, http->reason);
    text_add(to, STR("</small>\n"));
    page_add_around(to, STR("<details><summary>its answer</summary><pre>"), http->body,
                    http->is_body_cut ? STR("\u2026</pre></details>\n")
                                      : STR("</pre></details>\n"));
    text_add(to, STR("</article>\n"));
}

/* A call that failed, and nothing is known of the hop: it may not even be there. */
static void add_nobody(struct text *to, const struct upstream_result *call)
{
    open_stranger(to, call);
    text_add(to, STR("<small class=\"verdict here\">failed: "));
    page_add_failure(to, &call->failure);
    text_add(to, STR("</small>\n</article>\n"));
}

static void add_call(struct text *to, const struct upstream_result *call)
{
    const struct reply *hop = page_hop(call);

    add_arrow(to, call);
    if (hop)
        add_hop(to, hop, call->outcome == UPSTREAM_FAILURE ? &call->failure : NULL);
    else if (call->outcome == UPSTREAM_HTTP)
        add_http(to, call);
    else
        add_nobody(to, call);
}

static void add_calls(struct text *to, const struct reply *reply)
{
    if (reply->n_upstreams == 0)
        return;

    text_add(to, reply->n_upstreams > 1 ? STR("<ol class=\"fork\">\n") : STR("<ol>\n"));
    for (size_t i = 0; i < reply->n_upstreams; i++) {
        text_add(to, STR("<li>\n"));
        add_call(to, &reply->upstreams[i]);
        text_add(to, STR("</li>\n"));
    }
    text_add(to, STR("</ol>\n"));
}

void page_add_picture(struct text *to, const struct rendering *rendering)
{
    unsigned depth = depth_of(rendering->reply);

    text_add(to, STR("<section class=\"card\" aria-labelledby=\"picture\" data-part=\"picture\">\n"
                     "<h2 id=\"picture\">The chain</h2>\n"));
    text_add_format(to,
                    "<div class=\"flow columns-%u\" role=\"group\" aria-labelledby=\"picture\" "
                    "tabindex=\"0\">\n<ol>\n<li>\n",
                    depth < MAX_COLUMNS ? depth : MAX_COLUMNS);
    add_hop(to, rendering->reply, rendering->failure);
    text_add(to, STR("</li>\n</ol>\n</div>\n</section>\n"));
}
