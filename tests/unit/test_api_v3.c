#include "collector/recent/api_v3.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collector/recent/recent.h"
#include "common/base/cleanup.h"
#include "common/base/metrics.h"
#include "common/edge/http_server.h"
#include "tests/unit/sample_spans.h"

static const size_t MiB = 1 << 20;

struct fixture {
    struct metrics     *metrics;
    struct recent      *recent;
    struct http_server *server;
    uint16_t            port;
};

static struct fixture fixture;

static void handle(struct http_request *request, void *context)
{
    (void)context;
    api_v3_handle(request, fixture.recent);
}

static void start_recent(void)
{
    fixture.metrics = metrics_new();
    assert_non_null(fixture.metrics);
    assert_int_equal(recent_new(&fixture.recent,
                                &(struct recent_options){.max_traces = 200,
                                                         .max_bytes = 40 * MiB,
                                                         .max_trace_bytes = 20 * MiB,
                                                         .max_queue_bytes = 40 * MiB},
                                fixture.metrics),
                     0);
    assert_int_equal(recent_start(fixture.recent), 0);
}

static void start_server(void)
{
    struct http_server_options options = {
        .address = {.text = STR("127.0.0.1:0"), .host = STR("127.0.0.1")},
        .thread_name = "admin",
        .threads = 1,
        .max_connections = 8,
        .idle_timeout_s = 30,
        .max_header_bytes = 16384,
        .arena_bytes = 65536,
        .handle = handle,
    };
    assert_int_equal(http_server_new(&fixture.server, &options, &fixture.port), 0);
}

static int set_up(void **state)
{
    start_recent();
    start_server();
    return new_samples(state);
}

static int tear_down(void **state)
{
    http_server_free(fixture.server);
    recent_stop(fixture.recent);
    recent_free(fixture.recent);
    metrics_free(fixture.metrics);
    return free_samples(state);
}

static int connect_to_server(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(fixture.port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct timeval     patience = {.tv_sec = 20};

    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static struct str read_to_end(int fd)
{
    struct text answer = text_in_arena(samples, 4096);
    char        piece[65536];
    ssize_t     n;

    while ((n = recv(fd, piece, sizeof(piece), 0)) > 0)
        text_add(&answer, (struct str){piece, (size_t)n});
    assert_int_equal(n, 0);
    assert_false(answer.is_cut);
    return text_view(&answer);
}

struct answer {
    int        code;
    struct str head, body;
};

static struct answer ask(const char *method, const char *target)
{
    struct str request = arena_format(
        samples, "%s %s HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n", method, target);

    int fd = connect_to_server();
    assert_int_equal(send(fd, request.at, request.len, MSG_NOSIGNAL), request.len);
    struct str all = read_to_end(fd);
    close(fd);

    const char *end = memmem(all.at, all.len, "\r\n\r\n", 4);
    assert_non_null(end);
    struct answer answer = {.head = {all.at, (size_t)(end - all.at)}};
    answer.body = (struct str){end + 4, all.len - answer.head.len - 4};
    assert_int_equal(sscanf(all.at, "HTTP/1.1 %d", &answer.code), 1);
    return answer;
}

static json_t *parse(struct str body)
{
    json_error_t error;
    json_t      *json = json_loadb(body.at, body.len, JSON_REJECT_DUPLICATES, &error);
    if (!json)
        fail_msg("%s in: %.*s", error.text, (int)(body.len < 500 ? body.len : 500), body.at);
    return json;
}

static void json_done(json_t *json)
{
    json_decref(json);
}
DEFINE_CLEANUP(json_t *, json_done)

static void expect_answer(const char *target, int code, struct str body)
{
    struct answer answer = ask("GET", target);

    cleanup_with(json_done_at) json_t *json = parse(answer.body);
    assert_non_null(json);
    assert_int_equal(answer.code, code);
    expect_str(answer.body, body);
}

/* Every error has the form of Jaeger's. */
static void expect_error(const char *target, int code, const char *message_part)
{
    struct answer answer = ask("GET", target);
    int           told;
    const char   *message;

    if (answer.code != code)
        fail_msg("%s: %d, %.*s", target, answer.code, STR_ARGS(answer.body));
    cleanup_with(json_done_at) json_t *json = parse(answer.body);
    assert_int_equal(
        json_unpack(json, "{s:{s:i,s:s!}!}", "error", "httpCode", &told, "message", &message), 0);
    assert_int_equal(told, code);
    if (!strstr(message, message_part))
        fail_msg("%s: \"%s\"", target, message);
}

static struct str id_bytes(uint8_t number)
{
    char bytes[16] = {[0] = 0x0A, [15] = (char)number};
    return arena_copy(samples, (struct str){bytes, sizeof(bytes)});
}

static struct str span_in(uint8_t trace, struct str fields)
{
    return SPAN(field_bytes(SPAN_TRACE_ID, id_bytes(trace)), fields);
}

static struct str named(struct str name)
{
    return field_bytes(SPAN_NAME, name);
}

static void offer(struct str request)
{
    recent_offer(fixture.recent, request, 1);
    recent_settle(fixture.recent);
}

static void offer_span(struct str service, uint8_t trace, struct str fields)
{
    offer(RESOURCE_SPANS(sample_resource(service), SCOPE_SPANS(span_in(trace, fields))));
}

/* The names of the first spans of the traces found, "a b", or "none". */
static struct str found(const char *target)
{
    struct text   names = text_in_arena(samples, 64);
    struct answer answer = ask("GET", target);
    size_t        i;
    json_t       *resource_spans;

    if (answer.code == 404)
        return STR("none");
    if (answer.code != 200)
        fail_msg("%s: %d, %.*s", target, answer.code, STR_ARGS(answer.body));
    cleanup_with(json_done_at) json_t *json = parse(answer.body);
    json_t *all = json_object_get(json_object_get(json, "result"), "resourceSpans");
    json_array_foreach(all, i, resource_spans)
    {
        const char *name;
        assert_int_equal(
            json_unpack(resource_spans, "{s:[{s:[{s:s}]}]}", "scopeSpans", "spans", "name", &name),
            0);
        text_add(&names, i > 0 ? STR(" ") : STR(""));
        text_add(&names, str_from(name));
    }
    return text_view(&names);
}

static void services_are_listed_once_each_in_order(void **state)
{
    (void)state;
    expect_answer("/api/v3/services", 200, STR("{\"services\":[]}"));
    offer_span(STR("shop"), 1, named(STR("a")));
    offer_span(STR("cart \"1\""), 2, named(STR("b")));
    offer_span(STR("shop"), 3, named(STR("c")));
    offer_span(STR("shopping"), 3, named(STR("d")));
    offer(REQUEST_OF(field_bytes(SPAN_TRACE_ID, id_bytes(4)), named(STR("of no service"))));
    expect_answer("/api/v3/services", 200,
                  STR("{\"services\":[\"cart \\\"1\\\"\",\"shop\",\"shopping\"]}"));
}

static void operations_are_names_and_kinds_of_a_service(void **state)
{
    (void)state;
    offer_span(STR("shop"), 1, JOIN(named(STR("get")), field_varint(SPAN_KIND, 3)));
    offer_span(STR("shop"), 1, JOIN(named(STR("get")), field_varint(SPAN_KIND, 2)));
    offer_span(STR("shop"), 2, JOIN(named(STR("get")), field_varint(SPAN_KIND, 2)));
    offer_span(STR("shop"), 2, JOIN(named(STR("compute"))));
    offer_span(STR("cart"), 2, JOIN(named(STR("put")), field_varint(SPAN_KIND, 2)));

    expect_answer("/api/v3/operations?service=shop", 200,
                  STR("{\"operations\":[{\"name\":\"compute\",\"spanKind\":\"internal\"},"
                      "{\"name\":\"get\",\"spanKind\":\"client\"},"
                      "{\"name\":\"get\",\"spanKind\":\"server\"}]}"));
    expect_answer("/api/v3/operations?service=shop&span_kind=server", 200,
                  STR("{\"operations\":[{\"name\":\"get\",\"spanKind\":\"server\"}]}"));
    expect_answer("/api/v3/operations?service=shop&spanKind=internal", 200,
                  STR("{\"operations\":[{\"name\":\"compute\",\"spanKind\":\"internal\"}]}"));
    expect_answer("/api/v3/operations?service=unknown", 200, STR("{\"operations\":[]}"));
    expect_answer("/api/v3/operations", 200, STR("{\"operations\":[]}"));
}

static void a_trace_is_answered_as_otlp_grouped_as_it_came(void **state)
{
    (void)state;
    struct str resource =
        JOIN(sample_resource(STR("shop")), field_bytes(RESOURCE_SPANS_SCHEMA_URL, STR("r")));
    struct str scope =
        JOIN(sample_scope(STR("http")), field_bytes(SCOPE_SPANS_SCHEMA_URL, STR("s")));

    offer(RESOURCE_SPANS(resource, SCOPE_SPANS(scope, span_in(1, named(STR("a"))))));
    offer(RESOURCE_SPANS(sample_resource(STR("cart")), SCOPE_SPANS(span_in(1, named(STR("b"))))));
    offer(RESOURCE_SPANS(resource,
                         SCOPE_SPANS(sample_scope(STR("sql")), span_in(1, named(STR("c"))))));
    offer(RESOURCE_SPANS(resource, SCOPE_SPANS(scope, span_in(1, named(STR("d"))))));

    static const struct str id = STR_INIT("\"traceId\":\"0a000000000000000000000000000001\"");
    static const struct str attributes = STR_INIT("{\"attributes\":[{\"key\":\"service.name\","
                                                  "\"value\":{\"stringValue\":\"");
    expect_answer("/api/v3/traces/0a000000000000000000000000000001", 200,
                  JOIN(STR("{\"result\":{\"resourceSpans\":[{\"resource\":"), attributes,
                       STR("shop\"}}]},\"scopeSpans\":["), /* both scopes of the shop */
                       STR("{\"scope\":{\"name\":\"http\"},\"spans\":[{"), id,
                       STR(",\"name\":\"a\"},{"), id,
                       STR(",\"name\":\"d\"}],\"schemaUrl\":\"s\"},"),
                       STR("{\"scope\":{\"name\":\"sql\"},\"spans\":[{"), id,
                       STR(",\"name\":\"c\"}]}],\"schemaUrl\":\"r\"},"), /* and the cart */
                       STR("{\"resource\":"), attributes, STR("cart\"}}]},\"scopeSpans\":["),
                       STR("{\"scope\":{},\"spans\":[{"), id, STR(",\"name\":\"b\"}]}]}]}}")));
}

static void a_resource_of_another_schema_is_another_one(void **state)
{
    (void)state;
    struct str resource = sample_resource(STR("shop"));
    struct str old = field_bytes(RESOURCE_SPANS_SCHEMA_URL, STR("old"));
    struct str new = field_bytes(RESOURCE_SPANS_SCHEMA_URL, STR("new"));

    offer(RESOURCE_SPANS(resource, SCOPE_SPANS(span_in(1, named(STR("a")))), old));
    offer(RESOURCE_SPANS(resource, SCOPE_SPANS(span_in(1, named(STR("b")))), new));
    expect_str(found("/api/v3/traces"), STR("a b"));
}

static void ids_may_lack_their_leading_zeros(void **state)
{
    (void)state;
    offer(REQUEST_OF(
        field_bytes(SPAN_TRACE_ID, STR("\0\0\0\0\0\0\0\0\x01\x23\x45\x67\x89\xab\xcd\xef")),
        named(STR("short"))));
    expect_str(found("/api/v3/traces/0123456789abcdef"), STR("short"));
    expect_str(found("/api/v3/traces/123456789ABCDEF"), STR("short"));
    expect_str(found("/api/v3/traces/00000000000000000123456789abcdef"), STR("short"));
}

static void hints_of_a_get_must_be_well_formed(void **state)
{
    (void)state;
    offer_span(STR("shop"), 1, named(STR("a")));
    expect_str(found("/api/v3/traces/0a000000000000000000000000000001?raw_traces=true"
                     "&start_time=2026-07-01T00:00:00Z&endTime=2026-07-01T00:00:00.5%2B02:00"),
               STR("a"));
    expect_error("/api/v3/traces/1?raw_traces=maybe", 400, "malformed parameter raw_traces");
    expect_error("/api/v3/traces/1?startTime=now", 400, "malformed parameter startTime");
}

static void unknown_traces_are_not_found(void **state)
{
    (void)state;
    expect_error("/api/v3/traces/0a000000000000000000000000000001", 404, "No traces found");
    expect_error("/api/v3/traces", 404, "No traces found");
}

static void bad_ids_are_told(void **state)
{
    (void)state;
    expect_error("/api/v3/traces/xyz", 400, "malformed parameter trace_id");
    expect_error("/api/v3/traces/", 400, "malformed parameter trace_id");
    expect_error("/api/v3/traces/0", 400, "malformed parameter trace_id");
    expect_error("/api/v3/traces/000000000000000000000000000000001", 400,
                 "malformed parameter trace_id");
    expect_error("/api/v3/traces/1/spans", 400, "malformed parameter trace_id");
}

static void other_paths_are_not_found(void **state)
{
    (void)state;
    expect_error("/api/v3/dependencies", 404, "not found");
    expect_error("/api/v3/", 404, "not found");
}

static void traces_are_found_by_service_and_operation(void **state)
{
    (void)state;
    offer_span(STR("shop"), 1, named(STR("buy")));
    offer_span(STR("my cart"), 2, named(STR("put")));
    offer_span(STR("shop"), 3, named(STR("look")));

    expect_str(found("/api/v3/traces"), STR("look put buy"));
    expect_str(found("/api/v3/traces?query.service_name=shop"), STR("look buy"));
    expect_str(found("/api/v3/traces?query.serviceName=my%20cart"), STR("put"));
    expect_str(found("/api/v3/traces?query.serviceName=my+cart&query.operationName=put"),
               STR("put"));
    expect_str(found("/api/v3/traces?query.service_name=shop&query.operation_name=put"),
               STR("none"));
    expect_str(found("/api/v3/traces?query.service_name=&query.num_traces=&other=thing"),
               STR("look put buy"));
}

/* Not one span for the service and another one for the operation. */
static void one_span_has_to_match_everything(void **state)
{
    (void)state;
    offer_span(STR("shop"), 1, named(STR("buy")));
    offer_span(STR("cart"), 1, named(STR("put")));
    expect_str(found("/api/v3/traces?query.service_name=shop&query.operation_name=put"),
               STR("none"));
    expect_str(found("/api/v3/traces?query.service_name=cart&query.operation_name=put"),
               STR("buy put"));
}

static void traces_are_found_by_the_start_of_a_span(void **state)
{
    (void)state;
    /* 2026-07-01T12:00:00Z and 1 ms later */
    offer_span(
        STR("s"), 1,
        JOIN(named(STR("a")), field_fixed64(SPAN_START_TIME, UINT64_C(1782907200000000000))));
    offer_span(
        STR("s"), 2,
        JOIN(named(STR("b")), field_fixed64(SPAN_START_TIME, UINT64_C(1782907200001000000))));

    expect_str(found("/api/v3/traces?query.start_time_min=2026-07-01T12:00:00Z"
                     "&query.start_time_max=2026-07-01T12:00:01Z"),
               STR("b a"));
    expect_str(found("/api/v3/traces?query.start_time_min=2026-07-01T12:00:00.000000001Z"),
               STR("b"));
    expect_str(found("/api/v3/traces?query.startTimeMax=2026-07-01T12:00:00.001Z"), STR("a"));
    expect_str(found("/api/v3/traces?query.startTimeMax=2026-07-01T12:00:00Z"), STR("none"));
}

static void traces_are_found_by_the_duration_of_a_span(void **state)
{
    (void)state;
    offer_span(STR("s"), 1, JOIN(named(STR("1s")), field_fixed64(SPAN_END_TIME, 1000000000)));
    offer_span(STR("s"), 2, JOIN(named(STR("90s")), field_fixed64(SPAN_END_TIME, 90000000000)));
    /* A clock was set back. */
    offer_span(STR("s"), 3, JOIN(named(STR("less")), field_fixed64(SPAN_START_TIME, 5)));

    expect_str(found("/api/v3/traces?query.duration_min=1s"), STR("90s 1s"));
    expect_str(found("/api/v3/traces?query.duration_min=1m30s"), STR("90s"));
    expect_str(found("/api/v3/traces?query.durationMax=1s"), STR("less 1s"));
    expect_str(found("/api/v3/traces?query.durationMin=1.1s&query.durationMax=80s"), STR("none"));
}

static struct str attribute(struct str key, struct str any_value)
{
    return field_bytes(SPAN_ATTRIBUTES, JOIN(field_bytes(KEY_VALUE_KEY, key),
                                             field_bytes(KEY_VALUE_VALUE, any_value)));
}

static void traces_are_found_by_attributes_of_a_span(void **state)
{
    (void)state;
    static const double half = 0.5;
    uint64_t            bits;
    memcpy(&bits, &half, sizeof(bits));

    offer_span(STR("s"), 1,
               JOIN(named(STR("a")), attribute(STR("user"), field_bytes(ANY_STRING, STR("Ann"))),
                    attribute(STR("http.status_code"), field_varint(ANY_INT, 500))));
    offer_span(STR("s"), 2,
               JOIN(named(STR("b")), attribute(STR("user"), field_bytes(ANY_STRING, STR("Bob"))),
                    attribute(STR("error"), field_varint(ANY_BOOL, 1)),
                    attribute(STR("share"), field_fixed64(ANY_DOUBLE, bits))));

    expect_str(found("/api/v3/traces?query.attributes={\"user\":\"Ann\"}"), STR("a"));
    expect_str(found("/api/v3/traces?query.attributes=%7B%22error%22%3A%22true%22%7D"), STR("b"));
    expect_str(found("/api/v3/traces?query.attributes={\"http.status_code\":\"500\"}"), STR("a"));
    expect_str(found("/api/v3/traces?query.attributes={\"share\":\"0.50\"}"), STR("b"));
    expect_str(found("/api/v3/traces?query.attributes={\"user\":\"Ann\",\"error\":\"true\"}"),
               STR("none"));
    expect_str(found("/api/v3/traces?query.attributes={\"service.name\":\"s\",\"user\":\"Bob\"}"),
               STR("b"));
    expect_str(found("/api/v3/traces?query.attributes={\"http.status_code\":\"501\"}"),
               STR("none"));
    expect_str(found("/api/v3/traces?query.attributes={\"customer\":\"Bob\"}"), STR("none"));
    expect_str(found("/api/v3/traces?query.attributes={}"), STR("b a"));
}

static void attributes_are_asked_for_as_strings(void **state)
{
    (void)state;
    expect_error("/api/v3/traces?query.attributes={\"a\":1}", 400, "query.attributes");
    expect_error("/api/v3/traces?query.attributes=a=1", 400, "query.attributes");
    expect_error("/api/v3/traces?query.attributes={\"a\":\"1\"", 400, "query.attributes");
    expect_error("/api/v3/traces?query.attributes={}x", 400, "query.attributes");
    expect_error("/api/v3/traces?query.attributes=[]", 400, "query.attributes");
}

static void at_most_as_many_traces_as_asked_for(void **state)
{
    (void)state;
    for (uint8_t i = 1; i <= 150; i++)
        offer_span(STR("s"), i, named(arena_format(samples, "n%u", i)));

    expect_str(found("/api/v3/traces?query.num_traces=2"), STR("n150 n149"));
    expect_str(found("/api/v3/traces?query.search_depth=1"), STR("n150"));
    expect_str(found("/api/v3/traces?query.searchDepth=1&query.operation_name=n7"), STR("n7"));

    struct str by_default = found("/api/v3/traces");
    assert_true(str_starts_with(by_default, STR("n150 ")));
    assert_true(str_ends_with(by_default, STR(" n51")));
}

static void malformed_parameters_are_told_by_name(void **state)
{
    (void)state;
    expect_error("/api/v3/traces?query.num_traces=many", 400,
                 "malformed parameter query.num_traces: a number is expected");
    expect_error("/api/v3/traces?query.num_traces=-1", 400, "query.num_traces");
    expect_error("/api/v3/traces?query.duration_min=5", 400, "query.duration_min");
    expect_error("/api/v3/traces?query.durationMax=-5s", 400, "query.durationMax");
    expect_error("/api/v3/traces?query.start_time_min=yesterday", 400, "query.start_time_min");
}

static void times_are_read_as_rfc_3339_says(void **state)
{
    (void)state;
    static const char *const good[] = {
        "2026-07-01T12:00:00Z",           "2026-07-01t12:00:00z",
        "2026-07-01T12:00:00.123456789Z", "2026-07-01T12:00:00.1234567891Z",
        "2026-07-01T12:00:00%2B05:30",    "2026-07-01T12:00:00-05:30",
        "2024-02-29T00:00:00Z",           "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
    };
    static const char *const bad[] = {
        "2026-07-01",           "2026-07-01T12:00:00",       "2026-07-01T12:00:00.Z",
        "2026-07-01T24:00:00Z", "2026-07-01T12:60:00Z",      "2026-07-01T12:00:60Z",
        "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z",      "2026-00-01T00:00:00Z",
        "2026-07-00T00:00:00Z", "2026-07-01T12:00:00Zx",     "2026-7-1T12:00:00Z",
        "2026-07-01+12:00:00Z", "2026-07-01T12:00:00+24:00", "2026-07-01T12:00:00%2B0530",
        "+026-07-01T12:00:00Z",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
        expect_error(arena_format(samples, "/api/v3/traces?query.start_time_min=%s", good[i]).at,
                     404, "No traces found");
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        expect_error(arena_format(samples, "/api/v3/traces?query.start_time_min=%s", bad[i]).at,
                     400, "query.start_time_min");
}

static void times_count_their_offset(void **state)
{
    (void)state;
    offer_span(
        STR("s"), 1,
        JOIN(named(STR("noon")), field_fixed64(SPAN_START_TIME, UINT64_C(1782907200000000000))));

    expect_str(found("/api/v3/traces?query.startTimeMin=2026-07-01T14:00:00%2B02:00"), STR("noon"));
    expect_str(found("/api/v3/traces?query.startTimeMin=2026-07-01T07:00:00-05:00"), STR("noon"));
    expect_str(found("/api/v3/traces?query.startTimeMin=2026-07-01T07:00:01-05:00"), STR("none"));
    expect_str(found("/api/v3/traces?query.startTimeMin=0001-01-01T00:00:00Z"
                     "&query.startTimeMax=9999-12-31T00:00:00Z"),
               STR("noon"));
    /* 2^64 ns after 1970. */
    expect_str(found("/api/v3/traces?query.startTimeMax=2554-07-21T23:34:34Z"), STR("noon"));
}

/* As JSON each byte of the names is six. */
static void an_answer_that_would_be_too_long_is_refused(void **state)
{
    (void)state;
    for (uint8_t i = 1; i <= 3; i++) {
        char *name = arena_alloc(samples, MiB);
        assert_non_null(name);
        memset(name, i, MiB);
        offer_span(STR("s"), i, named((struct str){name, MiB}));
    }
    expect_error("/api/v3/traces", 400, "longer than 16 MiB");
    assert_int_equal(ask("GET", "/api/v3/traces?query.num_traces=2").code, 200);
}

static void answers_are_json_to_get_and_head_only(void **state)
{
    (void)state;
    struct answer answer = ask("GET", "/api/v3/services");
    assert_non_null(strcasestr(answer.head.at, "content-type: application/json\r\n"));

    answer = ask("HEAD", "/api/v3/services");
    assert_int_equal(answer.code, 200);
    assert_int_equal(answer.body.len, 0);
    assert_int_equal(ask("DELETE", "/api/v3/services").code, 405);
}

#define served(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        served(services_are_listed_once_each_in_order),
        served(operations_are_names_and_kinds_of_a_service),
        served(a_trace_is_answered_as_otlp_grouped_as_it_came),
        served(a_resource_of_another_schema_is_another_one),
        served(ids_may_lack_their_leading_zeros),
        served(hints_of_a_get_must_be_well_formed),
        served(unknown_traces_are_not_found),
        served(bad_ids_are_told),
        served(other_paths_are_not_found),
        served(traces_are_found_by_service_and_operation),
        served(one_span_has_to_match_everything),
        served(traces_are_found_by_the_start_of_a_span),
        served(traces_are_found_by_the_duration_of_a_span),
        served(traces_are_found_by_attributes_of_a_span),
        served(attributes_are_asked_for_as_strings),
        served(at_most_as_many_traces_as_asked_for),
        served(malformed_parameters_are_told_by_name),
        served(times_are_read_as_rfc_3339_says),
        served(times_count_their_offset),
        served(an_answer_that_would_be_too_long_is_refused),
        served(answers_are_json_to_get_and_head_only),
    };
    return cmocka_run_group_tests_name("api_v3", tests, NULL, NULL);
}
