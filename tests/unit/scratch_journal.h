#pragma once

/* Scratch journal: a journal in a directory of its own, for a test; and what tests do with it. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "collector/journal/journal.h"

struct scratch {
    char                    directory[64];
    struct journal_options  options;
    struct journal         *journal;
    struct journal_recovery recovery;
};

static inline void scratch_open(struct scratch *scratch)
{
    assert_int_equal(journal_open(&scratch->journal, &scratch->options, &scratch->recovery), 0);
}

static inline void scratch_close(struct scratch *scratch)
{
    journal_close(take(scratch->journal));
}

static inline void scratch_reopen(struct scratch *scratch)
{
    scratch_close(scratch);
    scratch_open(scratch);
}

static inline void remove_directory(const char *path)
{
    char           file[512];
    struct dirent *entry;

    DIR *stream = opendir(path);
    assert_non_null(stream);
    while ((entry = readdir(stream))) {
        (void)snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        (void)unlink(file);
    }
    closedir(stream);
    assert_int_equal(rmdir(path), 0);
}

static inline void remove_segments(const struct scratch *scratch)
{
    char           file[512];
    struct dirent *entry;

    DIR *stream = opendir(scratch->directory);
    assert_non_null(stream);
    while ((entry = readdir(stream))) {
        (void)snprintf(file, sizeof(file), "%s/%s", scratch->directory, entry->d_name);
        if (str_ends_with(str_from(entry->d_name), STR(".segment")))
            assert_int_equal(unlink(file), 0);
    }
    closedir(stream);
}

static inline int scratch_setup(void **state)
{
    struct scratch *scratch = calloc(1, sizeof(*scratch));
    if (!scratch)
        return -1;

    (void)snprintf(scratch->directory, sizeof(scratch->directory), "/tmp/journal-XXXXXX");
    scratch->options = (struct journal_options){
        .directory = mkdtemp(scratch->directory),
        .durability = JOURNAL_SYNC,
        .sync_interval_ns = 1000000,
        .max_bytes = 16 << 20, /* segments of 1 MiB */
        .max_waiting_bytes = 64 << 20,
    };
    *state = scratch;
    return scratch->options.directory ? 0 : -1;
}

static inline int scratch_setup_open(void **state)
{
    if (scratch_setup(state) < 0)
        return -1;

    scratch_open(*state);
    return 0;
}

static inline int scratch_teardown(void **state)
{
    struct scratch *scratch = *state;

    journal_close(scratch->journal);
    remove_directory(scratch->directory);
    free(scratch);
    return 0;
}

/* An entry that can be waited for. */
struct awaited {
    struct journal_entry entry;
    int                  result;
    sem_t                is_done;
};

static inline void awaited_done(struct journal_entry *entry, int result)
{
    struct awaited *awaited = container_of(entry, struct awaited, entry);

    awaited->result = result;
    sem_post(&awaited->is_done);
}

static inline int append_at(struct scratch *scratch, struct str payload, uint32_t n_spans,
                            int64_t time_ns)
{
    struct awaited awaited = {
        .entry = {.done = awaited_done, .payload = payload, .n_spans = n_spans, .time_ns = time_ns},
    };

    sem_init(&awaited.is_done, 0, 0);
    int r = journal_append(scratch->journal, &awaited.entry);
    if (r == 0) {
        sem_wait(&awaited.is_done);
        r = awaited.result;
    }
    sem_destroy(&awaited.is_done);
    return r;
}

/* Appends and waits: 0, or what append or `done` said. */
static inline int append(struct scratch *scratch, struct str payload, uint32_t n_spans)
{
    return append_at(scratch, payload, n_spans, 1);
}

/* A record of `n_bytes`, all of which are `fill`. */
static inline int append_filled(struct scratch *scratch, char fill, size_t n_bytes,
                                uint32_t n_spans)
{
    char *payload = malloc(n_bytes + 1);
    memset(payload, fill, n_bytes);
    int r = append(scratch, (struct str){.at = payload, .len = n_bytes}, n_spans);
    free(payload);
    return r;
}

/* All that can be read, and the spans that the reader missed on the way. */
struct all_read {
    size_t                  n_records;
    uint64_t                n_spans;
    uint64_t                n_lost_spans;
    struct journal_position end;
    char                    starts[1024]; /* the first byte of each payload, the first 1023 */
};

static inline void note_record(struct all_read *all, const struct journal_record *record)
{
    char first_byte = ' ';

    if (!str_is_empty(record->payload))
        first_byte = record->payload.at[0];
    if (all->n_records < sizeof(all->starts) - 1)
        all->starts[all->n_records] = first_byte;
    all->n_records++;
    all->n_spans += record->n_spans;
}

static inline struct all_read read_from(struct scratch *scratch, struct journal_position from,
                                        size_t size)
{
    struct all_read       all = {.end = from};
    struct journal_record records[64];
    struct journal_chunk  chunk;
    int                   r;

    char *buffer = malloc(size);
    assert_non_null(buffer);
    while ((r = journal_read(scratch->journal, all.end, buffer, size, records, 64, &chunk)) > 0) {
        assert_int_equal((size_t)r, chunk.n_records);
        for (size_t i = 0; i < chunk.n_records; i++)
            note_record(&all, &records[i]);
        all.n_lost_spans += chunk.start.span - all.end.span;
        all.end = chunk.end;
    }
    assert_int_equal(r, 0);
    all.n_lost_spans += chunk.end.span - all.end.span;
    all.end = chunk.end;
    free(buffer);
    return all;
}

static inline struct all_read read_all(struct scratch *scratch)
{
    return read_from(scratch, (struct journal_position){0}, 256 << 10);
}

/* The bytes of a file of the journal, on the heap. */
struct file_bytes {
    char   path[128];
    char  *at;
    size_t len;
};

/* In place of what was there. (Some file systems take their time over a truncated file.) */
static inline void write_file(const char *path, const void *bytes, size_t n_bytes)
{
    (void)unlink(path);
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_true(write(file, bytes, n_bytes) == (ssize_t)n_bytes);
    close(file);
}

static inline struct file_bytes read_file(const struct scratch *scratch, const char *name)
{
    struct file_bytes bytes = {0};
    struct stat       status;

    (void)snprintf(bytes.path, sizeof(bytes.path), "%s/%s", scratch->directory, name);
    int file = open(bytes.path, O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(fstat(file, &status), 0);
    bytes.len = (size_t)status.st_size;
    bytes.at = malloc(bytes.len + 1);
    assert_true(read(file, bytes.at, bytes.len) == status.st_size);
    close(file);
    return bytes;
}

/* Of the segment that begins at `base`. */
static inline struct file_bytes read_segment_file(const struct scratch *scratch, uint64_t base)
{
    char name[32];

    (void)snprintf(name, sizeof(name), "%016llx.segment", (unsigned long long)base);
    return read_file(scratch, name);
}

static inline bool has_file(const struct scratch *scratch, const char *name)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", scratch->directory, name);
    return access(path, F_OK) == 0;
}

static inline void add_file(const struct scratch *scratch, const char *name, struct str bytes)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", scratch->directory, name);
    write_file(path, bytes.at, bytes.len);
}
