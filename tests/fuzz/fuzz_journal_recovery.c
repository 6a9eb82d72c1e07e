/*
 * A journal whose last segment is the input (after its first byte). If that byte is odd, records
 * are given the checksums that they need: so the fields behind them are reached, too.
 */

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "collector/journal/journal.h"
#include "collector/journal/journal_record.h"
#include "collector/journal/little_endian.h"
#include "common/edge/checksum.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_SEGMENT_BYTES = 1 << 16, MAX_RECORDS = MAX_SEGMENT_BYTES / RECORD_HEADER_BYTES };

static char directory[] = "/dev/shm/fuzz-journal-XXXXXX";

static void clear_directory(void)
{
    char           path[512];
    struct dirent *entry;

    DIR *stream = opendir(directory);
    assert(stream);
    while ((entry = readdir(stream))) {
        (void)snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
        (void)unlink(path);
    }
    closedir(stream);
}

static void remove_directory(void)
{
    clear_directory();
    (void)rmdir(directory);
}

static void make_directory(void)
{
    static bool is_made = false;

    if (!is_made) {
        assert(mkdtemp(directory));
        atexit(remove_directory);
        is_made = true;
    }
}

static struct str payload_at(const uint8_t *segment, size_t size, size_t place)
{
    size_t     wanted = get_u32(segment + place + 8);
    size_t     left = size - place - RECORD_HEADER_BYTES;
    struct str payload = {
        .at = (const char *)segment + place + RECORD_HEADER_BYTES,
        .len = wanted < left ? wanted : left,
    };
    return payload;
}

/* From back to front: a record may be in the payload of another. */
static void give_checksums(uint8_t *segment, size_t size)
{
    for (size_t place = size / RECORD_ALIGNMENT * RECORD_ALIGNMENT; place > 0;) {
        place -= RECORD_ALIGNMENT;
        if (place + RECORD_HEADER_BYTES > size || get_u64(segment + place + 16) != place)
            continue;
        put_u32(segment + place + 4, checksum_crc32(0, payload_at(segment, size, place)));
        struct str rest = {.at = (const char *)segment + place + 4, .len = RECORD_HEADER_BYTES - 4};
        put_u32(segment + place, checksum_crc32(0, rest));
    }
}

static void write_segment(const uint8_t *bytes, size_t size)
{
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/0000000000000000.segment", directory);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert(file >= 0);
    assert(write(file, bytes, size) == (ssize_t)size);
    close(file);
}

static struct journal *open_journal(struct journal_recovery *ret_recovery)
{
    struct journal_options options = {
        .directory = directory,
        .durability = JOURNAL_SYNC,
        .max_waiting_bytes = 1 << 20,
    };
    struct journal *journal;

    int r = journal_open(&journal, &options, ret_recovery);
    assert(r == 0);
    return journal;
}

/* Reads everything, with a buffer that grows as told. Numbers never go back, and all are met. */
static size_t read_everything(struct journal *journal, const struct journal_recovery *recovery)
{
    static struct journal_record records[MAX_RECORDS + 1];
    static char                  buffer[MAX_SEGMENT_BYTES + RECORD_HEADER_BYTES];
    struct journal_position      at = {0};
    struct journal_chunk         chunk;
    size_t                       n_records = 0, size = JOURNAL_LEAST_READ_BYTES;
    int                          r;

    while ((r = journal_read(journal, at, buffer, size, records, 7, &chunk)) != 0) {
        assert(chunk.start.offset >= at.offset && chunk.start.span >= at.span);
        assert(chunk.end.offset >= chunk.start.offset && chunk.end.span >= chunk.start.span);
        if (r < 0) {
            assert(r == -ENOBUFS && chunk.wanted_bytes > size);
            assert(chunk.wanted_bytes <= sizeof(buffer));
            size = chunk.wanted_bytes;
        }
        n_records += chunk.n_records;
        at = chunk.end;
    }
    assert(at.offset <= chunk.end.offset && at.span <= chunk.end.span);
    assert(chunk.end.offset == journal_end(journal).offset);
    assert(chunk.end.span == journal_end(journal).span);
    assert(recovery->n_spans <= chunk.end.span);
    return n_records;
}

static void expect_records(struct journal *journal, const struct journal_recovery *recovery,
                           size_t expected)
{
    size_t                  saw = read_everything(journal, recovery);
    struct journal_position end = journal_end(journal);

    if (saw == expected)
        return;
    fprintf(stderr, "saw %zu records, expected %zu; the log ends at %ju, span %ju\n", saw, expected,
            (uintmax_t)end.offset, (uintmax_t)end.span);
    abort();
}

struct awaited {
    struct journal_entry entry;
    sem_t                is_done;
};

static void awaited_done(struct journal_entry *entry, int result)
{
    assert(result == 0);
    sem_post(&container_of(entry, struct awaited, entry)->is_done);
}

static void append(struct journal *journal)
{
    struct awaited awaited = {.entry = {.done = awaited_done, .payload = STR("new"), .n_spans = 1}};

    sem_init(&awaited.is_done, 0, 0);
    assert(journal_append(journal, &awaited.entry) == 0);
    while (sem_wait(&awaited.is_done) < 0 && errno == EINTR) /* by libFuzzer's watchdog */
        continue;
    sem_destroy(&awaited.is_done);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t          segment[MAX_SEGMENT_BYTES];
    struct journal_recovery recovery;

    if (size < 1 || size - 1 > sizeof(segment))
        return 0;
    make_directory();
    clear_directory();
    memcpy(segment, data + 1, size - 1);
    if (data[0] % 2 == 1)
        give_checksums(segment, size - 1);
    write_segment(segment, size - 1);

    struct journal *journal = open_journal(&recovery);
    size_t          n_records = read_everything(journal, &recovery);
    if (journal_end(journal).span >> 61 != 0) { /* no numbers are left: nobody gets there */
        journal_close(journal);
        return 0;
    }
    append(journal);
    expect_records(journal, &recovery, n_records + 1);
    journal_close(journal);

    /* What was found once is found again. */
    journal = open_journal(&recovery);
    expect_records(journal, &recovery, n_records + 1);
    assert(recovery.cut_bytes == 0 && recovery.skipped_bytes == 0);
    journal_close(journal);
    return 0;
}
