/*
 * What looking at spans costs, without any network: the skim, the walk, and what a tree would
 * cost instead (protobuf-c into an arena), for requests of spans as Istio's proxies make them.
 *
 *     bench_skim [SECONDS]
 *
 * One line of JSON for each row, the best of several rounds.
 */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/spans/otlp_schema.h"
#include "collector/spans/skim.h"
#include "collector/spans/span_walk.h"
#include "common/base/clock.h"
#include "common/edge/proto.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"

enum { MAX_REQUEST_BYTES = 64 * 1024, ARENA_BYTES = 64 * 1024 * 1024, ROUNDS = 5 };

static const struct wire_limits limits = {.max_depth = 100, .max_fields = 1000 * 1000};

static void put_attribute(struct wire_writer *writer, uint32_t number, const char *key,
                          const char *value)
{
    const uint8_t *end = writer->at;
    wire_put_bytes(writer, ANY_STRING, str_from(value));
    wire_close(writer, KEY_VALUE_VALUE, end);
    wire_put_bytes(writer, KEY_VALUE_KEY, str_from(key));
    wire_close(writer, number, end);
}

static void put_span(struct wire_writer *writer, unsigned i)
{
    static const char *const attributes[][2] = {
        {"upstream_cluster.name", "outbound|9080||reviews.default.svc.cluster.local"},
        {"http.url", "http://reviews:9080/reviews/0"},
        {"peer.address", "10.244.0.17"},
        {"istio.canonical_service", "reviews"},
        {"component", "proxy"},
        {"node_id", "sidecar~10.244.0.17~reviews-v1-7f99cc4496-abcde"},
        {"response_flags", "-"},
        {"http.method", "GET"},
        {"http.status_code", "200"},
        {"guid:x-request-id", "2b6a2a2e-5dd2-9d5b-a0c9-8b3d8a0d2f7e"},
    };
    char           id[16] = {0};
    const uint8_t *end = writer->at;

    (void)snprintf(id, sizeof(id), "%015u", i);
    wire_close(writer, SPAN_STATUS, writer->at);
    for (size_t j = 0; j < sizeof(attributes) / sizeof(attributes[0]); j++)
        put_attribute(writer, SPAN_ATTRIBUTES, attributes[j][0], attributes[j][1]);
    wire_put_fixed64(writer, SPAN_END_TIME, UINT64_C(1700000000000000000) + i);
    wire_put_fixed64(writer, SPAN_START_TIME, UINT64_C(1700000000000000000));
    wire_put_varint(writer, SPAN_KIND, 2);
    wire_put_bytes(writer, SPAN_NAME, STR("reviews.default.svc.cluster.local:9080/*"));
    wire_put_bytes(writer, SPAN_PARENT_SPAN_ID, (struct str){id, 8});
    wire_put_bytes(writer, SPAN_SPAN_ID, (struct str){id + 8, 8});
    wire_put_bytes(writer, SPAN_TRACE_ID, (struct str){id, 16});
    wire_close(writer, SCOPE_SPANS_SPANS, end);
}

static struct str make_request(unsigned n_spans, uint8_t buffer[MAX_REQUEST_BYTES])
{
    struct wire_writer writer = wire_writer(buffer, MAX_REQUEST_BYTES);
    const uint8_t     *end = writer.at;

    for (unsigned i = 0; i < n_spans; i++)
        put_span(&writer, i);
    wire_close(&writer, RESOURCE_SPANS_SCOPE_SPANS, end);
    const uint8_t *resource_end = writer.at;
    put_attribute(&writer, RESOURCE_ATTRIBUTES, "service.name", "reviews.default");
    wire_close(&writer, RESOURCE_SPANS_RESOURCE, resource_end);
    wire_close(&writer, EXPORT_RESOURCE_SPANS, end);
    assert(!writer.is_full);
    return wire_written(&writer);
}

/* Each looks at a request once, and says how many spans it saw. */
typedef uint32_t look_fn(struct str request);

static uint32_t skim(struct str request)
{
    uint32_t    n_spans = 0;
    const char *reason;

    return skim_request(request, &n_spans, &reason) == 0 ? n_spans : 0;
}

static uint32_t walk(struct str request)
{
    struct span_walk walk = span_walk(request);
    struct span_view span;
    uint32_t         n_spans = 0;

    while (span_walk_next(&walk, &span))
        n_spans += span.trace_id.len == 16;
    return n_spans;
}

static uint32_t unpack(struct str request)
{
    cleanup_with(arena_free_at) struct arena *arena = arena_new(ARENA_BYTES);
    Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceRequest *unpacked = proto_unpack(
        &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor,
        request, limits, arena);

    return unpacked ? (uint32_t)unpacked->resource_spans[0]->scope_spans[0]->n_spans : 0;
}

static double looks_per_s(look_fn *look, struct str request, uint32_t n_spans, int64_t round_ns)
{
    double best = 0;

    for (int round = 0; round < ROUNDS; round++) {
        int64_t  start_ns = clock_monotonic_ns(), now_ns = start_ns;
        unsigned n_looks = 0;

        for (; now_ns - start_ns < round_ns; now_ns = clock_monotonic_ns())
            for (unsigned i = 0; i < 100; i++, n_looks++)
                if (look(request) != n_spans)
                    abort();
        double rate = n_looks * 1e9 / (double)(now_ns - start_ns);
        best = rate > best ? rate : best;
    }
    return best;
}

int main(int argc, char *argv[])
{
    static const struct {
        const char *name;
        look_fn    *look;
    } rows[] = {{"skim", skim}, {"walk", walk}, {"protobuf-c", unpack}};
    static const unsigned sizes[] = {5, 100};
    static uint8_t        buffer[MAX_REQUEST_BYTES];
    double                seconds = argc > 1 ? atof(argv[1]) : 0.2;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct str request = make_request(sizes[i], buffer);
        for (size_t j = 0; j < sizeof(rows) / sizeof(rows[0]); j++) {
            double rate = looks_per_s(rows[j].look, request, sizes[i], (int64_t)(seconds * 1e9));
            printf("{\"what\":\"%s\",\"spans_per_request\":%u,\"bytes_per_span\":%zu,"
                   "\"spans_per_s\":%.0f,\"mb_per_s\":%.0f}\n",
                   rows[j].name, sizes[i], request.len / sizes[i], rate * sizes[i],
                   rate * (double)request.len / 1e6);
        }
    }
    return 0;
}
