#include "tests/mock/load_request.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/wire.h"

/* Field numbers: opentelemetry/proto/trace/v1/trace.proto and its kind. */
enum { REQUEST_RESOURCE_SPANS = 1 };
enum { RESOURCE_SPANS_RESOURCE = 1, RESOURCE_SPANS_SCOPE_SPANS = 2 };
enum { RESOURCE_ATTRIBUTES = 1 };
enum { SCOPE_SPANS_SCOPE = 1, SCOPE_SPANS_SPANS = 2 };
enum { SCOPE_NAME = 1 };
enum {
    SPAN_TRACE_ID = 1,
    SPAN_SPAN_ID = 2,
    SPAN_NAME = 5,
    SPAN_KIND = 6,
    SPAN_START = 7,
    SPAN_END = 8,
    SPAN_ATTRIBUTES = 9,
};
enum { KIND_SERVER = 2 };
enum { KEY_VALUE_KEY = 1, KEY_VALUE_VALUE = 2, ANY_STRING = 1 };

enum {
    BARE_SPAN_BYTES = 64, /* without attributes, roughly */
    ATTRIBUTE_BYTES = 50,
    ENVELOPE_BYTES = 200,
};

static const char placeholder[16];

static void put_attribute(struct wire_writer *writer, uint32_t field, struct str key,
                          struct str value)
{
    const uint8_t *end = writer->at;

    wire_put_bytes(writer, ANY_STRING, value);
    wire_close(writer, KEY_VALUE_VALUE, end);
    wire_put_bytes(writer, KEY_VALUE_KEY, key);
    wire_close(writer, field, end);
}

static void put_attributes(struct wire_writer *writer, size_t count)
{
    char key[32];

    for (size_t i = count; i-- > 0;) {
        snprintf(key, sizeof(key), "attribute.%zu", i);
        put_attribute(writer, SPAN_ATTRIBUTES, str_from(key),
                      STR("thirty-two characters of a value"));
    }
}

/* Returns where its span id is, counted from the end of the buffer. */
static size_t put_span(struct wire_writer *writer, size_t n_attributes, uint64_t now_ns)
{
    const uint8_t *end = writer->at;

    put_attributes(writer, n_attributes);
    wire_put_fixed64(writer, SPAN_END, now_ns + NS_PER_MS);
    wire_put_fixed64(writer, SPAN_START, now_ns);
    wire_put_varint(writer, SPAN_KIND, KIND_SERVER);
    wire_put_bytes(writer, SPAN_NAME, STR("load"));
    wire_put_bytes(writer, SPAN_SPAN_ID, (struct str){placeholder, 8});
    size_t id_from_end = (size_t)(writer->end - writer->at) - 2; /* tag and length */
    wire_put_bytes(writer, SPAN_TRACE_ID, (struct str){placeholder, 16});
    wire_close(writer, SCOPE_SPANS_SPANS, end);
    return id_from_end;
}

static void put_envelope(struct wire_writer *writer, const uint8_t *end)
{
    const uint8_t *own_end = writer->at;

    wire_put_bytes(writer, SCOPE_NAME, STR("span_load"));
    wire_close(writer, SCOPE_SPANS_SCOPE, own_end);
    wire_close(writer, RESOURCE_SPANS_SCOPE_SPANS, end);

    own_end = writer->at;
    put_attribute(writer, RESOURCE_ATTRIBUTES, STR("service.name"), STR("span-load"));
    wire_close(writer, RESOURCE_SPANS_RESOURCE, own_end);
    wire_close(writer, REQUEST_RESOURCE_SPANS, end);
}

/* Backwards, so the last span comes first. */
static void write(struct load_request *request, struct wire_writer *writer, size_t n_attributes)
{
    const uint8_t *end = writer->at;
    uint64_t       now_ns = (uint64_t)clock_realtime_ns();

    for (size_t i = request->n_spans; i-- > 0;)
        request->id_offsets[i] = put_span(writer, n_attributes, now_ns);
    put_envelope(writer, end);

    struct str whole = wire_written(writer);
    for (size_t i = 0; i < request->n_spans; i++)
        request->id_offsets[i] = whole.len - request->id_offsets[i];
    memmove(request->bytes, whole.at, whole.len);
    request->n_bytes = whole.len;
}

int load_request_init(struct load_request *request, size_t n_spans, size_t span_bytes)
{
    size_t n_attributes =
        span_bytes > BARE_SPAN_BYTES ? (span_bytes - BARE_SPAN_BYTES) / ATTRIBUTE_BYTES : 0;
    size_t capacity =
        ENVELOPE_BYTES + n_spans * 2 * (BARE_SPAN_BYTES + n_attributes * ATTRIBUTE_BYTES);

    *request = (struct load_request){.n_spans = n_spans,
                                     .bytes = malloc(capacity),
                                     .id_offsets = calloc(n_spans, sizeof(size_t))};
    if (!request->bytes || !request->id_offsets) {
        load_request_done(request);
        return -ENOMEM;
    }
    struct wire_writer writer = wire_writer(request->bytes, capacity);
    write(request, &writer, n_attributes);
    return 0;
}

void load_request_done(struct load_request *request)
{
    free(request->bytes);
    free(request->id_offsets);
}

struct str load_request_number(const struct load_request *request, uint64_t first_id, char *buffer)
{
    enum { TRACE_ID_BEFORE = 2 + 8 }; /* the second half of the trace id ends where a tag starts */
    uint64_t trace_id = htobe64(first_id);

    memcpy(buffer, request->bytes, request->n_bytes);
    for (size_t i = 0; i < request->n_spans; i++) {
        uint64_t span_id = htobe64(first_id + i);
        char    *at = buffer + request->id_offsets[i];
        memcpy(at, &span_id, sizeof(span_id));
        memcpy(at - TRACE_ID_BEFORE, &trace_id, sizeof(trace_id));
    }
    return (struct str){.at = buffer, .len = request->n_bytes};
}
