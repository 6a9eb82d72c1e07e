#include "server/page.h"

#include <inttypes.h>

/*
 * A reply says how long things took, not when they began. But a hop works first
 * and calls then, so the end of a call is the end of its caller; of several calls
 * at once, the longest. So bars are laid out from the end.
 *
 * Clocks differ and peers may lie: no bar leaves that of its caller.
 */

enum { SCALE = 1000, MAX_INDENT = 8 };

struct times {
    struct text *to;
    uint64_t     whole_us; /* what a full bar stands for */
};

/* On the way to a hop, at work there, waiting for those it calls: one after the other. */
struct bar {
    uint64_t begin_us;
    uint64_t way_us, own_us, waiting_us;
    bool     is_told_apart; /* else all of it counts as waiting */
};

static void add_rows(const struct times *times, const struct reply *reply, const struct bar *caller,
                     unsigned depth);

static uint64_t at_most(uint64_t value, uint64_t limit)
{
    return value < limit ? value : limit;
}

static uint64_t longest_call_us(const struct reply *reply)
{
    uint64_t longest_us = 0;

    for (size_t i = 0; i < reply->n_upstreams; i++)
        if (reply->upstreams[i].duration_us > longest_us)
            longest_us = reply->upstreams[i].duration_us;
    return longest_us;
}

/* What a hop did that called somebody whom the tree does not know cannot be told. */
static bool is_told_apart(const struct reply *hop, const struct failure *failure)
{
    return !failure || page_verdict(hop, failure) != FAILED_BEYOND;
}

/* Of a call that begins then; `hop` and `failure` may be NULL. */
static struct bar bar_of(uint64_t begin_us, uint64_t call_us, const struct reply *hop,
                         const struct failure *failure)
{
    uint64_t hop_us = hop ? at_most(hop->duration_us, call_us) : 0;
    bool     is_apart = hop && is_told_apart(hop, failure);
    uint64_t waiting_us = is_apart ? at_most(longest_call_us(hop), hop_us) : hop_us;

    return (struct bar){.begin_us = begin_us,
                        .way_us = call_us - hop_us,
                        .own_us = hop_us - waiting_us,
                        .waiting_us = waiting_us,
                        .is_told_apart = is_apart};
}

static uint64_t scaled(const struct times *times, uint64_t us)
{
    return times->whole_us > 0 ? (uint64_t)((double)us * SCALE / (double)times->whole_us) : 0;
}

/* The shortest time still is a line to be seen. */
static void add_stretch(const struct times *times, const char *class, uint64_t begin_us,
                        uint64_t length_us)
{
    uint64_t begin = scaled(times, begin_us), end = scaled(times, begin_us + length_us);

    if (length_us == 0)
        return;
    end = end < begin + 3 ? begin + 3 : end;
    text_add_format(times->to, "<rect class=\"%s\" x=\"%" PRIu64 "\" width=\"%" PRIu64 "\"/>",
                    class, begin, end - begin);
}

static void add_bar(const struct times *times, const struct bar *bar)
{
    uint64_t own_us = bar->begin_us + bar->way_us;

    text_add_format(times->to,
                    "<td class=\"line\"><svg viewBox=\"0 0 %d 1\" preserveAspectRatio=\"none\" "
                    "aria-hidden=\"true\">",
                    SCALE);
    add_stretch(times, "way", bar->begin_us, bar->way_us);
    add_stretch(times, "waiting", own_us + bar->own_us, bar->waiting_us);
    add_stretch(times, "own", own_us, bar->own_us);
    text_add(times->to, STR("</svg></td>\n"));
}

static void add_cell(struct text *to, const char *class, const char *bound, uint64_t duration_us)
{
    text_add_format(to, "<td class=\"%s\">%s", class, bound);
    page_add_duration(to, duration_us);
    text_add(to, STR("</td>\n"));
}

static void add_empty_cell(struct text *to, const char *class)
{
    text_add_format(to, "<td class=\"%s\"></td>\n", class);
}

/* Several calls may follow one another: then more of the time was waiting than the longest. */
static void add_cells(struct text *to, const struct reply *hop, const struct bar *bar)
{
    bool is_fork = hop->n_upstreams > 1;

    if (bar->is_told_apart)
        add_cell(to, "own", is_fork ? "\u2264 " : "", bar->own_us);
    else
        add_empty_cell(to, "own");
    if (hop->n_upstreams > 0)
        add_cell(to, "waiting", is_fork ? "\u2265 " : "", bar->waiting_us);
    else
        add_empty_cell(to, "waiting");
    add_cell(to, "total", "", hop->duration_us);
}

static void open_row(struct text *to, struct str tone, unsigned depth)
{
    text_add(to, STR("<tr class=\""));
    text_add(to, tone);
    text_add_format(to, "\">\n<th scope=\"row\" class=\"indent-%u\">",
                    depth < MAX_INDENT ? depth : MAX_INDENT);
}

static void add_work(struct text *to, const struct work_report *work)
{
    if (!work->is_done)
        return;
    text_add_format(to, "<small>fibonacci(%" PRIu32 ") = %" PRIu64 " is %s; slept ",
                    work->fibonacci_index, work->fibonacci, work->is_odd ? "odd" : "even");
    page_add_duration(to, work->slept_us);
    text_add(to, STR("</small>"));
}

/* What a proxy tried before is in the time of the call, and in nothing else that is known here. */
static void add_way(struct text *to, const struct reply *hop, const struct upstream_result *call,
                    const struct bar *bar)
{
    page_add_duration(to, bar->way_us);
    if (hop->attempt > 1)
        text_add(to, STR(" in earlier tries and"));
    page_add_around(to, STR(" on the way to <code>"), call->uri, STR("</code>"));
}

/* Where it ran, and how it was reached. */
static void add_place(struct text *to, const struct reply *hop, const struct upstream_result *call,
                      const struct bar *bar)
{
    text_add(to, STR("<small>"));
    if (call)
        add_way(to, hop, call, bar);
    page_add_around(to, call ? STR(", on <code>") : STR("on <code>"), hop->instance,
                    STR("</code>"));
    text_add(to, STR("</small>"));
}

/* `call` is NULL for the hop that makes this page, `failure` when all went well. */
static void add_hop(const struct times *times, const struct reply *hop,
                    const struct upstream_result *call, const struct failure *failure,
                    const struct bar *bar, unsigned depth)
{
    struct text *to = times->to;

    open_row(to, page_tone(hop->version), depth);
    text_add_html(to, hop->name);
    if (failure && page_verdict(hop, failure) != FAILED_BELOW)
        page_add_verdict(to, hop, failure);
    add_place(to, hop, call, bar);
    add_work(to, &hop->work);
    text_add(to, STR("</th>\n"));
    add_bar(times, bar);
    add_cells(to, hop, bar);
    text_add(to, STR("</tr>\n"));
    add_rows(times, hop, bar, depth + 1);
}

static void add_stranger(const struct times *times, const struct upstream_result *call,
                         const struct bar *bar, unsigned depth)
{
    struct text *to = times->to;

    open_row(to, STR("stranger"), depth);
    text_add_html(to, call->uri);
    if (call->outcome == UPSTREAM_FAILURE)
        page_add_around(to, STR("<small class=\"verdict here\">failed: <strong>"),
                        status_name(call->failure.status), STR("</strong></small>"));
    text_add(to, STR("</th>\n"));
    add_bar(times, bar);
    add_empty_cell(to, "own");
    add_empty_cell(to, "waiting");
    add_cell(to, "total", "", call->duration_us);
    text_add(to, STR("</tr>\n"));
}

static void add_row(const struct times *times, const struct upstream_result *call,
                    uint64_t begin_us, uint64_t call_us, unsigned depth)
{
    const struct reply   *hop = page_hop(call);
    const struct failure *failure = call->outcome == UPSTREAM_FAILURE ? &call->failure : NULL;
    struct bar            bar = bar_of(begin_us, call_us, hop, failure);

    if (hop)
        add_hop(times, hop, call, failure, &bar, depth);
    else
        add_stranger(times, call, &bar, depth);
}

static void add_rows(const struct times *times, const struct reply *reply, const struct bar *caller,
                     unsigned depth)
{
    uint64_t begin_us = caller->begin_us + caller->way_us + caller->own_us;

    for (size_t i = 0; i < reply->n_upstreams; i++) {
        const struct upstream_result *call = &reply->upstreams[i];
        add_row(times, call, begin_us, at_most(call->duration_us, caller->waiting_us), depth);
    }
}

void page_add_times(struct text *to, const struct rendering *rendering)
{
    const struct reply *reply = rendering->reply;
    struct times        times = {.to = to, .whole_us = reply->duration_us};
    struct bar          bar = bar_of(0, reply->duration_us, reply, rendering->failure);

    text_add(to, STR("<section class=\"card\" aria-labelledby=\"times\" data-part=\"times\">\n"
                     "<h2 id=\"times\">Where the time went</h2>\n"
                     "<p class=\"key\" aria-hidden=\"true\"><span class=\"way\">on the way</span> "
                     "<span class=\"own\">at work</span> "
                     "<span class=\"waiting\">waiting for the next</span></p>\n"
                     "<table class=\"times\">\n<thead>\n<tr><th scope=\"col\">Hop</th>"
                     "<td class=\"line\"></td><th scope=\"col\" class=\"own\">At work</th>"
                     "<th scope=\"col\" class=\"waiting\">Waiting</th>"
                     "<th scope=\"col\" class=\"total\">Total</th></tr>\n</thead>\n<tbody>\n"));
    add_hop(&times, reply, NULL, rendering->failure, &bar, 0);
    text_add(to, STR("</tbody>\n</table>\n</section>\n"));
}
