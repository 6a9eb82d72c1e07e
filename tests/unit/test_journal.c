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

    for (int i = 0; i < 26; i++)
        assert_int_equal(append_filled(scratch, (char)('a' + i), 100000, 7), 0);
    struct journal_position end = journal_end(scratch->journal);
    scratch_reopen(scratch);

    assert_positions_equal(journal_end(scratch->journal), end);
    assert_int_equal(scratch->recovery.n_spans, 182);
    assert_int_equal(scratch->recovery.n_bytes, end.offset);
    assert_int_equal(scratch->recovery.cut_bytes, 0);
    assert_int_equal(scratch->recovery.skipped_bytes, 0);
    struct all_read all = read_all(scratch);
    assert_string_equal(all.starts, "abcdefghijklmnopqrstuvwxyz");
    assert_int_equal(all.n_spans, 182);
    assert_int_equal(all.n_lost_spans, 0);
}

static void order_is_kept_across_segments_and_small_buffers(void **state)
{
    struct scratch *scratch = *state;

    for (int i = 0; i < 300; i++) /* 3 MB: in four segments */
        assert_int_equal(append_filled(scratch, (char)('a' + i % 26), 10000, 1), 0);

    struct all_read all = read_from(scratch, (struct journal_position){0}, 12000);
    assert_int_equal(all.n_records, 300);
    for (int i = 0; i < 300; i++)
        assert_int_equal(all.starts[i], 'a' + i % 26);
    assert_int_equal(all.n_lost_spans, 0);
    assert_positions_equal(all.end, journal_end(scratch->journal));
}

static void no_more_records_are_read_than_asked_for(void **state)
{
    struct scratch       *scratch = *state;
    struct journal_record records[3];
    struct journal_chunk  chunk;
    char                  buffer[JOURNAL_LEAST_READ_BYTES];

    for (int i = 0; i < 5; i++)
        assert_int_equal(append(scratch, STR("x"), 1), 0);

    struct journal_position begin = journal_begin(scratch->journal);
    assert_int_equal(
        journal_read(scratch->journal, begin, buffer, sizeof(buffer), records, 3, &chunk), 3);
    assert_int_equal(chunk.end.span, 3);
    assert_int_equal(
        journal_read(scratch->journal, chunk.end, buffer, sizeof(buffer), records, 3, &chunk), 2);
    assert_positions_equal(chunk.end, journal_end(scratch->journal));
}

static void a_buffer_that_is_too_small_says_what_is_needed(void **state)
{
    struct scratch       *scratch = *state;
    struct journal_record record;
    struct journal_chunk  chunk;
    char                 *buffer = malloc(20000);

    assert_int_equal(append_filled(scratch, 'x', 10000, 1), 0);
    struct journal_position begin = journal_begin(scratch->journal);

    int r = journal_read(scratch->journal, begin, buffer, 10000, &record, 1, &chunk);
    assert_int_equal(r, -ENOBUFS);
    assert_in_range(chunk.wanted_bytes, 10000 + 1, 20000);
    r = journal_read(scratch->journal, chunk.end, buffer, chunk.wanted_bytes, &record, 1, &chunk);
    assert_int_equal(r, 1);
    assert_int_equal(record.payload.len, 10000);
    free(buffer);
}

static void a_record_may_be_larger_than_a_segment(void **state)
{
    struct scratch *scratch = *state;
    size_t          n_bytes = 3 << 20;

    assert_int_equal(append(scratch, STR("a"), 1), 0);
    assert_int_equal(append_filled(scratch, 'b', n_bytes, 2), 0);
    assert_int_equal(append(scratch, STR("c"), 3), 0);
    scratch_reopen(scratch);

    struct all_read all = read_from(scratch, (struct journal_position){0}, n_bytes + 4096);
    assert_string_equal(all.starts, "abc");
    assert_int_equal(all.n_spans, 6);
}

static void a_record_may_be_empty(void **state)
{
    struct scratch *scratch = *state;

    assert_int_equal(append(scratch, (struct str){0}, 0), 0);
    assert_int_equal(append(scratch, STR("x"), 1), 0);

    assert_string_equal(read_all(scratch).starts, " x");
}

static void a_record_beyond_all_limits_is_refused(void **state)
{
    struct scratch      *scratch = *state;
    struct journal_entry entry = {
        .payload = {.at = "", .len = (size_t)JOURNAL_MAX_PAYLOAD_BYTES + 1}};

    assert_int_equal(journal_append(scratch->journal, &entry), -EMSGSIZE);
}

static void a_directory_is_of_one_journal(void **state)
{
    struct scratch         *scratch = *state;
    struct journal         *second;
    struct journal_recovery recovery;

    assert_int_equal(journal_open(&second, &scratch->options, &recovery), -EBUSY);
    scratch_close(scratch);
    scratch_open(scratch);
}

static void the_directory_is_made(void **state)
{
    struct scratch         *scratch = *state;
    struct journal         *journal;
    struct journal_recovery recovery;
    char                    path[128];

    scratch->options.directory = path;
    (void)snprintf(path, sizeof(path), "%s/absent/absent", scratch->directory);
    assert_int_equal(journal_open(&journal, &scratch->options, &recovery), -ENOENT);

    (void)snprintf(path, sizeof(path), "%s/absent", scratch->directory);
    assert_int_equal(journal_open(&journal, &scratch->options, &recovery), 0);
    journal_close(journal);
    remove_directory(path);

    (void)snprintf(path, sizeof(path), "%s/lock", scratch->directory);
    assert_int_equal(journal_open(&journal, &scratch->options, &recovery), -ENOTDIR);
}

/* An entry that holds the writer up until the test has done what it wants. */
struct gate {
    struct journal_entry entry;
    sem_t                is_reached, may_go;
};

static void gate_done(struct journal_entry *entry, int result)
{
    struct gate *gate = container_of(entry, struct gate, entry);
    (void)result;

    sem_post(&gate->is_reached);
    sem_wait(&gate->may_go);
}

static void gate_close(struct gate *gate, struct scratch *scratch)
{
    *gate = (struct gate){.entry = {.done = gate_done, .payload = STR_INIT("gate")}};
    sem_init(&gate->is_reached, 0, 0);
    sem_init(&gate->may_go, 0, 0);
    assert_int_equal(journal_append(scratch->journal, &gate->entry), 0);
    sem_wait(&gate->is_reached);
}

static void gate_open(struct gate *gate)
{
    sem_post(&gate->may_go);
}

/* Entries that say in which order they were done. */
enum { N_NOTED = 100 };

struct noted {
    struct journal_entry entry;
    int                 *next_turn;
    int                  turn, result;
};

static void noted_done(struct journal_entry *entry, int result)
{
    struct noted *noted = container_of(entry, struct noted, entry);

    noted->turn = (*noted->next_turn)++;
    noted->result = result;
}

static void append_noted(struct scratch *scratch, struct noted noted[N_NOTED], int *next_turn)
{
    for (int i = 0; i < N_NOTED; i++) {
        noted[i] = (struct noted){
            .entry = {.done = noted_done, .payload = STR_INIT("noted"), .n_spans = 1},
            .next_turn = next_turn,
        };
        assert_int_equal(journal_append(scratch->journal, &noted[i].entry), 0);
    }
}

static void what_waits_is_written_and_synced_together(void **state)
{
    struct scratch *scratch = *state;
    struct gate     gate;
    struct noted    noted[N_NOTED];
    int             next_turn = 0;

    gate_close(&gate, scratch);
    append_noted(scratch, noted, &next_turn);
    gate_open(&gate);
    assert_int_equal(append(scratch, STR("x"), 1), 0);

    struct journal_figures figures = journal_figures(scratch->journal);
    assert_int_equal(figures.appended_records, 1 + N_NOTED + 1);
    assert_int_equal(figures.appended_spans, N_NOTED + 1);
    assert_in_range(figures.groups, 2, 3);
    assert_int_equal(figures.syncs, figures.groups);
    assert_int_equal(figures.waiting_bytes, 0);
    assert_int_equal(figures.failed_writes, 0);
}

static void entries_are_done_in_the_order_of_their_appends(void **state)
{
    struct scratch *scratch = *state;
    struct gate     gate;
    struct noted    noted[N_NOTED];
    int             next_turn = 0;

    gate_close(&gate, scratch);
    append_noted(scratch, noted, &next_turn);
    gate_open(&gate);
    assert_int_equal(append(scratch, STR("x"), 1), 0);

    for (int i = 0; i < N_NOTED; i++) {
        assert_int_equal(noted[i].turn, i);
        assert_int_equal(noted[i].result, 0);
    }
}

/* Ten of these fill a segment of 1 MiB. */
static void a_group_does_not_outgrow_its_segment(void **state)
{
    struct scratch *scratch = *state;
    static char     payload[100000];
    struct gate     gate;
    struct noted    noted[30];
    int             next_turn = 0;

    gate_close(&gate, scratch);
    for (int i = 0; i < 30; i++) {
        noted[i] = (struct noted){
            .entry = {.done = noted_done, .payload = {.at = payload, .len = sizeof(payload)}},
            .next_turn = &next_turn,
        };
        assert_int_equal(journal_append(scratch->journal, &noted[i].entry), 0);
    }
    gate_open(&gate);
    scratch_reopen(scratch);

    assert_int_equal(next_turn, 30);
    assert_int_equal(read_all(scratch).n_records, 31);
    struct file_bytes first = read_segment_file(scratch, 0);
    assert_in_range(first.len, 900000, 1 << 20);
    free(first.at);
}

static void *open_gate_soon(void *context)
{
    gate_open(context);
    return NULL;
}

static void closing_commits_what_waits(void **state)
{
    struct scratch *scratch = *state;
    struct gate     gate;
    struct noted    noted[N_NOTED];
    int             next_turn = 0;
    pthread_t       opener;

    gate_close(&gate, scratch);
    append_noted(scratch, noted, &next_turn);
    assert_int_equal(pthread_create(&opener, NULL, open_gate_soon, &gate), 0);
    scratch_close(scratch);
    pthread_join(opener, NULL);

    assert_int_equal(next_turn, N_NOTED);
    for (int i = 0; i < N_NOTED; i++)
        assert_int_equal(noted[i].result, 0);
    scratch_open(scratch);
    assert_int_equal(read_all(scratch).n_records, 1 + N_NOTED);
}

static void appends_beyond_what_may_wait_are_refused(void **state)
{
    struct scratch *scratch = *state;
    struct gate     gate;
    struct noted    noted[2];
    int             next_turn = 0;
    static char     payload[1000];

    scratch_close(scratch);
    scratch->options.max_waiting_bytes = 1000;
    scratch_open(scratch);
    gate_close(&gate, scratch);
    for (int i = 0; i < 2; i++)
        noted[i] = (struct noted){
            .entry = {.done = noted_done, .payload = {.at = payload, .len = sizeof(payload)}},
            .next_turn = &next_turn,
        };

    assert_int_equal(journal_append(scratch->journal, &noted[0].entry), 0);
    assert_int_equal(journal_append(scratch->journal, &noted[1].entry), -EAGAIN);
    assert_int_equal(journal_figures(scratch->journal).waiting_bytes, 1040);
    gate_open(&gate);
    scratch_close(scratch);
    assert_int_equal(next_turn, 1);
    scratch_open(scratch);
}

static void count_commit(void *context)
{
    sem_post(context);
}

static void each_commit_is_announced(void **state)
{
    struct scratch *scratch = *state;
    sem_t           commits;

    sem_init(&commits, 0, 0);
    scratch_close(scratch);
    scratch->options.committed = count_commit;
    scratch->options.context = &commits;
    scratch_open(scratch);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(append(scratch, STR("x"), 1), 0);
        sem_wait(&commits);
    }
    scratch_close(scratch);
    assert_int_equal(sem_trywait(&commits), -1);
    sem_destroy(&commits);
}

static const int64_t hour_ns = 3600 * (int64_t)NS_PER_S;

/* Segments of 1 MiB with 10 records each, those of segment i in i hours from `start_ns`. */
static void fill_segments_from(struct scratch *scratch, int n_segments, int64_t start_ns)
{
    static char payload[100000];
    struct str  view = {.at = payload, .len = sizeof(payload)};

    for (int i = 0; i < n_segments * 10; i++)
        assert_int_equal(append_at(scratch, view, 1, start_ns + i / 10 * hour_ns), 0);
}

static void fill_segments(struct scratch *scratch, int n_segments)
{
    fill_segments_from(scratch, n_segments, 0);
}

static void trimming_deletes_segments_that_end_before(void **state)
{
    struct scratch *scratch = *state;

    fill_segments(scratch, 4);
    struct journal_position begin = journal_begin(scratch->journal);
    struct journal_position second = journal_position_within(scratch->journal, 3 << 20, INT64_MIN);
    uint64_t                disk_bytes = journal_disk_bytes(scratch->journal);

    assert_int_equal(second.span, 10);
    journal_trim(scratch->journal, second.offset - 1);
    assert_positions_equal(journal_begin(scratch->journal), begin);
    assert_true(has_file(scratch, "0000000000000000.segment"));
    journal_trim(scratch->journal, second.offset);
    assert_positions_equal(journal_begin(scratch->journal), second);
    assert_false(has_file(scratch, "0000000000000000.segment"));
    assert_true(journal_disk_bytes(scratch->journal) < disk_bytes);

    struct all_read all = read_from(scratch, begin, 1 << 20);
    assert_int_equal(all.n_records, 30);
    assert_int_equal(all.n_lost_spans, 10);
}

static void the_last_segment_stays_and_with_it_the_numbers(void **state)
{
    struct scratch *scratch = *state;

    fill_segments(scratch, 3);
    struct journal_position end = journal_end(scratch->journal);
    journal_trim(scratch->journal, end.offset);
    assert_int_equal(journal_begin(scratch->journal).span, 20);

    scratch_reopen(scratch);
    journal_trim(scratch->journal, end.offset);
    scratch_reopen(scratch);
    assert_positions_equal(journal_end(scratch->journal), end);
}

static void the_log_is_limited_by_size(void **state)
{
    struct scratch *scratch = *state;

    fill_segments(scratch, 4);
    uint64_t n_bytes = journal_disk_bytes(scratch->journal);
    assert_in_range(n_bytes, 4000000, 4 << 20);

    assert_int_equal(journal_position_within(scratch->journal, n_bytes, INT64_MIN).span, 0);
    assert_int_equal(journal_position_within(scratch->journal, n_bytes - 1, INT64_MIN).span, 10);
    assert_int_equal(journal_position_within(scratch->journal, 2 << 20, INT64_MIN).span, 20);
    assert_int_equal(journal_position_within(scratch->journal, 0, INT64_MIN).span, 30);
}

static void the_log_is_limited_by_age(void **state)
{
    struct scratch *scratch = *state;
    int64_t         start_ns = clock_realtime_ns() + hour_ns;

    fill_segments_from(scratch, 3, start_ns);

    for (int i = 0; i < 3; i++) {
        int64_t                 age_ns = start_ns + i * hour_ns;
        struct journal_position position =
            journal_position_within(scratch->journal, UINT64_MAX, age_ns);
        assert_int_equal(position.span, 10 * i);
        position = journal_position_within(scratch->journal, UINT64_MAX, age_ns + 1);
        assert_int_equal(position.span, 10 * (i + 1));
    }
    assert_positions_equal(journal_position_within(scratch->journal, UINT64_MAX, INT64_MAX),
                           journal_end(scratch->journal));
}

/* Sealed segments are as old as the next one's beginning says. */
static void ages_are_known_after_a_restart(void **state)
{
    struct scratch *scratch = *state;
    int64_t         before_ns = clock_realtime_ns();

    fill_segments(scratch, 3);
    int64_t after_ns = clock_realtime_ns();
    scratch_reopen(scratch);

    assert_int_equal(journal_position_within(scratch->journal, UINT64_MAX, before_ns).span, 0);
    assert_int_equal(journal_position_within(scratch->journal, UINT64_MAX, after_ns).span, 30);
}

static void the_interval_syncs_without_delaying_anybody(void **state)
{
    struct scratch *scratch = *state;

    scratch_close(scratch);
    scratch->options.durability = JOURNAL_INTERVAL;
    scratch_open(scratch);
    assert_int_equal(append(scratch, STR("x"), 1), 0);
    while (journal_figures(scratch->journal).syncs == 0)
        sched_yield();

    scratch_close(scratch);
    scratch->options.sync_interval_ns = 3600 * (int64_t)NS_PER_S;
    scratch_open(scratch);
    assert_int_equal(append(scratch, STR("y"), 1), 0);
    assert_int_equal(append(scratch, STR("z"), 1), 0);
    assert_int_equal(journal_figures(scratch->journal).syncs, 0);
    scratch_reopen(scratch);
    assert_string_equal(read_all(scratch).starts, "xyz");
}

static void without_durability_nothing_is_synced(void **state)
{
    struct scratch *scratch = *state;

    scratch_close(scratch);
    scratch->options.durability = JOURNAL_NONE;
    scratch_open(scratch);
    fill_segments(scratch, 2);
    assert_int_equal(journal_figures(scratch->journal).syncs, 0);

    scratch_reopen(scratch);
    assert_int_equal(read_all(scratch).n_records, 20);
}

static void the_log_goes_on_where_a_reader_has_been(void **state)
{
    struct scratch         *scratch = *state;
    struct journal_position reader = {.offset = 100000000, .span = 4711};

    assert_int_equal(append(scratch, STR("a"), 1), 0);
    scratch_reopen(scratch);
    journal_reach(scratch->journal, (struct journal_position){0});
    journal_reach(scratch->journal, reader);
    assert_positions_equal(journal_end(scratch->journal), reader);
    assert_int_equal(append(scratch, STR("b"), 1), 0);
    scratch_reopen(scratch);

    struct all_read all = read_all(scratch);
    assert_string_equal(all.starts, "ab");
    assert_int_equal(all.n_lost_spans, 4710);
    assert_string_equal(read_from(scratch, reader, JOURNAL_LEAST_READ_BYTES).starts, "b");
}

enum { N_APPENDERS = 8, APPENDS_EACH = 200, ALL_APPENDS = N_APPENDERS * APPENDS_EACH };

struct appender {
    struct scratch *scratch;
    char            letter;
    pthread_t       thread;
    size_t          n_failed;
};

/* Records of 1 to 4000 bytes: a letter, the number, and more. */
static void *append_many(void *context)
{
    struct appender *appender = context;
    char             payload[4000];

    memset(payload, appender->letter, sizeof(payload));
    for (uint32_t i = 0; i < APPENDS_EACH; i++) {
        memcpy(payload + 1, &i, sizeof(i));
        struct str view = {.at = payload, .len = 5 + (size_t)i * 37 % (sizeof(payload) - 5)};
        appender->n_failed += append(appender->scratch, view, 1) != 0;
    }
    return NULL;
}

static void check_order(const struct journal_record *record, uint32_t next[N_APPENDERS])
{
    uint32_t number;
    size_t   appender = (size_t)(record->payload.at[0] - 'a');

    assert_in_range(appender, 0, N_APPENDERS - 1);
    memcpy(&number, record->payload.at + 1, sizeof(number));
    assert_int_equal(number, next[appender]);
    next[appender]++;
}

static void any_thread_appends_while_others_read(void **state)
{
    struct scratch         *scratch = *state;
    struct appender         appenders[N_APPENDERS];
    struct journal_record   records[16];
    struct journal_chunk    chunk;
    struct journal_position position = {0};
    uint32_t                next[N_APPENDERS] = {0};
    static char             buffer[64 << 10];

    for (int i = 0; i < N_APPENDERS; i++) {
        appenders[i] = (struct appender){.scratch = scratch, .letter = (char)('a' + i)};
        assert_int_equal(pthread_create(&appenders[i].thread, NULL, append_many, &appenders[i]), 0);
    }
    while (position.span < ALL_APPENDS) {
        int r =
            journal_read(scratch->journal, position, buffer, sizeof(buffer), records, 16, &chunk);
        assert_true(r >= 0);
        for (int i = 0; i < r; i++)
            check_order(&records[i], next);
        position = chunk.end;
    }
    for (int i = 0; i < N_APPENDERS; i++) {
        pthread_join(appenders[i].thread, NULL);
        assert_int_equal(appenders[i].n_failed, 0);
        assert_int_equal(next[i], APPENDS_EACH);
    }
    assert_true(journal_figures(scratch->journal).groups < ALL_APPENDS);
}

struct trimmer {
    struct scratch *scratch;
    pthread_t       thread;
};

static void *trim_step_by_step(void *context)
{
    struct trimmer *trimmer = context;
    uint64_t        end = journal_end(trimmer->scratch->journal).offset;

    for (uint64_t offset = 0; offset < end; offset += 100000) {
        journal_trim(trimmer->scratch->journal, offset);
        sched_yield();
    }
    return NULL;
}

static void what_is_trimmed_under_a_reader_is_missed_and_nothing_else(void **state)
{
    struct scratch *scratch = *state;
    struct trimmer  trimmer = {.scratch = scratch};

    fill_segments(scratch, 8);
    assert_int_equal(pthread_create(&trimmer.thread, NULL, trim_step_by_step, &trimmer), 0);
    for (int i = 0; i < 50; i++) {
        struct all_read all = read_from(scratch, (struct journal_position){0}, 150000);
        assert_int_equal(all.n_spans + all.n_lost_spans, 80);
    }
    pthread_join(trimmer.thread, NULL);
    assert_int_equal(journal_begin(scratch->journal).span, 70);
    assert_int_equal(journal_figures(scratch->journal).skipped_bytes, 0);
}

#define journal_test(test) \
    cmocka_unit_test_setup_teardown(test, scratch_setup_open, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        journal_test(what_is_appended_is_read),
        journal_test(at_the_end_there_is_nothing_to_read),
        journal_test(it_is_all_there_after_a_restart),
        journal_test(order_is_kept_across_segments_and_small_buffers),
        journal_test(no_more_records_are_read_than_asked_for),
        journal_test(a_buffer_that_is_too_small_says_what_is_needed),
        journal_test(a_record_may_be_larger_than_a_segment),
        journal_test(a_record_may_be_empty),
        journal_test(a_record_beyond_all_limits_is_refused),
        journal_test(a_directory_is_of_one_journal),
        journal_test(the_directory_is_made),
        journal_test(what_waits_is_written_and_synced_together),
        journal_test(entries_are_done_in_the_order_of_their_appends),
        journal_test(a_group_does_not_outgrow_its_segment),
        journal_test(closing_commits_what_waits),
        journal_test(appends_beyond_what_may_wait_are_refused),
        journal_test(each_commit_is_announced),
        journal_test(trimming_deletes_segments_that_end_before),
        journal_test(the_last_segment_stays_and_with_it_the_numbers),
        journal_test(the_log_is_limited_by_size),
        journal_test(the_log_is_limited_by_age),
        journal_test(ages_are_known_after_a_restart),
        journal_test(the_interval_syncs_without_delaying_anybody),
        journal_test(without_durability_nothing_is_synced),
        journal_test(the_log_goes_on_where_a_reader_has_been),
        journal_test(any_thread_appends_while_others_read),
        journal_test(what_is_trimmed_under_a_reader_is_missed_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
