/*
 * Trace context, out of headers that are written as "name: value" lines. What is
 * taken from a caller must reach the next hop whole, and in legal headers.
 */

#include <assert.h>

#include "common/base/arena.h"
#include "common/base/cleanup.h"
#include "common/trace/trace_context.h"
#include "tests/fuzz/fuzz.h"

static const struct propagators orders[] = {
    {{PROPAGATOR_B3_MULTI, PROPAGATOR_TRACECONTEXT}, 2},
    {{PROPAGATOR_TRACECONTEXT, PROPAGATOR_B3}, 2},
};

static struct metadata read_headers(struct str input, struct arena *arena)
{
    struct metadata headers = {0};
    struct str      line, name, value;

    while (str_cut(&input, '\n', &line))
        if (str_split(line, ':', &name, &value))
            assert(metadata_add(&headers, arena, name, str_trim(value)) == 0);
    return headers;
}

static void check_headers(const struct metadata *headers)
{
    for (size_t i = 0; i < headers->count; i++) {
        struct str value = headers->fields[i].value;

        assert(trace_context_owns_header(headers->fields[i].name));
        assert(value.len > 0);
        for (size_t j = 0; j < value.len; j++)
            assert(value.at[j] >= ' ' && value.at[j] <= '~');
    }
}

static void check_ids(const struct trace_context *context)
{
    if (!context->has_ids)
        return;
    assert(!trace_id_is_zero(&context->trace_id));
    assert(!span_id_is_zero(&context->span_id));
}

/* What this propagator says of `context`, and hears again. */
static void check_round_trip(const struct trace_context *context, enum propagator propagator,
                             struct arena *arena)
{
    struct propagators only = {{propagator}, 1};
    struct metadata    headers = {0};

    assert(trace_context_inject(context, &only, &headers, arena) == 0);
    check_headers(&headers);
    struct trace_extraction again = trace_context_extract(&headers, &only, context->span_id);
    assert(again.malformed == 0);

    if (propagator == PROPAGATOR_TRACECONTEXT && !context->has_ids)
        return;
    assert(again.context.has_ids == context->has_ids);
    assert(trace_id_equal(&again.context.trace_id, &context->trace_id));
    assert(span_id_equal(&again.context.span_id, &context->span_id));
    assert(sampling_is_recorded(again.context.sampling) == sampling_is_recorded(context->sampling));
    if (propagator == PROPAGATOR_TRACECONTEXT) {
        assert(str_equal(again.context.trace_state, context->trace_state));
    } else {
        assert(again.context.sampling == context->sampling);
        assert(again.context.is_64_bit == context->is_64_bit);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MAX_INPUT_BYTES = 4096, ARENA_BYTES = 1 << 20 };

    if (size > MAX_INPUT_BYTES)
        return 0;

    struct arena   *arena = arena_new(ARENA_BYTES);
    struct metadata headers = read_headers(fuzz_input(data, size), arena);
    struct span_id  sent = {0};

    (void)span_id_parse(metadata_find(&headers, STR("x-tracehop-call")), &sent);
    for (size_t i = 0; i < ARRAY_LENGTH(orders); i++) {
        struct trace_extraction extraction = trace_context_extract(&headers, &orders[i], sent);

        assert(extraction.malformed <= 3);
        check_ids(&extraction.context);
        check_round_trip(&extraction.context, PROPAGATOR_B3, arena);
        check_round_trip(&extraction.context, PROPAGATOR_B3_MULTI, arena);
        check_round_trip(&extraction.context, PROPAGATOR_TRACECONTEXT, arena);
    }
    arena_free(arena);
    return 0;
}
