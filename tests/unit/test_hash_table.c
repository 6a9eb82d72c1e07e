#include "common/base/hash_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

#include "common/base/cleanup.h"

enum { MANY = 1000 };

struct thing {
    struct hash_node node;
    unsigned         n_drops;
};

static void drop(struct hash_node *node)
{
    container_of(node, struct thing, node)->n_drops++;
}

static void add_many(struct hash_table *table, struct thing things[MANY])
{
    for (uint64_t i = 0; i < MANY; i++) {
        things[i] = (struct thing){.node.hash = i * UINT64_C(0x9E3779B97F4A7C15)};
        assert_int_equal(hash_table_add(table, &things[i].node), 0);
    }
}

static void an_empty_table_finds_nothing_and_takes_nothing(void **state)
{
    (void)state;
    struct hash_table table = {0};

    assert_null(hash_table_find(&table, 0));
    assert_int_equal(hash_table_bytes(&table), 0);
    hash_table_done(&table, drop);
}

static void what_is_added_is_found_however_much_there_is(void **state)
{
    (void)state;
    struct hash_table table = {0};
    struct thing      things[MANY];

    add_many(&table, things);
    assert_int_equal(table.count, MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_ptr_equal(hash_table_find(&table, things[i].node.hash), &things[i].node);
    assert_null(hash_table_find(&table, 1));
    hash_table_done(&table, drop);
}

static void equal_hashes_are_found_one_after_the_other(void **state)
{
    (void)state;
    struct hash_table table = {0};
    /* 1 and 9 share a bucket of the smallest table. */
    struct thing things[] = {{.node.hash = 1}, {.node.hash = 9}, {.node.hash = 1}};

    for (size_t i = 0; i < ARRAY_LENGTH(things); i++)
        assert_int_equal(hash_table_add(&table, &things[i].node), 0);

    struct hash_node *first = hash_table_find(&table, 1);
    struct hash_node *second = hash_table_find_next(first);
    assert_true(first && second && first != second);
    assert_true(first != &things[1].node && second != &things[1].node);
    assert_null(hash_table_find_next(second));
    assert_null(hash_table_find_next(hash_table_find(&table, 9)));
    hash_table_done(&table, drop);
}

static void what_is_removed_is_gone_and_nothing_else(void **state)
{
    (void)state;
    struct hash_table table = {0};
    struct thing      things[MANY];

    add_many(&table, things);
    for (size_t i = 0; i < MANY; i += 2)
        hash_table_remove(&table, &things[i].node);
    assert_int_equal(table.count, MANY / 2);
    for (size_t i = 0; i < MANY; i++)
        assert_true((hash_table_find(&table, things[i].node.hash) != NULL) == (i % 2 == 1));
    hash_table_done(&table, drop);
}

static void the_end_drops_each_thing_once(void **state)
{
    (void)state;
    struct hash_table table = {0};
    struct thing      things[MANY];

    add_many(&table, things);
    hash_table_remove(&table, &things[0].node);
    hash_table_done(&table, drop);
    assert_int_equal(things[0].n_drops, 0);
    for (size_t i = 1; i < MANY; i++)
        assert_int_equal(things[i].n_drops, 1);
}

static void buckets_grow_with_what_is_in_it(void **state)
{
    (void)state;
    struct hash_table table = {0};
    struct thing      things[MANY];

    add_many(&table, things);
    assert_in_range(hash_table_bytes(&table), sizeof(void *[MANY]), sizeof(void *[4][MANY]));
    hash_table_done(&table, drop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_table_finds_nothing_and_takes_nothing),
        cmocka_unit_test(what_is_added_is_found_however_much_there_is),
        cmocka_unit_test(equal_hashes_are_found_one_after_the_other),
        cmocka_unit_test(what_is_removed_is_gone_and_nothing_else),
        cmocka_unit_test(the_end_drops_each_thing_once),
        cmocka_unit_test(buckets_grow_with_what_is_in_it),
    };
    return cmocka_run_group_tests_name("hash_table", tests, NULL, NULL);
}
