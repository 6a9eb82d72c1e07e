#include "collector/spans/otlp_render.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "tests/unit/sample_spans.h"

static struct str render(const struct otlp_message *type, struct str message)
{
    struct text text = text_in_arena(samples, 256);
    otlp_render(type, message, &text);
    assert_false(text.is_cut);
    return text_view(&text);
}

static void expect_span(struct str message, struct str expected)
{
    expect_str(render(&otlp_span, message), expected);
}

static void expect_any_value(struct str any_value, struct str expected)
{
    expect_str(render(&otlp_any_value, any_value), expected);
}

static void a_request_is_rendered_whole(void **state)
{
    (void)state;
    struct str request = RESOURCE_SPANS(sample_resource(STR("shop")),
                                        SCOPE_SPANS(sample_scope(STR("http")),
                                                    SPAN(field_bytes(SPAN_NAME, STR("GET /"))),
                                                    field_bytes(SCOPE_SPANS_SCHEMA_URL, STR("s"))),
                                        field_bytes(RESOURCE_SPANS_SCHEMA_URL, STR("r")));

    expect_str(render(&otlp_export_request, request),
               STR("{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\","
                   "\"value\":{\"stringValue\":\"shop\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":"
                   "\"http\"},\"spans\":[{\"name\":\"GET /\"}],\"schemaUrl\":\"s\"}],"
                   "\"schemaUrl\":\"r\"}]}"));
}

static void ids_are_hex(void **state)
{
    (void)state;
    expect_span(JOIN(field_bytes(SPAN_TRACE_ID, STR("\x01\x23\x45\x67\x89\xab\xcd\xef"
                                                    "\xfe\xdc\xba\x98\x76\x54\x32\x10")),
                     field_bytes(SPAN_SPAN_ID, STR("\x00\x00\x00\x00\x00\x00\x00\x0a"))),
                STR("{\"traceId\":\"0123456789abcdeffedcba9876543210\","
                    "\"spanId\":\"000000000000000a\"}"));
}

static void numbers_of_64_bits_are_strings(void **state)
{
    (void)state;
    expect_span(JOIN(field_fixed64(SPAN_START_TIME, 1), field_fixed64(SPAN_END_TIME, UINT64_MAX)),
                STR("{\"startTimeUnixNano\":\"1\",\"endTimeUnixNano\":\"18446744073709551615\"}"));
    expect_any_value(field_varint(ANY_INT, (uint64_t)INT64_MIN),
                     STR("{\"intValue\":\"-9223372036854775808\"}"));
}

static void numbers_of_32_bits_and_enums_are_numbers(void **state)
{
    (void)state;
    expect_span(JOIN(field_varint(SPAN_KIND, 2), field_varint(10, UINT32_MAX),
                     field_fixed32(SPAN_FLAGS, 257)),
                STR("{\"kind\":2,\"droppedAttributesCount\":4294967295,\"flags\":257}"));
    /* An int32 travels as 64 bits when it is negative. */
    expect_str(render(&otlp_key_value, field_varint(3, (uint64_t)-7)), STR("{\"keyStrindex\":-7}"));
    expect_span(field_varint(SPAN_KIND, (uint64_t)-1), STR("{\"kind\":-1}"));
}

static void doubles_read_back_the_same(void **state)
{
    (void)state;
    static const struct {
        double     value;
        struct str json;
    } cases[] = {
        {0, STR_INIT("{\"doubleValue\":0}")},
        {-0.0, STR_INIT("{\"doubleValue\":-0.0}")},
        {1.5, STR_INIT("{\"doubleValue\":1.5}")},
        {0.1, STR_INIT("{\"doubleValue\":0.1}")},
        {0.1 + 0.2, STR_INIT("{\"doubleValue\":0.30000000000000004}")},
        {1e300, STR_INIT("{\"doubleValue\":1e+300}")},
        {5e-324, STR_INIT("{\"doubleValue\":4.94065645841247e-324}")},
        {0x1.fffffffffffffp1023, STR_INIT("{\"doubleValue\":1.7976931348623157e+308}")},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint64_t bits;
        memcpy(&bits, &cases[i].value, sizeof(bits));
        expect_any_value(field_fixed64(ANY_DOUBLE, bits), cases[i].json);
    }
}

static void doubles_that_json_lacks_are_strings(void **state)
{
    (void)state;
    expect_any_value(field_fixed64(ANY_DOUBLE, UINT64_C(0x7FF8000000000000)),
                     STR("{\"doubleValue\":\"NaN\"}"));
    expect_any_value(field_fixed64(ANY_DOUBLE, UINT64_C(0x7FF0000000000000)),
                     STR("{\"doubleValue\":\"Infinity\"}"));
    expect_any_value(field_fixed64(ANY_DOUBLE, UINT64_C(0xFFF0000000000000)),
                     STR("{\"doubleValue\":\"-Infinity\"}"));
}

static void bytes_are_base64(void **state)
{
    (void)state;
    static const struct {
        struct str bytes, json;
    } cases[] = {
        {STR_INIT(""), STR_INIT("{\"bytesValue\":\"\"}")},
        {STR_INIT("f"), STR_INIT("{\"bytesValue\":\"Zg==\"}")},
        {STR_INIT("fo"), STR_INIT("{\"bytesValue\":\"Zm8=\"}")},
        {STR_INIT("foo"), STR_INIT("{\"bytesValue\":\"Zm9v\"}")},
        {STR_INIT("foob"), STR_INIT("{\"bytesValue\":\"Zm9vYg==\"}")},
        {STR_INIT("\xff\xef\xbe"), STR_INIT("{\"bytesValue\":\"/+++\"}")},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        expect_any_value(field_bytes(ANY_BYTES, cases[i].bytes), cases[i].json);
}

static void strings_are_escaped(void **state)
{
    (void)state;
    expect_span(field_bytes(SPAN_NAME, STR("a\"b\\c\n\x01</script>\xC3\xA4")),
                STR("{\"name\":\"a\\\"b\\\\c\\n\\u0001</script>\xC3\xA4\"}"));
}

static void defaults_are_left_out(void **state)
{
    (void)state;
    expect_span(STR(""), STR("{}"));
    expect_span(JOIN(field_bytes(SPAN_NAME, STR("")), field_varint(SPAN_KIND, 0),
                     field_fixed64(SPAN_START_TIME, 0), field_fixed32(SPAN_FLAGS, 0),
                     field_bytes(SPAN_PARENT_SPAN_ID, STR(""))),
                STR("{}"));
}

static void members_of_a_oneof_are_shown_with_their_default(void **state)
{
    (void)state;
    expect_any_value(field_bytes(ANY_STRING, STR("")), STR("{\"stringValue\":\"\"}"));
    expect_any_value(field_varint(ANY_BOOL, 0), STR("{\"boolValue\":false}"));
    expect_any_value(field_varint(ANY_INT, 0), STR("{\"intValue\":\"0\"}"));
    expect_any_value(field_bytes(ANY_ARRAY, STR("")), STR("{\"arrayValue\":{}}"));
}

static void messages_that_are_there_are_shown_empty(void **state)
{
    (void)state;
    expect_span(JOIN(field_bytes(SPAN_STATUS, STR("")), field_bytes(SPAN_EVENTS, STR(""))),
                STR("{\"events\":[{}],\"status\":{}}"));
}

static void repeated_fields_are_gathered_in_order(void **state)
{
    (void)state;
    struct str a = string_attribute(SPAN_ATTRIBUTES, STR("a"), STR("1"));
    struct str b = string_attribute(SPAN_ATTRIBUTES, STR("b"), STR("2"));

    expect_span(
        JOIN(a, field_bytes(SPAN_NAME, STR("n")), b),
        STR("{\"name\":\"n\",\"attributes\":[{\"key\":\"a\",\"value\":{\"stringValue\":\"1\"}},"
            "{\"key\":\"b\",\"value\":{\"stringValue\":\"2\"}}]}"));
    expect_str(render(&otlp_entity_ref, JOIN(field_bytes(3, STR("x")), field_bytes(2, STR("t")),
                                             field_bytes(3, STR("")))),
               STR("{\"type\":\"t\",\"idKeys\":[\"x\",\"\"]}"));
}

static void the_last_of_several_counts(void **state)
{
    (void)state;
    expect_span(JOIN(field_bytes(SPAN_NAME, STR("old")), field_bytes(SPAN_NAME, STR("new"))),
                STR("{\"name\":\"new\"}"));
    expect_any_value(JOIN(field_varint(ANY_INT, 1), field_varint(ANY_BOOL, 1)),
                     STR("{\"boolValue\":true}"));
    expect_any_value(JOIN(field_varint(ANY_BOOL, 1), field_varint(ANY_INT, 1)),
                     STR("{\"intValue\":\"1\"}"));
    expect_span(JOIN(field_bytes(SPAN_STATUS, field_bytes(SPAN_STATUS_MESSAGE, STR("m"))),
                     field_bytes(SPAN_STATUS, field_varint(SPAN_STATUS_CODE, 2))),
                STR("{\"status\":{\"code\":2}}"));
}

static void unknown_fields_are_left_out(void **state)
{
    (void)state;
    expect_span(JOIN(field_varint(8000, 1), field_varint(SPAN_KIND, 3), field_bytes(17, STR("x"))),
                STR("{\"kind\":3}"));
    expect_any_value(JOIN(field_varint(ANY_INT, 1), field_varint(9, 1)),
                     STR("{\"intValue\":\"1\"}"));
}

static void values_nest(void **state)
{
    (void)state;
    struct str list = field_bytes(ANY_ARRAY, field_bytes(1, field_varint(ANY_BOOL, 1)));
    struct str map =
        field_bytes(ANY_KVLIST, field_bytes(1, JOIN(field_bytes(KEY_VALUE_KEY, STR("k")),
                                                    field_bytes(KEY_VALUE_VALUE, list))));

    expect_any_value(map,
                     STR("{\"kvlistValue\":{\"values\":[{\"key\":\"k\",\"value\":{\"arrayValue\":"
                         "{\"values\":[{\"boolValue\":true}]}}}]}}"));
}

static void too_deep_is_cut_off(void **state)
{
    (void)state;
    struct str value = field_bytes(ANY_STRING, STR("deep"));

    for (int i = 0; i < 40; i++)
        value = field_bytes(ANY_ARRAY, field_bytes(1, value));
    struct str json = render(&otlp_any_value, value);
    assert_true(str_starts_with(json, STR("{\"arrayValue\":{\"values\":[{\"arrayValue\"")));
    assert_null(memmem(json.at, json.len, "deep", 4));
}

static void what_cannot_be_read_ends_the_message_not_the_json(void **state)
{
    (void)state;
    expect_span(JOIN(field_varint(SPAN_KIND, 3), STR("\xff\xff")), STR("{\"kind\":3}"));
    expect_span(JOIN(field_bytes(SPAN_KIND, STR("x")), field_varint(SPAN_KIND, 3)),
                STR("{\"kind\":3}"));
    expect_span(JOIN(field_bytes(SPAN_EVENTS, STR("")), field_varint(SPAN_EVENTS, 3)),
                STR("{\"events\":[{}]}"));
}

#define sampled(test) cmocka_unit_test_setup_teardown(test, new_samples, free_samples)

int main(void)
{
    const struct CMUnitTest tests[] = {
        sampled(a_request_is_rendered_whole),
        sampled(ids_are_hex),
        sampled(numbers_of_64_bits_are_strings),
        sampled(numbers_of_32_bits_and_enums_are_numbers),
        sampled(doubles_read_back_the_same),
        sampled(doubles_that_json_lacks_are_strings),
        sampled(bytes_are_base64),
        sampled(strings_are_escaped),
        sampled(defaults_are_left_out),
        sampled(members_of_a_oneof_are_shown_with_their_default),
        sampled(messages_that_are_there_are_shown_empty),
        sampled(repeated_fields_are_gathered_in_order),
        sampled(the_last_of_several_counts),
        sampled(unknown_fields_are_left_out),
        sampled(values_nest),
        sampled(too_deep_is_cut_off),
        sampled(what_cannot_be_read_ends_the_message_not_the_json),
    };
    return cmocka_run_group_tests_name("otlp_render", tests, NULL, NULL);
}
