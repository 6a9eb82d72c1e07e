#pragma once

/*
 * Sample spans: protobuf bytes put together field by field, so that a test shows what is in
 * them. All live in one arena, which setup and teardown of a test make and free:
 *
 *     cmocka_unit_test_setup_teardown(test, new_samples, free_samples)
 */

#include "tests/unit/expect.h"

#include "collector/spans/otlp_schema.h"
#include "common/base/arena.h"
#include "common/base/wire.h"

enum { MAX_SAMPLE_BYTES = 64 * 1024 * 1024, SAMPLE_HEAD_BYTES = 16 };

static struct arena *samples;

static inline int new_samples(void **state)
{
    (void)state;
    samples = arena_new(MAX_SAMPLE_BYTES);
    return samples ? 0 : -1;
}

static inline int free_samples(void **state)
{
    (void)state;
    arena_free(samples);
    return 0;
}

static inline struct wire_writer sample_writer(size_t size)
{
    void *buffer = arena_alloc(samples, size);
    assert_non_null(buffer);
    return wire_writer(buffer, size);
}

static inline struct str field_bytes(uint32_t number, struct str content)
{
    struct wire_writer writer = sample_writer(content.len + SAMPLE_HEAD_BYTES);
    wire_put_bytes(&writer, number, content);
    return wire_written(&writer);
}

static inline struct str field_varint(uint32_t number, uint64_t value)
{
    struct wire_writer writer = sample_writer(SAMPLE_HEAD_BYTES);
    wire_put_varint(&writer, number, value);
    return wire_written(&writer);
}

static inline struct str field_fixed64(uint32_t number, uint64_t value)
{
    struct wire_writer writer = sample_writer(SAMPLE_HEAD_BYTES);
    wire_put_fixed64(&writer, number, value);
    return wire_written(&writer);
}

static inline struct str field_fixed32(uint32_t number, uint32_t value)
{
    struct wire_writer writer = sample_writer(SAMPLE_HEAD_BYTES);
    wire_put_fixed32(&writer, number, value);
    return wire_written(&writer);
}

/* Any field of that wire type; as bytes it is empty. */
static inline struct str field_of(uint32_t number, enum wire_type type)
{
    switch (type) {
    case WIRE_VARINT:
        return field_varint(number, 1);
    case WIRE_FIXED64:
        return field_fixed64(number, 1);
    case WIRE_BYTES:
        return field_bytes(number, STR(""));
    case WIRE_FIXED32:
        return field_fixed32(number, 1);
    }
    return (struct str){0};
}

static inline struct str join(const struct str parts[], size_t n_parts)
{
    size_t size = 0, at = 0;
    for (size_t i = 0; i < n_parts; i++)
        size += parts[i].len;

    char *joined = arena_alloc(samples, size + 1);
    assert_non_null(joined);
    for (size_t i = 0; i < n_parts; at += parts[i++].len)
        if (parts[i].len > 0)
            memcpy(joined + at, parts[i].at, parts[i].len);
    return (struct str){joined, size};
}

/* The parts, one after the other. */
#define JOIN(...) \
    join((struct str[]){__VA_ARGS__}, sizeof((struct str[]){__VA_ARGS__}) / sizeof(struct str))

/* The envelopes, each as a field of the one around it. */
#define RESOURCE_SPANS(...) field_bytes(EXPORT_RESOURCE_SPANS, JOIN(__VA_ARGS__))
#define SCOPE_SPANS(...) field_bytes(RESOURCE_SPANS_SCOPE_SPANS, JOIN(__VA_ARGS__))
#define SPAN(...) field_bytes(SCOPE_SPANS_SPANS, JOIN(__VA_ARGS__))

/* An ExportTraceServiceRequest with this one span. */
#define REQUEST_OF(...) RESOURCE_SPANS(SCOPE_SPANS(SPAN(__VA_ARGS__)))

static inline struct str string_attribute(uint32_t number, struct str key, struct str value)
{
    return field_bytes(number, JOIN(field_bytes(KEY_VALUE_KEY, key),
                                    field_bytes(KEY_VALUE_VALUE, field_bytes(ANY_STRING, value))));
}

static inline struct str sample_resource(struct str service_name)
{
    return field_bytes(RESOURCE_SPANS_RESOURCE,
                       string_attribute(RESOURCE_ATTRIBUTES, STR("service.name"), service_name));
}

static inline struct str sample_scope(struct str name)
{
    return field_bytes(SCOPE_SPANS_SCOPE, field_bytes(SCOPE_NAME, name));
}
