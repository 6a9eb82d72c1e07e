#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "collector/journal/journal_private.h"
#include "collector/journal/segment_file.h"

/* One call of journal_read. */
struct reading {
    struct journal_position from; /* where it goes on */
    uint64_t                skipped_bytes;

    char                  *buffer;
    size_t                 size;
    struct journal_record *records;
    size_t                 max_records;
    struct journal_chunk   chunk;
};

static void skip(struct reading *reading, uint64_t n_bytes)
{
    reading->skipped_bytes += n_bytes;
    reading->from.offset += n_bytes;
}

/* Nothing more can be read before `end`. */
static void skip_to(struct reading *reading, struct journal_position end)
{
    reading->skipped_bytes += end.offset - reading->from.offset;
    reading->from = end;
}

static void keep(struct reading *reading, const struct record *record, const char *payload)
{
    struct journal_chunk *chunk = &reading->chunk;
    char                 *to = reading->buffer + chunk->n_bytes;

    memmove(to, payload, record->payload_bytes);
    if (chunk->n_records == 0)
        chunk->start = record->start;
    chunk->end = record_end(record);
    chunk->n_bytes += record->payload_bytes;
    reading->records[chunk->n_records++] = (struct journal_record){
        .end = chunk->end,
        .payload = {.at = to, .len = record->payload_bytes},
        .n_spans = record->n_spans,
        .time_ns = record->time_ns,
    };
    reading->from = chunk->end;
}

/*
 * Takes the records out of the `n_bytes` of the log that begin at reading->from and stand in the
 * buffer, up to a damaged stretch; one before the first record is passed over. The payloads move
 * down over the headers as they are read. Returns the bytes that the first record would need
 * when it is not in the buffer as a whole, else 0.
 */
static size_t take_records(struct reading *reading, size_t n_bytes, struct journal_position until)
{
    uint64_t start = reading->from.offset;

    while (reading->chunk.n_records < reading->max_records) {
        size_t        at = (size_t)(reading->from.offset - start);
        const char   *header = reading->buffer + at;
        struct record record;

        if (at + RECORD_HEADER_BYTES > n_bytes)
            return 0;
        if (!record_decode((const uint8_t *)header, reading->from.offset, &record) ||
            !record_is_within(&record, reading->from, until)) {
            if (reading->chunk.n_records > 0)
                return 0;
            skip(reading, RECORD_ALIGNMENT);
            continue;
        }

        struct str payload = {.at = header + RECORD_HEADER_BYTES, .len = record.payload_bytes};
        if (payload.len > n_bytes - at - RECORD_HEADER_BYTES)
            return RECORD_HEADER_BYTES + payload.len;
        if (record_is_whole(&record, payload)) {
            keep(reading, &record, payload.at);
        } else if (reading->chunk.n_records == 0) {
            skip(reading, record_bytes(payload.len));
        } else {
            return 0;
        }
    }
    return 0;
}

static size_t bytes_left(const struct reading *reading, const struct segment_extent *extent)
{
    uint64_t left = extent->end.offset - reading->from.offset;
    return left < reading->size ? (size_t)left : reading->size;
}

/* Goes on in the open segment until there are records, or to its end. 0 or -errno. */
static int read_segment(struct reading *reading, int file, const struct segment_extent *extent)
{
    while (reading->chunk.n_records == 0 && reading->from.offset < extent->end.offset) {
        struct journal_position until = extent->end;
        size_t                  wanted = bytes_left(reading, extent);
        uint64_t                begun = reading->from.offset;

        int64_t n_bytes = segment_read(file, reading->buffer, wanted, begun - extent->start.offset);
        if (n_bytes < 0)
            return (int)n_bytes;
        if (n_bytes < RECORD_HEADER_BYTES) {
            skip_to(reading, extent->end);
            break;
        }
        if ((size_t)n_bytes < wanted) /* the file is too short: no record goes beyond it */
            until.offset = begun + record_bytes((uint64_t)n_bytes) - RECORD_HEADER_BYTES;

        size_t missing = take_records(reading, (size_t)n_bytes, until);
        if (missing > 0 && reading->chunk.n_records == 0 && reading->from.offset == begun) {
            reading->chunk.wanted_bytes = missing;
            return -ENOBUFS;
        }
    }
    return 0;
}

static int read_extent(struct reading *reading, int directory, const struct segment_extent *extent)
{
    uint64_t first = extent->start.offset + SEGMENT_HEADER_BYTES;

    if (reading->from.offset < extent->start.offset)
        reading->from = extent->start;
    if (reading->from.offset < first)
        reading->from.offset = first;

    int file = segment_open(directory, extent->start.offset);
    if (file == -ENOENT) { /* trimmed meanwhile, or lost */
        skip_to(reading, extent->end);
        return 0;
    }
    if (file < 0)
        return file;

    int r = read_segment(reading, file, extent);
    close(file);
    return r;
}

/* The segment to go on in; false at the end of the log, which `from` then is. */
static bool find_extent(struct journal *journal, struct reading *reading,
                        struct segment_extent *ret_extent)
{
    pthread_mutex_lock(&journal->lock);
    const struct segment_list *log = &journal->locked.log;
    bool                       is_found = segment_list_find(log, reading->from.offset, ret_extent);
    if (!is_found && reading->from.offset <= log->end.offset)
        reading->from = log->end;
    pthread_mutex_unlock(&journal->lock);
    return is_found;
}

static int read_log(struct journal *journal, struct reading *reading)
{
    struct segment_extent extent;

    while (reading->chunk.n_records == 0 && find_extent(journal, reading, &extent)) {
        int r = read_extent(reading, journal->directory, &extent);
        if (r < 0)
            return r;
    }
    return (int)reading->chunk.n_records;
}

static void count_skipped(struct journal *journal, uint64_t n_bytes)
{
    if (n_bytes == 0)
        return;

    pthread_mutex_lock(&journal->lock);
    journal->locked.figures.skipped_bytes += n_bytes;
    pthread_mutex_unlock(&journal->lock);
}

int journal_read(struct journal *journal, struct journal_position from, void *buffer, size_t size,
                 struct journal_record records[], size_t max_records,
                 struct journal_chunk *ret_chunk)
{
    assert(size >= JOURNAL_LEAST_READ_BYTES && max_records > 0);

    struct reading reading = {
        .from = from,
        .buffer = buffer,
        .size = size,
        .records = records,
        .max_records = max_records,
    };
    int r = read_log(journal, &reading);
    count_skipped(journal, reading.skipped_bytes);

    *ret_chunk = reading.chunk;
    if (reading.chunk.n_records == 0)
        ret_chunk->start = ret_chunk->end = reading.from;
    return r;
}
