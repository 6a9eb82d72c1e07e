#include "collector/recent/kept_trace.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "collector/spans/span_walk.h"

/* What malloc takes for itself, about. */
enum { MALLOC_BYTES = 16 };

struct kept_trace *kept_trace_new(const struct trace_id *id, struct siphash_key key)
{
    struct kept_trace *trace = calloc(1, sizeof(*trace));
    if (!trace)
        return NULL;

    trace->id = *id;
    trace->key = key;
    trace->n_bytes = sizeof(*trace) + MALLOC_BYTES;
    atomic_init(&trace->n_refs, 1);
    return trace;
}

struct kept_trace *kept_trace_ref(struct kept_trace *trace)
{
    (void)atomic_fetch_add(&trace->n_refs, 1);
    return trace;
}

static void free_piece(struct hash_node *node)
{
    free(container_of(node, struct piece, node));
}

void kept_trace_unref(struct kept_trace *trace)
{
    if (!trace || atomic_fetch_sub(&trace->n_refs, 1) > 1)
        return;

    hash_table_done(&trace->pieces, free_piece);
    free(trace);
}

static struct piece *find_piece(const struct kept_trace *trace, enum piece_role role,
                                struct str bytes, uint64_t hash)
{
    struct hash_node *node = hash_table_find(&trace->pieces, hash);

    for (; node; node = hash_table_find_next(node)) {
        struct piece *piece = container_of(node, struct piece, node);
        if (piece->role == role && str_equal(piece->bytes, bytes))
            return piece;
    }
    return NULL;
}

/* Takes the piece, which is where its allocation of `size` bytes starts. False: no memory. */
static bool add_piece(struct kept_trace *trace, struct piece *piece, size_t size)
{
    size_t table_bytes = hash_table_bytes(&trace->pieces);

    piece->order = trace->n_pieces;
    if (hash_table_add(&trace->pieces, &piece->node) < 0) {
        free(piece);
        return false;
    }
    trace->n_pieces++;
    trace->n_bytes += size + MALLOC_BYTES + hash_table_bytes(&trace->pieces) - table_bytes;
    return true;
}

/* A struct of `size` bytes that starts with a piece, and a copy of `bytes` behind it. */
static void *new_piece(enum piece_role role, size_t size, struct str bytes, uint64_t hash)
{
    char *place = calloc(1, size + bytes.len);
    if (!place)
        return NULL;

    if (bytes.len > 0)
        memcpy(place + size, bytes.at, bytes.len);
    struct piece *piece = (struct piece *)(void *)place;
    piece->node.hash = hash;
    piece->role = role;
    piece->bytes = (struct str){place + size, bytes.len};
    return piece;
}

/* The piece with these bytes, a new one when there is none yet. NULL: no memory. */
static const struct piece *keep_piece(struct kept_trace *trace, enum piece_role role,
                                      struct str bytes)
{
    uint64_t      hash = siphash(trace->key, bytes);
    struct piece *piece = find_piece(trace, role, bytes, hash);
    if (piece)
        return piece;

    piece = new_piece(role, sizeof(*piece), bytes, hash);
    if (!piece || !add_piece(trace, piece, sizeof(*piece) + bytes.len))
        return NULL;
    return piece;
}

/* The same part of the copy. What is absent or empty need not be in the original. */
static struct str in_copy(struct str part, struct str original, struct str copy)
{
    if (part.len == 0)
        return STR("");
    return (struct str){copy.at + (part.at - original.at), part.len};
}

static const struct kept_context *keep_context(struct kept_trace *trace, struct context_parts parts,
                                               struct str service_name)
{
    struct str    bytes = {(const char *)&parts, sizeof(parts)};
    uint64_t      hash = siphash(trace->key, bytes);
    struct piece *found = find_piece(trace, PIECE_CONTEXT, bytes, hash);
    if (found)
        return container_of(found, struct kept_context, piece);

    struct kept_context *context = calloc(1, sizeof(*context));
    if (!context)
        return NULL;

    context->parts = parts;
    context->service_name = service_name;
    context->piece = (struct piece){
        .node.hash = hash,
        .role = PIECE_CONTEXT,
        .bytes = {(const char *)&context->parts, sizeof(parts)},
    };
    return add_piece(trace, &context->piece, sizeof(*context)) ? context : NULL;
}

static const struct kept_context *context_of(struct kept_trace *trace, const struct span_view *span)
{
    struct context_parts parts = {
        .resource = keep_piece(trace, PIECE_RESOURCE, span->resource),
        .resource_schema_url = keep_piece(trace, PIECE_SCHEMA_URL, span->resource_schema_url),
        .scope = keep_piece(trace, PIECE_SCOPE, span->scope),
        .scope_schema_url = keep_piece(trace, PIECE_SCHEMA_URL, span->scope_schema_url),
    };

    if (!parts.resource || !parts.resource_schema_url || !parts.scope || !parts.scope_schema_url)
        return NULL;
    return keep_context(trace, parts,
                        in_copy(span->service_name, span->resource, parts.resource->bytes));
}

static void append(struct kept_trace *trace, struct kept_span *span)
{
    if (trace->last_span)
        trace->last_span->next = span;
    else
        trace->first_span = span;
    trace->last_span = span;
    trace->n_spans++;
}

/* What a span takes when nothing of it is there yet: itself, a context and its four parts. */
static size_t most_bytes(const struct kept_trace *trace, const struct span_view *span)
{
    static const size_t structs = sizeof(struct kept_span) + sizeof(struct kept_context) +
                                  4 * sizeof(struct piece) + 6 * (size_t)MALLOC_BYTES;

    return structs + span->bytes.len + span->resource.len + span->resource_schema_url.len +
           span->scope.len + span->scope_schema_url.len + hash_table_growth_bytes(&trace->pieces);
}

int kept_trace_add(struct kept_trace *trace, const struct span_view *span, size_t max_bytes)
{
    uint64_t hash = siphash(trace->key, span->bytes);

    if (find_piece(trace, PIECE_SPAN, span->bytes, hash))
        return -EEXIST;
    if (trace->n_bytes + most_bytes(trace, span) > max_bytes)
        return -ENOSPC;

    const struct kept_context *context = context_of(trace, span);
    if (!context)
        return -ENOMEM;

    struct kept_span *kept = new_piece(PIECE_SPAN, sizeof(*kept), span->bytes, hash);
    if (!kept || !add_piece(trace, &kept->piece, sizeof(*kept) + span->bytes.len))
        return -ENOMEM;

    kept->context = context;
    kept->name = in_copy(span->name, span->bytes, kept->piece.bytes);
    kept->start_ns = span->start_ns;
    kept->end_ns = span->end_ns;
    kept->kind = span->kind;
    append(trace, kept);
    return 0;
}
