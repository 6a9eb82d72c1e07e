#pragma once

/*
 * Render: the tree as text for terminals, JSON for programs, a page for people.
 * Pure. Every value may come from a stranger: each form escapes it.
 */

#include "common/base/text.h"
#include "server/reply.h"

/* What the request asked for, which a page offers to change. Each may be empty. */
struct request_headers {
    struct str fail, delay, user; /* user: x-dev-user */
};

/* What is shown of one request: the tree of this hop, and how it ended here. */
struct rendering {
    const struct reply    *reply;
    const struct failure  *failure;     /* NULL: all went well */
    struct str             trace_url;   /* empty: no link */
    struct str             warning;     /* what of `fail` and `delay` was ignored; may be empty */
    struct request_headers asked;       /* for the page */
    bool                   is_detailed; /* text: with attempts and calls */
};

/*
 * The classic lines: "frontend-prod - 0.172secs", then per upstream "URI -> what
 * it answered"; in detail also the attempt of each hop, and the calls of all together.
 */
void render_text(const struct rendering *rendering, struct text *to);

/* The proto's JSON mapping; a failure of this hop is the extra member "failure". */
void render_json(const struct rendering *rendering, struct text *to);

/* A whole HTML document, nothing external in it. */
void render_html(const struct rendering *rendering, struct text *to);
