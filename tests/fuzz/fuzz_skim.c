/*
 * What the skim accepts, protobuf-c must unpack, with as many spans, with ids of the right length
 * and strings of UTF-8 only; and the walk must see the same spans.
 */

#include <assert.h>

#include "collector/spans/skim.h"
#include "collector/spans/span_walk.h"
#include "common/edge/proto.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"
#include "tests/fuzz/fuzz.h"

typedef Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceRequest ExportRequest;
typedef Opentelemetry__Proto__Trace__V1__ResourceSpans                        ResourceSpans;
typedef Opentelemetry__Proto__Trace__V1__Span                                 Span;

enum { ARENA_BYTES = 256 * 1024 * 1024 };

/* Unknown fields may nest deeper than those that the skim counts. */
static const struct wire_limits limits = {.max_depth = 10000, .max_fields = 1000 * 1000};

static size_t id_bytes(const char *name)
{
    if (strcmp(name, "trace_id") == 0)
        return 16;
    return strcmp(name, "span_id") == 0 || strcmp(name, "parent_span_id") == 0 ? 8 : 0;
}

static void check_message(const ProtobufCMessage *message);

static void check_value(const ProtobufCFieldDescriptor *field, const void *member)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        assert(str_is_utf8(str_from(*(const char *const *)member)));
        break;
    case PROTOBUF_C_TYPE_BYTES: {
        size_t len = ((const ProtobufCBinaryData *)member)->len, id = id_bytes(field->name);
        assert(id == 0 || len == 0 || len == id);
        break;
    }
    case PROTOBUF_C_TYPE_MESSAGE:
        if (*(const ProtobufCMessage *const *)member)
            check_message(*(const ProtobufCMessage *const *)member);
        break;
    default:
        break;
    }
}

static void check_field(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    const char *at = (const char *)message;
    const void *quantifier = at + field->quantifier_offset;

    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        /* Of pointers, all of them: strings and messages. */
        void *const *values = *(void *const *const *)(const void *)(at + field->offset);
        for (size_t i = 0; i < *(const size_t *)quantifier; i++)
            check_value(field, &values[i]);
        return;
    }

    /* The members of a oneof share one place. */
    bool is_oneof = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
    if (!is_oneof || *(const uint32_t *)quantifier == field->id)
        check_value(field, at + field->offset);
}

static void check_message(const ProtobufCMessage *message)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++)
        check_field(message, &message->descriptor->fields[i]);
}

static bool is_same(struct str view, ProtobufCBinaryData data)
{
    return str_equal(view, (struct str){(const char *)data.data, data.len});
}

static void check_view(const struct span_view *view, const Span *span)
{
    assert(is_same(view->trace_id, span->trace_id));
    assert(is_same(view->span_id, span->span_id));
    assert(is_same(view->parent_span_id, span->parent_span_id));
    assert(str_starts_with(view->name, str_from(span->name)));
    assert(view->kind == (uint32_t)span->kind);
    assert(view->start_ns == span->start_time_unix_nano);
    assert(view->end_ns == span->end_time_unix_nano);
}

/* Returns how many spans there are. */
static uint32_t check_walk(struct span_walk *walk, const ResourceSpans *resource_spans)
{
    uint32_t         n_spans = 0;
    struct span_view view;

    for (size_t i = 0; i < resource_spans->n_scope_spans; i++)
        for (size_t j = 0; j < resource_spans->scope_spans[i]->n_spans; j++, n_spans++) {
            assert(span_walk_next(walk, &view));
            check_view(&view, resource_spans->scope_spans[i]->spans[j]);
            assert((view.resource.len > 0) <= (resource_spans->resource != NULL));
        }
    return n_spans;
}

static void check(struct str input, uint32_t n_spans)
{
    cleanup_with(arena_free_at) struct arena *arena = arena_new(ARENA_BYTES);
    ExportRequest                            *request = proto_unpack(
                                   &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor,
                                   input, limits, arena);
    struct span_walk walk = span_walk(input);
    struct span_view view;

    assert(request);
    check_message(&request->base);
    for (size_t i = 0; i < request->n_resource_spans; i++)
        n_spans -= check_walk(&walk, request->resource_spans[i]);
    assert(n_spans == 0);
    assert(!span_walk_next(&walk, &view));
}

/* Of bytes that were not skimmed only that it ends. */
static void walk_blindly(struct str input)
{
    struct span_walk walk = span_walk(input);
    struct span_view view;

    while (span_walk_next(&walk, &view))
        assert(view.bytes.at >= input.at && view.bytes.len <= input.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str  input = fuzz_input(data, size);
    uint32_t    n_spans;
    const char *reason = NULL;

    if (skim_request(input, &n_spans, &reason) == 0)
        check(input, n_spans);
    else
        assert(reason);
    walk_blindly(input);
    return 0;
}
