#include "collector/recent/trace_store.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "collector/spans/span_walk.h"

int trace_store_init(struct trace_store *store, const struct trace_store_limits *limits)
{
    assert(limits->max_traces > 0 && limits->max_trace_bytes <= limits->max_bytes);

    *store = (struct trace_store){.limits = *limits};
    TAILQ_INIT(&store->by_activity);
    if (getrandom(&store->key, sizeof(store->key), 0) != sizeof(store->key))
        return -EIO;
    return 0;
}

static void drop(struct hash_node *node)
{
    kept_trace_unref(container_of(node, struct kept_trace, node));
}

void trace_store_done(struct trace_store *store)
{
    hash_table_done(&store->traces, drop);
}

static uint64_t hash_of(const struct trace_store *store, const struct trace_id *id)
{
    return siphash(store->key, (struct str){(const char *)id->bytes, sizeof(id->bytes)});
}

struct kept_trace *trace_store_find(const struct trace_store *store, const struct trace_id *id)
{
    struct hash_node *node = hash_table_find(&store->traces, hash_of(store, id));

    for (; node; node = hash_table_find_next(node)) {
        struct kept_trace *trace = container_of(node, struct kept_trace, node);
        if (trace_id_equal(&trace->id, id))
            return trace;
    }
    return NULL;
}

static void remove_trace(struct trace_store *store, struct kept_trace *trace)
{
    hash_table_remove(&store->traces, &trace->node);
    TAILQ_REMOVE(&store->by_activity, trace, link);
    store->n_spans -= trace->n_spans;
    store->n_bytes -= trace->n_bytes;
    kept_trace_unref(trace);
}

/* Never the latest: it is within its own limit, and so within the limit of all. */
static void evict_quiet(struct trace_store *store)
{
    while (trace_store_count(store) > store->limits.max_traces ||
           store->n_bytes > store->limits.max_bytes) {
        remove_trace(store, TAILQ_LAST(&store->by_activity, trace_list_head));
        store->n_evicted++;
    }
}

static struct kept_trace *add_trace(struct trace_store *store, const struct trace_id *id)
{
    cleanup_with(kept_trace_unref_at) struct kept_trace *trace = kept_trace_new(id, store->key);
    if (!trace)
        return NULL;

    trace->node.hash = hash_of(store, id);
    if (hash_table_add(&store->traces, &trace->node) < 0)
        return NULL;
    TAILQ_INSERT_HEAD(&store->by_activity, trace, link);
    store->n_bytes += trace->n_bytes;
    return take(trace);
}

static void touch(struct trace_store *store, struct kept_trace *trace)
{
    TAILQ_REMOVE(&store->by_activity, trace, link);
    TAILQ_INSERT_HEAD(&store->by_activity, trace, link);
}

static int add_span(struct trace_store *store, struct kept_trace *trace,
                    const struct span_view *span)
{
    size_t spans_before = trace->n_spans, bytes_before = trace->n_bytes;
    int    r = kept_trace_add(trace, span, store->limits.max_trace_bytes);

    store->n_spans += trace->n_spans - spans_before;
    store->n_bytes += trace->n_bytes - bytes_before;
    return r;
}

int trace_store_file(struct trace_store *store, const struct span_view *span)
{
    struct trace_id id;
    if (span->trace_id.len != sizeof(id.bytes))
        return -EINVAL;

    memcpy(id.bytes, span->trace_id.at, sizeof(id.bytes));
    if (trace_id_is_zero(&id))
        return -EINVAL;

    struct kept_trace *trace = trace_store_find(store, &id);
    if (trace)
        touch(store, trace);
    else
        trace = add_trace(store, &id);
    if (!trace)
        return -ENOMEM;

    int r = add_span(store, trace, span);
    if (trace->n_spans == 0)
        remove_trace(store, trace);
    evict_quiet(store);
    return r;
}
