#include "collector/spans/otlp_json.h"

#include "tests/unit/expect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/spans/skim.h"
#include "common/base/arena.h"
#include "common/base/cleanup.h"
#include "tests/unit/otlp_text.h"

enum { ARENA_BYTES = 16 << 20, NO_LIMIT = 1 << 30 };

static struct arena *arena;

static int new_arena(void **state)
{
    (void)state;
    arena = arena_new(ARENA_BYTES);
    return arena ? 0 : -1;
}

static int free_arena(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

/* What it reads, the skim lets pass. */
static struct str read_request(struct str json, uint32_t *ret_n_spans)
{
    struct str  request, reason = STR("");
    const char *skim_reason = "";

    int r = otlp_json_read(json, NO_LIMIT, arena, &request, &reason);
    if (r != 0)
        fail_msg("%.*s: %d, %.*s", STR_ARGS(json), r, STR_ARGS(reason));
    if (skim_request(request, ret_n_spans, &skim_reason) != 0)
        fail_msg("%.*s: the skim says: %s", STR_ARGS(json), skim_reason);
    return request;
}

static void expect_request(struct str json, const char *expected)
{
    uint32_t    ignored;
    struct text text = text_in_arena(arena, 256);

    add_message(&text, &otlp_export_request, read_request(json, &ignored));
    if (!str_equal(text_view(&text), str_from(expected)))
        fail_msg("%.*s:\nexpected %s\nsaw      %.*s", STR_ARGS(json), expected,
                 STR_ARGS(text_view(&text)));
}

/* `members` of the only span. */
static void expect_span(const char *members, const char *expected)
{
    struct str json =
        arena_format(arena, "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{%s}]}]}]}", members);
    struct str request = arena_format(arena, "resourceSpans{scopeSpans{spans{%s}}}", expected);

    expect_request(json, request.at);
}

/* `members` of the value of the only attribute of the only span. */
static void expect_attribute(const char *members, const char *expected)
{
    struct str json = arena_format(arena, "\"attributes\":[{\"value\":{%s}}]", members);
    struct str request = arena_format(arena, "attributes{value{%s}}", expected);

    expect_span(json.at, request.at);
}

static void expect_refused(struct str json, const char *expected)
{
    struct str request = STR("untouched"), reason = STR("");

    int r = otlp_json_read(json, NO_LIMIT, arena, &request, &reason);
    if (r != -EBADMSG || !str_equal(reason, str_from(expected)))
        fail_msg("%.*s:\nexpected %s\nsaw %d, %.*s", STR_ARGS(json), expected, r, STR_ARGS(reason));
    assert_true(str_equal(request, STR("untouched")));
}

static void expect_span_refused(const char *members, const char *expected)
{
    struct str json = arena_format(
        arena, "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{},{%s}]}]}]}", members);
    struct str reason = arena_format(arena, "resourceSpans[0].scopeSpans[0].spans[1].%s", expected);

    expect_refused(json, reason.at);
}

/* The example of the specification, opentelemetry-proto/examples/trace.json, and more fields. */
static const struct str every_field = STR_INIT(
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"
    "{\"stringValue\":\"my.service\"}}],\"droppedAttributesCount\":1,\"entityRefs\":[{\"schemaUrl\""
    ":\"u\",\"type\":\"service\",\"idKeys\":[\"service.name\",\"x\"],\"descriptionKeys\":[]}]},"
    "\"scopeSpans\":[{\"scope\":{\"name\":\"my.library\",\"version\":\"1.0.0\",\"attributes\":[{"
    "\"key\":\"k\",\"value\":{\"boolValue\":true}}],\"droppedAttributesCount\":2},\"spans\":[{"
    "\"traceId\":\"5B8EFFF798038103D269B633813FC60C\",\"spanId\":\"eee19b7ec3c1b174\",\"traceState"
    "\":\"a=b\",\"parentSpanId\":\"EEE19B7EC3C1B173\",\"flags\":257,\"name\":\"I'm a span\","
    "\"startTimeUnixNano\":\"1544712660000000000\",\"endTimeUnixNano\":1544712661000000000,\"kind\""
    ":2,\"attributes\":[{\"key\":\"a\",\"value\":{\"arrayValue\":{\"values\":[{\"intValue\":\"-1\"}"
    ",{\"doubleValue\":0.5},{}]}}},{\"key\":\"b\",\"value\":{\"kvlistValue\":{\"values\":[{\"key\":"
    "\"c\",\"value\":{\"bytesValue\":\"AP8=\"}}]}}}],\"droppedAttributesCount\":3,\"events\":[{"
    "\"timeUnixNano\":\"5\",\"name\":\"e\",\"attributes\":[],\"droppedAttributesCount\":4}],"
    "\"droppedEventsCount\":5,\"links\":[{\"traceId\":\"5b8efff798038103d269b633813fc60d\","
    "\"spanId\":\"eee19b7ec3c1b175\",\"traceState\":\"\",\"attributes\":[],"
    "\"droppedAttributesCount\":6,\"flags\":1}],\"droppedLinksCount\":7,\"status\":{\"message\":"
    "\"m\",\"code\":2}}],\"schemaUrl\":\"s\"}],\"schemaUrl\":\"r\"}]}");

static void every_field_is_read(void **state)
{
    (void)state;
    expect_request(
        every_field,
        "resourceSpans{resource{attributes{key:\"service.name\" value{stringValue:\"my.service\"}} "
        "droppedAttributesCount:1 entityRefs{schemaUrl:\"u\" type:\"service\" "
        "idKeys:\"service.name\" idKeys:\"x\"}} "
        "scopeSpans{scope{name:\"my.library\" version:\"1.0.0\" attributes{key:\"k\" "
        "value{boolValue:true}} droppedAttributesCount:2} "
        "spans{traceId:5b8efff798038103d269b633813fc60c spanId:eee19b7ec3c1b174 "
        "traceState:\"a=b\" parentSpanId:eee19b7ec3c1b173 flags:257 name:\"I'm a span\" "
        "startTimeUnixNano:1544712660000000000 endTimeUnixNano:1544712661000000000 kind:2 "
        "attributes{key:\"a\" value{arrayValue{values{intValue:-1} values{doubleValue:0.5} "
        "values{}}}} attributes{key:\"b\" value{kvlistValue{values{key:\"c\" "
        "value{bytesValue:00ff}}}}} droppedAttributesCount:3 events{timeUnixNano:5 name:\"e\" "
        "droppedAttributesCount:4} droppedEventsCount:5 "
        "links{traceId:5b8efff798038103d269b633813fc60d spanId:eee19b7ec3c1b175 traceState:\"\" "
        "droppedAttributesCount:6 flags:1} droppedLinksCount:7 status{message:\"m\" code:2}} "
        "schemaUrl:\"s\"} schemaUrl:\"r\"}");
}

static void an_empty_request_is_one(void **state)
{
    (void)state;
    expect_request(STR("{}"), "");
    expect_request(STR("{\"resourceSpans\":[]}"), "");
    expect_request(STR("{\"resourceSpans\":[{}]}"), "resourceSpans{}");
}

static void unknown_members_are_ignored_on_every_level(void **state)
{
    (void)state;
    expect_request(STR("{\"x\":[{\"y\":1}],\"resourceSpans\":[{\"z\":{},\"resource\":{\"x\":1}}]}"),
                   "resourceSpans{resource{}}");
    expect_request(STR("{\"resource_spans\":[{}]}"), "");
    expect_span("\"trace_id\":\"x\",\"name\":\"n\",\"Name\":1,\"name\\u0000\":2", "name:\"n\"");
}

static void null_is_the_default(void **state)
{
    (void)state;
    expect_span("\"traceId\":null,\"kind\":null,\"status\":null,\"attributes\":null", "");
    expect_attribute("\"stringValue\":\"s\",\"intValue\":null", "stringValue:\"s\"");
}

static void an_empty_id_is_none(void **state)
{
    (void)state;
    expect_span("\"parentSpanId\":\"\",\"traceId\":\"\"", "parentSpanId: traceId:");
}

static void enums_are_numbers_or_names(void **state)
{
    (void)state;
    expect_span("\"kind\":\"SPAN_KIND_SERVER\",\"status\":{\"code\":\"STATUS_CODE_ERROR\"}",
                "kind:2 status{code:2}");
    expect_span("\"kind\":\"SPAN_KIND_CONSUMER\",\"status\":{\"code\":\"STATUS_CODE_OK\"}",
                "kind:5 status{code:1}");
    expect_span("\"kind\":\"3\"", "kind:3");
    expect_span("\"kind\":99", "kind:99");
    expect_span("\"kind\":-1", "kind:-1");
}

static void whole_numbers_are_numbers_or_strings(void **state)
{
    (void)state;
    expect_attribute("\"intValue\":\"-9223372036854775808\"", "intValue:-9223372036854775808");
    expect_attribute("\"intValue\":9223372036854775807", "intValue:9223372036854775807");
    expect_attribute("\"intValue\":1e3", "intValue:1000");
    expect_attribute("\"intValue\":2.0", "intValue:2");
    expect_span("\"startTimeUnixNano\":1.544712660e18", "startTimeUnixNano:1544712660000000000");
    expect_span("\"endTimeUnixNano\":\"18446744073709551615\"",
                "endTimeUnixNano:18446744073709551615");
    expect_span("\"flags\":4294967295,\"droppedLinksCount\":\"4294967295\"",
                "flags:4294967295 droppedLinksCount:4294967295");
}

static void doubles_go_beyond_what_json_has_numbers_for(void **state)
{
    (void)state;
    expect_attribute("\"doubleValue\":0.1", "doubleValue:0.10000000000000001");
    expect_attribute("\"doubleValue\":\"-2.5e3\"", "doubleValue:-2500");
    expect_attribute("\"doubleValue\":\"NaN\"", "doubleValue:nan");
    expect_attribute("\"doubleValue\":\"Infinity\"", "doubleValue:inf");
    expect_attribute("\"doubleValue\":\"-Infinity\"", "doubleValue:-inf");
}

static void bytes_are_base64_of_either_alphabet(void **state)
{
    (void)state;
    expect_attribute("\"bytesValue\":\"\"", "bytesValue:");
    expect_attribute("\"bytesValue\":\"+/+/\"", "bytesValue:fbffbf");
    expect_attribute("\"bytesValue\":\"-_-_\"", "bytesValue:fbffbf");
    expect_attribute("\"bytesValue\":\"AQ==\"", "bytesValue:01");
    expect_attribute("\"bytesValue\":\"AQ\"", "bytesValue:01");
    expect_attribute("\"bytesValue\":\"AQI=\"", "bytesValue:0102");
    expect_attribute("\"bytesValue\":\"AQI\"", "bytesValue:0102");
    expect_attribute("\"bytesValue\":\"AQIDBA==\"", "bytesValue:01020304");
}

static void a_default_that_is_said_is_kept_for_oneofs_need_it(void **state)
{
    (void)state;
    expect_attribute("\"intValue\":0", "intValue:0");
    expect_attribute("\"boolValue\":false", "boolValue:false");
    expect_attribute("\"stringValue\":\"\"", "stringValue:\"\"");
}

static void what_comes_twice_is_written_twice_so_the_last_wins(void **state)
{
    (void)state;
    expect_span("\"name\":\"a\",\"name\":\"b\"", "name:\"a\" name:\"b\"");
    expect_attribute("\"stringValue\":\"s\",\"intValue\":1", "stringValue:\"s\" intValue:1");
}

static void escapes_are_resolved_in_names_and_values(void **state)
{
    (void)state;
    expect_span("\"n\\u0061me\":\"caf\\u00e9\\n\"", "name:\"caf\xC3\xA9\\n\"");
}

static void long_content_moves_behind_its_length(void **state)
{
    (void)state;
    for (unsigned len = 100; len < 20000; len = len * 3 / 2) {
        char     name[20000];
        uint32_t n_spans;
        memset(name, 'n', len);
        struct str json = arena_format(
            arena, "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"name\":\"%.*s\"},{}]}]}]}",
            (int)len, name);
        struct str expected = arena_format(
            arena, "resourceSpans{scopeSpans{spans{name:\"%.*s\"} spans{}}}", (int)len, name);

        expect_request(json, expected.at);
        (void)read_request(json, &n_spans);
        assert_int_equal(n_spans, 2);
    }
}

static void what_breaks_the_schema_is_refused_by_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *members, *reason;
    } cases[] = {
        {"\"traceId\":\"5b8efff798038103d269b633813fc6\"", "traceId: 30 hex digits, wants 32"},
        {"\"spanId\":\"5b8efff798038103d269b633813fc60c\"", "spanId: 32 hex digits, wants 16"},
        {"\"spanId\":\"5b8efff79803810x\"", "spanId: not hex digits"},
        {"\"parentSpanId\":1", "parentSpanId: wants a string of hex digits"},
        {"\"links\":[{},{\"traceId\":\"0\"}]", "links[1].traceId: 1 hex digits, wants 32"},
        {"\"name\":1", "name: wants a string"},
        {"\"name\":{}", "name: wants a string"},
        {"\"kind\":\"SERVER\"", "kind: wants a whole number"},
        {"\"kind\":\"STATUS_CODE_OK\"", "kind: wants a whole number"},
        {"\"kind\":2147483648", "kind: out of range"},
        {"\"kind\":-2147483649", "kind: out of range"},
        {"\"kind\":true", "kind: wants a whole number"},
        {"\"startTimeUnixNano\":-1", "startTimeUnixNano: out of range"},
        {"\"startTimeUnixNano\":\"18446744073709551616\"", "startTimeUnixNano: out of range"},
        {"\"startTimeUnixNano\":\"\"", "startTimeUnixNano: wants a whole number"},
        {"\"startTimeUnixNano\":0.5", "startTimeUnixNano: wants a whole number"},
        {"\"flags\":4294967296", "flags: out of range"},
        {"\"droppedEventsCount\":-1", "droppedEventsCount: out of range"},
        {"\"droppedEventsCount\":4294967296", "droppedEventsCount: out of range"},
        {"\"attributes\":{}", "attributes: wants a list"},
        {"\"attributes\":[null]", "attributes[0]: wants an object"},
        {"\"status\":[]", "status: wants an object"},
        {"\"attributes\":[{\"value\":{\"intValue\":\"9223372036854775808\"}}]",
         "attributes[0].value.intValue: out of range"},
        {"\"attributes\":[{\"value\":{\"doubleValue\":1e999}}]",
         "attributes[0].value.doubleValue: out of range"},
        {"\"attributes\":[{\"value\":{\"doubleValue\":\"nan\"}}]",
         "attributes[0].value.doubleValue: wants a number"},
        {"\"attributes\":[{\"value\":{\"boolValue\":\"true\"}}]",
         "attributes[0].value.boolValue: wants true or false"},
        {"\"attributes\":[{\"value\":{\"bytesValue\":\"A\"}}]",
         "attributes[0].value.bytesValue: not base64"},
        {"\"attributes\":[{\"value\":{\"bytesValue\":\"AQ=\"}}]",
         "attributes[0].value.bytesValue: not base64"},
        {"\"attributes\":[{\"value\":{\"bytesValue\":\"A===\"}}]",
         "attributes[0].value.bytesValue: not base64"},
        {"\"attributes\":[{\"value\":{\"bytesValue\":1}}]",
         "attributes[0].value.bytesValue: wants a string of base64"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {

        expect_span_refused(cases[i].members, cases[i].reason);
    }
}

static void what_is_not_json_is_refused_by_its_position(void **state)
{
    (void)state;
    expect_refused(STR(""), "JSON, at byte 0: it ends too early");
    expect_refused(STR("[]"), "JSON, at byte 1: no object");
    expect_refused(STR("{\"resourceSpans\":[{]}"), "JSON, at byte 19: no name");
    expect_refused(STR("{\"x\":\"\\udc00\"}"),
                   "JSON, at byte 12: an escape of half a surrogate pair");
    expect_refused(STR("{}{}"), "JSON, at byte 2: more after its end");
}

static void a_long_way_down_is_cut_in_the_reason(void **state)
{
    (void)state;
    struct text json = text_in_arena(arena, 1024);
    struct str  request, reason;

    text_add(&json, STR("{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"value\":{"));
    for (int i = 0; i < 18; i++)
        text_add(&json, STR("\"arrayValue\":{\"values\":[{"));
    text_add(&json, STR("\"intValue\":true"));
    int r = otlp_json_read(text_view(&json), NO_LIMIT, arena, &request, &reason);

    assert_int_equal(r, -EBADMSG);
    assert_true(reason.len < 256);
    assert_true(str_starts_with(reason, STR("resourceSpans[0].resource.attributes[0].value.")));
    assert_true(str_ends_with(reason, STR("...: wants a whole number")));
}

static void depth_is_limited(void **state)
{
    (void)state;
    struct text json = text_in_arena(arena, 4096);
    struct str  request, reason;

    text_add(&json, STR("{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"value\":{"));
    for (int i = 0; i < 30; i++)
        text_add(&json, STR("\"arrayValue\":{\"values\":[{"));
    int r = otlp_json_read(text_view(&json), NO_LIMIT, arena, &request, &reason);

    assert_int_equal(r, -EBADMSG);
    assert_true(str_ends_with(reason, STR(": it nests too deep")));
}

static void a_request_may_be_cut_at_any_byte(void **state)
{
    (void)state;
    for (size_t len = 0; len < every_field.len; len++) {
        char      *copy = malloc(len > 0 ? len : 1); /* of its own size, for the sanitizer */
        struct str request, reason;
        assert_non_null(copy);
        memcpy(copy, every_field.at, len);

        int r = otlp_json_read((struct str){copy, len}, NO_LIMIT, arena, &request, &reason);
        if (r != -EBADMSG)
            fail_msg("%zu bytes of it: %d", len, r);
        free(copy);
    }
}

static void what_would_be_too_large_is_not_read(void **state)
{
    (void)state;
    struct str request, reason = STR("untouched");
    uint32_t   ignored;
    size_t     size = read_request(every_field, &ignored).len;

    assert_int_equal(otlp_json_read(every_field, size, arena, &request, &reason), 0);
    assert_int_equal(otlp_json_read(every_field, size - 1, arena, &request, &reason), -E2BIG);
    assert_int_equal(otlp_json_read(every_field, 0, arena, &request, &reason), -E2BIG);
    assert_true(str_equal(reason, STR("untouched")));
}

static void a_small_arena_is_no_fault_of_the_sender(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *small = arena_new(64);

    struct str request, reason;

    assert_int_equal(otlp_json_read(every_field, NO_LIMIT, small, &request, &reason), -ENOMEM);
    assert_int_equal(otlp_json_read(STR("{\"a long name with \\n in it, longer than what is "
                                        "left\":1}"),
                                    NO_LIMIT, small, &request, &reason),
                     -ENOMEM);
}

static void what_is_read_takes_little_more_than_the_document(void **state)
{
    (void)state;
    size_t     before = arena_used_bytes(arena);
    struct str request, reason;

    assert_int_equal(otlp_json_read(every_field, NO_LIMIT, arena, &request, &reason), 0);
    assert_true(arena_used_bytes(arena) - before < every_field.len * 5 / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_read),
        cmocka_unit_test(an_empty_request_is_one),
        cmocka_unit_test(unknown_members_are_ignored_on_every_level),
        cmocka_unit_test(null_is_the_default),
        cmocka_unit_test(an_empty_id_is_none),
        cmocka_unit_test(enums_are_numbers_or_names),
        cmocka_unit_test(whole_numbers_are_numbers_or_strings),
        cmocka_unit_test(doubles_go_beyond_what_json_has_numbers_for),
        cmocka_unit_test(bytes_are_base64_of_either_alphabet),
        cmocka_unit_test(a_default_that_is_said_is_kept_for_oneofs_need_it),
        cmocka_unit_test(what_comes_twice_is_written_twice_so_the_last_wins),
        cmocka_unit_test(escapes_are_resolved_in_names_and_values),
        cmocka_unit_test(long_content_moves_behind_its_length),
        cmocka_unit_test(what_breaks_the_schema_is_refused_by_its_place),
        cmocka_unit_test(what_is_not_json_is_refused_by_its_position),
        cmocka_unit_test(a_long_way_down_is_cut_in_the_reason),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(a_request_may_be_cut_at_any_byte),
        cmocka_unit_test(what_would_be_too_large_is_not_read),
        cmocka_unit_test(a_small_arena_is_no_fault_of_the_sender),
        cmocka_unit_test(what_is_read_takes_little_more_than_the_document),
    };
    return cmocka_run_group_tests(tests, new_arena, free_arena);
}
