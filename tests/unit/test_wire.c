#include "common/base/wire.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "common/base/cleanup.h"

static void assert_bytes(struct str actual, struct str expected)
{
    if (actual.len != expected.len)
        fail_msg("expected %zu bytes, saw %zu", expected.len, actual.len);
    assert_memory_equal(actual.at, expected.at, expected.len);
}

static struct wire_field only_field(struct str message)
{
    struct wire_cursor cursor = wire_cursor(message);
    struct wire_field  field, second;

    assert_true(wire_next(&cursor, &field));
    assert_false(wire_next(&cursor, &second));
    assert_false(cursor.is_bad);
    return field;
}

static void each_type_of_field_is_read(void **state)
{
    (void)state;
    struct wire_field field = only_field(STR("\x08\x96\x01"));
    assert_int_equal(field.number, 1);
    assert_int_equal(field.type, WIRE_VARINT);
    assert_int_equal(field.value, 150);

    field = only_field(STR("\x11\x01\x02\x03\x04\x05\x06\x07\x88"));
    assert_int_equal(field.number, 2);
    assert_int_equal(field.type, WIRE_FIXED64);
    assert_true(field.value == UINT64_C(0x8807060504030201));

    field = only_field(STR("\x1a\x03"
                           "a\0b"));
    assert_int_equal(field.number, 3);
    assert_int_equal(field.type, WIRE_BYTES);
    assert_bytes(field.bytes, STR("a\0b"));

    field = only_field(STR("\x85\x01\x01\x02\x03\x84"));
    assert_int_equal(field.number, 16);
    assert_int_equal(field.type, WIRE_FIXED32);
    assert_true(field.value == UINT64_C(0x84030201));
}

static void varints_are_read_up_to_64_bits(void **state)
{
    (void)state;
    static const struct {
        struct str message;
        uint64_t   value;
    } cases[] = {
        {STR_INIT("\x08\x00"), 0},
        {STR_INIT("\x08\x7f"), 127},
        {STR_INIT("\x08\x80\x01"), 128},
        {STR_INIT("\x08\xff\xff\xff\xff\x0f"), UINT32_MAX},
        {STR_INIT("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), UINT64_MAX},
        /* longer than need be, and legal */
        {STR_INIT("\x08\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00"), 1},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct wire_field field = only_field(cases[i].message);
        if (field.value != cases[i].value)
            fail_msg("case %zu: expected %" PRIu64 ", saw %" PRIu64, i, cases[i].value,
                     field.value);
    }
}

static void what_is_not_protobuf_is_bad(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct str  message;
    } cases[] = {
        {"field number 0", STR_INIT("\x00\x01")},
        {"field number 0 in two bytes", STR_INIT("\x80\x00\x01")},
        {"field number 2^29", STR_INIT("\x80\x80\x80\x80\x10\x01")},
        {"group start", STR_INIT("\x0b")},
        {"group end", STR_INIT("\x0c")},
        {"type 6", STR_INIT("\x0e")},
        {"type 7", STR_INIT("\x0f")},
        {"tag cut short", STR_INIT("\x88")},
        {"tag of six bytes", STR_INIT("\x88\x80\x80\x80\x80\x00\x01")},
        {"no varint", STR_INIT("\x08")},
        {"varint cut short", STR_INIT("\x08\x80")},
        {"varint of eleven bytes", STR_INIT("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00")},
        {"varint above 64 bits", STR_INIT("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02")},
        {"fixed64 cut short", STR_INIT("\x09\x01\x02\x03\x04\x05\x06\x07")},
        {"fixed32 cut short", STR_INIT("\x0d\x01\x02\x03")},
        {"no length", STR_INIT("\x0a")},
        {"bytes cut short", STR_INIT("\x0a\x02x")},
        {"length of six bytes", STR_INIT("\x0a\x80\x80\x80\x80\x80\x00")},
        {"length above all memory", STR_INIT("\x0a\xff\xff\xff\xff\x7f")},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct wire_cursor cursor = wire_cursor(cases[i].message);
        struct wire_field  field = {.number = 42};
        if (wire_next(&cursor, &field) || !cursor.is_bad || field.number != 42)
            fail_msg("%s was read", cases[i].what);
    }
}

static void an_error_sticks(void **state)
{
    (void)state;
    struct wire_cursor cursor = wire_cursor(STR("\x08\x01\x0b\x08\x01"));
    struct wire_field  field;

    assert_true(wire_next(&cursor, &field));
    assert_false(wire_next(&cursor, &field));
    assert_false(wire_next(&cursor, &field));
    assert_true(cursor.is_bad);
}

static void nothing_holds_no_field(void **state)
{
    (void)state;
    struct wire_cursor cursors[] = {wire_cursor(STR("")), wire_cursor((struct str){0})};

    for (size_t i = 0; i < ARRAY_LENGTH(cursors); i++) {
        struct wire_field field;
        assert_false(wire_next(&cursors[i], &field));
        assert_false(cursors[i].is_bad);
    }
}

static void fields_are_written_back_to_front(void **state)
{
    (void)state;
    uint8_t            buffer[64];
    struct wire_writer writer = wire_writer(buffer, sizeof(buffer));

    wire_put_fixed32(&writer, 16, 0x84030201);
    wire_put_bytes(&writer, 3, STR("a\0b"));
    wire_put_fixed64(&writer, 2, UINT64_C(0x8807060504030201));
    wire_put_varint(&writer, 1, 150);

    assert_false(writer.is_full);
    assert_bytes(wire_written(&writer), STR("\x08\x96\x01"
                                            "\x11\x01\x02\x03\x04\x05\x06\x07\x88"
                                            "\x1a\x03"
                                            "a\0b"
                                            "\x85\x01\x01\x02\x03\x84"));
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    static const uint64_t values[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX};
    static const uint32_t numbers[] = {1, 15, 16, 2047, 2048, (1 << 29) - 1};

    for (size_t i = 0; i < ARRAY_LENGTH(values); i++)
        for (size_t j = 0; j < ARRAY_LENGTH(numbers); j++) {
            uint8_t            buffer[16];
            struct wire_writer writer = wire_writer(buffer, sizeof(buffer));
            wire_put_varint(&writer, numbers[j], values[i]);

            struct wire_field field = only_field(wire_written(&writer));
            if (field.number != numbers[j] || field.value != values[i])
                fail_msg("%u: %" PRIu64 " became %u: %" PRIu64, numbers[j], values[i], field.number,
                         field.value);
        }
}

static void a_nested_message_gets_its_length(void **state)
{
    (void)state;
    uint8_t            buffer[64];
    struct wire_writer writer = wire_writer(buffer, sizeof(buffer));

    wire_put_varint(&writer, 2, 7);
    const uint8_t *outer_end = writer.at;
    const uint8_t *inner_end = writer.at;
    wire_put_bytes(&writer, 1, STR("x"));
    wire_close(&writer, 4, inner_end);
    wire_close(&writer, 1, outer_end);

    assert_bytes(wire_written(&writer), STR("\x0a\x05\x22\x03\x0a\x01x\x10\x07"));
}

static void encoded_fields_are_put_as_they_are(void **state)
{
    (void)state;
    uint8_t            buffer[8];
    struct wire_writer writer = wire_writer(buffer, sizeof(buffer));

    wire_put_fields(&writer, STR("\x10\x07"));
    wire_put_varint(&writer, 1, 1);
    wire_put_fields(&writer, (struct str){0});

    assert_bytes(wire_written(&writer), STR("\x08\x01\x10\x07"));
}

static void a_head_promises_content_that_is_yet_to_come(void **state)
{
    (void)state;
    uint8_t            buffer[8];
    struct wire_writer writer = wire_writer(buffer, sizeof(buffer));

    wire_put_head(&writer, 2, 300);

    assert_bytes(wire_written(&writer), STR("\x12\xac\x02"));
}

static void what_does_not_fit_fills_the_writer_for_good(void **state)
{
    (void)state;
    uint8_t            buffer[4];
    struct wire_writer writer = wire_writer(buffer, sizeof(buffer));

    wire_put_bytes(&writer, 1, STR("xy"));
    assert_false(writer.is_full);
    wire_put_varint(&writer, 1, 0);
    assert_true(writer.is_full);
    wire_close(&writer, 1, buffer);
    assert_true(writer.is_full);
}

static void each_put_needs_room_for_its_tag_too(void **state)
{
    (void)state;
    uint8_t            buffer[8];
    struct wire_writer writers[] = {
        wire_writer(buffer, 1), wire_writer(buffer, 8), wire_writer(buffer, 4),
        wire_writer(buffer, 3), wire_writer(NULL, 0),
    };

    wire_put_varint(&writers[0], 1, 1);
    wire_put_fixed64(&writers[1], 1, 1);
    wire_put_fixed32(&writers[2], 1, 1);
    wire_put_bytes(&writers[3], 1, STR("xy"));
    wire_put_bytes(&writers[4], 1, (struct str){0});

    for (size_t i = 0; i < ARRAY_LENGTH(writers); i++)
        if (!writers[i].is_full)
            fail_msg("writer %zu took a field without room for it", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_of_field_is_read),
        cmocka_unit_test(varints_are_read_up_to_64_bits),
        cmocka_unit_test(what_is_not_protobuf_is_bad),
        cmocka_unit_test(an_error_sticks),
        cmocka_unit_test(nothing_holds_no_field),
        cmocka_unit_test(fields_are_written_back_to_front),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(a_nested_message_gets_its_length),
        cmocka_unit_test(encoded_fields_are_put_as_they_are),
        cmocka_unit_test(a_head_promises_content_that_is_yet_to_come),
        cmocka_unit_test(what_does_not_fit_fills_the_writer_for_good),
        cmocka_unit_test(each_put_needs_room_for_its_tag_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
