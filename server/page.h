#pragma once

/*
 * Page: the sections of the document that render_html makes, and the words they
 * share. Markup is added as it is, a value only by the functions that escape it.
 *
 * server/page/page.js knows the document by its ids and data-* attributes alone.
 */

#include "common/base/text.h"
#include "server/render.h"

/* The value between two pieces of markup; nothing when it is empty. */
void page_add_around(struct text *to, struct str before, struct str value, struct str after);

/* "870 µs", "17.2 ms", "1.72 s" */
void page_add_duration(struct text *to, uint64_t duration_us);

/* The class that colours a version: the two of the lesson have their own colours. */
struct str page_tone(struct str version);

/* "frontend-prod", its version set off. */
void page_add_name(struct text *to, const struct reply *reply);

/* "UNAVAILABLE at backend-prod: no answer in time", as far as it is known. */
void page_add_failure(struct text *to, const struct failure *failure);

/* Whether the call failed, or a stranger answered it with a bad code. */
bool page_is_bad(const struct upstream_result *call);

/* What is known of the hop that was called, also when it failed; NULL: nothing. */
const struct reply *page_hop(const struct upstream_result *call);

/* Of a hop whose call failed. */
enum page_verdict {
    FAILED_HERE,   /* by itself */
    FAILED_BELOW,  /* because of a call of which the tree knows */
    FAILED_BEYOND, /* because of one of which it does not: a large tree is cut on its way */
};
enum page_verdict page_verdict(const struct reply *reply, const struct failure *failure);

/* The same in a few words. */
void page_add_verdict(struct text *to, const struct reply *reply, const struct failure *failure);

/* Who called whom: nested lists, that the style lays out from left to right. */
void page_add_picture(struct text *to, const struct rendering *rendering);

/* Where the time went: a row and a bar for each hop. */
void page_add_times(struct text *to, const struct rendering *rendering);

/* What to send next. */
void page_add_form(struct text *to, const struct request_headers *asked);
