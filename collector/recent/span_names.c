#include "collector/recent/span_names.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

/* In the order in which they are found, the same ones many times. */
struct collection {
    const struct operations_query *query; /* NULL: services are collected */
    struct span_name              *names;
    size_t                         count, capacity;
};

/* As Jaeger calls them; a span of no kind is internal to it. */
static struct str kind_name(uint32_t kind)
{
    static const struct str names[] = {
        STR_INIT("internal"), STR_INIT("internal"), STR_INIT("server"),
        STR_INIT("client"),   STR_INIT("producer"), STR_INIT("consumer"),
    };
    return names[kind < ARRAY_LENGTH(names) ? kind : 0];
}

static bool is_same(const struct span_name *a, const struct span_name *b)
{
    return str_equal(a->name, b->name) && str_equal(a->kind, b->kind);
}

static int add(struct collection *found, struct span_name name)
{
    /* Spans that follow each other are often alike. */
    if (found->count > 0 && is_same(&found->names[found->count - 1], &name))
        return 0;

    if (found->count == found->capacity) {
        size_t            capacity = found->capacity > 0 ? 2 * found->capacity : 64;
        struct span_name *grown = reallocarray(found->names, capacity, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        found->names = grown;
        found->capacity = capacity;
    }
    found->names[found->count++] = name;
    return 0;
}

static int add_service(struct collection *found, const struct kept_span *span)
{
    struct str service = span->context->service_name;
    return service.len > 0 ? add(found, (struct span_name){.name = service}) : 0;
}

static int add_operation(struct collection *found, const struct kept_span *span)
{
    const struct operations_query *query = found->query;
    struct str                     kind = kind_name(span->kind);

    if (!str_equal(query->service, span->context->service_name) ||
        (query->span_kind.len > 0 && !str_equal_ignore_case(query->span_kind, kind)))
        return 0;
    return add(found, (struct span_name){.name = span->name, .kind = kind});
}

static int add_trace(struct collection *found, struct kept_spans rest)
{
    const struct kept_span *span;

    while ((span = kept_spans_next(&rest))) {
        int r = found->query ? add_operation(found, span) : add_service(found, span);
        if (r < 0)
            return r;
    }
    return 0;
}

static int compare_texts(struct str a, struct str b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int    difference = shorter > 0 ? memcmp(a.at, b.at, shorter) : 0;
    return difference != 0 ? difference : (a.len > b.len) - (a.len < b.len);
}

static int compare(const void *left, const void *right)
{
    const struct span_name *a = left, *b = right;

    int difference = compare_texts(a->name, b->name);
    return difference != 0 ? difference : compare_texts(a->kind, b->kind);
}

/* Returns how many are left. */
static size_t sort_unique(struct span_name *names, size_t count)
{
    size_t n = 0;

    if (count > 0)
        qsort(names, count, sizeof(*names), compare);
    for (size_t i = 0; i < count; i++) {
        if (n == 0 || !is_same(&names[n - 1], &names[i]))
            names[n++] = names[i];
    }
    return n;
}

static int collect(struct collection *found, const struct trace_list *traces,
                   struct span_names *ret_names)
{
    for (size_t i = 0; i < traces->count; i++) {
        int r = add_trace(found, traces->traces[i].spans);
        if (r < 0) {
            free(found->names);
            return r;
        }
    }
    *ret_names = (struct span_names){found->names, sort_unique(found->names, found->count)};
    return 0;
}

int span_names_of_services(const struct trace_list *traces, struct span_names *ret_names)
{
    return collect(&(struct collection){0}, traces, ret_names);
}

int span_names_of_operations(const struct trace_list *traces, const struct operations_query *query,
                             struct span_names *ret_names)
{
    return collect(&(struct collection){.query = query}, traces, ret_names);
}

void span_names_done(struct span_names *names)
{
    free(names->names);
    *names = (struct span_names){0};
}
