#include "server/page.h"

#include <inttypes.h>

void page_add_around(struct text *to, struct str before, struct str value, struct str after)
{
    if (str_is_empty(value))
        return;
    text_add(to, before);
    text_add_html(to, value);
    text_add(to, after);
}

void page_add_duration(struct text *to, uint64_t duration_us)
{
    if (duration_us < 1000)
        text_add_format(to, "%" PRIu64 " \u00B5s", duration_us);
    else if (duration_us < UINT64_C(1000000))
        text_add_format(to, "%.1f ms", (double)duration_us / 1e3);
    else
        text_add_format(to, "%.2f s", (double)duration_us / 1e6);
}

struct str page_tone(struct str version)
{
    static const struct str others[] = {STR_INIT("one"), STR_INIT("two"), STR_INIT("three")};

    if (str_equal(version, STR("prod")))
        return STR("prod");
    if (str_equal(version, STR("canary")))
        return STR("canary");
    return others[str_hash(version) % 3];
}

/* Whether the name ends in "-VERSION", as it does unless it was set; then sets what is before it.
 */
static bool split_name(const struct reply *reply, struct str *ret_before)
{
    struct str name = reply->name, version = reply->version;

    if (str_is_empty(version) || name.len < version.len + 2 || !str_ends_with(name, version) ||
        name.at[name.len - version.len - 1] != '-')
        return false;
    *ret_before = (struct str){name.at, name.len - version.len - 1};
    return true;
}

void page_add_name(struct text *to, const struct reply *reply)
{
    struct str before;

    if (split_name(reply, &before)) {
        text_add_html(to, before);
        text_add(to, STR("<span class=\"joint\">-</span>"));
    } else {
        text_add_html(to, reply->name);
        text_add_char(to, ' ');
    }
    page_add_around(to, STR("<span class=\"version\">"), reply->version, STR("</span>"));
}

void page_add_failure(struct text *to, const struct failure *failure)
{
    text_add(to, STR("<strong>"));
    text_add_html(to, status_name(failure->status));
    text_add(to, STR("</strong>"));
    page_add_around(to, STR(" at <strong>"), failure->hop, STR("</strong>"));
    page_add_around(to, STR(": "), failure->message, STR(""));
}

bool page_is_bad(const struct upstream_result *call)
{
    return call->outcome == UPSTREAM_FAILURE ||
           (call->outcome == UPSTREAM_HTTP && call->http.code >= 400);
}

const struct reply *page_hop(const struct upstream_result *call)
{
    switch (call->outcome) {
    case UPSTREAM_HOP:
        return call->hop;
    case UPSTREAM_FAILURE:
        return call->failure.partial;
    default:
        return NULL;
    }
}

enum page_verdict page_verdict(const struct reply *reply, const struct failure *failure)
{
    for (size_t i = 0; i < reply->n_upstreams; i++)
        if (reply->upstreams[i].outcome == UPSTREAM_FAILURE)
            return FAILED_BELOW;
    if (str_is_empty(failure->hop) || str_equal(failure->hop, reply->name))
        return FAILED_HERE;
    return FAILED_BEYOND;
}

void page_add_verdict(struct text *to, const struct reply *reply, const struct failure *failure)
{
    switch (page_verdict(reply, failure)) {
    case FAILED_HERE:
        page_add_around(to, STR("<small class=\"verdict here\">failed here: <strong>"),
                        status_name(failure->status), STR("</strong></small>\n"));
        break;
    case FAILED_BELOW:
        text_add(to, STR("<small class=\"verdict\">failed in turn</small>\n"));
        break;
    case FAILED_BEYOND:
        page_add_around(to, STR("<small class=\"verdict\">failed further on, at "), failure->hop,
                        STR("</small>\n"));
        break;
    }
}
