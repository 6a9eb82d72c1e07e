#include "server/render.h"

/*
 * A chain reads from top to bottom, as it always did: no line is indented. From
 * the first hop on that asks several others, each further hop is.
 */

enum { INDENT_COLUMNS = 2 };

struct printer {
    struct text *to;
    unsigned     column;
    bool         is_below_fork;
    bool         is_detailed;
};

static void print_reply_upstreams(struct printer printer, const struct reply *reply);

/* How many bytes at the start make up one control character: C0, DEL, or C1 as UTF-8. */
static size_t control_length(struct str s)
{
    unsigned char first = (unsigned char)s.at[0];

    if (first < 0x20 || first == 0x7F)
        return 1;
    if (first == 0xC2 && s.len > 1 && (unsigned char)s.at[1] < 0xA0)
        return 2;
    return 0;
}

/* On one line, and without a character that a terminal obeys. */
static void add_plain(struct text *to, struct str s)
{
    while (s.len > 0) {
        size_t plain = 0;
        while (plain < s.len && !control_length((struct str){s.at + plain, s.len - plain}))
            plain++;
        text_add_utf8(to, (struct str){s.at, plain});
        s = (struct str){s.at + plain, s.len - plain};
        if (s.len == 0)
            break;

        size_t control = control_length(s);
        text_add_char(to, ' ');
        s = (struct str){s.at + control, s.len - control};
    }
}

static bool is_space(char c)
{
    return (unsigned char)c <= ' ';
}

static struct str trim_lines(struct str s)
{
    while (s.len > 0 && is_space(s.at[0])) {
        s.at++;
        s.len--;
    }
    while (s.len > 0 && is_space(s.at[s.len - 1]))
        s.len--;
    return s;
}

static void add_indent(struct printer printer)
{
    for (unsigned i = 0; i < printer.column; i++)
        text_add_char(printer.to, ' ');
}

/* "frontend-prod - 0.172secs, attempt 2", rounded to the millisecond; the attempt in detail only.
 */
static void print_hop(struct printer printer, const struct reply *reply)
{
    uint64_t duration_ms = reply->duration_us / 1000 + (reply->duration_us % 1000 >= 500);

    add_plain(printer.to, reply->name);
    text_add_format(printer.to, " - %llu.%03usecs", (unsigned long long)(duration_ms / 1000),
                    (unsigned)(duration_ms % 1000));
    if (printer.is_detailed && reply->attempt > 0)
        text_add_format(printer.to, ", attempt %u", reply->attempt);
    text_add_char(printer.to, '\n');
}

/* "UNAVAILABLE: the message" */
static void add_failure(struct text *to, const struct failure *failure)
{
    text_add(to, status_name(failure->status));
    if (!str_is_empty(failure->message)) {
        text_add(to, STR(": "));
        add_plain(to, failure->message);
    }
}

/* "404 Not Found", or "599" when it has no name. */
static void add_http_status(struct text *to, const struct http_result *http)
{
    text_add_int(to, http->code);
    if (!str_is_empty(http->reason)) {
        text_add_char(to, ' ');
        add_plain(to, http->reason);
    }
}

static void print_http(struct text *to, const struct http_result *http)
{
    struct str body = trim_lines(http->body);

    if (http->code == 200 && !str_is_empty(body)) {
        add_plain(to, body);
        if (http->is_body_cut)
            text_add(to, STR("..."));
    } else {
        add_http_status(to, http);
    }
    text_add_char(to, '\n');
}

static void print_failure(struct printer printer, const struct failure *failure)
{
    add_failure(printer.to, failure);
    text_add_char(printer.to, '\n');
    if (!failure->partial)
        return;

    add_indent(printer);
    print_hop(printer, failure->partial);
    print_reply_upstreams(printer, failure->partial);
}

static void print_upstream(struct printer printer, const struct upstream_result *upstream)
{
    add_indent(printer);
    add_plain(printer.to, upstream->uri);
    text_add(printer.to, STR(" -> "));
    switch (upstream->outcome) {
    case UPSTREAM_HOP:
        print_hop(printer, upstream->hop);
        print_reply_upstreams(printer, upstream->hop);
        break;
    case UPSTREAM_HTTP:
        print_http(printer.to, &upstream->http);
        break;
    case UPSTREAM_FAILURE:
        print_failure(printer, &upstream->failure);
        break;
    }
}

static void print_reply_upstreams(struct printer printer, const struct reply *reply)
{
    printer.is_below_fork |= reply->n_upstreams > 1;
    if (printer.is_below_fork)
        printer.column += INDENT_COLUMNS;
    for (size_t i = 0; i < reply->n_upstreams; i++)
        print_upstream(printer, &reply->upstreams[i]);
}

static void print_calls(struct text *to, const struct reply *reply)
{
    text_add_format(to, "%u call%s for one request\n", reply->calls, reply->calls == 1 ? "" : "s");
}

static void print_own_failure(struct text *to, const struct failure *failure)
{
    text_add(to, STR("failed: "));
    add_failure(to, failure);
    if (!str_is_empty(failure->hop)) {
        text_add(to, STR(" (at "));
        add_plain(to, failure->hop);
        text_add_char(to, ')');
    }
    text_add_char(to, '\n');
}

void render_text(const struct rendering *rendering, struct text *to)
{
    struct printer printer = {.to = to, .is_detailed = rendering->is_detailed};

    print_hop(printer, rendering->reply);
    print_reply_upstreams(printer, rendering->reply);
    if (rendering->is_detailed)
        print_calls(to, rendering->reply);
    if (rendering->failure)
        print_own_failure(to, rendering->failure);
    if (!str_is_empty(rendering->warning)) {
        text_add(to, STR("warning: "));
        add_plain(to, rendering->warning);
        text_add_char(to, '\n');
    }
}
