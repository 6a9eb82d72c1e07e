#include "common/base/wire_guard.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/wire.h"
#include "opentelemetry/proto/common/v1/common.pb-c.h"

typedef Opentelemetry__Proto__Common__V1__AnyValue AnyValue;

static const struct wire_limits roomy = {.max_depth = 32, .max_fields = 1000};

static void assert_guard(struct str message, struct wire_limits limits, int expected)
{
    int r = wire_guard(message, limits);
    if (r != expected)
        fail_msg("expected %d, saw %d", expected, r);
}

/* Field 1, `depth` times in itself, around `core`. */
static struct str nested(unsigned depth, struct str core, uint8_t *buffer, size_t size)
{
    struct wire_writer writer = wire_writer(buffer, size);

    wire_put_bytes(&writer, 1, core);
    for (unsigned i = 1; i < depth; i++)
        wire_close(&writer, 1, buffer + size);
    assert_false(writer.is_full);
    return wire_written(&writer);
}

static void a_message_within_the_limits_passes(void **state)
{
    (void)state;
    assert_guard(STR("\x08\x96\x01\x1a\x03"
                     "abc"),
                 roomy, 0);
}

static void an_empty_message_passes(void **state)
{
    (void)state;
    assert_guard(STR(""), (struct wire_limits){0}, 0);
    assert_guard((struct str){0}, (struct wire_limits){0}, 0);
}

static void bytes_that_are_not_protobuf_are_refused(void **state)
{
    (void)state;
    static const struct str cases[] = {
        STR_INIT("\x0b"),
        STR_INIT("\x0a\x05xy"),
        STR_INIT("\x08\x01\x88"),
        STR_INIT("{\"spans\": []}"),
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_guard(cases[i], roomy, -EBADMSG);
}

static void the_message_itself_is_not_nested(void **state)
{
    (void)state;
    assert_guard(STR("\x08\x01"), (struct wire_limits){.max_depth = 0, .max_fields = 1}, 0);
}

static void a_message_may_nest_up_to_the_limit(void **state)
{
    (void)state;
    uint8_t    buffer[256];
    struct str message = nested(5, STR("\x08\x01"), buffer, sizeof(buffer));

    assert_guard(message, (struct wire_limits){.max_depth = 5, .max_fields = 100}, 0);
    assert_guard(message, (struct wire_limits){.max_depth = 4, .max_fields = 100}, -ELOOP);
}

static void text_that_does_not_read_as_protobuf_does_not_nest(void **state)
{
    (void)state;
    uint8_t    buffer[256];
    struct str message = nested(5, STR("GET / HTTP/1.1"), buffer, sizeof(buffer));

    assert_guard(message, (struct wire_limits){.max_depth = 4, .max_fields = 100}, 0);
}

static void depth_is_found_behind_other_fields(void **state)
{
    (void)state;
    uint8_t            buffer[256];
    struct wire_writer writer = wire_writer(buffer, sizeof(buffer));
    uint8_t            core[64];

    wire_put_bytes(&writer, 9, nested(3, STR("\x08\x01"), core, sizeof(core)));
    wire_put_fixed64(&writer, 3, 0);
    wire_put_bytes(&writer, 2, STR("flat"));

    assert_guard(wire_written(&writer), (struct wire_limits){3, 100}, -ELOOP);
    assert_guard(wire_written(&writer), (struct wire_limits){4, 100}, 0);
}

static void a_tower_that_overflows_a_stack_is_refused(void **state)
{
    (void)state;
    static uint8_t buffer[32 * 1024];

    assert_guard(nested(7000, STR(""), buffer, sizeof(buffer)),
                 (struct wire_limits){.max_depth = 32, .max_fields = 1000000}, -ELOOP);
}

static void fields_are_counted_at_every_depth(void **state)
{
    (void)state;
    struct str message = STR("\x08\x01\x12\x04\x08\x01\x08\x02\x08\x03"); /* 1, 2 {1, 1}, 1 */

    assert_guard(message, (struct wire_limits){.max_depth = 1, .max_fields = 5}, 0);
    assert_guard(message, (struct wire_limits){.max_depth = 1, .max_fields = 4}, -E2BIG);
}

static void a_request_of_many_empty_spans_is_refused(void **state)
{
    (void)state;
    static uint8_t     buffer[64 * 1024];
    struct wire_writer writer = wire_writer(buffer, sizeof(buffer));

    for (int i = 0; i < 30000; i++)
        wire_put_bytes(&writer, 2, STR(""));
    assert_guard(wire_written(&writer), (struct wire_limits){.max_depth = 8, .max_fields = 20000},
                 -E2BIG);
}

/* An AnyValue in an array in an AnyValue, with `junk` beside each of the three. */
static struct str value_with_junk(struct str junk, uint8_t *buffer, size_t size)
{
    struct wire_writer writer = wire_writer(buffer, size);

    for (int i = 0; i < 3; i++) {
        writer.at -= junk.len;
        memcpy(writer.at, junk.at, junk.len);
        if (i < 2) {
            wire_close(&writer, 1, buffer + size); /* ArrayValue.values */
            wire_close(&writer, 5, buffer + size); /* AnyValue.array_value */
        }
    }
    return wire_written(&writer);
}

static unsigned depth_to_protobuf_c(struct str message)
{
    AnyValue *value = opentelemetry__proto__common__v1__any_value__unpack(
        NULL, message.len, (const uint8_t *)message.at);
    unsigned depth = 0;

    for (const AnyValue *at = value; at && at->array_value && at->array_value->n_values > 0;
         at = at->array_value->values[0])
        depth += 2;
    opentelemetry__proto__common__v1__any_value__free_unpacked(value, NULL);
    return depth;
}

static void junk_that_only_protobuf_c_can_read_hides_no_depth(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct str  junk;
    } cases[] = {
        {"a field number above 2^29-1", STR_INIT("\x80\x80\x80\x80\x7f\x01")},
        {"field number 0 in two bytes", STR_INIT("\x80\x00\x01")},
        {"a varint above 64 bits", STR_INIT("\x78\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f")},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint8_t    buffer[128];
        struct str message = value_with_junk(cases[i].junk, buffer, sizeof(buffer));

        if (depth_to_protobuf_c(message) != 4)
            fail_msg("%s: protobuf-c sees a depth of %u", cases[i].what,
                     depth_to_protobuf_c(message));
        assert_guard(message, (struct wire_limits){.max_depth = 4, .max_fields = 100}, 0);
        assert_guard(message, (struct wire_limits){.max_depth = 3, .max_fields = 100}, -ELOOP);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_within_the_limits_passes),
        cmocka_unit_test(an_empty_message_passes),
        cmocka_unit_test(bytes_that_are_not_protobuf_are_refused),
        cmocka_unit_test(the_message_itself_is_not_nested),
        cmocka_unit_test(a_message_may_nest_up_to_the_limit),
        cmocka_unit_test(text_that_does_not_read_as_protobuf_does_not_nest),
        cmocka_unit_test(depth_is_found_behind_other_fields),
        cmocka_unit_test(a_tower_that_overflows_a_stack_is_refused),
        cmocka_unit_test(fields_are_counted_at_every_depth),
        cmocka_unit_test(a_request_of_many_empty_spans_is_refused),
        cmocka_unit_test(junk_that_only_protobuf_c_can_read_hides_no_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
