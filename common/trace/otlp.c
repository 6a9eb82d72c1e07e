#include "common/trace/otlp.h"

#include "common/base/text.h"
#include "common/trace/otlp_fields.h"

enum {
    FLAG_SAMPLED = 0x01,
    FLAG_HAS_IS_REMOTE = 0x100,
    FLAG_IS_REMOTE = 0x200,
};

/* The text is cut where the buffer ends; what that leaves of a character goes too. */
static void put_mended(struct wire_writer *writer, uint32_t number, struct str s)
{
    char        buffer[OTLP_MAX_TEXT_BYTES];
    struct text text = text_in_buffer(buffer, sizeof(buffer));

    text_add_utf8(&text, s);
    struct str mended = text_view(&text);
    mended.len = str_utf8_prefix(mended);
    wire_put_bytes(writer, number, mended);
}

static void put_text(struct wire_writer *writer, uint32_t number, struct str s)
{
    if (s.len <= OTLP_MAX_TEXT_BYTES && str_is_utf8(s))
        wire_put_bytes(writer, number, s);
    else
        put_mended(writer, number, s);
}

static void put_optional_text(struct wire_writer *writer, uint32_t number, struct str s)
{
    if (!str_is_empty(s))
        put_text(writer, number, s);
}

static void put_double(struct wire_writer *writer, uint32_t number, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    wire_put_fixed64(writer, number, bits);
}

/* Of an AnyValue, the field that is set: it is written even when it is 0 or empty. */
static void put_value(struct wire_writer *writer, const struct span_attribute *attribute)
{
    switch (attribute->kind) {
    case ATTRIBUTE_STR:
        put_text(writer, ANY_STRING, attribute->str);
        break;
    case ATTRIBUTE_INT:
        wire_put_varint(writer, ANY_INT, (uint64_t)attribute->integer);
        break;
    case ATTRIBUTE_DOUBLE:
        put_double(writer, ANY_DOUBLE, attribute->real);
        break;
    case ATTRIBUTE_BOOL:
        wire_put_varint(writer, ANY_BOOL, attribute->boolean);
        break;
    }
}

static void put_attributes(struct wire_writer *writer, uint32_t number,
                           const struct span_attribute attributes[], size_t n_attributes)
{
    for (size_t i = n_attributes; i-- > 0;) {
        const uint8_t *end = writer->at;
        put_value(writer, &attributes[i]);
        wire_close(writer, KEY_VALUE_VALUE, end);
        put_text(writer, KEY_VALUE_KEY, attributes[i].key);
        wire_close(writer, number, end);
    }
}

static void put_status(struct wire_writer *writer, const struct span *span)
{
    if (!span->is_error)
        return;

    const uint8_t *end = writer->at;
    wire_put_varint(writer, SPAN_STATUS_CODE, SPAN_STATUS_ERROR);
    put_optional_text(writer, SPAN_STATUS_MESSAGE, span->error_message);
    wire_close(writer, SPAN_STATUS, end);
}

static uint32_t span_flags(const struct span *span)
{
    uint32_t flags = FLAG_HAS_IS_REMOTE;

    if (sampling_is_recorded(span->context.sampling))
        flags |= FLAG_SAMPLED;
    if (span->has_remote_parent)
        flags |= FLAG_IS_REMOTE;
    return flags;
}

static struct str id_bytes(const uint8_t *bytes, size_t size)
{
    return (struct str){(const char *)bytes, size};
}

static void put_ids(struct wire_writer *writer, const struct span *span)
{
    const struct trace_context *context = &span->context;

    if (!span_id_is_zero(&span->parent_id))
        wire_put_bytes(writer, SPAN_PARENT_SPAN_ID,
                       id_bytes(span->parent_id.bytes, sizeof(span->parent_id.bytes)));
    put_optional_text(writer, SPAN_TRACE_STATE, context->trace_state);
    wire_put_bytes(writer, SPAN_SPAN_ID,
                   id_bytes(context->span_id.bytes, sizeof(context->span_id.bytes)));
    wire_put_bytes(writer, SPAN_TRACE_ID,
                   id_bytes(context->trace_id.bytes, sizeof(context->trace_id.bytes)));
}

/* `at` is NULL when it did not fit. */
static struct str written(const struct wire_writer *writer)
{
    return writer->is_full ? (struct str){0} : wire_written(writer);
}

struct str otlp_encode_span(const struct span *span, void *buffer, size_t size)
{
    struct wire_writer writer = wire_writer(buffer, size);
    const uint8_t     *end = writer.at;

    wire_put_fixed32(&writer, SPAN_FLAGS, span_flags(span));
    put_status(&writer, span);
    if (span->n_dropped_attributes > 0)
        wire_put_varint(&writer, SPAN_DROPPED_ATTRIBUTES_COUNT, span->n_dropped_attributes);
    put_attributes(&writer, SPAN_ATTRIBUTES, span->attributes, span->n_attributes);
    wire_put_fixed64(&writer, SPAN_END_TIME, (uint64_t)span->end_ns);
    wire_put_fixed64(&writer, SPAN_START_TIME, (uint64_t)span->start_ns);
    wire_put_varint(&writer, SPAN_KIND, span->kind);
    put_text(&writer, SPAN_NAME, span->name);
    put_ids(&writer, span);
    wire_close(&writer, SCOPE_SPANS_SPANS, end);
    return written(&writer);
}

struct str otlp_encode_resource(const struct span_attribute attributes[], size_t n_attributes,
                                void *buffer, size_t size)
{
    struct wire_writer writer = wire_writer(buffer, size);
    const uint8_t     *end = writer.at;

    put_attributes(&writer, RESOURCE_ATTRIBUTES, attributes, n_attributes);
    wire_close(&writer, RESOURCE_SPANS_RESOURCE, end);
    return written(&writer);
}

struct str otlp_encode_envelope(struct str resource, struct str scope_name,
                                struct str scope_version, size_t spans_bytes, void *buffer,
                                size_t size)
{
    struct wire_writer writer = wire_writer(buffer, size);
    const uint8_t     *end = writer.at;

    put_optional_text(&writer, SCOPE_VERSION, scope_version);
    put_optional_text(&writer, SCOPE_NAME, scope_name);
    wire_close(&writer, SCOPE_SPANS_SCOPE, end);
    wire_put_head(&writer, RESOURCE_SPANS_SCOPE_SPANS, wire_written(&writer).len + spans_bytes);
    wire_put_fields(&writer, resource);
    wire_put_head(&writer, EXPORT_RESOURCE_SPANS, wire_written(&writer).len + spans_bytes);
    return written(&writer);
}
