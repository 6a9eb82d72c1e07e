#include "collector/journal/journal_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/edge/checksum.h"

static const struct record sample = {
    .start = {.offset = 4096, .span = 77},
    .payload_bytes = 13,
    .payload_checksum = 0x89abcdef,
    .n_spans = 5,
    .time_ns = -1,
};

static const struct segment_header sample_header = {
    .base = {.offset = 1 << 20, .span = 12345},
    .time_ns = 1700000000000000000,
};

static void a_record_is_decoded_as_it_was_encoded(void **state)
{
    (void)state;
    uint8_t       bytes[RECORD_HEADER_BYTES];
    struct record record;

    record_encode(bytes, &sample);

    assert_true(record_decode(bytes, 4096, &record));
    assert_int_equal(record.start.offset, 4096);
    assert_int_equal(record.start.span, 77);
    assert_int_equal(record.payload_bytes, 13);
    assert_int_equal(record.payload_checksum, 0x89abcdef);
    assert_int_equal(record.n_spans, 5);
    assert_int_equal(record.time_ns, -1);
}

static void a_record_is_none_at_another_offset(void **state)
{
    (void)state;
    uint8_t       bytes[RECORD_HEADER_BYTES];
    struct record record;

    record_encode(bytes, &sample);

    assert_false(record_decode(bytes, 4096 + RECORD_ALIGNMENT, &record));
}

static void each_flipped_bit_of_a_record_is_seen(void **state)
{
    (void)state;
    struct record record;

    for (size_t bit = 0; bit / 8 < RECORD_HEADER_BYTES; bit++) {
        uint8_t bytes[RECORD_HEADER_BYTES];
        record_encode(bytes, &sample);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (record_decode(bytes, 4096, &record))
            fail_msg("bit %zu was flipped", bit);
    }
}

static void zeros_are_no_record(void **state)
{
    (void)state;
    uint8_t       bytes[RECORD_HEADER_BYTES] = {0};
    struct record record;

    assert_false(record_decode(bytes, 64, &record));
    assert_false(record_decode(bytes, 0, &record));
}

static void numbers_that_no_journal_reaches_are_no_record(void **state)
{
    (void)state;
    uint8_t       bytes[RECORD_HEADER_BYTES];
    struct record record = sample;

    record.start.span = UINT64_MAX - 1;
    record_encode(bytes, &record);

    assert_false(record_decode(bytes, 4096, &record));
}

static void a_record_ends_where_the_next_is_aligned(void **state)
{
    (void)state;
    static const struct {
        uint32_t payload_bytes;
        uint64_t n_bytes;
    } cases[] = {{0, 40}, {1, 48}, {7, 48}, {8, 48}, {9, 56}, {UINT32_MAX, 4294967336}};

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct record record = {.start = {.offset = 64, .span = 3},
                                .payload_bytes = cases[i].payload_bytes,
                                .n_spans = 4};
        if (record_end(&record).offset != 64 + cases[i].n_bytes || record_end(&record).span != 7)
            fail_msg("a record of %u bytes ends elsewhere", cases[i].payload_bytes);
    }
}

static void a_record_lies_between_two_positions(void **state)
{
    (void)state;
    static const struct {
        const char             *what;
        struct journal_position from, until;
        bool                    is_within;
    } cases[] = {
        {"exactly", {4096, 77}, {4096 + 56, 82}, true},
        {"amply", {64, 0}, {1 << 20, 1000}, true},
        {"begins before", {4104, 77}, {1 << 20, 1000}, false},
        {"has spans from before", {4096, 78}, {1 << 20, 1000}, false},
        {"goes beyond", {4096, 77}, {4096 + 48, 82}, false},
        {"has spans from beyond", {4096, 77}, {1 << 20, 81}, false},
        {"is behind", {64, 0}, {4088, 1000}, false},
        {"is of later spans", {64, 0}, {1 << 20, 76}, false},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        if (record_is_within(&sample, cases[i].from, cases[i].until) != cases[i].is_within)
            fail_msg("%s", cases[i].what);
}

static void a_payload_is_whole_when_length_and_checksum_fit(void **state)
{
    (void)state;
    struct record record = {.payload_bytes = 5,
                            .payload_checksum = checksum_crc32(0, STR("hello"))};

    assert_true(record_is_whole(&record, STR("hello")));
    assert_false(record_is_whole(&record, STR("hellO")));
    assert_false(record_is_whole(&record, STR("hell")));
}

static void a_segment_header_is_decoded_as_it_was_encoded(void **state)
{
    (void)state;
    uint8_t               bytes[SEGMENT_HEADER_BYTES];
    struct segment_header header;

    segment_header_encode(bytes, &sample_header);

    assert_true(segment_header_decode(bytes, 1 << 20, &header));
    assert_memory_equal(&header, &sample_header, sizeof(header));
}

static void a_segment_header_belongs_to_its_base(void **state)
{
    (void)state;
    uint8_t               bytes[SEGMENT_HEADER_BYTES];
    struct segment_header header;

    segment_header_encode(bytes, &sample_header);

    assert_false(segment_header_decode(bytes, 2 << 20, &header));
}

/* Behind the fields there is nothing that could be wrong. */
static void each_flipped_bit_of_a_segment_header_is_seen(void **state)
{
    (void)state;
    struct segment_header header;

    for (size_t bit = 0; bit / 8 < 36; bit++) {
        uint8_t bytes[SEGMENT_HEADER_BYTES];
        segment_header_encode(bytes, &sample_header);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (segment_header_decode(bytes, 1 << 20, &header))
            fail_msg("bit %zu was flipped", bit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_decoded_as_it_was_encoded),
        cmocka_unit_test(a_record_is_none_at_another_offset),
        cmocka_unit_test(each_flipped_bit_of_a_record_is_seen),
        cmocka_unit_test(zeros_are_no_record),
        cmocka_unit_test(numbers_that_no_journal_reaches_are_no_record),
        cmocka_unit_test(a_record_ends_where_the_next_is_aligned),
        cmocka_unit_test(a_record_lies_between_two_positions),
        cmocka_unit_test(a_payload_is_whole_when_length_and_checksum_fit),
        cmocka_unit_test(a_segment_header_is_decoded_as_it_was_encoded),
        cmocka_unit_test(a_segment_header_belongs_to_its_base),
        cmocka_unit_test(each_flipped_bit_of_a_segment_header_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
