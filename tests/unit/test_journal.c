#include "collector/journal/journal.h"

#include <pthread.h>

#include "common/base/clock.h"
#include "tests/unit/scratch_journal.h"

static void assert_positions_equal(struct journal_position a, struct journal_position b)
{
    assert_true(a.offset == b.offset && a.span == b.span);
}

static void what_is_appended_is_read(void **state)
{
    struct scratch       *scratch = *state;
    struct journal_record records[8];
    struct journal_chunk  chunk;
    char                  buffer[JOURNAL_LEAST_READ_BYTES];

    assert_int_equal(append_at(scratch, STR("hello"), 2, 1234), 0);
    assert_int_equal(append_at(scratch, STR("world!"), 3, 1235), 0);

    int r = journal_read(scratch->journal, journal_begin(scratch->journal), buffer, sizeof(buffer),
                         records, 8, &chunk);

    assert_int_equal(r, 2);
    assert_int_equal(chunk.n_records, 2);
    assert_int_equal(chunk.n_bytes, 11);
    assert_memory_equal(buffer, "helloworld!", 11);
    assert_int_equal(chunk.start.span, 0);
    assert_positions_equal(chunk.end, journal_end(scratch->journal));
    assert_positions_equal(chunk.end, records[1].end);
    assert_true(str_equal(records[0].payload, STR("hello")));
    assert_int_equal(records[0].n_spans, 2);
    assert_int_equal(records[0].end.span, 2);
    assert_int_equal(records[0].time_ns, 1234);
    assert_true(str_equal(records[1].payload, STR("world!")));
    assert_int_equal(records[1].end.span, 5);
}

static void at_the_end_there_is_nothing_to_read(void **state)
{
    struct scratch         *scratch = *state;
    struct journal_position begin = journal_begin(scratch->journal);

    assert_positions_equal(begin, journal_end(scratch->journal));
    struct all_read all = read_from(scratch, begin, JOURNAL_LEAST_READ_BYTES);
    assert_int_equal(all.n_records, 0);
    assert_positions_equal(all.end, begin);

    assert_int_equal(append(scratch, STR("x"), 1), 0);
    all = read_from(scratch, journal_end(scratch->journal), JOURNAL_LEAST_READ_BYTES);
    assert_int_equal(all.n_records, 0);
    assert_positions_equal(all.end, journal_end(scratch->journal));
}

static void it_is_all_there_after_a_restart(void **state)
{
    struct scratch *scratch = *state;

    for (char c = 'a'; c <= 'z'; c++)
        assert_int_equal(append_filled(scratch, c, 100 * 1000, 7), 0);
    struct journal_position end = journal_end(scratch->journal);
    scratch_reopen(scratch);

    assert_positions_equal(journal_end(scratch->journal), end);
    assert_int_equal(scratch->recovery.n_spans, 26 * 7);
    assert_int_equal(scratch->recovery.n_bytes, end.offset);
    assert_int_equal(scratch->recovery.cut_bytes, 0);
    assert_int_equal(scratch->recovery.skipped_bytes, 0);
    struct all_read all = read_all(scratch);
    assert_string_equal(all.starts, "abcdefghijklmnopqrstuvwxyz");
    assert_int_equal(all.n_spans, 26 * 7);
    assert_int_equal(all.n_lost_spans, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_appended_is_read, scratch_setup_open,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(at_the_end_there_is_nothing_to_read, scratch_setup_open,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(it_is_all_there_after_a_restart, scratch_setup_open,
                                        scratch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
