/* What a journal makes of files that were cut, flipped, lost or never its own. */

#include <string.h>

#include "collector/journal/journal_record.h"
#include "tests/unit/scratch_journal.h"

/* Five records of 1 to 5 spans, each with a payload of its letter. */
static const struct {
    size_t   n_bytes;
    uint32_t n_spans;
    char     letter;
} samples[] = {{10, 1, 'a'}, {33, 2, 'b'}, {8, 3, 'c'}, {40, 4, 'd'}, {21, 5, 'e'}};

enum { N_SAMPLES = sizeof(samples) / sizeof(samples[0]), SAMPLE_SPANS = 1 + 2 + 3 + 4 + 5 };

static void append_samples(struct scratch *scratch)
{
    for (size_t i = 0; i < N_SAMPLES; i++)
        assert_int_equal(
            append_filled(scratch, samples[i].letter, samples[i].n_bytes, samples[i].n_spans), 0);
}

/* A closed journal with the samples in one segment. */
static int setup_samples(void **state)
{
    if (scratch_setup_open(state) < 0)
        return -1;

    append_samples(*state);
    scratch_close(*state);
    return 0;
}

/* Where the record of sample `index` begins in the file, and where its payload ends. */
static size_t sample_start(size_t index)
{
    size_t place = SEGMENT_HEADER_BYTES;

    for (size_t i = 0; i < index; i++)
        place += record_bytes(samples[i].n_bytes);
    return place;
}

static size_t sample_end(size_t index)
{
    return sample_start(index) + RECORD_HEADER_BYTES + samples[index].n_bytes;
}

static struct journal_position samples_end(void)
{
    return (struct journal_position){.offset = sample_start(N_SAMPLES), .span = SAMPLE_SPANS};
}

static void whatever_the_cut_each_whole_record_is_there(void **state)
{
    struct scratch   *scratch = *state;
    struct file_bytes segment = read_segment_file(scratch, 0);

    assert_int_equal(segment.len, sample_start(N_SAMPLES));
    for (size_t length = 0; length <= segment.len; length++) {
        char   expected[N_SAMPLES + 1] = "";
        size_t n_whole = 0;
        while (n_whole < N_SAMPLES && sample_end(n_whole) <= length) {
            expected[n_whole] = samples[n_whole].letter;
            n_whole++;
        }

        write_file(segment.path, segment.at, length);
        scratch_open(scratch);
        struct all_read all = read_all(scratch);
        if (strcmp(all.starts, expected) != 0)
            fail_msg("cut to %zu bytes: saw %s, expected %s", length, all.starts, expected);
        assert_int_equal(all.n_lost_spans, 0);
        assert_int_equal(scratch->recovery.n_spans, all.n_spans);
        assert_int_equal(scratch->recovery.skipped_bytes, 0);

        /* And it goes on from there. */
        assert_int_equal(append(scratch, STR("z"), 1), 0);
        scratch_reopen(scratch);
        all = read_all(scratch);
        assert_int_equal(all.n_records, n_whole + 1);
        assert_int_equal(all.starts[n_whole], 'z');
        assert_int_equal(all.n_lost_spans, 0);
        scratch_close(scratch);
        remove_segments(scratch);
    }
    free(segment.at);
}

/* The samples without the record in which `place` is, if any; how many spans that had. */
static uint64_t without_record_at(size_t place, char ret_letters[N_SAMPLES + 1])
{
    uint64_t n_lost_spans = 0;
    size_t   n = 0;

    for (size_t i = 0; i < N_SAMPLES; i++) {
        if (sample_start(i) <= place && place < sample_end(i))
            n_lost_spans = samples[i].n_spans;
        else
            ret_letters[n++] = samples[i].letter;
    }
    ret_letters[n] = '\0';
    return n_lost_spans;
}

static void flip_bit(struct file_bytes segment, size_t place)
{
    segment.at[place] = (char)(segment.at[place] ^ 1 << place % 8);
}

static void flip_each_byte(struct scratch *scratch, struct file_bytes segment, const char *after)
{
    for (size_t place = 0; place < segment.len; place++) {
        char     letters[N_SAMPLES + 1], expected[N_SAMPLES + 8];
        uint64_t n_lost_spans = without_record_at(place, letters);
        (void)snprintf(expected, sizeof(expected), "%s%s", letters, after);

        flip_bit(segment, place);
        write_file(segment.path, segment.at, segment.len);
        flip_bit(segment, place);

        scratch_open(scratch);
        journal_reach(scratch->journal, samples_end());
        assert_int_equal(journal_begin(scratch->journal).span, 0);
        struct all_read all = read_all(scratch);
        if (strcmp(all.starts, expected) != 0 || all.n_lost_spans != n_lost_spans)
            fail_msg("byte %zu: saw %s and lost %u spans, expected %s and %u", place, all.starts,
                     (unsigned)all.n_lost_spans, expected, (unsigned)n_lost_spans);
        scratch_close(scratch);
    }
}

static void a_flipped_bit_in_the_last_segment_costs_one_record_at_most(void **state)
{
    struct scratch   *scratch = *state;
    struct file_bytes segment = read_segment_file(scratch, 0);

    flip_each_byte(scratch, segment, "");
    free(segment.at);
}

static void a_flipped_bit_in_a_sealed_segment_costs_one_record_at_most(void **state)
{
    struct scratch   *scratch = *state;
    struct file_bytes segment = read_segment_file(scratch, 0);

    scratch_open(scratch);
    assert_int_equal(append(scratch, STR("z"), 1), 0);
    scratch_close(scratch);

    flip_each_byte(scratch, segment, "z");
    free(segment.at);
}

static void damage_is_counted(void **state)
{
    struct scratch   *scratch = *state;
    struct file_bytes segment = read_segment_file(scratch, 0);
    size_t            n_bytes = record_bytes(samples[1].n_bytes);

    memset(segment.at + sample_start(1), 'x', n_bytes);
    write_file(segment.path, segment.at, segment.len);
    scratch_open(scratch);
    assert_int_equal(scratch->recovery.skipped_bytes, n_bytes);
    assert_int_equal(scratch->recovery.cut_bytes, 0);
    (void)read_all(scratch);
    assert_int_equal(journal_figures(scratch->journal).skipped_bytes, n_bytes);
    scratch_close(scratch);

    write_file(segment.path, segment.at, sample_end(N_SAMPLES - 1) - 1);
    scratch_open(scratch);
    assert_int_equal(scratch->recovery.cut_bytes,
                     sample_end(N_SAMPLES - 1) - 1 - sample_start(N_SAMPLES - 1));
    free(segment.at);
}

static void a_torn_tail_is_cut_off_the_file(void **state)
{
    struct scratch   *scratch = *state;
    struct file_bytes segment = read_segment_file(scratch, 0);

    write_file(segment.path, segment.at, sample_end(N_SAMPLES - 1) - 1);
    scratch_open(scratch);
    scratch_close(scratch);

    struct file_bytes cut = read_segment_file(scratch, 0);
    assert_int_equal(cut.len, sample_start(N_SAMPLES - 1));
    free(cut.at);
    free(segment.at);
}

/* The disk forgot what a destination had already got. */
static void numbers_that_readers_know_are_not_given_again(void **state)
{
    struct scratch         *scratch = *state;
    struct file_bytes       segment = read_segment_file(scratch, 0);
    struct journal_position reader = samples_end();

    write_file(segment.path, segment.at, sample_end(1));
    scratch_open(scratch);
    journal_reach(scratch->journal, reader);
    assert_int_equal(append(scratch, STR("z"), 1), 0);

    struct all_read all = read_from(scratch, reader, JOURNAL_LEAST_READ_BYTES);
    assert_string_equal(all.starts, "z");
    assert_int_equal(all.n_lost_spans, 0);

    all = read_all(scratch);
    assert_string_equal(all.starts, "abz");
    assert_int_equal(all.n_lost_spans, 3 + 4 + 5);
    free(segment.at);
}

static void a_journal_that_is_gone_goes_on_where_readers_were(void **state)
{
    struct scratch *scratch = *state;

    remove_segments(scratch);
    scratch_open(scratch);
    journal_reach(scratch->journal, samples_end());
    struct all_read all = read_all(scratch);
    assert_int_equal(all.end.offset, samples_end().offset);
    assert_int_equal(all.n_lost_spans, SAMPLE_SPANS);
    assert_int_equal(append(scratch, STR("z"), 1), 0);
    scratch_reopen(scratch);

    all = read_from(scratch, samples_end(), JOURNAL_LEAST_READ_BYTES);
    assert_string_equal(all.starts, "z");
    assert_int_equal(all.n_lost_spans, 0);
    assert_int_equal(all.end.span, SAMPLE_SPANS + 1);
}

/* Three segments: a to e, f, g. */
static void make_three_segments(struct scratch *scratch, uint64_t ret_bases[3])
{
    ret_bases[0] = 0;
    for (size_t i = 1; i < 3; i++) {
        scratch_open(scratch);
        ret_bases[i] = journal_end(scratch->journal).offset;
        assert_int_equal(append(scratch, i == 1 ? STR("f") : STR("g"), (uint32_t)(5 + i)), 0);
        scratch_close(scratch);
    }
}

static void spoil_header(struct scratch *scratch, uint64_t base)
{
    struct file_bytes segment = read_segment_file(scratch, base);

    memset(segment.at, 'x', SEGMENT_HEADER_BYTES);
    write_file(segment.path, segment.at, segment.len);
    free(segment.at);
}

static void a_segment_without_a_header_is_read(void **state)
{
    struct scratch *scratch = *state;
    uint64_t        bases[3];

    make_three_segments(scratch, bases);
    for (size_t i = 0; i < 3; i++) {
        spoil_header(scratch, bases[i]);
        scratch_open(scratch);
        struct all_read all = read_all(scratch);
        assert_string_equal(all.starts, "abcdefg");
        assert_int_equal(all.n_lost_spans, 0);
        assert_int_equal(scratch->recovery.n_spans, SAMPLE_SPANS + 6 + 7);
        scratch_close(scratch);
    }
}

static void the_spans_of_a_missing_segment_are_known(void **state)
{
    struct scratch *scratch = *state;
    uint64_t        bases[3];

    make_three_segments(scratch, bases);
    struct file_bytes middle = read_segment_file(scratch, bases[1]);
    assert_int_equal(unlink(middle.path), 0);
    free(middle.at);
    scratch_open(scratch);

    struct all_read all = read_all(scratch);
    assert_string_equal(all.starts, "abcdeg");
    assert_int_equal(all.n_lost_spans, 6);
}

static void a_segment_that_vanishes_is_passed_over(void **state)
{
    struct scratch *scratch = *state;
    uint64_t        bases[3];

    make_three_segments(scratch, bases);
    scratch_open(scratch);
    struct file_bytes middle = read_segment_file(scratch, bases[1]);
    assert_int_equal(unlink(middle.path), 0);
    free(middle.at);

    struct all_read all = read_all(scratch);
    assert_string_equal(all.starts, "abcdeg");
    assert_int_equal(all.n_lost_spans, 6);
}

static void a_sealed_segment_that_was_cut_loses_its_end_only(void **state)
{
    struct scratch *scratch = *state;
    uint64_t        bases[3];

    make_three_segments(scratch, bases);
    struct file_bytes first = read_segment_file(scratch, 0);
    for (size_t length = 0; length <= first.len; length++) {
        write_file(first.path, first.at, length);
        scratch_open(scratch);
        struct all_read all = read_all(scratch);
        assert_int_equal(all.n_spans + all.n_lost_spans, SAMPLE_SPANS + 6 + 7);
        for (size_t i = 0; i < N_SAMPLES; i++)
            if (!!strchr(all.starts, samples[i].letter) != (sample_end(i) <= length))
                fail_msg("cut to %zu bytes: saw %s", length, all.starts);
        assert_non_null(strstr(all.starts, "fg"));
        scratch_close(scratch);
    }
    free(first.at);
}

static void what_is_left_of_beginning_a_segment_is_no_obstacle(void **state)
{
    struct scratch         *scratch = *state;
    static const struct str leftovers[] = {
        STR_INIT(""),
        STR_INIT("\0\0\0\0\0\0\0\0"),
        STR_INIT(
            "what may this be, and what may it mean, and why is it so long and so full of words"),
    };

    for (size_t i = 0; i < ARRAY_LENGTH(leftovers); i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "%016zx.segment", sample_start(N_SAMPLES));
        add_file(scratch, name, leftovers[i]);
        add_file(scratch, "new.segment", leftovers[i]);
        scratch_open(scratch);
        assert_false(has_file(scratch, "new.segment"));
        assert_string_equal(read_all(scratch).starts, "abcde");
        scratch_close(scratch);
    }
    scratch_open(scratch);
    assert_int_equal(append(scratch, STR("f"), 1), 0);
    scratch_reopen(scratch);
    struct all_read all = read_all(scratch);
    assert_string_equal(all.starts, "abcdef");
    assert_int_equal(all.n_lost_spans, 0);
}

static void a_segment_without_records_keeps_the_numbers(void **state)
{
    struct scratch       *scratch = *state;
    uint8_t               bytes[SEGMENT_HEADER_BYTES];
    struct segment_header header = {.base = {.offset = 4096, .span = 99}};

    remove_segments(scratch);
    segment_header_encode(bytes, &header);
    add_file(scratch, "0000000000001000.segment",
             (struct str){.at = (const char *)bytes, .len = sizeof(bytes)});

    for (int i = 0; i < 2; i++) {
        scratch_open(scratch);
        assert_int_equal(journal_end(scratch->journal).offset, 4096);
        assert_int_equal(journal_end(scratch->journal).span, 99);
        scratch_close(scratch);
    }
    scratch_open(scratch);
    assert_int_equal(append(scratch, STR("z"), 1), 0);
    struct all_read all = read_from(scratch, header.base, JOURNAL_LEAST_READ_BYTES);
    assert_string_equal(all.starts, "z");
    assert_int_equal(all.end.span, 100);
}

static void other_files_are_left_alone(void **state)
{
    struct scratch    *scratch = *state;
    static const char *names[] = {
        "00000000000000zz.segment",
        "0000000000000001.segment",
        "ffffffffffffffff.segment",
        "00000000000000A0.segment",
        "0.segment",
        "0000000000000000.segment.old",
        "README",
        "0000000000000000.cursor",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        add_file(scratch, names[i], STR("mine"));
    scratch_open(scratch);
    assert_string_equal(read_all(scratch).starts, "abcde");
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        assert_true(has_file(scratch, names[i]));
}

/* A position may be anything that a reader kept, even one that is wrong. */
static void reading_finds_the_next_record_from_any_offset(void **state)
{
    struct scratch *scratch = *state;

    scratch_open(scratch);
    for (uint64_t offset = 0; offset <= sample_start(N_SAMPLES) + 100; offset++) {
        struct all_read all = read_from(scratch, (struct journal_position){.offset = offset}, 4096);
        size_t          n_after = 0;
        for (size_t i = 0; i < N_SAMPLES; i++)
            n_after += offset <= sample_start(i);
        assert_int_equal(all.n_records, n_after);
    }
}

#define samples_test(test) cmocka_unit_test_setup_teardown(test, setup_samples, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        samples_test(whatever_the_cut_each_whole_record_is_there),
        samples_test(a_flipped_bit_in_the_last_segment_costs_one_record_at_most),
        samples_test(a_flipped_bit_in_a_sealed_segment_costs_one_record_at_most),
        samples_test(damage_is_counted),
        samples_test(a_torn_tail_is_cut_off_the_file),
        samples_test(numbers_that_readers_know_are_not_given_again),
        samples_test(a_journal_that_is_gone_goes_on_where_readers_were),
        samples_test(a_segment_without_a_header_is_read),
        samples_test(the_spans_of_a_missing_segment_are_known),
        samples_test(a_segment_that_vanishes_is_passed_over),
        samples_test(a_sealed_segment_that_was_cut_loses_its_end_only),
        samples_test(what_is_left_of_beginning_a_segment_is_no_obstacle),
        samples_test(a_segment_without_records_keeps_the_numbers),
        samples_test(other_files_are_left_alone),
        samples_test(reading_finds_the_next_record_from_any_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
