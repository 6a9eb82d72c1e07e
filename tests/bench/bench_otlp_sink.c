/*
 * A collector that costs next to nothing, for the rows with tracing on: takes OTLP
 * over gRPC with gRPC core alone, counts the spans, answers OK, forgets them.
 *
 *     bench_otlp_sink THREADS [counting|blind [PORT]]
 *
 * When it is blind it does not even look at what comes. Without a PORT the system picks one.
 *
 * On SIGTERM it says what it has counted.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>

#include "common/base/wire.h"
#include "tests/bench/bare_grpc.h"

static grpc_byte_buffer *empty_reply;
static bool              is_blind;
static _Atomic uint64_t  n_requests, n_bytes, n_spans;

/* ExportTraceServiceRequest.resource_spans.scope_spans.spans, by field numbers. */
static const uint32_t way_to_spans[] = {1, 2, 2};

static uint64_t count_at(struct str message, size_t depth)
{
    struct wire_cursor cursor = wire_cursor(message);
    struct wire_field  field;
    uint64_t           count = 0;

    while (wire_next(&cursor, &field))
        if (field.type == WIRE_BYTES && field.number == way_to_spans[depth])
            count += depth == 2 ? 1 : count_at(field.bytes, depth + 1);
    return count;
}

static void count(grpc_byte_buffer *request)
{
    grpc_byte_buffer_reader reader;

    if (!request || !grpc_byte_buffer_reader_init(&reader, request))
        return;
    grpc_slice whole = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);

    struct str bytes = {(const char *)GRPC_SLICE_START_PTR(whole), GRPC_SLICE_LENGTH(whole)};
    (void)atomic_fetch_add(&n_requests, 1);
    (void)atomic_fetch_add(&n_bytes, bytes.len);
    (void)atomic_fetch_add(&n_spans, count_at(bytes, 0));
    grpc_slice_unref(whole);
}

static void take(struct bare_call *call)
{
    if (!is_blind)
        count(call->request);
    bare_reply(call, empty_reply);
}

int main(int argc, char *argv[])
{
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: bench_otlp_sink THREADS [counting|blind [PORT]]\n");
        return 2;
    }
    is_blind = argc > 2 && strcmp(argv[2], "blind") == 0;

    empty_reply = grpc_raw_byte_buffer_create(NULL, 0);
    bare_serve(&(struct bare_options){
        .path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        .n_threads = (unsigned)atoi(argv[1]),
        .port = argc > 3 ? (unsigned)atoi(argv[3]) : 0,
        .call_size = sizeof(struct bare_call),
        .handle = take,
    });
    fprintf(stderr, "{\"message\":\"counted\",\"requests\":%lu,\"bytes\":%lu,\"spans\":%lu}\n",
            n_requests, n_bytes, n_spans);
    _exit(0);
}
