#include "collector/spans/zipkin.h"

#include "tests/unit/expect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/spans/skim.h"
#include "common/base/arena.h"
#include "common/base/cleanup.h"
#include "common/base/wire_builder.h"
#include "tests/unit/otlp_text.h"

enum { ARENA_BYTES = 64 << 20, NO_LIMIT = 1 << 30 };

/* Numbers of zipkin.proto; the same in all fields of a type. */
enum { SPANS = 1 };
enum { TRACE_ID = 1, PARENT_ID, ID, KIND, NAME, TIMESTAMP, DURATION, LOCAL, REMOTE };
enum { ANNOTATIONS = 10, TAGS, DEBUG, SHARED };
enum { SERVICE_NAME = 1, IPV4, IPV6, PORT };
enum { FIRST = 1, SECOND = 2 }; /* of an annotation: its time, its value; of a tag: key, value */

#define TRACE_ID_BYTES "\x46\x3a\xc3\x5c\x9f\x64\x13\xad\x48\x48\x5a\x39\x53\xbb\x61\x24"
#define ID_BYTES "\xa2\xfb\x4a\x1d\x1a\x96\xd3\x12"

static struct arena       *arena;
static struct wire_builder list;
static struct wire_open    span;

/* Each test puts its list together in `list`. */
static int new_list(void **state)
{
    (void)state;
    arena = arena_new(ARENA_BYTES);
    if (!arena)
        return -1;
    list = wire_builder(arena, 256, NO_LIMIT);
    return 0;
}

static int free_list(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static void open_span(void)
{
    span = wire_build_open(&list, SPANS);
    wire_build_bytes(&list, TRACE_ID, STR(TRACE_ID_BYTES));
    wire_build_bytes(&list, ID, STR(ID_BYTES));
}

static void close_span(void)
{
    wire_build_close(&list, span);
}

static void add_tag(struct str key, struct str value)
{
    struct wire_open tag = wire_build_open(&list, TAGS);
    wire_build_bytes(&list, FIRST, key);
    wire_build_bytes(&list, SECOND, value);
    wire_build_close(&list, tag);
}

static void add_annotation(uint64_t timestamp_us, struct str value)
{
    struct wire_open annotation = wire_build_open(&list, ANNOTATIONS);
    wire_build_fixed64(&list, FIRST, timestamp_us);
    wire_build_bytes(&list, SECOND, value);
    wire_build_close(&list, annotation);
}

static struct zipkin_result read_list(void)
{
    struct zipkin_result result = {0};
    const char          *skim_reason = "";
    uint32_t             n_spans;

    assert_int_equal(list.error, 0);
    int r = zipkin_read_protobuf(wire_built(&list), NO_LIMIT, arena, &result);
    if (r != 0)
        fail_msg("%d, %.*s", r, STR_ARGS(result.reason));
    if (skim_request(result.request, &n_spans, &skim_reason) != 0)
        fail_msg("the skim says: %s", skim_reason);
    assert_int_equal(result.n_spans, n_spans);
    return result;
}

static const char *as_text(struct str request)
{
    struct text text = text_in_arena(arena, 256);

    add_message(&text, &otlp_export_request, request);
    text_add_char(&text, '\0');
    return text_view(&text).at;
}

/* The list holds one span, without a time, which becomes this. */
static void expect_span(const char *before, const char *after)
{
    struct zipkin_result result = read_list();
    const char          *text = as_text(result.request);
    struct str           expected = arena_format(
                  arena,
                  "resourceSpans{scopeSpans{spans{%s%straceId:463ac35c9f6413ad48485a3953bb6124 "
                            "spanId:a2fb4a1d1a96d312 kind:0 startTimeUnixNano:0 endTimeUnixNano:0 "
                            "attributes{key:\"otel.zipkin.absentField.startTime\" value{boolValue:true}}%s%s}}}",
                  before, *before ? " " : "", *after ? " " : "", after);

    if (result.n_bad != 0)
        fail_msg("%.*s", STR_ARGS(result.reason));
    if (strcmp(text, expected.at) != 0)
        fail_msg("\nexpected %s\nsaw      %s", expected.at, text);
}

/* The span at hand is bad, and the list holds a good one besides. */
static void expect_bad(const char *reason)
{
    close_span();
    open_span();
    close_span();
    struct zipkin_result result = read_list();

    if (result.n_spans != 1 || result.n_bad != 1)
        fail_msg("%s: %u spans, %u bad", reason, result.n_spans, result.n_bad);
    expect_str(result.reason, arena_format(arena, "span 0: %s", reason));
    wire_build_clear(&list);
    open_span();
}

static void build_full_span(void)
{
    struct wire_open endpoint;

    open_span();
    wire_build_bytes(&list, PARENT_ID, STR("\0\0\0\0\0\0\0\1"));
    wire_build_varint(&list, KIND, 1);
    wire_build_bytes(&list, NAME, STR("get /caf\xC3\xA9"));
    wire_build_fixed64(&list, TIMESTAMP, 1584324295476870);
    wire_build_varint(&list, DURATION, 1234);
    endpoint = wire_build_open(&list, LOCAL);
    wire_build_bytes(&list, SERVICE_NAME, STR("frontend"));
    wire_build_bytes(&list, IPV4, STR("\x0a\x00\x00\x01"));
    wire_build_varint(&list, PORT, 8080);
    wire_build_close(&list, endpoint);
    endpoint = wire_build_open(&list, REMOTE);
    wire_build_bytes(&list, SERVICE_NAME, STR("backend"));
    wire_build_bytes(&list, IPV6, STR("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\xc0\x01"));
    wire_build_close(&list, endpoint);
    add_annotation(1584324295477000, STR("ws"));
    add_tag(STR("http.path"), STR("/"));
    add_tag(STR("error"), STR("boom"));
    wire_build_varint(&list, DEBUG, 1);
    wire_build_varint(&list, SHARED, 1);
    close_span();
}

static void both_forms_become_the_same(void **state)
{
    (void)state;
    static const struct str json = STR_INIT(
        "[{\"traceId\":\"463ac35c9f6413ad48485a3953bb6124\",\"id\":\"a2fb4a1d1a96d312\","
        "\"parentId\":\"0000000000000001\",\"kind\":\"CLIENT\",\"name\":\"get /caf\xC3\xA9\","
        "\"timestamp\":1584324295476870,\"duration\":1234,\"localEndpoint\":{\"serviceName\":"
        "\"frontend\",\"ipv4\":\"10.0.0.1\",\"port\":8080},\"remoteEndpoint\":{\"serviceName\":"
        "\"backend\",\"ipv6\":\"2001:db8::c001\"},\"annotations\":[{\"timestamp\":"
        "1584324295477000,\"value\":\"ws\"}],\"tags\":{\"http.path\":\"/\",\"error\":\"boom\"},"
        "\"debug\":true,\"shared\":true}]");
    struct zipkin_result of_json, of_protobuf;

    build_full_span();
    of_protobuf = read_list();
    assert_int_equal(zipkin_read_json(json, NO_LIMIT, arena, &of_json), 0);
    assert_int_equal(of_json.n_spans, 1);
    assert_int_equal(of_protobuf.n_spans, 1);
    assert_string_equal(as_text(of_protobuf.request), as_text(of_json.request));
    expect_str(of_protobuf.request, of_json.request);
}

static void an_empty_list_has_no_spans(void **state)
{
    (void)state;
    struct zipkin_result result = read_list();
    assert_int_equal(result.n_spans, 0);
    assert_int_equal(result.n_bad, 0);
}

static void a_short_trace_id_has_zeros_in_front(void **state)
{
    (void)state;
    span = wire_build_open(&list, SPANS);
    wire_build_bytes(&list, TRACE_ID, STR(TRACE_ID_BYTES));
    wire_build_bytes(&list, TRACE_ID, STR(ID_BYTES));
    wire_build_bytes(&list, ID, STR(ID_BYTES));
    close_span();

    assert_non_null(
        strstr(as_text(read_list().request), "traceId:0000000000000000a2fb4a1d1a96d312"));
}

static void defaults_count_as_absent(void **state)
{
    (void)state;
    open_span();
    wire_build_bytes(&list, PARENT_ID, STR(""));
    wire_build_varint(&list, KIND, 0);
    wire_build_bytes(&list, NAME, STR(""));
    wire_build_fixed64(&list, TIMESTAMP, 0);
    wire_build_varint(&list, DURATION, 0);
    wire_build_bytes(&list, LOCAL, STR(""));
    wire_build_varint(&list, DEBUG, 0);
    wire_build_varint(&list, SHARED, 0);
    close_span();

    expect_span("", "");
}

static void a_tag_may_leave_out_its_key_and_value(void **state)
{
    (void)state;
    open_span();
    wire_build_bytes(&list, TAGS, STR(""));
    close_span();

    expect_span("attributes{key:\"\" value{stringValue:\"\"}}", "");
}

static void unknown_fields_are_skipped(void **state)
{
    (void)state;
    wire_build_varint(&list, 2, 1);
    open_span();
    wire_build_varint(&list, 99, 1);
    wire_build_bytes(&list, LOCAL, STR("\x50\x01"));
    close_span();

    expect_span("", "");
}

static void an_address_of_an_odd_length_is_left_out(void **state)
{
    (void)state;
    open_span();
    wire_build_bytes(&list, LOCAL, STR("\x12\x03\x01\x02\x03\x1a\x04\x01\x02\x03\x04"));
    close_span();

    expect_span("", "");
}

static void a_bad_span_is_left_out_and_the_others_kept(void **state)
{
    (void)state;
    static const struct {
        uint32_t    number;
        struct str  bytes;
        const char *reason;
    } cases[] = {
        {TRACE_ID, STR_INIT(""), "trace_id: neither 8 bytes nor 16"},
        {TRACE_ID, STR_INIT("1234567"), "trace_id: neither 8 bytes nor 16"},
        {TRACE_ID, STR_INIT("\0\0\0\0\0\0\0\0"), "traceId: none, or all zero"},
        {PARENT_ID, STR_INIT("1234567"), "parent_id: not 8 bytes"},
        {ID, STR_INIT("\0\0\0\0\0\0\0\0"), "id: none, or all zero"},
        {ID, STR_INIT("123456789"), "id: not 8 bytes"},
        {KIND, STR_INIT("\x01"), "kind: of another wire type"},
        {NAME, STR_INIT("\xff"), "name: not UTF-8"},
        {TIMESTAMP, STR_INIT(""), "timestamp: of another wire type"},
        {LOCAL, STR_INIT("\x0a"), "local_endpoint: not protobuf"},
        {LOCAL, STR_INIT("\x0a\x01\xff"), "service_name: not UTF-8"},
        {LOCAL, STR_INIT("\x20\x80\x80\x04"), "port: out of range"},
        {REMOTE, STR_INIT("\x10\x01"), "ipv4: of another wire type"},
        {ANNOTATIONS, STR_INIT("\x12\x01v"), "annotations: one without timestamp or value"},
        {ANNOTATIONS, STR_INIT("\x09\x01\0\0\0\0\0\0\0"),
         "annotations: one without timestamp or value"},
        {ANNOTATIONS, STR_INIT("\x09"), "annotations: not protobuf"},
        {TAGS, STR_INIT("\x0a\x01\xff"), "tags: not UTF-8"},
        {TAGS, STR_INIT("\x12\x02v"), "tags: not protobuf"},
        {DEBUG, STR_INIT(""), "debug: of another wire type"},
    };

    open_span();
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        wire_build_bytes(&list, cases[i].number, cases[i].bytes);
        expect_bad(cases[i].reason);
    }
    wire_build_varint(&list, KIND, 5);
    expect_bad("kind: not one of Zipkin's");
    wire_build_varint(&list, NAME, 5);
    expect_bad("name: of another wire type");
    wire_build_varint(&list, LOCAL, 5);
    expect_bad("local_endpoint: of another wire type");
    wire_build_varint(&list, TAGS, 5);
    expect_bad("tags: of another wire type");
    wire_build_varint(&list, ANNOTATIONS, 5);
    expect_bad("annotations: of another wire type");
    wire_build_fixed64(&list, TIMESTAMP, UINT64_MAX);
    expect_bad("timestamp: out of range");
    wire_build_varint(&list, DURATION, UINT64_MAX);
    expect_bad("duration: out of range");
}

static void a_port_below_zero_is_absent(void **state)
{
    (void)state;
    struct wire_open endpoint;

    open_span();
    endpoint = wire_build_open(&list, LOCAL);
    wire_build_varint(&list, PORT, (uint64_t)-1);
    wire_build_close(&list, endpoint);
    close_span();
    expect_span("", "");
}

static void a_span_that_is_no_message_is_a_bad_one(void **state)
{
    (void)state;
    wire_build_varint(&list, SPANS, 1);
    wire_build_bytes(&list, SPANS, STR("\x0a"));
    struct zipkin_result result = read_list();

    assert_int_equal(result.n_spans, 0);
    assert_int_equal(result.n_bad, 2);
    expect_str(result.reason, STR("span 0: of another wire type"));
}

/* Fields of the list have no length of their own: where one ends another could begin. */
static void a_list_may_be_cut_at_any_byte(void **state)
{
    (void)state;
    build_full_span();
    struct str whole = wire_built(&list);

    for (size_t len = 1; len < whole.len; len++) {
        char                *copy = malloc(len); /* of its own size, for the sanitizer */
        struct zipkin_result result;
        assert_non_null(copy);
        memcpy(copy, whole.at, len);

        int r = zipkin_read_protobuf((struct str){copy, len}, NO_LIMIT, arena, &result);
        if (r != -EBADMSG || !str_equal(result.reason, STR("not protobuf")))
            fail_msg("%zu bytes of it: %d", len, r);
        free(copy);
    }
}

static void a_span_may_be_cut_at_any_byte(void **state)
{
    (void)state;
    build_full_span();
    struct wire_cursor cursor = wire_cursor(wire_built(&list));
    struct wire_field  whole = {0};
    assert_true(wire_next(&cursor, &whole));

    for (size_t len = 0; len < whole.bytes.len; len++) {
        struct zipkin_result result;
        struct wire_builder  cut = wire_builder(arena, len + 16, NO_LIMIT);
        wire_build_bytes(&cut, SPANS, (struct str){whole.bytes.at, len});

        assert_int_equal(zipkin_read_protobuf(wire_built(&cut), NO_LIMIT, arena, &result), 0);
        assert_int_equal(result.n_spans + result.n_bad, 1);
    }
}

static void what_would_be_too_large_is_not_read(void **state)
{
    (void)state;
    struct zipkin_result result;

    build_full_span();
    size_t size = read_list().request.len;
    assert_int_equal(zipkin_read_protobuf(wire_built(&list), size, arena, &result), 0);
    assert_int_equal(zipkin_read_protobuf(wire_built(&list), size - 1, arena, &result), -E2BIG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, new_list, free_list)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_forms_become_the_same),
        TEST(an_empty_list_has_no_spans),
        TEST(a_short_trace_id_has_zeros_in_front),
        TEST(defaults_count_as_absent),
        TEST(a_tag_may_leave_out_its_key_and_value),
        TEST(unknown_fields_are_skipped),
        TEST(an_address_of_an_odd_length_is_left_out),
        TEST(a_bad_span_is_left_out_and_the_others_kept),
        TEST(a_port_below_zero_is_absent),
        TEST(a_span_that_is_no_message_is_a_bad_one),
        TEST(a_list_may_be_cut_at_any_byte),
        TEST(a_span_may_be_cut_at_any_byte),
        TEST(what_would_be_too_large_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
