#include "common/trace/span_batch.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/wire.h"
#include "common/trace/otlp.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"

typedef Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceRequest ExportRequest;

enum { RECEIVER_LIMIT_BYTES = 4 << 20 };

/* A span of a name that is so long. */
static void offer(struct span_queue *queue, size_t name_bytes)
{
    static char        name[OTLP_MAX_SPAN_BYTES];
    uint8_t            buffer[OTLP_MAX_SPAN_BYTES];
    struct wire_writer writer = wire_writer(buffer, sizeof(buffer));

    memset(name, 'x', sizeof(name));
    wire_put_bytes(&writer, 5, (struct str){name, name_bytes}); /* Span.name */
    wire_close(&writer, 2, buffer + sizeof(buffer));            /* ScopeSpans.spans */
    assert_false(writer.is_full);
    assert_true(span_queue_offer(queue, wire_written(&writer)) > 0);
}

/* How many spans protobuf-c finds in the batch. */
static size_t count_spans(const struct span_batch *batch)
{
    ExportRequest *request =
        opentelemetry__proto__collector__trace__v1__export_trace_service_request__unpack(
            NULL, batch->request.len, (const uint8_t *)batch->request.at);
    assert_non_null(request);
    assert_int_equal(request->n_resource_spans, 1);
    assert_int_equal(request->resource_spans[0]->n_scope_spans, 1);

    size_t n_spans = request->resource_spans[0]->scope_spans[0]->n_spans;
    opentelemetry__proto__collector__trace__v1__export_trace_service_request__free_unpacked(request,
                                                                                            NULL);
    return n_spans;
}

static struct span_batch a_batch(size_t max_spans)
{
    struct span_batch         batch;
    struct span_batch_options options = {.scope_name = STR("tracehop"),
                                         .scope_version = STR("1"),
                                         .resource = STR("\x0a\x00"), /* an empty one */
                                         .max_spans = max_spans};
    assert_int_equal(span_batch_init(&batch, &options), 0);
    return batch;
}

static void a_batch_is_a_request_of_what_waits(void **state)
{
    (void)state;
    struct span_queue *queue = span_queue_new(10, OTLP_MAX_SPAN_BYTES);
    struct span_batch  batch = a_batch(10);

    assert_false(span_batch_take(&batch, queue));
    offer(queue, 5);
    offer(queue, 300);
    assert_true(span_batch_take(&batch, queue));
    assert_int_equal(batch.n_spans, 2);
    assert_int_equal(count_spans(&batch), 2);
    assert_false(span_batch_take(&batch, queue));

    span_batch_done(&batch);
    span_queue_free(queue);
}

static void each_batch_uses_the_memory_of_the_last(void **state)
{
    (void)state;
    static const size_t expected[] = {2, 2, 1};
    struct span_queue  *queue = span_queue_new(10, OTLP_MAX_SPAN_BYTES);
    struct span_batch   batch = a_batch(2);

    for (int i = 0; i < 5; i++)
        offer(queue, 100);
    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
        assert_true(span_batch_take(&batch, queue));
        assert_int_equal(count_spans(&batch), expected[i]);
    }

    span_batch_done(&batch);
    span_queue_free(queue);
}

static void the_longest_span_fits_into_the_smallest_batch(void **state)
{
    (void)state;
    struct span_queue *queue = span_queue_new(10, OTLP_MAX_SPAN_BYTES);
    struct span_batch  batch = a_batch(1);

    offer(queue, OTLP_MAX_SPAN_BYTES - 8);
    assert_true(span_batch_take(&batch, queue));
    assert_int_equal(count_spans(&batch), 1);

    span_batch_done(&batch);
    span_queue_free(queue);
}

static void no_request_is_longer_than_receivers_take(void **state)
{
    enum { SPANS = 400, SPAN_BYTES = 15000 };
    (void)state;
    struct span_queue *queue = span_queue_new(SPANS, (size_t)SPANS * OTLP_MAX_SPAN_BYTES);
    struct span_batch  batch = a_batch(100000);

    for (int i = 0; i < SPANS; i++)
        offer(queue, SPAN_BYTES);
    size_t n_spans = 0;
    while (span_batch_take(&batch, queue)) {
        if (batch.request.len > RECEIVER_LIMIT_BYTES)
            fail_msg("%zu bytes", batch.request.len);
        n_spans += count_spans(&batch);
    }
    assert_int_equal(n_spans, SPANS);

    span_batch_done(&batch);
    span_queue_free(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_a_request_of_what_waits),
        cmocka_unit_test(each_batch_uses_the_memory_of_the_last),
        cmocka_unit_test(the_longest_span_fits_into_the_smallest_batch),
        cmocka_unit_test(no_request_is_longer_than_receivers_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
