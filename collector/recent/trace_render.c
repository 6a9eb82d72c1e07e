#include "collector/recent/trace_render.h"

#include <errno.h>
#include <stdlib.h>

#include "collector/spans/otlp_render.h"

typedef const struct kept_span *span_pointer;

static int compare_order(const struct piece *a, const struct piece *b)
{
    return (a->order > b->order) - (a->order < b->order);
}

static int compare_resources(const struct kept_context *a, const struct kept_context *b)
{
    int difference = compare_order(a->parts.resource, b->parts.resource);
    if (difference != 0)
        return difference;
    return compare_order(a->parts.resource_schema_url, b->parts.resource_schema_url);
}

/* By resource, then by scope, then as they came. */
static int compare_spans(const void *left, const void *right)
{
    const struct kept_span *a = *(const span_pointer *)left, *b = *(const span_pointer *)right;

    int difference = compare_resources(a->context, b->context);
    if (difference == 0)
        difference = compare_order(&a->context->piece, &b->context->piece);
    if (difference == 0)
        difference = compare_order(&a->piece, &b->piece);
    return difference;
}

/* NULL when memory is short. */
static span_pointer *sorted_spans(struct kept_spans spans)
{
    size_t        count = spans.count;
    span_pointer *sorted = calloc(count, sizeof(span_pointer));
    if (!sorted)
        return NULL;

    for (size_t i = 0; i < count; i++)
        sorted[i] = kept_spans_next(&spans);
    qsort(sorted, count, sizeof(span_pointer), compare_spans);
    return sorted;
}

static void open_resource(const struct kept_context *context, struct text *to)
{
    text_add(to, STR("{\"resource\":"));
    otlp_render(&otlp_resource, context->parts.resource->bytes, to);
    text_add(to, STR(",\"scopeSpans\":["));
}

static void open_scope(const struct kept_context *context, struct text *to)
{
    text_add(to, STR("{\"scope\":"));
    otlp_render(&otlp_scope, context->parts.scope->bytes, to);
    text_add(to, STR(",\"spans\":["));
}

/* Ends a list, and the object that it is in. */
static void close_list(struct str schema_url, struct text *to)
{
    text_add_char(to, ']');
    if (schema_url.len > 0) {
        text_add(to, STR(",\"schemaUrl\":"));
        text_add_json(to, schema_url);
    }
    text_add_char(to, '}');
}

static void close_scope(const struct kept_context *context, struct text *to)
{
    close_list(context->parts.scope_schema_url->bytes, to);
}

static void close_resource(const struct kept_context *context, struct text *to)
{
    close_list(context->parts.resource_schema_url->bytes, to);
}

/* Closes what only `before` is in, and opens what only `next` is in; either may be NULL. */
static void change_context(const struct kept_context *before, const struct kept_context *next,
                           struct text *to)
{
    bool is_same_resource = before && next && compare_resources(before, next) == 0;

    if (before)
        close_scope(before, to);
    if (before && !is_same_resource)
        close_resource(before, to);
    if (before && next)
        text_add_char(to, ',');
    if (next && !is_same_resource)
        open_resource(next, to);
    if (next)
        open_scope(next, to);
}

int trace_render(struct kept_spans spans, size_t max_bytes, struct text *to)
{
    const struct kept_context *context = NULL;

    span_pointer *sorted = sorted_spans(spans);
    if (!sorted)
        return -ENOMEM;

    for (size_t i = 0; i < spans.count && to->len <= max_bytes; i++) {
        if (sorted[i]->context == context)
            text_add_char(to, ',');
        else
            change_context(context, sorted[i]->context, to);
        context = sorted[i]->context;
        otlp_render(&otlp_span, sorted[i]->piece.bytes, to);
    }
    change_context(context, NULL, to);
    free(sorted);
    if (to->is_cut)
        return -ENOMEM;
    return to->len <= max_bytes ? 0 : -E2BIG;
}
