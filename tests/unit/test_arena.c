#include "common/base/arena.h"

#include <stdalign.h>

#include "tests/unit/expect.h"

static bool is_aligned(const void *at)
{
    return (uintptr_t)at % alignof(max_align_t) == 0;
}

static void memory_is_aligned_for_any_type(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(100000);

    for (size_t size = 0; size < 300; size++) {
        char *at = arena_alloc(arena, size);
        assert_non_null(at);
        assert_true(is_aligned(at));
        memset(at, 0xAB, size);
    }
}

static void pieces_do_not_overlap(void **state)
{
    (void)state;
    enum { PIECES = 200, SIZE = 333 };
    cleanup_with(arena_free_at) struct arena *arena = arena_new((size_t)PIECES * (SIZE + 16));
    char                                     *pieces[PIECES];

    for (int i = 0; i < PIECES; i++) {
        pieces[i] = arena_alloc(arena, SIZE);
        assert_non_null(pieces[i]);
        memset(pieces[i], i, SIZE);
    }
    for (int i = 0; i < PIECES; i++)
        for (int j = 0; j < SIZE; j++)
            assert_int_equal((unsigned char)pieces[i][j], i);
}

static void the_budget_can_be_used_to_the_last_byte(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(100);

    assert_non_null(arena_alloc(arena, 100));
    assert_int_equal(arena_used_bytes(arena), 100);
    assert_null(arena_alloc(arena, 1));
}

static void beyond_the_budget_there_is_nothing(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(100000);
    volatile size_t absurd = SIZE_MAX - 8; /* the compiler would warn of what it can foresee */

    assert_null(arena_alloc(arena, 100001));
    assert_null(arena_alloc(arena, SIZE_MAX));
    assert_null(arena_zalloc(arena, absurd));
    assert_int_equal(arena_used_bytes(arena), 0);
    assert_non_null(arena_alloc(arena, 99999));
    assert_null(arena_alloc(arena, 2));
}

static void a_refusal_leaves_the_rest_usable(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(64);

    assert_non_null(arena_alloc(arena, 32));
    assert_null(arena_alloc(arena, 33));
    assert_non_null(arena_alloc(arena, 32));
}

static void an_arena_without_budget_gives_nothing(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(0);

    assert_null(arena_alloc(arena, 1));
    expect_absent(arena_copy(arena, STR("")));
}

static void one_large_piece_may_take_it_all(void **state)
{
    (void)state;
    enum { MANY = 10 << 20 };
    cleanup_with(arena_free_at) struct arena *arena = arena_new(MANY);

    char *at = arena_alloc(arena, MANY);
    assert_non_null(at);
    at[0] = at[MANY - 1] = 1;
}

static void small_pieces_fill_many_chunks(void **state)
{
    (void)state;
    enum { MANY = 1 << 20, SIZE = 64 };
    cleanup_with(arena_free_at) struct arena *arena = arena_new(MANY);
    size_t                                    n = 0;

    while (arena_alloc(arena, SIZE))
        n++;
    assert_int_equal(n, MANY / SIZE);
}

static void zeroed_memory_is_zero(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(20000);

    const char *at = arena_zalloc(arena, 15000);
    assert_non_null(at);
    for (int i = 0; i < 15000; i++)
        assert_int_equal(at[i], 0);
}

static void a_copy_is_independent_and_ends_with_nul(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(1000);
    char                                      original[] = "a\0b";

    struct str copy = arena_copy(arena, (struct str){original, 3});
    original[0] = 'x';
    expect_str(copy, STR("a\0b"));
    assert_int_equal(copy.at[3], '\0');
}

static void the_copy_of_an_absent_string_is_empty(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(1000);

    struct str copy = arena_copy(arena, (struct str){0});
    assert_non_null(copy.at);
    assert_string_equal(copy.at, "");
}

static void strings_are_packed(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(8);

    assert_non_null(arena_copy(arena, STR("abc")).at);
    assert_non_null(arena_copy(arena, STR("def")).at);
    expect_absent(arena_copy(arena, STR("")));
}

static void a_string_that_does_not_fit_is_absent(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(4);

    expect_absent(arena_copy(arena, STR("abcd")));
    expect_absent(arena_format(arena, "%d", 1234));
    expect_str(arena_format(arena, "%d", 123), STR("123"));
}

static void formats_may_be_long(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(100000);

    struct str s = arena_format(arena, "%s:%u%*s", "host", 8080u, 20000, "end");
    assert_int_equal(s.len, 4 + 1 + 4 + 20000);
    assert_true(str_starts_with(s, STR("host:8080 ")));
    assert_true(str_ends_with(s, STR(" end")));
    assert_int_equal(s.at[s.len], '\0');
}

static void freeing_nothing_is_fine(void **state)
{
    (void)state;
    arena_free(NULL);
}

static void lower_case_is_a_copy_only_where_there_is_something_to_change(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(1000);
    struct str                                lower = STR("x-b3-\xc3\x84");

    assert_ptr_equal(arena_lower(arena, lower).at, lower.at);
    assert_int_equal(arena_used_bytes(arena), 0);
    assert_string_equal(arena_lower(arena, STR("X-B3-@AZ[az{")).at, "x-b3-@az[az{");
    assert_null(arena_alloc(arena, 1000));
    while (arena_alloc(arena, 16))
        ;
    assert_null(arena_lower(arena, STR("TOO LONG FOR WHAT IS LEFT")).at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_aligned_for_any_type),
        cmocka_unit_test(pieces_do_not_overlap),
        cmocka_unit_test(the_budget_can_be_used_to_the_last_byte),
        cmocka_unit_test(beyond_the_budget_there_is_nothing),
        cmocka_unit_test(a_refusal_leaves_the_rest_usable),
        cmocka_unit_test(an_arena_without_budget_gives_nothing),
        cmocka_unit_test(one_large_piece_may_take_it_all),
        cmocka_unit_test(small_pieces_fill_many_chunks),
        cmocka_unit_test(zeroed_memory_is_zero),
        cmocka_unit_test(a_copy_is_independent_and_ends_with_nul),
        cmocka_unit_test(the_copy_of_an_absent_string_is_empty),
        cmocka_unit_test(strings_are_packed),
        cmocka_unit_test(a_string_that_does_not_fit_is_absent),
        cmocka_unit_test(formats_may_be_long),
        cmocka_unit_test(freeing_nothing_is_fine),
        cmocka_unit_test(lower_case_is_a_copy_only_where_there_is_something_to_change),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
