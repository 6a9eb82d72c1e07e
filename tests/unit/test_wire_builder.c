#include "common/base/wire_builder.h"

#include "tests/unit/expect.h"

#include <errno.h>

#include "common/base/arena.h"
#include "common/base/cleanup.h"

enum { ARENA_BYTES = 1 << 20, NO_LIMIT = 1 << 30 };

static struct arena *new_arena(void)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    assert_non_null(arena);
    return arena;
}

static void fields_are_written_in_order(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = new_arena();

    struct wire_builder builder = wire_builder(arena, 0, NO_LIMIT);

    wire_build_varint(&builder, 1, 150);
    wire_build_fixed64(&builder, 2, UINT64_C(0x8807060504030201));
    wire_build_bytes(&builder, 3, STR("a\0b"));
    wire_build_fixed32(&builder, 16, 0x84030201);

    assert_int_equal(builder.error, 0);
    expect_str(wire_built(&builder), STR("\x08\x96\x01"
                                         "\x11\x01\x02\x03\x04\x05\x06\x07\x88"
                                         "\x1a\x03"
                                         "a\0b"
                                         "\x85\x01\x01\x02\x03\x84"));
}

static void a_nested_message_gets_its_length(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = new_arena();

    struct wire_builder builder = wire_builder(arena, 0, NO_LIMIT);

    struct wire_open outer = wire_build_open(&builder, 1);
    struct wire_open inner = wire_build_open(&builder, 4);
    wire_build_bytes(&builder, 1, STR("x"));
    wire_build_close(&builder, inner);
    wire_build_varint(&builder, 2, 7);
    wire_build_close(&builder, outer);
    wire_build_close(&builder, wire_build_open(&builder, 5));

    expect_str(wire_built(&builder), STR("\x0a\x07\x22\x03\x0a\x01x\x10\x07\x2a\x00"));
}

/* As the writer that goes backwards writes it, whose lengths are always minimal. */
static void lengths_are_minimal_whatever_the_content(void **state)
{
    (void)state;
    static char         content[70000];
    static uint8_t      expected[80000];
    static const size_t lengths[] = {0, 1, 124, 125, 126, 127, 128, 16380, 16383, 16384, 70000};

    memset(content, 'c', sizeof(content));
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        cleanup_with(arena_free_at) struct arena *arena = new_arena();

        struct wire_builder builder = wire_builder(arena, 16, NO_LIMIT);
        struct wire_writer  writer = wire_writer(expected, sizeof(expected));
        struct str          bytes = {content, lengths[i]};

        struct wire_open outer = wire_build_open(&builder, 1000);
        struct wire_open inner = wire_build_open(&builder, 2);
        wire_build_bytes(&builder, 3, bytes);
        wire_build_close(&builder, inner);
        wire_build_close(&builder, outer);

        const uint8_t *end = writer.at;
        wire_put_bytes(&writer, 3, bytes);
        wire_close(&writer, 2, end);
        wire_close(&writer, 1000, end);
        if (!str_equal(wire_built(&builder), wire_written(&writer)))
            fail_msg("%zu bytes", lengths[i]);
    }
}

static void nothing_is_written_beyond_the_limit(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = new_arena();

    struct wire_builder builder = wire_builder(arena, 0, 4);

    wire_build_bytes(&builder, 1, STR("xy"));
    assert_int_equal(builder.error, 0);
    wire_build_varint(&builder, 1, 1);
    assert_int_equal(builder.error, -E2BIG);
    assert_int_equal(wire_built(&builder).len, 4);
}

static void a_length_that_grows_may_pass_the_limit(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = new_arena();

    struct wire_builder builder = wire_builder(arena, 0, 132);
    char                content[128] = {0};

    struct wire_open open = wire_build_open(&builder, 1);
    wire_build_bytes(&builder, 2, (struct str){content, sizeof(content) - 1});
    wire_build_close(&builder, open);
    assert_int_equal(builder.error, 0);

    builder.max_bytes = 131;
    wire_build_clear(&builder);
    open = wire_build_open(&builder, 1);
    wire_build_bytes(&builder, 2, (struct str){content, sizeof(content) - 1});
    assert_int_equal(builder.error, 0);
    wire_build_close(&builder, open);
    assert_int_equal(builder.error, -E2BIG);
}

static void a_full_arena_is_another_error(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(64);

    struct wire_builder builder = wire_builder(arena, 16, NO_LIMIT);
    char                content[64] = {0};

    wire_build_bytes(&builder, 1, (struct str){content, sizeof(content)});
    assert_int_equal(builder.error, -ENOMEM);
    builder = wire_builder(arena, 65, NO_LIMIT);
    assert_int_equal(builder.error, -ENOMEM);
}

static void a_cleared_builder_begins_again_in_the_same_memory(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = new_arena();

    struct wire_builder builder = wire_builder(arena, 64, NO_LIMIT);

    wire_build_varint(&builder, 1, 1);
    const char *at = wire_built(&builder).at;
    wire_build_clear(&builder);
    assert_int_equal(wire_built(&builder).len, 0);
    wire_build_varint(&builder, 2, 2);
    assert_ptr_equal(wire_built(&builder).at, at);
    expect_str(wire_built(&builder), STR("\x10\x02"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_written_in_order),
        cmocka_unit_test(a_nested_message_gets_its_length),
        cmocka_unit_test(lengths_are_minimal_whatever_the_content),
        cmocka_unit_test(nothing_is_written_beyond_the_limit),
        cmocka_unit_test(a_length_that_grows_may_pass_the_limit),
        cmocka_unit_test(a_full_arena_is_another_error),
        cmocka_unit_test(a_cleared_builder_begins_again_in_the_same_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
