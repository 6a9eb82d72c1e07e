#include "common/trace/tracer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "common/base/arena.h"
#include "common/base/cleanup.h"
#include "common/trace/span_exporter.h"
#include "opentelemetry/proto/trace/v1/trace.pb-c.h"

#define TRACE "463ac35c9f6413ad48485a3953bb6124"
#define SPAN "a2fb4a1d1a96d312"

typedef Opentelemetry__Proto__Trace__V1__ScopeSpans ScopeSpans;

/* Stands in for the exporter of the library: keeps what it is offered. */
struct span_exporter {
    char   bytes[4096];
    size_t len;
};

void span_exporter_offer(struct span_exporter *exporter, struct str span)
{
    assert_true(span.len <= sizeof(exporter->bytes) - exporter->len);
    memcpy(exporter->bytes + exporter->len, span.at, span.len);
    exporter->len += span.len;
}

struct fixture {
    struct arena        *arena;
    struct metrics      *metrics;
    struct span_exporter exporter;
    struct tracer       *tracer;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.arena = arena_new(1 << 16), .metrics = metrics_new()};
    *state = &fixture;
    return fixture.arena && fixture.metrics ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    tracer_free(fixture->tracer);
    metrics_free(fixture->metrics);
    arena_free(fixture->arena);
    return 0;
}

static struct tracer *a_tracer(struct fixture *fixture, const char *sampler)
{
    struct tracer_options options = {.exporter = &fixture->exporter};
    struct str            bad;

    assert_int_equal(
        propagators_parse(STR("b3multi,tracecontext,baggage"), &options.propagators, &bad), 0);
    assert_int_equal(sampler_parse(str_from(sampler), STR(""), &options.sampler), 0);
    fixture->tracer = tracer_new(&options, fixture->metrics);
    assert_non_null(fixture->tracer);
    return fixture->tracer;
}

static struct span begin(struct tracer *tracer, struct field *headers, size_t n_headers)
{
    struct metadata metadata = {headers, n_headers, n_headers};
    struct span     span;

    tracer_begin_server(tracer, &span, STR("GET /"), &metadata, (struct span_id){0}, 1000);
    return span;
}

static struct span begin_with(struct tracer *tracer, struct str name, struct str value)
{
    return begin(tracer, &(struct field){name, value}, 1);
}

static struct str hex_of(struct fixture *fixture, const struct span *span)
{
    char trace[TRACE_ID_HEX_LENGTH], id[SPAN_ID_HEX_LENGTH], parent[SPAN_ID_HEX_LENGTH];
    return arena_format(fixture->arena, "%.*s %.*s %.*s",
                        STR_ARGS(trace_id_format(&span->context.trace_id, trace)),
                        STR_ARGS(span_id_format(&span->context.span_id, id)),
                        STR_ARGS(span_id_format(&span->parent_id, parent)));
}

static void assert_malformed(struct fixture *fixture, int expected)
{
    struct text page = text_in_arena(fixture->arena, 4096);
    metrics_render(fixture->metrics, METRICS_PROMETHEUS, &page);
    text_add_char(&page, '\0');

    struct str line =
        arena_format(fixture->arena, "\ntracehop_trace_contexts_malformed_total %d\n", expected);
    if (!strstr(page.at, line.at))
        fail_msg("expected %s in %s", line.at, page.at);
}

static void a_request_without_context_begins_a_trace(void **state)
{
    struct tracer *tracer = a_tracer(*state, "parentbased_always_on");
    struct span    span = begin(tracer, NULL, 0);

    assert_true(span.context.has_ids);
    assert_false(trace_id_is_zero(&span.context.trace_id));
    assert_false(span_id_is_zero(&span.context.span_id));
    assert_true(span_id_is_zero(&span.parent_id));
    assert_false(span.has_remote_parent);
    assert_false(span.context.is_64_bit);
    assert_true(span.is_recorded);
    assert_int_equal(span.kind, SPAN_SERVER);
    assert_int_equal(span.start_ns, 1000);
}

static void a_request_with_context_is_a_child_with_an_id_of_its_own(void **state)
{
    struct tracer *tracer = a_tracer(*state, "parentbased_always_on");
    struct span    span = begin_with(tracer, STR("b3"), STR(TRACE "-" SPAN "-1"));
    struct str     hex = hex_of(*state, &span);

    assert_true(str_starts_with(hex, STR(TRACE " ")));
    assert_true(str_ends_with(hex, STR(" " SPAN)));
    assert_false(span_id_equal(&span.context.span_id, &span.parent_id));
    assert_true(span.has_remote_parent);
    assert_true(span.is_recorded);
}

static void a_denied_request_is_not_recorded_and_denied_to_the_next_hop(void **state)
{
    struct fixture *fixture = *state;
    struct tracer  *tracer = a_tracer(fixture, "parentbased_always_on");
    struct span     span = begin_with(tracer, STR("b3"), STR(TRACE "-" SPAN "-0"));
    struct metadata headers = {0};

    assert_false(span.is_recorded);
    assert_int_equal(tracer_inject(tracer, &span, &headers, fixture->arena), 0);
    assert_true(str_equal(metadata_find(&headers, STR("x-b3-sampled")), STR("0")));
    assert_true(str_equal(metadata_find(&headers, STR("x-b3-traceid")), STR(TRACE)));
    assert_true(str_ends_with(metadata_find(&headers, STR("traceparent")), STR("-00")));

    tracer_end(tracer, &span, 2000);
    assert_int_equal(fixture->exporter.len, 0);
}

static void a_deny_without_ids_begins_a_trace_that_is_not_recorded(void **state)
{
    struct tracer *tracer = a_tracer(*state, "parentbased_always_on");
    struct span    span = begin_with(tracer, STR("b3"), STR("0"));

    assert_false(span.is_recorded);
    assert_true(span.context.has_ids);
    assert_false(trace_id_is_zero(&span.context.trace_id));
    assert_false(span.has_remote_parent);
}

static void debug_is_recorded_past_the_sampler_and_stays_debug(void **state)
{
    struct fixture *fixture = *state;
    struct tracer  *tracer = a_tracer(fixture, "always_off");
    struct span     span = begin_with(tracer, STR("b3"), STR(TRACE "-" SPAN "-d"));
    struct metadata headers = {0};

    assert_true(span.is_recorded);
    assert_int_equal(tracer_inject(tracer, &span, &headers, fixture->arena), 0);
    assert_true(str_equal(metadata_find(&headers, STR("x-b3-flags")), STR("1")));
}

static void a_deferred_decision_is_the_samplers(void **state)
{
    struct tracer *tracer = a_tracer(*state, "parentbased_always_off");
    struct span    span = begin_with(tracer, STR("b3"), STR(TRACE "-" SPAN));

    assert_int_equal(span.context.sampling, SAMPLING_DENIED);
    assert_true(span.has_remote_parent);
}

static void malformed_context_is_counted_and_begins_a_trace(void **state)
{
    struct tracer *tracer = a_tracer(*state, "parentbased_always_on");
    struct field   headers[] = {{STR("b3"), STR("?")}, {STR("traceparent"), STR("?")}};
    struct span    span = begin(tracer, headers, 2);

    assert_false(span.has_remote_parent);
    assert_false(trace_id_is_zero(&span.context.trace_id));
    assert_malformed(*state, 2);
}

static void a_child_is_of_the_same_trace(void **state)
{
    struct tracer *tracer = a_tracer(*state, "parentbased_always_on");
    struct span    parent = begin_with(tracer, STR("b3"), STR("48485a3953bb6124-" SPAN "-1"));
    struct span    child;

    tracer_begin_child(tracer, &child, SPAN_CLIENT, STR("call"), &parent, 1500);

    assert_true(trace_id_equal(&child.context.trace_id, &parent.context.trace_id));
    assert_true(span_id_equal(&child.parent_id, &parent.context.span_id));
    assert_false(span_id_equal(&child.context.span_id, &parent.context.span_id));
    assert_false(child.has_remote_parent);
    assert_true(child.context.is_64_bit);
    assert_true(child.is_recorded);
    assert_int_equal(child.kind, SPAN_CLIENT);
    assert_int_equal(child.start_ns, 1500);
    assert_int_equal(child.n_attributes, 0);
}

static void the_next_hop_is_a_child_of_the_injected_span(void **state)
{
    struct fixture *fixture = *state;
    struct tracer  *tracer = a_tracer(fixture, "parentbased_always_on");
    struct span     ours = begin(tracer, NULL, 0);
    struct metadata headers = {0};

    assert_int_equal(tracer_inject(tracer, &ours, &headers, fixture->arena), 0);
    struct span theirs = begin(tracer, headers.fields, headers.count);

    assert_true(trace_id_equal(&theirs.context.trace_id, &ours.context.trace_id));
    assert_true(span_id_equal(&theirs.parent_id, &ours.context.span_id));
}

static void an_ended_span_is_exported(void **state)
{
    struct fixture *fixture = *state;
    struct tracer  *tracer = a_tracer(fixture, "parentbased_always_on");
    struct span     span = begin(tracer, NULL, 0);

    span_set_int(&span, STR("http.response.status_code"), 200);
    tracer_end(tracer, &span, 2000);

    ScopeSpans *scope = opentelemetry__proto__trace__v1__scope_spans__unpack(
        NULL, fixture->exporter.len, (const uint8_t *)fixture->exporter.bytes);
    assert_non_null(scope);
    assert_int_equal(scope->n_spans, 1);
    assert_memory_equal(scope->spans[0]->span_id.data, span.context.span_id.bytes, 8);
    assert_int_equal(scope->spans[0]->start_time_unix_nano, 1000);
    assert_int_equal(scope->spans[0]->end_time_unix_nano, 2000);
    assert_int_equal(scope->spans[0]->n_attributes, 1);
    opentelemetry__proto__trace__v1__scope_spans__free_unpacked(scope, NULL);
}

static void without_an_exporter_spans_go_nowhere(void **state)
{
    struct fixture       *fixture = *state;
    struct tracer_options options = {.sampler = {.root = SAMPLER_ALWAYS_ON}};
    fixture->tracer = tracer_new(&options, fixture->metrics);
    struct span span = begin(fixture->tracer, NULL, 0);

    tracer_end(fixture->tracer, &span, 2000);
    assert_true(span.is_recorded);
    assert_int_equal(span.end_ns, 2000);
}

static void a_disabled_tracer_makes_nothing(void **state)
{
    struct fixture       *fixture = *state;
    struct tracer_options options = {
        .is_disabled = true,
        .propagators = {{PROPAGATOR_B3}, 1},
        .sampler = {.root = SAMPLER_ALWAYS_ON},
        .exporter = &fixture->exporter,
    };
    struct metadata headers = {0};
    struct span     child;

    fixture->tracer = tracer_new(&options, fixture->metrics);
    struct span span = begin_with(fixture->tracer, STR("b3"), STR("?"));
    tracer_begin_child(fixture->tracer, &child, SPAN_CLIENT, STR("call"), &span, 0);
    span_set_int(&span, STR("a"), 1);
    tracer_end(fixture->tracer, &child, 1);
    tracer_end(fixture->tracer, &span, 1);

    assert_int_equal(tracer_inject(fixture->tracer, &span, &headers, fixture->arena), 0);
    assert_int_equal(headers.count, 0);
    assert_false(span.is_recorded);
    assert_false(child.is_recorded);
    assert_int_equal(span.n_attributes, 0);
    assert_int_equal(fixture->exporter.len, 0);
    assert_malformed(fixture, 0);
}

#define test_with_tracer(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_with_tracer(a_request_without_context_begins_a_trace),
        test_with_tracer(a_request_with_context_is_a_child_with_an_id_of_its_own),
        test_with_tracer(a_denied_request_is_not_recorded_and_denied_to_the_next_hop),
        test_with_tracer(a_deny_without_ids_begins_a_trace_that_is_not_recorded),
        test_with_tracer(debug_is_recorded_past_the_sampler_and_stays_debug),
        test_with_tracer(a_deferred_decision_is_the_samplers),
        test_with_tracer(malformed_context_is_counted_and_begins_a_trace),
        test_with_tracer(a_child_is_of_the_same_trace),
        test_with_tracer(the_next_hop_is_a_child_of_the_injected_span),
        test_with_tracer(an_ended_span_is_exported),
        test_with_tracer(without_an_exporter_spans_go_nowhere),
        test_with_tracer(a_disabled_tracer_makes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
