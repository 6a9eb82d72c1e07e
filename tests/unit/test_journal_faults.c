/* A journal on a disk that refuses; tests/faults/fail_disk.c is linked in. */

#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>

#include "collector/journal/journal_record.h"
#include "tests/unit/scratch_journal.h"

/* The control file is beside the directory, so that writing it does not fail. */
static int setup_with(void **state, enum journal_durability durability)
{
    if (scratch_setup(state) < 0)
        return -1;

    struct scratch *scratch = *state;
    char            control[80];
    (void)snprintf(control, sizeof(control), "%s.fail", scratch->directory);
    setenv("FAIL_DISK", control, 1);
    scratch->options.durability = durability;
    scratch_open(scratch);
    return 0;
}

static int setup(void **state)
{
    return setup_with(state, JOURNAL_SYNC);
}

static int setup_interval(void **state)
{
    return setup_with(state, JOURNAL_INTERVAL);
}

static const char *control_path(void)
{
    const char *path = getenv("FAIL_DISK");

    assert_non_null(path);
    return path ? path : "";
}

static void mend_disk(void)
{
    (void)unlink(control_path());
}

static int teardown(void **state)
{
    mend_disk();
    return scratch_teardown(state);
}

/* "sync EIO", say, from now on. */
static void break_disk(struct scratch *scratch, const char *fault)
{
    char line[128], path[128];
    int  length = snprintf(line, sizeof(line), "%s %s\n", fault, scratch->directory);

    (void)snprintf(path, sizeof(path), "%s.new", control_path());
    write_file(path, line, (size_t)length);
    assert_int_equal(rename(path, control_path()), 0);
}

static void wait_for_trouble(struct scratch *scratch, int trouble)
{
    while (journal_figures(scratch->journal).trouble != trouble)
        sched_yield();
}

/* By append itself: `done` is not to run. */
static void assert_refused_at_once(struct scratch *scratch, int error)
{
    struct journal_entry entry = {.payload = STR_INIT("refused"), .n_spans = 100};

    assert_int_equal(journal_append(scratch->journal, &entry), error);
}

/* What was refused, and the room for more, is cut off. */
static void assert_last_file_ends(struct scratch *scratch, struct journal_position end)
{
    struct file_bytes last = read_segment_file(scratch, 0);

    assert_int_equal(last.len, end.offset);
    free(last.at);
}

/* Whatever the fault: what was kept before is read all the time, what comes after is kept. */
static void survive(struct scratch *scratch, const char *fault, int error)
{
    assert_int_equal(append(scratch, STR("a"), 1), 0);
    struct journal_position end = journal_end(scratch->journal);

    break_disk(scratch, fault);
    assert_int_equal(append(scratch, STR("refused"), 100), error);
    assert_int_equal(journal_figures(scratch->journal).trouble, error);
    assert_refused_at_once(scratch, error);
    assert_last_file_ends(scratch, end);
    assert_int_equal(journal_end(scratch->journal).offset, end.offset);
    assert_int_equal(journal_end(scratch->journal).span, end.span);
    assert_string_equal(read_all(scratch).starts, "a");

    mend_disk();
    wait_for_trouble(scratch, 0);
    assert_int_equal(append(scratch, STR("b"), 2), 0);
    for (int i = 0; i < 2; i++) {
        struct all_read all = read_all(scratch);
        assert_string_equal(all.starts, "ab");
        assert_int_equal(all.n_spans, 3);
        assert_int_equal(all.n_lost_spans, 0);
        scratch_reopen(scratch);
        assert_int_equal(scratch->recovery.skipped_bytes, 0);
        assert_int_equal(scratch->recovery.cut_bytes, 0);
    }
}

static void a_sync_that_fails_refuses_what_it_was_for(void **state)
{
    survive(*state, "sync EIO", -EIO);
}

static void a_write_that_fails_refuses_what_it_was_for(void **state)
{
    survive(*state, "write EIO", -EIO);
}

static void a_full_disk_refuses_until_there_is_room(void **state)
{
    survive(*state, "write ENOSPC", -ENOSPC);
}

static void a_quota_is_a_full_disk(void **state)
{
    survive(*state, "write EDQUOT", -EDQUOT);
}

static void faults_are_counted(void **state)
{
    struct scratch *scratch = *state;

    break_disk(scratch, "sync EIO");
    assert_int_equal(append(scratch, STR("x"), 1), -EIO);
    struct journal_figures figures = journal_figures(scratch->journal);
    assert_true(figures.failed_writes > 0);
    assert_int_equal(figures.appended_records, 0);
    assert_int_equal(figures.appended_spans, 0);
    assert_int_equal(figures.waiting_bytes, 0);
}

/* Nothing was ever committed when the disk fails: the numbers begin where they would have. */
static void the_first_append_may_fail(void **state)
{
    struct scratch *scratch = *state;

    break_disk(scratch, "sync EIO");
    assert_int_equal(append(scratch, STR("x"), 7), -EIO);
    mend_disk();
    wait_for_trouble(scratch, 0);
    assert_int_equal(append(scratch, STR("a"), 1), 0);

    struct all_read all = read_all(scratch);
    assert_string_equal(all.starts, "a");
    assert_int_equal(all.end.span, 1);
}

/* The disk fails, is well and fails again, and each time the same segment is begun. */
static void a_segment_may_be_begun_several_times(void **state)
{
    struct scratch *scratch = *state;

    assert_int_equal(append(scratch, STR("a"), 1), 0);
    struct journal_position end = journal_end(scratch->journal);
    for (int i = 0; i < 3; i++) {
        break_disk(scratch, "sync EIO");
        assert_int_equal(append(scratch, STR("x"), 7), -EIO);
        mend_disk();
        wait_for_trouble(scratch, 0);
    }
    assert_int_equal(append(scratch, STR("b"), 1), 0);
    journal_trim(scratch->journal, end.offset);

    assert_string_equal(read_from(scratch, end, JOURNAL_LEAST_READ_BYTES).starts, "b");
    assert_int_equal(journal_disk_bytes(scratch->journal), 1 << 20);
}

static void a_journal_in_trouble_can_be_closed(void **state)
{
    struct scratch *scratch = *state;

    assert_int_equal(append(scratch, STR("a"), 1), 0);
    break_disk(scratch, "sync EIO");
    assert_int_equal(append(scratch, STR("x"), 1), -EIO);
    scratch_reopen(scratch);
    assert_string_equal(read_all(scratch).starts, "a");
}

/* What was acknowledged before the sync stays readable; the log goes on in a new segment. */
static void a_background_sync_that_fails_is_trouble(void **state)
{
    struct scratch *scratch = *state;

    break_disk(scratch, "sync EIO");
    mend_disk();
    assert_int_equal(append(scratch, STR("a"), 1), 0);
    break_disk(scratch, "sync EIO");
    while (journal_figures(scratch->journal).trouble == 0)
        (void)append(scratch, STR("b"), 1);
    mend_disk();
    wait_for_trouble(scratch, 0);

    assert_int_equal(append(scratch, STR("z"), 1), 0);
    struct all_read all = read_all(scratch);
    assert_int_equal(all.n_lost_spans, 0);
    assert_int_equal(all.starts[0], 'a');
    assert_int_equal(all.starts[all.n_records - 1], 'z');
    assert_int_equal(all.n_spans, journal_end(scratch->journal).span);
}

/* Several entries wait when the disk fails: each hears of it, in order, and none is kept. */
struct counted {
    struct journal_entry entry;
    size_t              *n_refused;
    sem_t               *is_done;
};

static void counted_done(struct journal_entry *entry, int result)
{
    struct counted *counted = container_of(entry, struct counted, entry);

    *counted->n_refused += result == -EIO;
    sem_post(counted->is_done);
}

static void a_whole_group_is_refused(void **state)
{
    struct scratch *scratch = *state;
    struct counted  counted[1000];
    size_t          n_refused = 0, n_appended = 0;
    sem_t           is_done;

    sem_init(&is_done, 0, 0);
    assert_int_equal(append(scratch, STR("a"), 1), 0);
    break_disk(scratch, "write EIO");
    while (n_appended < ARRAY_LENGTH(counted)) {
        struct counted *next = &counted[n_appended];
        *next = (struct counted){
            .entry = {.done = counted_done, .payload = STR_INIT("refused"), .n_spans = 1},
            .n_refused = &n_refused,
            .is_done = &is_done,
        };
        if (journal_append(scratch->journal, &next->entry) < 0)
            break;
        n_appended++;
    }
    for (size_t i = 0; i < n_appended; i++)
        sem_wait(&is_done);
    sem_destroy(&is_done);

    assert_int_equal(n_refused, n_appended);
    assert_string_equal(read_all(scratch).starts, "a");
    assert_int_equal(journal_figures(scratch->journal).waiting_bytes, 0);
}

static int unmount_and_teardown(void **state)
{
    struct scratch *scratch = *state;

    scratch_close(scratch);
    (void)umount(scratch->directory);
    return teardown(state);
}

static int setup_small_disk(void **state)
{
    if (setup(state) < 0)
        return -1;

    struct scratch *scratch = *state;
    scratch_close(scratch);
    if (mount("tmpfs", scratch->directory, "tmpfs", 0, "size=4m") < 0)
        scratch->options.directory = NULL;
    scratch->options.max_bytes = (uint64_t)1 << 30; /* segments of 64 MiB */
    return 0;
}

/* What is read makes room. Needs the right to mount. */
static void a_disk_smaller_than_a_segment_is_used_to_its_end(void **state)
{
    struct scratch *scratch = *state;
    size_t          n_records = 0;

    if (!scratch->options.directory)
        skip();
    scratch_open(scratch);

    while (append_filled(scratch, 'x', 20000, 1) == 0)
        n_records++;
    assert_in_range(n_records, 150, 209);
    assert_int_equal(journal_figures(scratch->journal).trouble, -ENOSPC);
    assert_int_equal(read_all(scratch).n_records, n_records);

    struct journal_position half = journal_position_within(scratch->journal, 2 << 20, INT64_MIN);
    journal_trim(scratch->journal, half.offset);
    wait_for_trouble(scratch, 0);
    assert_int_equal(append(scratch, STR("y"), 1), 0);
    struct all_read all = read_all(scratch);
    assert_int_equal(all.n_lost_spans, half.span);
    assert_int_equal(all.end.span, n_records + 1);
}

/* All has been read; only the last segment is left, and that it is there is no help. */
static void the_last_segment_makes_room_too(void **state)
{
    struct scratch *scratch = *state;

    assert_int_equal(append(scratch, STR("a"), 1), 0);
    journal_trim(scratch->journal, journal_end(scratch->journal).offset);
    assert_true(has_file(scratch, "0000000000000000.segment"));
    break_disk(scratch, "write ENOSPC");
    assert_int_equal(append(scratch, STR("x"), 1), -ENOSPC);
    while (has_file(scratch, "0000000000000000.segment"))
        sched_yield();

    mend_disk();
    wait_for_trouble(scratch, 0);
    assert_int_equal(append(scratch, STR("b"), 1), 0);
    struct all_read all = read_all(scratch);
    assert_string_equal(all.starts, "b");
    assert_int_equal(all.n_lost_spans, 1);
}

#define fault_test(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        fault_test(a_sync_that_fails_refuses_what_it_was_for),
        fault_test(a_write_that_fails_refuses_what_it_was_for),
        fault_test(a_full_disk_refuses_until_there_is_room),
        fault_test(a_quota_is_a_full_disk),
        fault_test(faults_are_counted),
        fault_test(the_first_append_may_fail),
        fault_test(a_segment_may_be_begun_several_times),
        fault_test(a_journal_in_trouble_can_be_closed),
        cmocka_unit_test_setup_teardown(a_background_sync_that_fails_is_trouble, setup_interval,
                                        teardown),
        fault_test(a_whole_group_is_refused),
        fault_test(the_last_segment_makes_room_too),
        cmocka_unit_test_setup_teardown(a_disk_smaller_than_a_segment_is_used_to_its_end,
                                        setup_small_disk, unmount_and_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
