#include "common/base/timer_heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/random.h"

enum { MANY = 1000 };

static void an_empty_heap_has_nothing_due(void **state)
{
    struct timer_heap heap = {0};
    (void)state;

    assert_null(timer_heap_take_due(&heap, INT64_MAX));
}

static void a_timer_is_taken_at_its_time_and_not_before(void **state)
{
    struct timer_heap heap = {0};
    struct timer_node node = {0};
    (void)state;

    timer_heap_add(&heap, &node, 100);
    assert_null(timer_heap_take_due(&heap, 99));
    assert_ptr_equal(timer_heap_take_due(&heap, 100), &node);
    assert_false(node.is_armed);
    assert_null(timer_heap_take_due(&heap, 100));
}

static void timers_come_in_the_order_of_their_times(void **state)
{
    static struct timer_node nodes[MANY];
    struct timer_heap        heap = {0};
    int64_t                  last_ns = 0;
    (void)state;

    for (int i = 0; i < MANY; i++)
        timer_heap_add(&heap, &nodes[i], (int64_t)(random_mix((uint64_t)i) % 5000));
    for (int i = 0; i < MANY; i++) {
        struct timer_node *node = timer_heap_take_due(&heap, INT64_MAX);
        assert_non_null(node);
        assert_true(node->due_ns >= last_ns);
        last_ns = node->due_ns;
    }
    assert_null(heap.earliest);
}

static void removed_timers_never_come(void **state)
{
    static struct timer_node nodes[MANY];
    struct timer_heap        heap = {0};
    int                      left = 0;
    (void)state;

    for (int i = 0; i < MANY; i++)
        timer_heap_add(&heap, &nodes[i], (int64_t)(random_mix((uint64_t)i) % 5000));
    for (int i = 0; i < MANY / 2; i++) /* so that the heap has taken a shape */
        timer_heap_take_due(&heap, 1000);
    for (int i = 0; i < MANY; i += 3) {
        if (nodes[i].is_armed)
            timer_heap_remove(&heap, &nodes[i]);
    }
    for (int i = 0; i < MANY; i++)
        left += nodes[i].is_armed;

    int64_t last_ns = 0;
    for (struct timer_node *node; (node = timer_heap_take_due(&heap, INT64_MAX)); left--) {
        assert_int_not_equal((node - nodes) % 3, 0);
        assert_true(node->due_ns >= last_ns);
        last_ns = node->due_ns;
    }
    assert_int_equal(left, 0);
}

static void a_timer_can_be_armed_again(void **state)
{
    struct timer_heap heap = {0};
    struct timer_node a = {0}, b = {0};
    (void)state;

    timer_heap_add(&heap, &a, 1);
    timer_heap_add(&heap, &b, 2);
    timer_heap_remove(&heap, &a);
    timer_heap_add(&heap, &a, 3);
    assert_ptr_equal(timer_heap_take_due(&heap, 10), &b);
    assert_ptr_equal(timer_heap_take_due(&heap, 10), &a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_heap_has_nothing_due),
        cmocka_unit_test(a_timer_is_taken_at_its_time_and_not_before),
        cmocka_unit_test(timers_come_in_the_order_of_their_times),
        cmocka_unit_test(removed_timers_never_come),
        cmocka_unit_test(a_timer_can_be_armed_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
