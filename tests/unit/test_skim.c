#include "collector/spans/skim.h"

#include <errno.h>

#include "common/base/cleanup.h"
#include "common/edge/proto.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"
#include "tests/unit/sample_spans.h"

#define SPAN_ID "12345678"
#define TRACE_ID "1234567890123456"

static const enum wire_type wire_types[] = {WIRE_VARINT, WIRE_FIXED64, WIRE_BYTES, WIRE_FIXED32};

/* Where each message of the schema is found: the numbers of the fields that lead to it. */
static const struct place {
    const struct otlp_message *message;
    uint32_t                   way[8]; /* until 0 */
} places[] = {
    {&otlp_export_request, {0}},
    {&otlp_resource_spans, {1}},
    {&otlp_resource, {1, 1}},
    {&otlp_entity_ref, {1, 1, 3}},
    {&otlp_scope_spans, {1, 2}},
    {&otlp_scope, {1, 2, 1}},
    {&otlp_span, {1, 2, 2}},
    {&otlp_span_event, {1, 2, 2, 11}},
    {&otlp_span_link, {1, 2, 2, 13}},
    {&otlp_span_status, {1, 2, 2, 15}},
    {&otlp_key_value, {1, 2, 2, 9}},
    {&otlp_any_value, {1, 2, 2, 9, 2}},
    {&otlp_array_value, {1, 2, 2, 9, 2, 5}},
    {&otlp_kvlist_value, {1, 2, 2, 9, 2, 6}},
};

static struct str request_with(const struct place *place, struct str field)
{
    size_t n = 0;
    while (place->way[n] != 0)
        n++;
    while (n-- > 0)
        field = field_bytes(place->way[n], field);
    return field;
}

static uint32_t accepted(struct str request)
{
    uint32_t    n_spans = UINT32_MAX;
    const char *reason = NULL;

    if (skim_request(request, &n_spans, &reason) != 0)
        fail_msg("refused: %s", reason);
    assert_null(reason);
    return n_spans;
}

static void expect_refused(struct str request, const char *expected_reason)
{
    uint32_t    n_spans = UINT32_MAX;
    const char *reason = NULL;

    assert_int_equal(skim_request(request, &n_spans, &reason), -EBADMSG);
    assert_int_equal(n_spans, UINT32_MAX);
    assert_non_null(reason);
    if (!strstr(reason, expected_reason))
        fail_msg("refused for \"%s\", expected \"%s\"", reason, expected_reason);
}

/* A case of a loop: fails with its name. */
static void expect_accepted_as(struct str request, const struct place *place, uint32_t number,
                               bool expected)
{
    uint32_t    n_spans;
    const char *reason = "";
    bool        is_accepted = skim_request(request, &n_spans, &reason) == 0;

    if (is_accepted != expected)
        fail_msg("field %u of %s: %s %s", number, place->message->name,
                 is_accepted ? "accepted" : "refused", reason);
}

static void nothing_is_a_request_without_spans(void **state)
{
    (void)state;
    assert_int_equal(accepted(STR("")), 0);
    assert_int_equal(accepted((struct str){0}), 0);
}

static void resource_spans_may_be_empty_as_envoy_sends_them(void **state)
{
    (void)state;
    assert_int_equal(accepted(RESOURCE_SPANS(STR(""))), 0);
    assert_int_equal(accepted(RESOURCE_SPANS(sample_resource(STR("web")))), 0);
    assert_int_equal(accepted(RESOURCE_SPANS(SCOPE_SPANS(sample_scope(STR("envoy"))))), 0);
}

static void spans_are_counted_in_all_envelopes(void **state)
{
    (void)state;
    struct str span = SPAN(field_bytes(SPAN_NAME, STR("GET /")));
    struct str request =
        JOIN(RESOURCE_SPANS(SCOPE_SPANS(span, span), SCOPE_SPANS(STR("")), SCOPE_SPANS(span)),
             RESOURCE_SPANS(SCOPE_SPANS(span), sample_resource(STR("web"))));

    assert_int_equal(accepted(request), 4);
}

static void an_empty_span_counts(void **state)
{
    (void)state;
    assert_int_equal(accepted(REQUEST_OF(STR(""))), 1);
}

static void ids_have_their_length_or_none(void **state)
{
    (void)state;
    static const char         bytes[32];
    static const struct place span = {&otlp_span, {1, 2, 2}},
                              link = {&otlp_span_link, {1, 2, 2, 13}};
    static const struct {
        const struct place *place;
        uint32_t            number;
        size_t              length;
        const char         *name;
    } ids[] = {
        {&span, SPAN_TRACE_ID, 16, "trace_id"},     {&span, SPAN_SPAN_ID, 8, "span_id"},
        {&span, SPAN_PARENT_SPAN_ID, 8, "span_id"}, {&link, LINK_TRACE_ID, 16, "trace_id"},
        {&link, LINK_SPAN_ID, 8, "span_id"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++)
        for (size_t length = 0; length <= sizeof(bytes); length++) {
            struct str id = field_bytes(ids[i].number, (struct str){bytes, length});
            struct str request = request_with(ids[i].place, id);
            if (length == 0 || length == ids[i].length)
                assert_int_equal(accepted(request), 1);
            else
                expect_refused(request, ids[i].name);
        }
}

static void a_known_field_has_its_wire_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++)
        for (uint32_t number = 1; number <= OTLP_MAX_FIELD; number++)
            for (size_t j = 0; j < ARRAY_LENGTH(wire_types); j++) {
                const struct otlp_field *known = &places[i].message->fields[number];
                struct str request = request_with(&places[i], field_of(number, wire_types[j]));

                if (known->kind != OTLP_UNKNOWN)
                    expect_accepted_as(request, &places[i], number, known->wire == wire_types[j]);
            }
    expect_refused(REQUEST_OF(field_varint(SPAN_NAME, 1)), "wire type");
}

static void strings_are_utf8_and_bytes_are_any(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++)
        for (uint32_t number = 1; number <= OTLP_MAX_FIELD; number++) {
            unsigned   kind = places[i].message->fields[number].kind;
            struct str good =
                field_bytes(number, STR("a NUL \0, caf\xC3\xA9 and \xF0\x9F\x90\xA2"));
            struct str bad = field_bytes(number, STR("long enough for several words\xFF"));

            if (kind != OTLP_STRING && kind != OTLP_BYTES)
                continue;
            expect_accepted_as(request_with(&places[i], good), &places[i], number, true);
            expect_accepted_as(request_with(&places[i], bad), &places[i], number,
                               kind == OTLP_BYTES);
        }
    expect_refused(REQUEST_OF(field_bytes(SPAN_NAME, STR("\xC3"))), "UTF-8");
}

static void unknown_fields_pass_everywhere(void **state)
{
    (void)state;
    static const uint32_t later_numbers[] = {OTLP_MAX_FIELD + 1, 999, 1001, (1 << 29) - 1};

    for (size_t i = 0; i < ARRAY_LENGTH(places); i++)
        for (size_t j = 0; j < ARRAY_LENGTH(wire_types); j++) {
            for (size_t k = 0; k < ARRAY_LENGTH(later_numbers); k++)
                expect_accepted_as(
                    request_with(&places[i], field_of(later_numbers[k], wire_types[j])), &places[i],
                    later_numbers[k], true);
            for (uint32_t number = 1; number <= OTLP_MAX_FIELD; number++)
                if (places[i].message->fields[number].kind == OTLP_UNKNOWN)
                    expect_accepted_as(request_with(&places[i], field_of(number, wire_types[j])),
                                       &places[i], number, true);
        }
}

static void what_unknown_bytes_hold_is_nobodys_business(void **state)
{
    (void)state;
    assert_int_equal(accepted(REQUEST_OF(field_bytes(100, STR("\xFF\xFF\x0B")))), 1);
}

static void what_is_not_protobuf_is_refused_everywhere(void **state)
{
    (void)state;
    static const struct str broken[] = {
        STR_INIT("\x0B\x0C"),                 /* a group */
        STR_INIT("\xA4\x06"),                 /* the end of one, number 100 */
        STR_INIT("\x02\x00"),                 /* field 0 */
        STR_INIT("\xA2\x06\x05xxxx"),         /* longer than what is there */
        STR_INIT("\xA0\x06\xFF"),             /* varint cut short */
        STR_INIT("\x80\x80\x80\x80\x10\x00"), /* field 2^29 */
    };

    for (size_t i = 0; i < ARRAY_LENGTH(places); i++)
        for (size_t j = 0; j < ARRAY_LENGTH(broken); j++)
            expect_refused(request_with(&places[i], broken[j]), "not protobuf");
}

static void the_forerunner_of_scope_spans_is_refused(void **state)
{
    (void)state;
    struct str spans = field_bytes(1000, SPAN(STR("")));

    expect_refused(RESOURCE_SPANS(spans), "field 1000");
    assert_int_equal(accepted(RESOURCE_SPANS(SCOPE_SPANS(spans))), 0);
}

static void numbers_may_be_larger_than_their_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++)
        for (uint32_t number = 1; number <= OTLP_MAX_FIELD; number++)
            if (places[i].message->fields[number].kind != OTLP_UNKNOWN &&
                places[i].message->fields[number].wire == WIRE_VARINT)
                expect_accepted_as(request_with(&places[i], field_varint(number, UINT64_MAX)),
                                   &places[i], number, true);
}

static void varints_may_be_longer_than_need_be(void **state)
{
    (void)state;
    /* A tag, a length and a value, each in all the bytes that parsers read. */
    struct str kind = STR("\xB0\x80\x80\x80\x00\x82\x80\x80\x80\x80\x80\x80\x80\x80\x00");
    struct str span = JOIN(STR("\x92\x80\x80\x80\x00\x8F\x80\x80\x80\x00"), kind);

    assert_int_equal(kind.len, 0x0F);
    assert_int_equal(accepted(RESOURCE_SPANS(SCOPE_SPANS(span))), 1);
}

/* The number of the field that makes the nth level: an attribute that is a list in a list. */
static uint32_t number_at_depth(unsigned depth)
{
    static const uint32_t way_to_value[] = {EXPORT_RESOURCE_SPANS, RESOURCE_SPANS_SCOPE_SPANS,
                                            SCOPE_SPANS_SPANS, SPAN_ATTRIBUTES, KEY_VALUE_VALUE};

    if (depth <= ARRAY_LENGTH(way_to_value))
        return way_to_value[depth - 1];
    return depth % 2 == 0 ? ANY_ARRAY : 1;
}

static struct str nested_request(unsigned depth)
{
    struct wire_writer writer = sample_writer((depth + (size_t)1) * SAMPLE_HEAD_BYTES);
    const uint8_t     *end = writer.at;

    for (; depth > 0; depth--)
        wire_close(&writer, number_at_depth(depth), end);
    return wire_written(&writer);
}

static void messages_nest_64_deep_and_no_deeper(void **state)
{
    (void)state;
    assert_int_equal(accepted(nested_request(SKIM_MAX_DEPTH - 1)), 1);
    assert_int_equal(accepted(nested_request(SKIM_MAX_DEPTH)), 1);
    expect_refused(nested_request(SKIM_MAX_DEPTH + 1), "64 deep");
    expect_refused(nested_request(10 * 1000), "64 deep");
}

static void two_gibibytes_are_refused_unread(void **state)
{
    (void)state;
    expect_refused((struct str){"", (size_t)1 << 31}, "2 GiB");
}

/* Of everything something. */
static struct str sample_request(void)
{
    struct str attribute = string_attribute(SPAN_ATTRIBUTES, STR("http.method"), STR("GET"));
    struct str list = field_bytes(
        SPAN_ATTRIBUTES,
        JOIN(field_bytes(KEY_VALUE_KEY, STR("ports")),
             field_bytes(KEY_VALUE_VALUE,
                         field_bytes(ANY_ARRAY, field_bytes(1, field_varint(ANY_INT, 8080))))));
    struct str event = field_bytes(
        SPAN_EVENTS, JOIN(field_fixed64(EVENT_TIME, 15), field_bytes(EVENT_NAME, STR("retry"))));
    struct str link = field_bytes(SPAN_LINKS, field_bytes(LINK_TRACE_ID, STR(TRACE_ID)));
    struct str status = field_bytes(SPAN_STATUS, field_varint(SPAN_STATUS_CODE, 2));
    struct str span =
        SPAN(field_bytes(SPAN_TRACE_ID, STR(TRACE_ID)), field_bytes(SPAN_SPAN_ID, STR(SPAN_ID)),
             field_bytes(SPAN_NAME, STR("caf\xC3\xA9")), field_varint(SPAN_KIND, 3),
             field_fixed64(SPAN_START_TIME, 10), field_fixed64(SPAN_END_TIME, 20), attribute, list,
             event, link, status, field_fixed32(SPAN_FLAGS, 257));

    return RESOURCE_SPANS(sample_resource(STR("web")),
                          SCOPE_SPANS(sample_scope(STR("lib")), span, span));
}

static void a_request_is_whole_only_where_a_resource_spans_ends(void **state)
{
    (void)state;
    struct str sample = sample_request();
    struct str request = JOIN(sample, sample);

    for (size_t len = 0; len <= request.len; len++) {
        struct str start = {request.at, len};
        if (len % sample.len == 0)
            assert_int_equal(accepted(start), 2 * len / sample.len);
        else
            expect_refused(start, "not protobuf");
    }
}

static bool unpacks(struct str request, uint32_t n_spans)
{
    static const struct wire_limits limits = {.max_depth = 1000, .max_fields = 100 * 1000};
    cleanup_with(arena_free_at) struct arena *arena = arena_new(1 << 20);
    Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceRequest *unpacked = proto_unpack(
        &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor,
        request, limits, arena);

    for (size_t i = 0; unpacked && i < unpacked->n_resource_spans; i++)
        for (size_t j = 0; j < unpacked->resource_spans[i]->n_scope_spans; j++)
            n_spans -= (uint32_t)unpacked->resource_spans[i]->scope_spans[j]->n_spans;
    return unpacked && n_spans == 0;
}

static struct str with_flipped_bit(struct str s, size_t bit)
{
    char *flipped = arena_alloc(samples, s.len);

    assert_non_null(flipped);
    memcpy(flipped, s.at, s.len);
    flipped[bit / 8] = (char)(flipped[bit / 8] ^ 1 << bit % 8);
    return (struct str){flipped, s.len};
}

static void what_is_accepted_with_a_flipped_bit_others_parse_too(void **state)
{
    (void)state;
    struct str sample = sample_request();
    unsigned   n_accepted = 0;

    for (size_t bit = 0; bit < 8 * sample.len; bit++) {
        uint32_t    n_spans;
        const char *reason;
        struct str  request = with_flipped_bit(sample, bit);

        if (skim_request(request, &n_spans, &reason) != 0)
            continue;
        n_accepted++;
        if (!unpacks(request, n_spans))
            fail_msg("with bit %zu flipped", bit);
    }
    assert_in_range(n_accepted, 1, 8 * sample.len - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, new_samples, free_samples)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_a_request_without_spans),
        TEST(resource_spans_may_be_empty_as_envoy_sends_them),
        TEST(spans_are_counted_in_all_envelopes),
        TEST(an_empty_span_counts),
        TEST(ids_have_their_length_or_none),
        TEST(a_known_field_has_its_wire_type),
        TEST(strings_are_utf8_and_bytes_are_any),
        TEST(unknown_fields_pass_everywhere),
        TEST(what_unknown_bytes_hold_is_nobodys_business),
        TEST(what_is_not_protobuf_is_refused_everywhere),
        TEST(the_forerunner_of_scope_spans_is_refused),
        TEST(numbers_may_be_larger_than_their_type),
        TEST(varints_may_be_longer_than_need_be),
        TEST(messages_nest_64_deep_and_no_deeper),
        TEST(two_gibibytes_are_refused_unread),
        TEST(a_request_is_whole_only_where_a_resource_spans_ends),
        TEST(what_is_accepted_with_a_flipped_bit_others_parse_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
