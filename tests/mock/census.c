#include "tests/mock/census.h"

#include <endian.h>
#include <errno.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/edge/proto.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"

typedef Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceRequest ExportRequest;
typedef Opentelemetry__Proto__Trace__V1__ResourceSpans                        ResourceSpans;
typedef Opentelemetry__Proto__Trace__V1__ScopeSpans                           ScopeSpans;
typedef Opentelemetry__Proto__Trace__V1__Span                                 Span;

/* Those of protobuf's own parsers; any number of fields. */
static const struct wire_limits limits = {.max_depth = 100, .max_fields = UINT32_MAX};

static const void *member(const ProtobufCMessage *message, size_t offset)
{
    return (const char *)message + offset;
}

/* How many values a field holds, and where the first of them is. */
static size_t field_values(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                           void *const **ret_first)
{
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        *ret_first = *(void *const *const *)member(message, field->offset);
        return *(const size_t *)member(message, field->quantifier_offset);
    }
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
        *(const uint32_t *)member(message, field->quantifier_offset) != field->id)
        return 0;

    *ret_first = member(message, field->offset);
    return **ret_first ? 1 : 0;
}

/* protobuf-c leaves this to its callers; the parsers for Go and C++ refuse the message. */
static bool is_utf8(const ProtobufCMessage *message)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        void *const                    *values;
        bool                            is_text = field->type == PROTOBUF_C_TYPE_STRING;
        if (!is_text && field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;

        for (size_t n = field_values(message, field, &values); n > 0; n--, values++)
            if (is_text ? !str_is_utf8(str_from(*values)) : !is_utf8(*values))
                return false;
    }
    return true;
}

static bool is_id(ProtobufCBinaryData bytes, size_t length)
{
    static const uint8_t zero[16];

    return bytes.len == length && memcmp(bytes.data, zero, length) != 0;
}

static const char *count_span(const Span *span, struct census *census)
{
    uint64_t id;

    if (!is_id(span->trace_id, 16))
        return "a span with a trace id that is none";
    if (!is_id(span->span_id, 8))
        return "a span with a span id that is none";
    if (span->parent_span_id.len != 0 && !is_id(span->parent_span_id, 8))
        return "a span with a parent id that is none";

    memcpy(&id, span->span_id.data, sizeof(id));
    census->span_ids[census->n_spans++] = be64toh(id);
    census->has_poison = census->has_poison || strcmp(span->name, "poison") == 0;
    return NULL;
}

static const char *count_spans(const ResourceSpans *resource, struct census *census)
{
    const char *violation = NULL;

    for (size_t i = 0; i < resource->n_scope_spans; i++) {
        const ScopeSpans *scope = resource->scope_spans[i];
        for (size_t j = 0; j < scope->n_spans && !violation; j++)
            violation = count_span(scope->spans[j], census);
    }
    return violation;
}

static size_t total_spans(const ExportRequest *request)
{
    size_t total = 0;

    for (size_t i = 0; i < request->n_resource_spans; i++)
        for (size_t j = 0; j < request->resource_spans[i]->n_scope_spans; j++)
            total += request->resource_spans[i]->scope_spans[j]->n_spans;
    return total;
}

static const char *look_at(const ExportRequest *request, struct arena *arena,
                           struct census *ret_census)
{
    size_t      n_spans = total_spans(request);
    const char *violation = NULL;
    if (n_spans == 0)
        return "a request without spans";
    if (!is_utf8(&request->base))
        return "text that is not UTF-8";

    *ret_census =
        (struct census){.span_ids = arena_alloc(arena, n_spans * sizeof(*ret_census->span_ids))};
    if (!ret_census->span_ids)
        return "too many spans for the memory of a test";
    for (size_t i = 0; i < request->n_resource_spans && !violation; i++)
        violation = count_spans(request->resource_spans[i], ret_census);
    return violation;
}

int census_take(struct str bytes, struct arena *arena, struct census *ret_census,
                const char **ret_violation)
{
    const ExportRequest *request = proto_unpack(
        &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor,
        bytes, limits, arena);

    *ret_violation =
        request ? look_at(request, arena, ret_census) : "not an ExportTraceServiceRequest";
    return *ret_violation ? -EBADMSG : 0;
}
