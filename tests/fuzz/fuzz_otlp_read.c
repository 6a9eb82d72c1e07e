/* What a receiver of spans answers: refused spans, and when to try again. */

#include <assert.h>

#include "common/trace/otlp.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"
#include "tests/fuzz/fuzz.h"

typedef Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceResponse ExportResponse;

static void expect_same(const ExportResponse *response, uint64_t rejected, struct str message)
{
    int64_t     expected = 0;
    const char *text = "";

    if (response->partial_success) {
        expected = response->partial_success->rejected_spans;
        text = response->partial_success->error_message;
    }
    assert(rejected == (expected > 0 ? (uint64_t)expected : 0));
    assert(strlen(text) == strnlen(message.at, message.len));
    assert(str_starts_with(message, str_from(text)));
}

/*
 * protobuf-c sees the same. Not in a partial_success that comes in pieces, whose
 * numbers it loses; such a response is shorter when it is packed again.
 */
static void compare(struct str input, uint64_t rejected, struct str message)
{
    ExportResponse *response =
        opentelemetry__proto__collector__trace__v1__export_trace_service_response__unpack(
            NULL, input.len, (const uint8_t *)input.at);

    if (response && protobuf_c_message_get_packed_size(&response->base) == input.len)
        expect_same(response, rejected, message);
    opentelemetry__proto__collector__trace__v1__export_trace_service_response__free_unpacked(
        response, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str input = fuzz_input(data, size);
    uint64_t   rejected;
    struct str message;
    int64_t    delay_ns;

    if (otlp_read_partial_success(input, &rejected, &message) == 0)
        compare(input, rejected, message);
    if (rpc_status_retry_delay(input, &delay_ns) == 0)
        assert(delay_ns >= 0);
    return 0;
}
