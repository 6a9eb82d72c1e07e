#include "common/trace/otlp.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"

/* What protobuf-c makes of our bytes is the judge of them. */
typedef Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceRequest ExportRequest;
typedef Opentelemetry__Proto__Trace__V1__ScopeSpans                           ScopeSpans;
typedef Opentelemetry__Proto__Trace__V1__Span                                 Span;
typedef Opentelemetry__Proto__Common__V1__KeyValue                            KeyValue;

#define TRACE_ID_BYTES "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"
#define SPAN_ID_BYTES "\x11\x12\x13\x14\x15\x16\x17\x18"

static struct span a_span(void)
{
    struct span span = {
        .context = {.has_ids = true, .sampling = SAMPLING_ACCEPTED},
        .is_recorded = true,
        .kind = SPAN_SERVER,
        .name = STR("GET /"),
        .start_ns = 1700000000000000001,
        .end_ns = 1700000000123456789,
    };
    memcpy(span.context.trace_id.bytes, TRACE_ID_BYTES, 16);
    memcpy(span.context.span_id.bytes, SPAN_ID_BYTES, 8);
    return span;
}

static void assert_c_str(const char *actual, const char *expected)
{
    if (strcmp(actual, expected) != 0)
        fail_msg("expected \"%s\", saw \"%s\"", expected, actual);
}

static void assert_id(ProtobufCBinaryData actual, const char *expected, size_t size)
{
    assert_int_equal(actual.len, size);
    assert_memory_equal(actual.data, expected, size);
}

static char encoding[OTLP_MAX_SPAN_BYTES];

/* A span's bytes are an element of ScopeSpans. */
static ScopeSpans *decode(struct str bytes)
{
    ScopeSpans *scope = opentelemetry__proto__trace__v1__scope_spans__unpack(
        NULL, bytes.len, (const uint8_t *)bytes.at);
    assert_non_null(bytes.at);
    assert_non_null(scope);
    return scope;
}

static void free_scope(ScopeSpans *scope)
{
    opentelemetry__proto__trace__v1__scope_spans__free_unpacked(scope, NULL);
}
DEFINE_CLEANUP(ScopeSpans *, free_scope)

static ScopeSpans *encode_and_decode(const struct span *span)
{
    ScopeSpans *scope = decode(otlp_encode_span(span, encoding, sizeof(encoding)));
    assert_int_equal(scope->n_spans, 1);
    assert_int_equal(scope->spans[0]->base.n_unknown_fields, 0);
    return scope;
}

static void a_root_span_is_encoded(void **state)
{
    (void)state;
    struct span                             span = a_span();
    cleanup_with(free_scope_at) ScopeSpans *scope = encode_and_decode(&span);
    const Span                             *seen = scope->spans[0];

    assert_id(seen->trace_id, TRACE_ID_BYTES, 16);
    assert_id(seen->span_id, SPAN_ID_BYTES, 8);
    assert_int_equal(seen->parent_span_id.len, 0);
    assert_c_str(seen->trace_state, "");
    assert_c_str(seen->name, "GET /");
    assert_int_equal(seen->kind,
                     OPENTELEMETRY__PROTO__TRACE__V1__SPAN__SPAN_KIND__SPAN_KIND_SERVER);
    assert_true(seen->start_time_unix_nano == UINT64_C(1700000000000000001));
    assert_true(seen->end_time_unix_nano == UINT64_C(1700000000123456789));
    assert_int_equal(seen->n_attributes, 0);
    assert_int_equal(seen->dropped_attributes_count, 0);
    assert_null(seen->status);
}

static void a_parent_and_a_trace_state_are_encoded(void **state)
{
    (void)state;
    struct span span = a_span();
    span.context.trace_state = STR("a=1,b=2");
    memcpy(span.parent_id.bytes, "\x21\x22\x23\x24\x25\x26\x27\x28", 8);
    cleanup_with(free_scope_at) ScopeSpans *scope = encode_and_decode(&span);

    assert_id(scope->spans[0]->parent_span_id, "\x21\x22\x23\x24\x25\x26\x27\x28", 8);
    assert_c_str(scope->spans[0]->trace_state, "a=1,b=2");
}

static void kinds_have_the_numbers_of_otlp(void **state)
{
    (void)state;
    static const struct {
        enum span_kind kind;
        int            number;
    } cases[] = {
        {SPAN_INTERNAL, OPENTELEMETRY__PROTO__TRACE__V1__SPAN__SPAN_KIND__SPAN_KIND_INTERNAL},
        {SPAN_SERVER, OPENTELEMETRY__PROTO__TRACE__V1__SPAN__SPAN_KIND__SPAN_KIND_SERVER},
        {SPAN_CLIENT, OPENTELEMETRY__PROTO__TRACE__V1__SPAN__SPAN_KIND__SPAN_KIND_CLIENT},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct span span = a_span();
        span.kind = cases[i].kind;
        cleanup_with(free_scope_at) ScopeSpans *scope = encode_and_decode(&span);
        assert_int_equal(scope->spans[0]->kind, cases[i].number);
    }
}

static void flags_say_sampled_and_where_the_parent_is(void **state)
{
    (void)state;
    static const struct {
        bool          has_remote_parent;
        enum sampling sampling;
        uint32_t      flags;
    } cases[] = {
        {false, SAMPLING_ACCEPTED, 0x101},
        {true, SAMPLING_ACCEPTED, 0x301},
        {true, SAMPLING_DEBUG, 0x301},
        {true, SAMPLING_DENIED, 0x300},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct span span = a_span();
        span.has_remote_parent = cases[i].has_remote_parent;
        span.context.sampling = cases[i].sampling;
        cleanup_with(free_scope_at) ScopeSpans *scope = encode_and_decode(&span);
        if (scope->spans[0]->flags != cases[i].flags)
            fail_msg("case %zu: expected %#x, saw %#x", i, cases[i].flags, scope->spans[0]->flags);
    }
}

static void each_kind_of_attribute_is_encoded(void **state)
{
    (void)state;
    struct span span = a_span();
    span_set_str(&span, STR("text"), STR("value"));
    span_set_str(&span, STR("empty"), STR(""));
    span_set_str(&span, STR("absent"), (struct str){0});
    span_set_int(&span, STR("negative"), -5);
    span_set_int(&span, STR("zero"), 0);
    span_set_double(&span, STR("half"), 0.5);
    span_set_bool(&span, STR("yes"), true);
    span_set_bool(&span, STR("no"), false);
    cleanup_with(free_scope_at) ScopeSpans *scope = encode_and_decode(&span);
    const Span                             *seen = scope->spans[0];

    char   lines[512] = "";
    size_t len = 0;
    for (size_t i = 0; i < seen->n_attributes; i++) {
        const KeyValue *attribute = seen->attributes[i];
        len += (size_t)snprintf(lines + len, sizeof(lines) - len, "%s:%d ", attribute->key,
                                (int)attribute->value->value_case);
    }
    assert_c_str(lines, "text:1 empty:1 absent:1 negative:3 zero:3 half:4 yes:2 no:2 ");
    assert_c_str(seen->attributes[0]->value->string_value, "value");
    assert_c_str(seen->attributes[1]->value->string_value, "");
    assert_int_equal(seen->attributes[3]->value->int_value, -5);
    assert_true(seen->attributes[5]->value->double_value == 0.5);
    assert_true(seen->attributes[6]->value->bool_value);
    assert_false(seen->attributes[7]->value->bool_value);
}

static void attributes_without_room_are_counted(void **state)
{
    (void)state;
    static const char letters[] = "abcdefghijklmnopqrs";
    struct span       span = a_span();
    for (size_t i = 0; i < sizeof(letters) - 1; i++)
        span_set_int(&span, (struct str){letters + i, 1}, 1);
    cleanup_with(free_scope_at) ScopeSpans *scope = encode_and_decode(&span);

    assert_int_equal(scope->spans[0]->n_attributes, SPAN_MAX_ATTRIBUTES);
    assert_int_equal(scope->spans[0]->dropped_attributes_count, 3);
}

static void an_error_is_a_status(void **state)
{
    (void)state;
    struct span span = a_span();
    span_set_error(&span, STR("backend failed"));
    cleanup_with(free_scope_at) ScopeSpans *scope = encode_and_decode(&span);

    assert_non_null(scope->spans[0]->status);
    assert_int_equal(scope->spans[0]->status->code,
                     OPENTELEMETRY__PROTO__TRACE__V1__STATUS__STATUS_CODE__STATUS_CODE_ERROR);
    assert_c_str(scope->spans[0]->status->message, "backend failed");
}

static void text_that_is_not_utf8_is_mended(void **state)
{
    (void)state;
    struct span span = a_span();
    span.name = STR("a\xff"
                    "b");
    span_set_str(&span, STR("k\xc0"), STR("\xed\xa0\x80"));
    span_set_error(&span, STR("\x80"));
    cleanup_with(free_scope_at) ScopeSpans *scope = encode_and_decode(&span);
    const Span                             *seen = scope->spans[0];

    assert_c_str(seen->name, "a\uFFFDb");
    assert_c_str(seen->attributes[0]->key, "k\uFFFD");
    assert_c_str(seen->attributes[0]->value->string_value, "\uFFFD\uFFFD\uFFFD");
    assert_c_str(seen->status->message, "\uFFFD");
}

static void a_long_text_is_cut_between_characters(void **state)
{
    (void)state;
    static const struct {
        const char *start, *around_the_limit;
        size_t      limit_at, expected;
    } cases[] = {
        {"x", "xxxx", 1, OTLP_MAX_TEXT_BYTES},       {"x", "\u20ac", 3, OTLP_MAX_TEXT_BYTES},
        {"x", "\u20ac", 2, OTLP_MAX_TEXT_BYTES - 2}, {"x", "\u20ac", 1, OTLP_MAX_TEXT_BYTES - 1},
        {"\xff", "xxxx", 1, OTLP_MAX_TEXT_BYTES},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char text[OTLP_MAX_TEXT_BYTES + 10];
        memset(text, 'x', sizeof(text));
        text[0] = cases[i].start[0];
        memcpy(text + OTLP_MAX_TEXT_BYTES - cases[i].limit_at, cases[i].around_the_limit,
               strlen(cases[i].around_the_limit));

        struct span span = a_span();
        span.name = (struct str){text, sizeof(text)};
        cleanup_with(free_scope_at) ScopeSpans *scope = encode_and_decode(&span);
        struct str                              seen = str_from(scope->spans[0]->name);
        if (seen.len != cases[i].expected || !str_is_utf8(seen))
            fail_msg("case %zu: expected %zu bytes, saw %zu", i, cases[i].expected, seen.len);
    }
}

static void the_longest_span_fits(void **state)
{
    (void)state;
    char text[SPAN_MAX_ATTRIBUTES][2 * OTLP_MAX_TEXT_BYTES];
    memset(text, 'x', sizeof(text));

    struct span span = a_span();
    span.name = span.context.trace_state = (struct str){text[0], sizeof(text[0])};
    span.n_dropped_attributes = UINT32_MAX;
    memset(span.parent_id.bytes, 1, sizeof(span.parent_id.bytes));
    for (size_t i = 0; i < SPAN_MAX_ATTRIBUTES; i++) {
        text[i][0] = (char)('a' + i);
        span_set_str(&span, (struct str){text[i], sizeof(text[i])},
                     (struct str){text[i], sizeof(text[i])});
    }
    span_set_error(&span, (struct str){text[0], sizeof(text[0])});
    cleanup_with(free_scope_at) ScopeSpans *scope = encode_and_decode(&span);

    assert_int_equal(scope->spans[0]->n_attributes, SPAN_MAX_ATTRIBUTES);
}

static void a_span_that_does_not_fit_is_absent(void **state)
{
    (void)state;
    struct span span = a_span();
    char        small[32];
    assert_null(otlp_encode_span(&span, small, sizeof(small)).at);
}

static void spans_strung_together_behind_an_envelope_are_a_request(void **state)
{
    (void)state;
    static const struct span_attribute attributes[] = {
        {.key = STR_INIT("service.name"), .kind = ATTRIBUTE_STR, .str = STR_INIT("frontend")},
        {.key = STR_INIT("process.pid"), .kind = ATTRIBUTE_INT, .integer = 7},
    };
    struct span spans[] = {a_span(), a_span(), a_span()};
    char        resource_buffer[128], spans_buffer[1024], envelope_buffer[256], message[2048];
    struct str  resource =
        otlp_encode_resource(attributes, 2, resource_buffer, sizeof(resource_buffer));
    size_t spans_bytes = 0;

    spans[1].name = STR("second");
    for (size_t i = 0; i < ARRAY_LENGTH(spans); i++) {
        struct str span = otlp_encode_span(&spans[i], encoding, sizeof(encoding));
        memcpy(spans_buffer + spans_bytes, span.at, span.len);
        spans_bytes += span.len;
    }
    struct str envelope = otlp_encode_envelope(resource, STR("tracehop"), STR("1.0"), spans_bytes,
                                               envelope_buffer, sizeof(envelope_buffer));
    memcpy(message, envelope.at, envelope.len);
    memcpy(message + envelope.len, spans_buffer, spans_bytes);

    ExportRequest *request =
        opentelemetry__proto__collector__trace__v1__export_trace_service_request__unpack(
            NULL, envelope.len + spans_bytes, (const uint8_t *)message);
    assert_non_null(request);
    assert_int_equal(request->n_resource_spans, 1);
    assert_int_equal(request->base.n_unknown_fields, 0);
    assert_int_equal(request->resource_spans[0]->resource->n_attributes, 2);
    assert_c_str(request->resource_spans[0]->resource->attributes[0]->value->string_value,
                 "frontend");
    assert_int_equal(request->resource_spans[0]->n_scope_spans, 1);
    const ScopeSpans *scope = request->resource_spans[0]->scope_spans[0];
    assert_c_str(scope->scope->name, "tracehop");
    assert_c_str(scope->scope->version, "1.0");
    assert_int_equal(scope->n_spans, 3);
    assert_c_str(scope->spans[1]->name, "second");
    opentelemetry__proto__collector__trace__v1__export_trace_service_request__free_unpacked(request,
                                                                                            NULL);
}

static void an_envelope_that_does_not_fit_is_absent(void **state)
{
    (void)state;
    char small[16];
    assert_null(
        otlp_encode_envelope(STR(""), STR("a long scope name"), STR(""), 100, small, sizeof(small))
            .at);
    assert_null(otlp_encode_resource(
                    &(struct span_attribute){.key = STR("a long key"), .kind = ATTRIBUTE_INT}, 1,
                    small, sizeof(small))
                    .at);
}

static void an_empty_response_rejects_nothing(void **state)
{
    (void)state;
    uint64_t   rejected = 42;
    struct str message;

    assert_int_equal(otlp_read_partial_success((struct str){0}, &rejected, &message), 0);
    assert_int_equal(rejected, 0);
    assert_int_equal(message.len, 0);
}

static void rejected_spans_are_read(void **state)
{
    (void)state;
    static const struct {
        struct str  response;
        uint64_t    rejected;
        const char *message;
    } cases[] = {
        {STR_INIT("\x0a\x07\x08\x03\x12\x03"
                  "bad"),
         3, "bad"},
        {STR_INIT("\x0a\x06\x12\x04slow"), 0, "slow"},
        {STR_INIT("\x0a\x00"), 0, ""},
        {STR_INIT("\x0a\x02\x08\x05\x0a\x03\x12\x01x"), 5, "x"},
        {STR_INIT("\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 0, ""},
        {STR_INIT("\x10\x01\x1a\x01x\x0a\x05\x18\x01\x08\x02\x21"), 0, NULL},
        {STR_INIT("\x10\x01\x1a\x01x\x0a\x04\x18\x01\x08\x02"), 2, ""},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint64_t   rejected = 42;
        struct str message = STR("?");
        int        r = otlp_read_partial_success(cases[i].response, &rejected, &message);

        if (!cases[i].message ? r != -EBADMSG
                              : r != 0 || rejected != cases[i].rejected ||
                                    !str_equal(message, str_from(cases[i].message)))
            fail_msg("case %zu: saw %d, %d rejected, \"%.*s\"", i, r, (int)rejected,
                     STR_ARGS(message));
    }
}

/* A google.rpc.Status whose second detail is a RetryInfo. */
static size_t pack_status(const char *type_url, int64_t seconds, int32_t nanos, uint8_t *buffer)
{
    Google__Protobuf__Duration duration = GOOGLE__PROTOBUF__DURATION__INIT;
    duration.seconds = seconds;
    duration.nanos = nanos;
    Google__Rpc__RetryInfo retry_info = GOOGLE__RPC__RETRY_INFO__INIT;
    retry_info.retry_delay = &duration;
    uint8_t value[32];

    Google__Protobuf__Any other = GOOGLE__PROTOBUF__ANY__INIT;
    other.type_url = (char *)(uintptr_t) "type.googleapis.com/google.rpc.DebugInfo";
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
    any.type_url = (char *)(uintptr_t)type_url;
    any.value.data = value;
    any.value.len = google__rpc__retry_info__pack(&retry_info, value);

    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
    status.code = 14;
    status.message = (char *)(uintptr_t) "later";
    status.n_details = 2;
    status.details = (Google__Protobuf__Any *[]){&other, &any};
    return google__rpc__status__pack(&status, buffer);
}

static void a_retry_delay_is_read(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        int32_t nanos;
        int64_t delay_ns;
    } cases[] = {
        {0, 0, 0},
        {5, 0, 5 * (int64_t)NS_PER_S},
        {1, 500000000, 1500000000},
        {0, 1, 1},
        {-1, 0, 0},
        {0, -1, 0},
        {INT64_MAX, 0, NEVER_NS},
        {INT64_MAX / NS_PER_S, 999999999, NEVER_NS},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint8_t buffer[256];
        size_t  len = pack_status("type.googleapis.com/google.rpc.RetryInfo", cases[i].seconds,
                                  cases[i].nanos, buffer);
        int64_t delay_ns = -1;
        int     r = rpc_status_retry_delay((struct str){(char *)buffer, len}, &delay_ns);
        if (r != 0 || delay_ns != cases[i].delay_ns)
            fail_msg("case %zu: expected %lld, saw %d, %lld", i, (long long)cases[i].delay_ns, r,
                     (long long)delay_ns);
    }
}

static void a_retry_info_without_a_delay_means_at_once(void **state)
{
    (void)state;
    int64_t delay_ns = -1;

    assert_int_equal(
        rpc_status_retry_delay(STR("\x1a\x18\x0a\x16x/google.rpc.RetryInfo"), &delay_ns), 0);
    assert_int_equal(delay_ns, 0);
}

static void a_status_without_retry_info_has_no_delay(void **state)
{
    (void)state;
    uint8_t buffer[256];
    size_t  len = pack_status("type.googleapis.com/google.rpc.Help", 5, 0, buffer);
    int64_t delay_ns = 42;

    assert_int_equal(rpc_status_retry_delay((struct str){(char *)buffer, len}, &delay_ns), -ENOENT);
    assert_int_equal(rpc_status_retry_delay((struct str){0}, &delay_ns), -ENOENT);
    assert_int_equal(delay_ns, 42);
}

static void a_status_that_is_cut_short_is_bad(void **state)
{
    (void)state;
    uint8_t buffer[256];
    size_t  len = pack_status("type.googleapis.com/google.rpc.RetryInfo", 5, 0, buffer);
    int64_t delay_ns;

    assert_int_equal(rpc_status_retry_delay((struct str){(char *)buffer, len - 1}, &delay_ns),
                     -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_root_span_is_encoded),
        cmocka_unit_test(a_parent_and_a_trace_state_are_encoded),
        cmocka_unit_test(kinds_have_the_numbers_of_otlp),
        cmocka_unit_test(flags_say_sampled_and_where_the_parent_is),
        cmocka_unit_test(each_kind_of_attribute_is_encoded),
        cmocka_unit_test(attributes_without_room_are_counted),
        cmocka_unit_test(an_error_is_a_status),
        cmocka_unit_test(text_that_is_not_utf8_is_mended),
        cmocka_unit_test(a_long_text_is_cut_between_characters),
        cmocka_unit_test(the_longest_span_fits),
        cmocka_unit_test(a_span_that_does_not_fit_is_absent),
        cmocka_unit_test(spans_strung_together_behind_an_envelope_are_a_request),
        cmocka_unit_test(an_envelope_that_does_not_fit_is_absent),
        cmocka_unit_test(an_empty_response_rejects_nothing),
        cmocka_unit_test(rejected_spans_are_read),
        cmocka_unit_test(a_retry_delay_is_read),
        cmocka_unit_test(a_retry_info_without_a_delay_means_at_once),
        cmocka_unit_test(a_status_without_retry_info_has_no_delay),
        cmocka_unit_test(a_status_that_is_cut_short_is_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
