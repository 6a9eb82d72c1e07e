#include "collector/relay/ledger.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* A range of 10 spans in 100 bytes; `n` of them one after the other. */
static struct journal_position place(uint64_t n)
{
    return (struct journal_position){.offset = 1000 + 100 * n, .span = 70 + 10 * n};
}

static void new_ledger(struct ledger *ledger)
{
    ledger_init(ledger, &(struct cursor_state){.position = place(0), .start_span = 70});
}

static void append_ranges(struct ledger *ledger, struct ledger_range ranges[], size_t n)
{
    for (size_t i = 0; i < n; i++)
        ledger_append(ledger, &ranges[i], place(i + 1));
}

/* All that can be taken; how many that were. */
static unsigned take_all(struct ledger *ledger)
{
    unsigned n = 0;

    while (ledger_take_settled(ledger))
        n++;
    return n;
}

static uint64_t sum(const uint64_t counts[])
{
    uint64_t total = 0;

    for (int i = 0; i < RELAY_COUNTS; i++)
        total += counts[i];
    return total;
}

static void expect_balance(const struct ledger *ledger)
{
    assert_int_equal(ledger->read.span - ledger->cursor.start_span,
                     sum(ledger->counts) + ledger->open_spans);
    assert_int_equal(ledger->cursor.position.span - ledger->cursor.start_span,
                     sum(ledger->cursor.counts));
}

static void what_is_read_is_open(void **state)
{
    (void)state;
    struct ledger       ledger;
    struct ledger_range ranges[2];

    new_ledger(&ledger);
    append_ranges(&ledger, ranges, 2);
    assert_int_equal(ledger.open_spans, 20);
    assert_int_equal(ledger.read.offset, place(2).offset);
    assert_int_equal(ledger.cursor.position.offset, place(0).offset);
    assert_int_equal(ranges[1].start.span, place(1).span);
    assert_null(ledger_take_settled(&ledger));
    expect_balance(&ledger);
}

static void the_cursor_follows_what_is_settled(void **state)
{
    (void)state;
    struct ledger       ledger;
    struct ledger_range range;

    new_ledger(&ledger);
    append_ranges(&ledger, &range, 1);
    assert_int_equal(ledger_count(&ledger, &range, RELAY_REJECTED_PARTIAL, 3), 3);
    expect_balance(&ledger);
    assert_int_equal(ledger_settle(&ledger, &range, RELAY_DELIVERED), 7);
    expect_balance(&ledger);
    assert_ptr_equal(ledger_take_settled(&ledger), &range);
    assert_int_equal(ledger.cursor.position.offset, place(1).offset);
    assert_int_equal(ledger.cursor.counts[RELAY_DELIVERED], 7);
    assert_int_equal(ledger.cursor.counts[RELAY_REJECTED_PARTIAL], 3);
    expect_balance(&ledger);
}

static void the_cursor_waits_for_the_oldest(void **state)
{
    (void)state;
    struct ledger       ledger;
    struct ledger_range ranges[3];

    new_ledger(&ledger);
    append_ranges(&ledger, ranges, 3);
    ledger_settle(&ledger, &ranges[1], RELAY_DELIVERED);
    assert_int_equal(take_all(&ledger), 0);
    assert_int_equal(ledger.counts[RELAY_DELIVERED], 10);
    assert_int_equal(ledger.cursor.counts[RELAY_DELIVERED], 0);
    expect_balance(&ledger);

    ledger_settle(&ledger, &ranges[0], RELAY_REJECTED_REFUSED);
    assert_int_equal(take_all(&ledger), 2);
    assert_int_equal(ledger.cursor.position.offset, place(2).offset);
    assert_int_equal(ledger.cursor.counts[RELAY_DELIVERED], 10);
    assert_int_equal(ledger.cursor.counts[RELAY_REJECTED_REFUSED], 10);
    expect_balance(&ledger);
}

static void settled_ranges_behind_an_open_one_become_one(void **state)
{
    (void)state;
    struct ledger       ledger;
    struct ledger_range ranges[6];

    new_ledger(&ledger);
    append_ranges(&ledger, ranges, 6);
    for (int i = 5; i >= 1; i--)
        ledger_settle(&ledger, &ranges[i], i % 2 ? RELAY_DELIVERED : RELAY_EXPIRED_AGE);
    assert_int_equal(take_all(&ledger), 4);
    expect_balance(&ledger);

    ledger_settle(&ledger, &ranges[0], RELAY_DELIVERED);
    assert_int_equal(take_all(&ledger), 2);
    assert_int_equal(ledger.cursor.position.offset, place(6).offset);
    assert_int_equal(ledger.cursor.counts[RELAY_DELIVERED], 40);
    assert_int_equal(ledger.cursor.counts[RELAY_EXPIRED_AGE], 20);
    expect_balance(&ledger);
}

static void a_range_is_cut_in_two(void **state)
{
    (void)state;
    struct ledger           ledger;
    struct ledger_range     ranges[2], rest;
    struct journal_position at = {.offset = place(0).offset + 30, .span = place(0).span + 4};

    new_ledger(&ledger);
    append_ranges(&ledger, ranges, 2);
    ledger_cut(&ledger, &ranges[0], at, &rest);
    expect_balance(&ledger);
    assert_int_equal(ledger_settle(&ledger, &rest, RELAY_DELIVERED), 6);
    assert_int_equal(take_all(&ledger), 0);
    assert_int_equal(ledger_settle(&ledger, &ranges[0], RELAY_REJECTED_REFUSED), 4);
    assert_int_equal(take_all(&ledger), 2);
    assert_int_equal(ledger.cursor.position.offset, place(1).offset);
    expect_balance(&ledger);
}

static void no_more_is_counted_than_is_open(void **state)
{
    (void)state;
    struct ledger       ledger;
    struct ledger_range range;

    new_ledger(&ledger);
    append_ranges(&ledger, &range, 1);
    assert_int_equal(ledger_count(&ledger, &range, RELAY_DELIVERED, 11), 10);
    assert_int_equal(ledger_settle(&ledger, &range, RELAY_LOST_DAMAGED), 0);
    expect_balance(&ledger);
}

static void a_cursor_whose_counts_do_not_add_up_is_mended(void **state)
{
    (void)state;
    struct cursor_state cursor = {.position = place(2), .start_span = 0};
    struct ledger       ledger;

    cursor.counts[RELAY_DELIVERED] = 15;
    ledger_init(&ledger, &cursor);
    assert_int_equal(ledger.cursor.start_span, place(2).span - 15);
    expect_balance(&ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read_is_open),
        cmocka_unit_test(the_cursor_follows_what_is_settled),
        cmocka_unit_test(the_cursor_waits_for_the_oldest),
        cmocka_unit_test(settled_ranges_behind_an_open_one_become_one),
        cmocka_unit_test(a_range_is_cut_in_two),
        cmocka_unit_test(no_more_is_counted_than_is_open),
        cmocka_unit_test(a_cursor_whose_counts_do_not_add_up_is_mended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
