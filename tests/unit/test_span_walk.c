#include "collector/spans/span_walk.h"

#include "common/base/cleanup.h"
#include "tests/unit/sample_spans.h"

static struct str named_span(struct str name)
{
    return SPAN(field_bytes(SPAN_NAME, name));
}

static struct span_view only_span(struct str request)
{
    struct span_walk walk = span_walk(request);
    struct span_view span, second;

    assert_true(span_walk_next(&walk, &span));
    assert_false(span_walk_next(&walk, &second));
    return span;
}

static void nothing_has_no_spans(void **state)
{
    (void)state;
    struct str requests[] = {(struct str){0}, STR(""), RESOURCE_SPANS(STR("")),
                             RESOURCE_SPANS(sample_resource(STR("web")), SCOPE_SPANS(STR("")))};

    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
        struct span_walk walk = span_walk(requests[i]);
        struct span_view span;
        assert_false(span_walk_next(&walk, &span));
        assert_false(span_walk_next(&walk, &span));
    }
}

static void a_span_is_seen_with_its_fields(void **state)
{
    (void)state;
    struct str       content = JOIN(field_bytes(SPAN_TRACE_ID, STR("1234567890123456")),
                                    field_bytes(SPAN_SPAN_ID, STR("12345678")),
                                    field_bytes(SPAN_PARENT_SPAN_ID, STR("87654321")),
                                    field_bytes(SPAN_NAME, STR("GET /")), field_varint(SPAN_KIND, 3),
                                    field_fixed64(SPAN_START_TIME, 10), field_fixed64(SPAN_END_TIME, 20),
                                    field_bytes(SPAN_STATUS, field_varint(SPAN_STATUS_CODE, 2)));
    struct span_view span = only_span(REQUEST_OF(content));

    expect_str(span.bytes, content);
    expect_str(span.trace_id, STR("1234567890123456"));
    expect_str(span.span_id, STR("12345678"));
    expect_str(span.parent_span_id, STR("87654321"));
    expect_str(span.name, STR("GET /"));
    assert_int_equal(span.kind, 3);
    assert_int_equal(span.start_ns, 10);
    assert_int_equal(span.end_ns, 20);
    assert_int_equal(span.status_code, 2);
}

static void what_a_span_lacks_is_empty(void **state)
{
    (void)state;
    struct span_view span = only_span(REQUEST_OF(STR("")));
    struct str       strs[] = {span.resource, span.resource_schema_url,
                               span.scope,    span.scope_schema_url,
                               span.bytes,    span.trace_id,
                               span.span_id,  span.parent_span_id,
                               span.name};

    for (size_t i = 0; i < ARRAY_LENGTH(strs); i++) {
        assert_non_null(strs[i].at);
        expect_str(strs[i], STR(""));
    }
    expect_absent(span.service_name);
    assert_int_equal(span.kind, 0);
    assert_int_equal(span.start_ns, 0);
    assert_int_equal(span.status_code, 0);
}

static void each_span_is_seen_in_its_envelopes(void **state)
{
    (void)state;
    struct str request =
        JOIN(RESOURCE_SPANS(
                 sample_resource(STR("web")),
                 SCOPE_SPANS(sample_scope(STR("x")), named_span(STR("1")), named_span(STR("2"))),
                 SCOPE_SPANS(named_span(STR("3")))),
             RESOURCE_SPANS(STR("")),
             RESOURCE_SPANS(SCOPE_SPANS(sample_scope(STR("y")), named_span(STR("4")))));
    struct span_walk walk = span_walk(request);
    struct span_view span;
    static const struct {
        struct str name, service_name, scope;
    } expected[] = {
        {STR_INIT("1"), STR_INIT("web"), STR_INIT("\x0A\x01x")},
        {STR_INIT("2"), STR_INIT("web"), STR_INIT("\x0A\x01x")},
        {STR_INIT("3"), STR_INIT("web"), STR_INIT("")},
        {STR_INIT("4"), {0}, STR_INIT("\x0A\x01y")},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
        assert_true(span_walk_next(&walk, &span));
        expect_str(span.name, expected[i].name);
        expect_str(span.service_name, expected[i].service_name);
        expect_str(span.scope, expected[i].scope);
        assert_int_equal(span.resource.len > 0, i < 3);
    }
    assert_false(span_walk_next(&walk, &span));
}

static void resource_and_scope_may_stand_behind_the_spans(void **state)
{
    (void)state;
    struct str       spans = SCOPE_SPANS(named_span(STR("1")), sample_scope(STR("x")),
                                         field_bytes(SCOPE_SPANS_SCHEMA_URL, STR("scope/1")));
    struct str       request = RESOURCE_SPANS(spans, sample_resource(STR("web")),
                                              field_bytes(RESOURCE_SPANS_SCHEMA_URL, STR("resource/1")));
    struct span_view span = only_span(request);

    expect_str(span.service_name, STR("web"));
    expect_str(span.scope, STR("\x0A\x01x"));
    expect_str(span.scope_schema_url, STR("scope/1"));
    expect_str(span.resource_schema_url, STR("resource/1"));
}

static void of_what_comes_twice_the_last_counts(void **state)
{
    (void)state;
    struct str span = SPAN(field_bytes(SPAN_NAME, STR("1")), field_bytes(SPAN_NAME, STR("2")),
                           field_varint(SPAN_KIND, 1), field_varint(SPAN_KIND, 2));
    struct str scope_spans = SCOPE_SPANS(sample_scope(STR("x")), span, sample_scope(STR("y")));
    struct span_view seen = only_span(
        RESOURCE_SPANS(sample_resource(STR("web")), scope_spans, sample_resource(STR("shop"))));

    expect_str(seen.name, STR("2"));
    assert_int_equal(seen.kind, 2);
    expect_str(seen.scope, STR("\x0A\x01y"));
    expect_str(seen.service_name, STR("shop"));
}

static void a_status_in_pieces_keeps_its_code(void **state)
{
    (void)state;
    struct str code = field_bytes(SPAN_STATUS, field_varint(SPAN_STATUS_CODE, 2));
    struct str message = field_bytes(SPAN_STATUS, field_bytes(SPAN_STATUS_MESSAGE, STR("down")));

    assert_int_equal(only_span(REQUEST_OF(code, message)).status_code, 2);
}

static struct span_view span_of_resource(struct str resource)
{
    return only_span(RESOURCE_SPANS(field_bytes(RESOURCE_SPANS_RESOURCE, resource),
                                    SCOPE_SPANS(named_span(STR("1")))));
}

static void the_service_is_named_by_the_first_such_attribute_of_the_resource(void **state)
{
    (void)state;
    struct str other = string_attribute(RESOURCE_ATTRIBUTES, STR("service.version"), STR("2"));
    struct str first = string_attribute(RESOURCE_ATTRIBUTES, STR("service.name"), STR("web"));
    struct str second = string_attribute(RESOURCE_ATTRIBUTES, STR("service.name"), STR("shop"));

    expect_str(span_of_resource(JOIN(other, first, second)).service_name, STR("web"));
    expect_absent(span_of_resource(other).service_name);
}

static void a_service_name_that_is_no_string_is_absent(void **state)
{
    (void)state;
    struct str number = field_bytes(KEY_VALUE_VALUE, field_varint(ANY_INT, 7));
    struct str name = field_bytes(RESOURCE_ATTRIBUTES,
                                  JOIN(field_bytes(KEY_VALUE_KEY, STR("service.name")), number));

    expect_absent(span_of_resource(name).service_name);
}

static void unknown_fields_are_stepped_over(void **state)
{
    (void)state;
    struct str unknown =
        JOIN(field_varint(100, 1), field_bytes(101, STR("?")), field_fixed32(102, 2));
    struct str request =
        JOIN(unknown,
             RESOURCE_SPANS(
                 unknown,
                 SCOPE_SPANS(unknown, SPAN(unknown, field_bytes(SPAN_NAME, STR("1"))), unknown)),
             unknown);

    expect_str(only_span(request).name, STR("1"));
}

static void bytes_that_were_not_skimmed_end_the_walk(void **state)
{
    (void)state;
    struct str good = SCOPE_SPANS(named_span(STR("1")));
    struct str broken = STR("\x0B");
    struct str requests[] = {
        JOIN(RESOURCE_SPANS(good), broken, RESOURCE_SPANS(good)),
        JOIN(RESOURCE_SPANS(good, broken), RESOURCE_SPANS(good)),
        JOIN(RESOURCE_SPANS(SCOPE_SPANS(named_span(STR("1")), broken), good), RESOURCE_SPANS(good)),
    };

    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++)
        expect_str(only_span(requests[i]).name, STR("1"));
}

static void attributes_are_walked_in_their_order(void **state)
{
    (void)state;
    struct str span = JOIN(string_attribute(SPAN_ATTRIBUTES, STR("http.method"), STR("GET")),
                           field_bytes(SPAN_NAME, STR("GET /")),
                           field_bytes(SPAN_ATTRIBUTES, field_bytes(KEY_VALUE_KEY, STR("empty"))));
    struct wire_cursor    walk = attribute_walk(span);
    struct attribute_view attribute;

    assert_true(attribute_walk_next(&walk, SPAN_ATTRIBUTES, &attribute));
    expect_str(attribute.key, STR("http.method"));
    expect_str(any_value_string(attribute.value), STR("GET"));
    assert_true(attribute_walk_next(&walk, SPAN_ATTRIBUTES, &attribute));
    expect_str(attribute.key, STR("empty"));
    expect_str(attribute.value, STR(""));
    assert_false(attribute_walk_next(&walk, SPAN_ATTRIBUTES, &attribute));
}

static void a_value_is_what_was_set_last(void **state)
{
    (void)state;
    struct str string = field_bytes(ANY_STRING, STR("x"));
    struct str number = field_varint(ANY_INT, 7);

    expect_str(any_value_string(string), STR("x"));
    expect_str(any_value_string(JOIN(number, string)), STR("x"));
    expect_absent(any_value_string(JOIN(string, number)));
    expect_absent(any_value_string(STR("")));
    expect_str(any_value_string(JOIN(string, field_varint(100, 1))), STR("x"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, new_samples, free_samples)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_has_no_spans),
        TEST(a_span_is_seen_with_its_fields),
        TEST(what_a_span_lacks_is_empty),
        TEST(each_span_is_seen_in_its_envelopes),
        TEST(resource_and_scope_may_stand_behind_the_spans),
        TEST(of_what_comes_twice_the_last_counts),
        TEST(a_status_in_pieces_keeps_its_code),
        TEST(the_service_is_named_by_the_first_such_attribute_of_the_resource),
        TEST(a_service_name_that_is_no_string_is_absent),
        TEST(unknown_fields_are_stepped_over),
        TEST(bytes_that_were_not_skimmed_end_the_walk),
        TEST(attributes_are_walked_in_their_order),
        TEST(a_value_is_what_was_set_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
