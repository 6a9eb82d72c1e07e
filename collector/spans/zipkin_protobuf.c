#include <arpa/inet.h>
#include <errno.h>

#include "collector/spans/zipkin.h"
#include "collector/spans/zipkin_span.h"
#include "common/base/arena.h"

/* zipkin-api, zipkin.proto. */
enum { LIST_SPANS = 1 };
enum {
    SPAN_TRACE_ID = 1,
    SPAN_PARENT_ID = 2,
    SPAN_ID = 3,
    SPAN_KIND = 4,
    SPAN_NAME = 5,
    SPAN_TIMESTAMP = 6,
    SPAN_DURATION = 7,
    SPAN_LOCAL_ENDPOINT = 8,
    SPAN_REMOTE_ENDPOINT = 9,
    SPAN_ANNOTATIONS = 10,
    SPAN_TAGS = 11,
    SPAN_DEBUG = 12,
    SPAN_SHARED = 13,
};
enum { ENDPOINT_SERVICE_NAME = 1, ENDPOINT_IPV4 = 2, ENDPOINT_IPV6 = 3, ENDPOINT_PORT = 4 };
enum { ANNOTATION_TIMESTAMP = 1, ANNOTATION_VALUE = 2 };
enum { TAG_KEY = 1, TAG_VALUE = 2 };

enum { SHORT_TRACE_ID_BYTES = 8, IPV4_BYTES = 4, IPV6_BYTES = 16, CAPACITY_BESIDES = 512 };

/* Addresses as text: what the endpoints of the span at hand point to. */
struct addresses {
    char ipv4[INET_ADDRSTRLEN];
    char ipv6[INET6_ADDRSTRLEN];
};

static bool is_of_type(struct zipkin_spans *spans, const struct wire_field *field,
                       enum wire_type type, const char *member)
{
    if (field->type == type)
        return true;

    zipkin_spans_refuse(spans, member, "of another wire type");
    return false;
}

static void read_string(struct zipkin_spans *spans, const struct wire_field *field,
                        const char *member, struct str *to)
{
    if (!is_of_type(spans, field, WIRE_BYTES, member))
        return;

    if (str_is_utf8(field->bytes))
        *to = field->bytes;
    else
        zipkin_spans_refuse(spans, member, "not UTF-8");
}

static void read_id(struct zipkin_spans *spans, const struct wire_field *field, const char *member,
                    uint8_t to[ZIPKIN_ID_BYTES])
{
    if (!is_of_type(spans, field, WIRE_BYTES, member))
        return;

    if (field->bytes.len == ZIPKIN_ID_BYTES)
        memcpy(to, field->bytes.at, ZIPKIN_ID_BYTES);
    else if (field->bytes.len != 0)
        zipkin_spans_refuse(spans, member, "not 8 bytes");
}

/* One of 64 bits has zeros in front. */
static void read_trace_id(struct zipkin_spans *spans, const struct wire_field *field)
{
    uint8_t *to = spans->span.trace_id;
    if (!is_of_type(spans, field, WIRE_BYTES, "trace_id"))
        return;

    if (field->bytes.len == ZIPKIN_TRACE_ID_BYTES) {
        memcpy(to, field->bytes.at, ZIPKIN_TRACE_ID_BYTES);
    } else if (field->bytes.len == SHORT_TRACE_ID_BYTES) {
        memset(to, 0, ZIPKIN_TRACE_ID_BYTES - SHORT_TRACE_ID_BYTES);
        memcpy(to + ZIPKIN_TRACE_ID_BYTES - SHORT_TRACE_ID_BYTES, field->bytes.at,
               SHORT_TRACE_ID_BYTES);
    } else {
        zipkin_spans_refuse(spans, "trace_id", "neither 8 bytes nor 16");
    }
}

static void read_number(struct zipkin_spans *spans, const struct wire_field *field,
                        enum wire_type type, const char *member, uint64_t *to)
{
    if (is_of_type(spans, field, type, member))
        *to = field->value;
}

static void read_bool(struct zipkin_spans *spans, const struct wire_field *field,
                      const char *member, bool *to)
{
    if (is_of_type(spans, field, WIRE_VARINT, member))
        *to = field->value != 0;
}

static void read_kind(struct zipkin_spans *spans, const struct wire_field *field)
{
    if (!is_of_type(spans, field, WIRE_VARINT, "kind"))
        return;

    if (field->value <= ZIPKIN_CONSUMER)
        spans->span.kind = (enum zipkin_kind)field->value;
    else
        zipkin_spans_refuse(spans, "kind", "not one of Zipkin's");
}

/* An int32; below 0 stands for absent. */
static void read_port(struct zipkin_spans *spans, const struct wire_field *field, uint16_t *to)
{
    if (!is_of_type(spans, field, WIRE_VARINT, "port"))
        return;

    int32_t port = (int32_t)(uint32_t)field->value;
    if (port <= UINT16_MAX)
        *to = port > 0 ? (uint16_t)port : 0;
    else
        zipkin_spans_refuse(spans, "port", "out of range");
}

/* An address of another length is no reason to lose a span. */
static void read_address(struct zipkin_spans *spans, const struct wire_field *field, int family,
                         size_t n_bytes, char *text, struct str *to)
{
    const char *member = family == AF_INET ? "ipv4" : "ipv6";
    if (!is_of_type(spans, field, WIRE_BYTES, member) || field->bytes.len != n_bytes)
        return;

    *to = str_from(inet_ntop(family, field->bytes.at, text, INET6_ADDRSTRLEN));
}

static void check_read(struct zipkin_spans *spans, const struct wire_cursor *cursor,
                       const char *member)
{
    if (cursor->is_bad)
        zipkin_spans_refuse(spans, member, "not protobuf");
}

static void read_endpoint(struct zipkin_spans *spans, const struct wire_field *message,
                          const char *member, struct addresses *addresses,
                          struct zipkin_endpoint *to)
{
    struct wire_cursor cursor = wire_cursor(message->bytes);
    struct wire_field  field;
    if (!is_of_type(spans, message, WIRE_BYTES, member))
        return;

    while (wire_next(&cursor, &field)) {
        if (field.number == ENDPOINT_SERVICE_NAME)
            read_string(spans, &field, "service_name", &to->service_name);
        else if (field.number == ENDPOINT_IPV4)
            read_address(spans, &field, AF_INET, IPV4_BYTES, addresses->ipv4, &to->ipv4);
        else if (field.number == ENDPOINT_IPV6)
            read_address(spans, &field, AF_INET6, IPV6_BYTES, addresses->ipv6, &to->ipv6);
        else if (field.number == ENDPOINT_PORT)
            read_port(spans, &field, &to->port);
    }
    check_read(spans, &cursor, member);
}

static void read_annotation(struct zipkin_spans *spans, const struct wire_field *message)
{
    struct wire_cursor cursor = wire_cursor(message->bytes);
    struct wire_field  field;
    uint64_t           timestamp_us = 0;
    struct str         value = {0};
    if (!is_of_type(spans, message, WIRE_BYTES, "annotations"))
        return;

    while (wire_next(&cursor, &field)) {
        if (field.number == ANNOTATION_TIMESTAMP)
            read_number(spans, &field, WIRE_FIXED64, "annotations", &timestamp_us);
        else if (field.number == ANNOTATION_VALUE)
            read_string(spans, &field, "annotations", &value);
    }
    check_read(spans, &cursor, "annotations");
    zipkin_spans_annotation(spans, timestamp_us, value);
}

/* An entry of a protobuf map: its key and value are "" when they are left out. */
static void read_tag(struct zipkin_spans *spans, const struct wire_field *entry)
{
    struct wire_cursor cursor = wire_cursor(entry->bytes);
    struct wire_field  field;
    struct str         key = STR(""), value = STR("");
    if (!is_of_type(spans, entry, WIRE_BYTES, "tags"))
        return;

    while (wire_next(&cursor, &field)) {
        if (field.number == TAG_KEY)
            read_string(spans, &field, "tags", &key);
        else if (field.number == TAG_VALUE)
            read_string(spans, &field, "tags", &value);
    }
    check_read(spans, &cursor, "tags");
    zipkin_spans_tag(spans, key, value);
}

static void read_field(struct zipkin_spans *spans, const struct wire_field *field,
                       struct addresses *local, struct addresses *remote)
{
    struct zipkin_span *span = &spans->span;

    switch (field->number) {
    case SPAN_TRACE_ID:
        return read_trace_id(spans, field);
    case SPAN_PARENT_ID:
        return read_id(spans, field, "parent_id", span->parent_id);
    case SPAN_ID:
        return read_id(spans, field, "id", span->id);
    case SPAN_KIND:
        return read_kind(spans, field);
    case SPAN_NAME:
        return read_string(spans, field, "name", &span->name);
    case SPAN_TIMESTAMP:
        return read_number(spans, field, WIRE_FIXED64, "timestamp", &span->timestamp_us);
    case SPAN_DURATION:
        return read_number(spans, field, WIRE_VARINT, "duration", &span->duration_us);
    case SPAN_LOCAL_ENDPOINT:
        return read_endpoint(spans, field, "local_endpoint", local, &span->local);
    case SPAN_REMOTE_ENDPOINT:
        return read_endpoint(spans, field, "remote_endpoint", remote, &span->remote);
    case SPAN_ANNOTATIONS:
        return read_annotation(spans, field);
    case SPAN_TAGS:
        return read_tag(spans, field);
    case SPAN_DEBUG:
        return read_bool(spans, field, "debug", &span->is_debug);
    case SPAN_SHARED:
        return read_bool(spans, field, "shared", &span->is_shared);
    }
}

static void read_span(struct zipkin_spans *spans, const struct wire_field *message)
{
    struct wire_cursor cursor = wire_cursor(message->bytes);
    struct wire_field  field;
    struct addresses   local, remote;

    zipkin_spans_begin(spans);
    if (is_of_type(spans, message, WIRE_BYTES, NULL))
        while (wire_next(&cursor, &field))
            read_field(spans, &field, &local, &remote);
    check_read(spans, &cursor, NULL);
    zipkin_spans_end(spans);
}

int zipkin_read_protobuf(struct str list, size_t max_bytes, struct arena *arena,
                         struct zipkin_result *ret_result)
{
    struct zipkin_spans spans = zipkin_spans(arena, 2 * list.len + CAPACITY_BESIDES, max_bytes);
    struct wire_cursor  cursor = wire_cursor(list);
    struct wire_field   field;

    while (wire_next(&cursor, &field))
        if (field.number == LIST_SPANS)
            read_span(&spans, &field);
    if (cursor.is_bad) {
        *ret_result = (struct zipkin_result){.reason = STR("not protobuf")};
        return -EBADMSG;
    }
    return zipkin_spans_finish(&spans, ret_result);
}
