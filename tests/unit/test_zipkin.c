#include "collector/spans/zipkin.h"

#include "tests/unit/expect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/spans/skim.h"
#include "common/base/arena.h"
#include "common/base/cleanup.h"
#include "tests/unit/otlp_text.h"

enum { ARENA_BYTES = 64 << 20, NO_LIMIT = 1 << 30 };

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
static struct zipkin_result read_list(struct str json)
{
    struct zipkin_result result = {0};
    const char          *skim_reason = "";
    uint32_t             n_spans;

    int r = zipkin_read_json(json, NO_LIMIT, arena, &result);
    if (r != 0)
        fail_msg("%.*s: %d, %.*s", STR_ARGS(json), r, STR_ARGS(result.reason));
    if (skim_request(result.request, &n_spans, &skim_reason) != 0)
        fail_msg("%.*s: the skim says: %s", STR_ARGS(json), skim_reason);
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

static void expect_request(struct str json, const char *expected)
{
    struct zipkin_result result = read_list(json);
    const char          *text = as_text(result.request);

    if (result.n_bad != 0)
        fail_msg("%.*s: %.*s", STR_ARGS(json), STR_ARGS(result.reason));
    if (strcmp(text, expected) != 0)
        fail_msg("%.*s:\nexpected %s\nsaw      %s", STR_ARGS(json), expected, text);
}

#define IDS "\"traceId\":\"463ac35c9f6413ad48485a3953bb6124\",\"id\":\"a2fb4a1d1a96d312\""
#define OTLP_IDS "traceId:463ac35c9f6413ad48485a3953bb6124 spanId:a2fb4a1d1a96d312"
#define TIMES "\"timestamp\":1584324295476870,\"duration\":1234"
#define OTLP_TIMES "startTimeUnixNano:1584324295476870000 endTimeUnixNano:1584324295478104000"

/* A server's span with ids and times, and `members`. */
static void expect_server_span(const char *members, const char *before, const char *after)
{
    struct str json = arena_format(arena, "[{" IDS "," TIMES ",\"kind\":\"SERVER\",%s}]", members);
    struct str expected = arena_format(
        arena, "resourceSpans{scopeSpans{spans{%s%s" OTLP_IDS " kind:2 " OTLP_TIMES "%s%s}}}",
        before, *before ? " " : "", *after ? " " : "", after);

    expect_request(json, expected.at);
}

static void expect_bad(const char *members, const char *reason)
{
    struct str           json = arena_format(arena, "[{" IDS "},{" IDS ",%s},{" IDS "}]", members);
    struct zipkin_result result = read_list(json);
    struct str           expected = arena_format(arena, "span 1: %s", reason);

    if (result.n_spans != 2 || result.n_bad != 1 || !str_equal(result.reason, expected))
        fail_msg("%s: %u spans, %u bad: %.*s", members, result.n_spans, result.n_bad,
                 STR_ARGS(result.reason));
}

static void expect_refused(struct str json, const char *expected)
{
    struct zipkin_result result = {0};

    int r = zipkin_read_json(json, NO_LIMIT, arena, &result);
    if (r != -EBADMSG || !str_equal(result.reason, str_from(expected)))
        fail_msg("%.*s: %d, %.*s", STR_ARGS(json), r, STR_ARGS(result.reason));
}

/* In the form, and with the tags, that an Istio sidecar sends. */
static const struct str envoy_list = STR_INIT(
    "[{\"duration\":1234,\"timestamp\":1584324295476870,\"name\":\"backend.demo:443/*\","
    "\"id\":\"5fcd8b1d1a96d312\",\"traceId\":\"463ac35c9f6413ad48485a3953bb6124\","
    "\"parentId\":\"a2fb4a1d1a96d312\",\"kind\":\"CLIENT\",\"localEndpoint\":{\"ipv4\":"
    "\"10.0.0.1\",\"port\":0,\"serviceName\":\"frontend.demo\"},\"tags\":{\"component\":\"proxy\","
    "\"http.status_code\":\"503\",\"error\":\"true\",\"response_flags\":\"UF,URX\","
    "\"upstream_cluster\":\"outbound|443||backend.demo\"},\"annotations\":[{\"timestamp\":"
    "1584324295477000,\"value\":\"x-envoy-retry\"}]},"
    "{\"annotations\":[],\"kind\":\"SERVER\",\"localEndpoint\":{\"serviceName\":\"frontend.demo\","
    "\"ipv6\":\"2001:db8::c001\",\"port\":8080},\"traceId\":\"463ac35c9f6413ad48485a3953bb6124\","
    "\"id\":\"a2fb4a1d1a96d312\",\"timestamp\":1584324295476000,\"duration\":3000,"
    "\"name\":\"frontend.demo\",\"tags\":{\"http.method\":\"GET\",\"http.url\":"
    "\"http:\\/\\/demo\\/\",\"guid:x-request-id\":\"f3\"},\"shared\":false}]");

static void what_envoy_sends_is_read(void **state)
{
    (void)state;
    expect_request(
        envoy_list,
        "resourceSpans{resource{attributes{key:\"service.name\" "
        "value{stringValue:\"frontend.demo\"}}} scopeSpans{"
        "spans{attributes{key:\"component\" value{stringValue:\"proxy\"}} "
        "attributes{key:\"http.status_code\" value{stringValue:\"503\"}} "
        "attributes{key:\"response_flags\" value{stringValue:\"UF,URX\"}} "
        "attributes{key:\"upstream_cluster\" value{stringValue:\"outbound|443||backend.demo\"}} "
        "events{timeUnixNano:1584324295477000000 name:\"x-envoy-retry\"} "
        "traceId:463ac35c9f6413ad48485a3953bb6124 spanId:5fcd8b1d1a96d312 "
        "parentSpanId:a2fb4a1d1a96d312 name:\"backend.demo:443/*\" kind:3 "
        "startTimeUnixNano:1584324295476870000 endTimeUnixNano:1584324295478104000 "
        "attributes{key:\"network.local.address\" value{stringValue:\"10.0.0.1\"}} "
        "status{code:2}} "
        "spans{attributes{key:\"http.method\" value{stringValue:\"GET\"}} "
        "attributes{key:\"http.url\" value{stringValue:\"http://demo/\"}} "
        "attributes{key:\"guid:x-request-id\" value{stringValue:\"f3\"}} "
        "traceId:463ac35c9f6413ad48485a3953bb6124 spanId:a2fb4a1d1a96d312 "
        "name:\"frontend.demo\" kind:2 startTimeUnixNano:1584324295476000000 "
        "endTimeUnixNano:1584324295479000000 "
        "attributes{key:\"network.local.address\" value{stringValue:\"2001:db8::c001\"}} "
        "attributes{key:\"network.local.port\" value{intValue:8080}}}}}");
}

static void an_empty_list_has_no_spans(void **state)
{
    (void)state;
    struct zipkin_result result = read_list(STR(" [ ] "));

    assert_int_equal(result.n_spans, 0);
    assert_int_equal(result.n_bad, 0);
    assert_int_equal(result.request.len, 0);
}

static void short_ids_have_zeros_in_front(void **state)
{
    (void)state;
    expect_request(STR("[{\"traceId\":\"48485A3953BB6124\",\"id\":\"1\",\"parentId\":\"ab\"," TIMES
                       ",\"kind\":\"SERVER\"}]"),
                   "resourceSpans{scopeSpans{spans{traceId:000000000000000048485a3953bb6124 "
                   "spanId:0000000000000001 parentSpanId:00000000000000ab kind:2 " OTLP_TIMES
                   "}}}");
    expect_request(STR("[{\"traceId\":\"00000000000000000000000000000abc\",\"id\":\"1\"," TIMES
                       ",\"kind\":\"SERVER\"}]"),
                   "resourceSpans{scopeSpans{spans{traceId:00000000000000000000000000000abc "
                   "spanId:0000000000000001 kind:2 " OTLP_TIMES "}}}");
}

static void a_span_that_is_its_own_parent_is_a_root(void **state)
{
    (void)state;
    expect_server_span("\"parentId\":\"a2fb4a1d1a96d312\"", "", "");
    expect_server_span("\"parentId\":\"0000000000000000\"", "", "");
    expect_server_span("\"parentId\":\"\"", "", "");
    expect_server_span("\"parentId\":null", "", "");
}

static void each_kind_has_its_number(void **state)
{
    (void)state;
    static const struct {
        const char *member, *kind;
    } cases[] = {
        {"\"kind\":\"CLIENT\"", "3"},   {"\"kind\":\"SERVER\"", "2"},
        {"\"kind\":\"PRODUCER\"", "4"}, {"\"kind\":\"CONSUMER\"", "5"},
        {"\"kind\":null", "1"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct str json = arena_format(arena, "[{" IDS "," TIMES ",%s}]", cases[i].member);
        struct str expected = arena_format(
            arena, "resourceSpans{scopeSpans{spans{" OTLP_IDS " kind:%s " OTLP_TIMES "}}}",
            cases[i].kind);
        expect_request(json, expected.at);
    }
}

static void a_span_without_kind_is_internal_unless_it_is_late_data(void **state)
{
    (void)state;
    expect_request(STR("[{" IDS "," TIMES "}]"),
                   "resourceSpans{scopeSpans{spans{" OTLP_IDS " kind:1 " OTLP_TIMES "}}}");
    expect_request(STR("[{" IDS "}]"),
                   "resourceSpans{scopeSpans{spans{" OTLP_IDS " kind:0 startTimeUnixNano:0 "
                   "endTimeUnixNano:0 attributes{key:\"otel.zipkin.absentField.startTime\" "
                   "value{boolValue:true}}}}}");
    expect_request(STR("[{" IDS ",\"tags\":{\"span.kind\":\"internal\"}}]"),
                   "resourceSpans{scopeSpans{spans{" OTLP_IDS " kind:1 startTimeUnixNano:0 "
                   "endTimeUnixNano:0 attributes{key:\"otel.zipkin.absentField.startTime\" "
                   "value{boolValue:true}}}}}");
}

static void a_tag_tells_the_kind_when_nothing_else_does(void **state)
{
    (void)state;
    expect_request(STR("[{" IDS "," TIMES ",\"tags\":{\"span.kind\":\"server\"}}]"),
                   "resourceSpans{scopeSpans{spans{" OTLP_IDS " kind:2 " OTLP_TIMES "}}}");
    expect_request(STR("[{" IDS "," TIMES ",\"tags\":{\"span.kind\":\"odd\"}}]"),
                   "resourceSpans{scopeSpans{spans{" OTLP_IDS " attributes{key:\"span.kind\" "
                   "value{stringValue:\"odd\"}} kind:1 " OTLP_TIMES "}}}");
    expect_request(
        STR("[{" IDS "," TIMES ",\"tags\":{\"span.kind\":\"internal\"},\"kind\":\"CLIENT\"}]"),
        "resourceSpans{scopeSpans{spans{" OTLP_IDS " attributes{key:\"span.kind\" "
        "value{stringValue:\"internal\"}} kind:3 " OTLP_TIMES "}}}");
}

static void a_start_that_is_not_known_is_marked(void **state)
{
    (void)state;
    static const char *const absent[] = {"", ",\"timestamp\":0", ",\"timestamp\":null",
                                         ",\"timestamp\":-5"};

    for (size_t i = 0; i < ARRAY_LENGTH(absent); i++)
        expect_request(
            arena_format(arena, "[{" IDS ",\"kind\":\"SERVER\",\"duration\":7%s}]", absent[i]),
            "resourceSpans{scopeSpans{spans{" OTLP_IDS " kind:2 startTimeUnixNano:0 "
            "endTimeUnixNano:7000 attributes{key:\"otel.zipkin.absentField.startTime\" "
            "value{boolValue:true}}}}}");
}

static void a_span_without_duration_ends_when_it_starts(void **state)
{
    (void)state;
    static const char *const absent[] = {"", ",\"duration\":0", ",\"duration\":null",
                                         ",\"duration\":-5"};

    for (size_t i = 0; i < ARRAY_LENGTH(absent); i++)
        expect_request(
            arena_format(arena, "[{" IDS ",\"kind\":\"SERVER\",\"timestamp\":9%s}]", absent[i]),
            "resourceSpans{scopeSpans{spans{" OTLP_IDS
            " kind:2 startTimeUnixNano:9000 endTimeUnixNano:9000}}}");
}

/* istio/istio#32026 */
static void numbers_may_be_strings_or_doubles_that_are_whole(void **state)
{
    (void)state;
    expect_request(
        STR("[{" IDS ",\"kind\":\"SERVER\",\"timestamp\":\"1584324295476870\","
            "\"duration\":1.234e3,\"annotations\":[{\"timestamp\":\"1.58e15\",\"value\":\"v\"}],"
            "\"localEndpoint\":{\"port\":\"80\"}}]"),
        "resourceSpans{scopeSpans{spans{events{timeUnixNano:1580000000000000000 "
        "name:\"v\"} " OTLP_IDS " kind:2 " OTLP_TIMES
        " attributes{key:\"network.local.port\" value{intValue:80}}}}}");
}

static void endpoints_are_sockets(void **state)
{
    (void)state;
    expect_server_span(
        "\"remoteEndpoint\":{\"serviceName\":\"backend\",\"ipv4\":\"10.0.0.2\",\"ipv6\":\"::1\","
        "\"port\":9090},\"localEndpoint\":{\"ipv6\":\"::2\",\"x\":{}}",
        "",
        "attributes{key:\"peer.service\" value{stringValue:\"backend\"}} "
        "attributes{key:\"network.local.address\" value{stringValue:\"::2\"}} "
        "attributes{key:\"network.peer.address\" value{stringValue:\"10.0.0.2\"}} "
        "attributes{key:\"network.peer.port\" value{intValue:9090}}");
}

static void a_tag_wins_over_the_endpoint(void **state)
{
    (void)state;
    expect_server_span("\"remoteEndpoint\":{\"serviceName\":\"backend\",\"port\":1},"
                       "\"tags\":{\"peer.service\":\"mine\",\"network.peer.port\":\"2\"}",
                       "attributes{key:\"peer.service\" value{stringValue:\"mine\"}} "
                       "attributes{key:\"network.peer.port\" value{stringValue:\"2\"}}",
                       "");
}

static void tags_that_are_not_strings_are_told_as_written(void **state)
{
    (void)state;
    expect_server_span("\"tags\":{\"n\":1.50,\"b\":false,\"\":\"\"}",
                       "attributes{key:\"n\" value{stringValue:\"1.50\"}} "
                       "attributes{key:\"b\" value{stringValue:\"false\"}} "
                       "attributes{key:\"\" value{stringValue:\"\"}}",
                       "");
}

static void tags_tell_the_status(void **state)
{
    (void)state;
    static const struct {
        const char *tags, *status;
    } cases[] = {
        {"\"otel.status_code\":\"OK\"", "status{code:1}"},
        {"\"otel.status_code\":\"ERROR\"", "status{code:2}"},
        {"\"otel.status_code\":\"ERROR\",\"error\":\"boom\"", "status{message:\"boom\" code:2}"},
        {"\"otel.status_code\":\"ERROR\",\"otel.status_description\":\"why\"",
         "status{message:\"why\" code:2}"},
        {"\"otel.status_description\":\"why\",\"error\":\"true\"",
         "status{message:\"why\" code:2}"},
        {"\"error\":\"\"", "status{code:2}"},
        {"\"error\":true", "status{code:2}"},
        {"\"error\":\"timeout\"", "status{message:\"timeout\" code:2}"},
        {"\"error\":\"false\"", ""},
        {"\"error\":false,\"otel.status_code\":\"OK\"", "status{code:1}"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        expect_server_span(arena_format(arena, "\"tags\":{%s}", cases[i].tags).at, "",
                           cases[i].status);
    expect_server_span("\"tags\":{\"otel.status_code\":\"ODD\"}", "",
                       "attributes{key:\"otel.status_code\" value{stringValue:\"ODD\"}}");
}

static void debug_and_shared_are_kept(void **state)
{
    (void)state;
    expect_server_span("\"debug\":true,\"shared\":true", "",
                       "attributes{key:\"zipkin.shared\" value{boolValue:true}} "
                       "attributes{key:\"zipkin.debug\" value{boolValue:true}} flags:1");
    expect_server_span("\"debug\":false,\"shared\":null", "", "");
}

static void trace_state_and_scope_come_in_tags(void **state)
{
    (void)state;
    expect_request(
        STR("[{" IDS "," TIMES ",\"kind\":\"SERVER\",\"tags\":{\"w3c.tracestate\":\"a=b\","
            "\"otel.scope.name\":\"lib\",\"otel.scope.version\":\"1\"}},"
            "{" IDS "," TIMES ",\"kind\":\"SERVER\",\"tags\":{\"otel.library.name\":\"lib\","
            "\"otel.library.version\":\"1\"}}]"),
        "resourceSpans{scopeSpans{scope{name:\"lib\" version:\"1\"} "
        "spans{" OTLP_IDS " traceState:\"a=b\" kind:2 " OTLP_TIMES "} "
        "spans{" OTLP_IDS " kind:2 " OTLP_TIMES "}}}");
}

static unsigned n_groups(struct str request)
{
    struct wire_cursor cursor = wire_cursor(request);
    struct wire_field  group;
    unsigned           n = 0;

    while (wire_next(&cursor, &group))
        n++;
    return n;
}

/* A span of this service (a member, or nothing) and with these tags. */
#define SPAN_OF(service, tags) "{" IDS service ",\"tags\":{" tags "}}"
#define SERVICE_A ",\"localEndpoint\":{\"serviceName\":\"a\"}"
#define SERVICE_B ",\"localEndpoint\":{\"serviceName\":\"b\"}"

static void spans_in_a_row_of_one_service_and_scope_share_a_group(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        unsigned    n_groups;
    } cases[] = {
        {SPAN_OF("", "") "," SPAN_OF("", ""), 1},
        {SPAN_OF(SERVICE_A, "") "," SPAN_OF(SERVICE_A, "\"k\":\"v\""), 1},
        {SPAN_OF(SERVICE_A, "") "," SPAN_OF("", ""), 2},
        {SPAN_OF(SERVICE_A, "") "," SPAN_OF(SERVICE_B, ""), 2},
        {SPAN_OF(SERVICE_A, "") "," SPAN_OF(SERVICE_B, "") "," SPAN_OF(SERVICE_A, ""), 3},
        {SPAN_OF("", "") "," SPAN_OF("", "\"otel.scope.name\":\"n\""), 2},
        {SPAN_OF("", "") "," SPAN_OF("", "\"otel.scope.version\":\"1\""), 2},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct str           list = arena_format(arena, "[%s]", cases[i].list);
        struct zipkin_result result = read_list(list);
        if (n_groups(result.request) != cases[i].n_groups)
            fail_msg("%s: %u groups", cases[i].list, n_groups(result.request));
    }
}

static void a_bad_span_is_left_out_and_the_others_kept(void **state)
{
    (void)state;
    static const struct {
        const char *members, *reason;
    } cases[] = {
        {"\"traceId\":\"463ac35c9f6413ad48485a3953bb61240\"", "traceId: not at most 32 hex digits"},
        {"\"traceId\":\"g\"", "traceId: not hex digits"},
        {"\"traceId\":7", "traceId: not at most 32 hex digits"},
        {"\"traceId\":\"\"", "traceId: none, or all zero"},
        {"\"traceId\":\"0\"", "traceId: none, or all zero"},
        {"\"id\":\"a2fb4a1d1a96d3120\"", "id: not at most 16 hex digits"},
        {"\"id\":\"0000000000000000\"", "id: none, or all zero"},
        {"\"parentId\":\"x\"", "parentId: not hex digits"},
        {"\"kind\":\"LOCAL\"", "kind: not one of Zipkin's"},
        {"\"kind\":\"client\"", "kind: not one of Zipkin's"},
        {"\"kind\":1", "kind: not one of Zipkin's"},
        {"\"name\":1", "name: not a string"},
        {"\"name\":{\"a\":[1]}", "name: not a string"},
        {"\"timestamp\":1.5", "timestamp: not a whole number"},
        {"\"timestamp\":\"now\"", "timestamp: not a whole number"},
        {"\"timestamp\":true", "timestamp: not a whole number"},
        {"\"timestamp\":1e30", "timestamp: out of range"},
        {"\"timestamp\":18446744073709552", "timestamp: out of range"},
        {"\"duration\":18446744073709552", "duration: out of range"},
        {"\"timestamp\":18446744073709550,\"duration\":2", "duration: out of range"},
        {"\"duration\":[]", "duration: not a whole number"},
        {"\"localEndpoint\":\"a\"", "localEndpoint: not an object"},
        {"\"localEndpoint\":{\"port\":65536}", "port: out of range"},
        {"\"remoteEndpoint\":{\"serviceName\":[]}", "serviceName: not a string"},
        {"\"tags\":[]", "tags: not an object"},
        {"\"tags\":{\"a\":null}", "tags: one that is not a string"},
        {"\"tags\":{\"a\":{\"b\":1},\"c\":2}", "tags: one that is not a string"},
        {"\"annotations\":{}", "annotations: not a list"},
        {"\"annotations\":[1]", "annotations: one that is not an object"},
        {"\"annotations\":[{\"value\":\"v\"}]", "annotations: one without timestamp or value"},
        {"\"annotations\":[{\"timestamp\":1}]", "annotations: one without timestamp or value"},
        {"\"annotations\":[{\"timestamp\":1,\"value\":null}]",
         "annotations: one without timestamp or value"},
        {"\"annotations\":[{\"timestamp\":18446744073709552,\"value\":\"v\"}]",
         "annotations: timestamp out of range"},
        {"\"annotations\":[{\"timestamp\":[1],\"value\":\"v\"}]", "timestamp: not a whole number"},
        {"\"shared\":\"yes\"", "shared: neither true nor false"},
        {"\"name\":1,\"kind\":2", "name: not a string"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        expect_bad(cases[i].members, cases[i].reason);
}

static void both_ids_are_required(void **state)
{
    (void)state;
    struct zipkin_result result = read_list(STR("[{\"traceId\":\"1\"},{\"id\":\"1\"},{}]"));
    assert_int_equal(result.n_spans, 0);
    assert_int_equal(result.n_bad, 3);
    expect_str(result.reason, STR("span 0: id: none, or all zero"));
    assert_int_equal(result.request.len, 0);
}

static void what_is_no_span_is_a_bad_one(void **state)
{
    (void)state;
    struct zipkin_result result = read_list(STR("[1,[[]],null,{" IDS "}]"));

    assert_int_equal(result.n_spans, 1);
    assert_int_equal(result.n_bad, 3);
    expect_str(result.reason, STR("span 0: not an object"));
}

static void a_bad_span_leaves_nothing_behind(void **state)
{
    (void)state;
    struct zipkin_result result =
        read_list(STR("[{" IDS ",\"kind\":1,\"name\":\"bad\",\"tags\":{\"error\":\"x\"}},{" IDS
                      "," TIMES ",\"kind\":\"SERVER\"}]"));

    assert_string_equal(as_text(result.request),
                        "resourceSpans{scopeSpans{spans{" OTLP_IDS " kind:2 " OTLP_TIMES "}}}");
}

static void zipkin_v1_is_told_where_v2_goes(void **state)
{
    (void)state;
    expect_refused(STR("[{" IDS "},{" IDS ",\"binaryAnnotations\":[]}]"),
                   "JSON, at byte 163: binaryAnnotations, so this is Zipkin v1; only v2 is "
                   "taken, by POST to /api/v2/spans");
    assert_int_equal(read_list(STR("[{" IDS ",\"binaryAnnotations\":null}]")).n_spans, 1);
}

static void what_is_not_a_list_is_refused(void **state)
{
    (void)state;
    expect_refused(STR(""), "JSON, at byte 0: it ends too early");
    expect_refused(STR("{" IDS "}"), "JSON, at byte 1: not a list of spans");
    expect_refused(STR("[{" IDS "}"), "JSON, at byte 71: it ends too early");
    expect_refused(STR("[{\"name\":1,}]"), "JSON, at byte 11: no name");
}

static void a_list_may_be_cut_at_any_byte(void **state)
{
    (void)state;
    for (size_t len = 0; len < envoy_list.len; len++) {
        char                *copy = malloc(len > 0 ? len : 1); /* for the sanitizer */
        struct zipkin_result result;
        assert_non_null(copy);
        memcpy(copy, envoy_list.at, len);

        int r = zipkin_read_json((struct str){copy, len}, NO_LIMIT, arena, &result);
        if (r != -EBADMSG)
            fail_msg("%zu bytes of it: %d", len, r);
        free(copy);
    }
}

static void what_would_be_too_large_is_not_read(void **state)
{
    (void)state;
    struct zipkin_result result;
    size_t               size = read_list(envoy_list).request.len;

    assert_int_equal(zipkin_read_json(envoy_list, size, arena, &result), 0);
    assert_int_equal(zipkin_read_json(envoy_list, size - 1, arena, &result), -E2BIG);
}

static void a_small_arena_is_no_fault_of_the_sender(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *small = arena_new(512);

    struct zipkin_result result;

    assert_int_equal(zipkin_read_json(envoy_list, NO_LIMIT, small, &result), -ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_envoy_sends_is_read),
        cmocka_unit_test(an_empty_list_has_no_spans),
        cmocka_unit_test(short_ids_have_zeros_in_front),
        cmocka_unit_test(a_span_that_is_its_own_parent_is_a_root),
        cmocka_unit_test(each_kind_has_its_number),
        cmocka_unit_test(a_span_without_kind_is_internal_unless_it_is_late_data),
        cmocka_unit_test(a_tag_tells_the_kind_when_nothing_else_does),
        cmocka_unit_test(a_start_that_is_not_known_is_marked),
        cmocka_unit_test(a_span_without_duration_ends_when_it_starts),
        cmocka_unit_test(numbers_may_be_strings_or_doubles_that_are_whole),
        cmocka_unit_test(endpoints_are_sockets),
        cmocka_unit_test(a_tag_wins_over_the_endpoint),
        cmocka_unit_test(tags_that_are_not_strings_are_told_as_written),
        cmocka_unit_test(tags_tell_the_status),
        cmocka_unit_test(debug_and_shared_are_kept),
        cmocka_unit_test(trace_state_and_scope_come_in_tags),
        cmocka_unit_test(spans_in_a_row_of_one_service_and_scope_share_a_group),
        cmocka_unit_test(a_bad_span_is_left_out_and_the_others_kept),
        cmocka_unit_test(both_ids_are_required),
        cmocka_unit_test(what_is_no_span_is_a_bad_one),
        cmocka_unit_test(a_bad_span_leaves_nothing_behind),
        cmocka_unit_test(zipkin_v1_is_told_where_v2_goes),
        cmocka_unit_test(what_is_not_a_list_is_refused),
        cmocka_unit_test(a_list_may_be_cut_at_any_byte),
        cmocka_unit_test(what_would_be_too_large_is_not_read),
        cmocka_unit_test(a_small_arena_is_no_fault_of_the_sender),
    };
    return cmocka_run_group_tests(tests, new_arena, free_arena);
}
