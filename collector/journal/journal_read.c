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

/* A piece of the log, in the reading's buffer. */
struct piece {
    uint64_t                start;
    size_t                  n_bytes;
    bool                    is_last; /* of its file: no more will come */
    struct journal_position until;   /* no record goes beyond */
};

enum found { WHOLE_RECORD, CUT_RECORD, DAMAGED_RECORD, NO_RECORD, END_OF_PIECE };

/* What is in the piece where the reading is. The record is set for the first three. */
static enum found look(const struct reading *reading, const struct piece *piece,
                       struct record *ret_record, struct str *ret_payload)
{
    uint64_t    place = reading->from.offset - piece->start;
    const char *at = reading->buffer + place;

    if (place + RECORD_HEADER_BYTES > piece->n_bytes)
        return END_OF_PIECE;
    if (!record_decode((const uint8_t *)at, reading->from.offset, ret_record) ||
        !record_is_within(ret_record, reading->from, piece->until))
        return NO_RECORD;

    *ret_payload = (struct str){.at = at + RECORD_HEADER_BYTES, .len = ret_record->payload_bytes};
    if (ret_payload->len > piece->n_bytes - place - RECORD_HEADER_BYTES)
        return piece->is_last ? DAMAGED_RECORD : CUT_RECORD;
    return record_is_whole(ret_record, *ret_payload) ? WHOLE_RECORD : DAMAGED_RECORD;
}

/*
 * Takes the records out of the piece, up to a damaged stretch; one before the first record is
 * passed over. The payloads move down over the headers. Returns the bytes that the record at
 * which it stopped needs when the piece has only the beginning of it, else 0.
 */
static size_t take_records(struct reading *reading, const struct piece *piece)
{
    while (reading->chunk.n_records < reading->max_records) {
        struct record record;
        struct str    payload;
        enum found    found = look(reading, piece, &record, &payload);

        if (found == WHOLE_RECORD)
            keep(reading, &record, payload.at);
        else if (found == CUT_RECORD)
            return RECORD_HEADER_BYTES + payload.len;
        else if (found == END_OF_PIECE || reading->chunk.n_records > 0)
            return 0;
        else
            skip(reading, found == DAMAGED_RECORD ? record_bytes(payload.len) : RECORD_ALIGNMENT);
    }
    return 0;
}

/* The next piece of the segment, as large as the buffer takes. 0 or -errno. */
static int read_piece(struct reading *reading, int file, const struct segment_extent *extent,
                      struct piece *ret_piece)
{
    uint64_t left = extent->end.offset - reading->from.offset;
    size_t   wanted = left < reading->size ? (size_t)left : reading->size;
    int64_t  n_bytes =
        segment_read(file, reading->buffer, wanted, reading->from.offset - extent->start.offset);
    if (n_bytes < 0)
        return (int)n_bytes;

    *ret_piece = (struct piece){
        .start = reading->from.offset,
        .n_bytes = (size_t)n_bytes,
        .is_last = (size_t)n_bytes == left || (size_t)n_bytes < wanted,
        .until = extent->end,
    };
    return 0;
}

/* Goes on in the open segment until there are records, or to its end. 0 or -errno. */
static int read_segment(struct reading *reading, int file, const struct segment_extent *extent)
{
    while (reading->chunk.n_records == 0 && reading->from.offset < extent->end.offset) {
        struct piece piece = {0};
        int          r = read_piece(reading, file, extent, &piece);
        if (r < 0)
            return r;

        size_t wanted = take_records(reading, &piece);
        if (wanted > 0 && reading->from.offset == piece.start) {
            reading->chunk.wanted_bytes = wanted;
            return -ENOBUFS;
        }
        if (reading->chunk.n_records == 0 && piece.is_last)
            skip_to(reading, extent->end);
    }
    return 0;
}

static int read_extent(struct reading *reading, int directory, const struct segment_extent *extent)
{
    uint64_t first = extent->start.offset + SEGMENT_HEADER_BYTES;

    reading->from.offset = aligned(reading->from.offset);
    if (reading->from.offset < first)
        reading->from.offset = first;

    int file = segment_open(directory, extent->start.offset);
    if (file == -ENOENT) { /* trimmed meanwhile; or lost, and then its spans are missed */
        reading->from = extent->end;
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
