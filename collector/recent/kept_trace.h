#pragma once

/*
 * Kept trace: the spans of one trace and what they came with, each byte string once. Spans
 * are only ever added: who knows of the first n may read those while others follow.
 *
 * Threads: add from one at a time; ref, unref and the reading of spans from any.
 */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/cleanup.h"
#include "common/base/hash_table.h"
#include "common/base/siphash.h"
#include "common/base/str.h"
#include "common/trace/trace_id.h"

struct span_view;

enum piece_role { PIECE_RESOURCE, PIECE_SCOPE, PIECE_SCHEMA_URL, PIECE_CONTEXT, PIECE_SPAN };

/* What a trace keeps once: the same bytes in the same role. */
struct piece {
    struct hash_node node;
    enum piece_role  role;
    uint32_t         order; /* among the pieces of its trace, as they came */
    struct str       bytes;
};

/* What spans share. Of these four there is one, and it points to one of each. */
struct context_parts {
    const struct piece *resource;
    const struct piece *resource_schema_url;
    const struct piece *scope;
    const struct piece *scope_schema_url;
};

struct kept_context {
    struct piece         piece; /* its bytes are `parts` */
    struct context_parts parts;
    struct str           service_name;
};

struct kept_span {
    struct piece               piece; /* its bytes are the Span message */
    struct kept_span          *next;  /* not to be read of the last span that one knows of */
    const struct kept_context *context;
    struct str                 name;
    uint64_t                   start_ns, end_ns; /* real time */
    uint32_t                   kind;
};

/* The first spans of a trace: a view that stays as it is when others are added. */
struct kept_spans {
    const struct kept_span *first;
    size_t                  count;
};

struct kept_trace {
    struct trace_id   id;
    struct kept_span *first_span, *last_span; /* `first_span` is set once */
    size_t            n_spans;
    size_t            n_bytes; /* all memory that it takes */

    /* Of the store that keeps it. */
    struct hash_node node;
    TAILQ_ENTRY(kept_trace) link;

    struct siphash_key key;
    struct hash_table  pieces;
    uint32_t           n_pieces;
    _Atomic unsigned   n_refs;
};

/* One reference is the caller's. NULL when memory is short. */
struct kept_trace *kept_trace_new(const struct trace_id *id, struct siphash_key key);
struct kept_trace *kept_trace_ref(struct kept_trace *trace);
void               kept_trace_unref(struct kept_trace *trace);
DEFINE_CLEANUP(struct kept_trace *, kept_trace_unref)

/* Cuts the first span off `rest`; NULL when nothing is left. */
static inline const struct kept_span *kept_spans_next(struct kept_spans *rest)
{
    if (rest->count == 0)
        return NULL;

    const struct kept_span *span = rest->first;
    if (--rest->count > 0)
        rest->first = span->next;
    return span;
}

/*
 * Copies the span. 0; -EEXIST: the same bytes are there already; -ENOSPC: the trace could
 * become larger than `max_bytes`; -ENOMEM.
 */
int kept_trace_add(struct kept_trace *trace, const struct span_view *span, size_t max_bytes);
