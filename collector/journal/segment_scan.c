#include "collector/journal/segment_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/journal/journal_record.h"
#include "collector/journal/segment_file.h"
#include "common/edge/checksum.h"

enum { WINDOW_BYTES = 256 * 1024 };

/* A piece of the file. */
struct window {
    int      file;
    uint64_t place; /* in the file, of the first byte */
    size_t   n_bytes;
    uint8_t *bytes;
    int      error; /* of a read that failed */
};

static void free_bytes(uint8_t *bytes)
{
    free(bytes);
}
DEFINE_CLEANUP(uint8_t *, free_bytes)

/* What the file has at `place`, at most `max_bytes`; nothing at its end, or after an error. */
static struct str window_at(struct window *window, uint64_t place, size_t max_bytes)
{
    uint64_t end = window->place + window->n_bytes;

    if (place < window->place || place > end || end - place < max_bytes) {
        int64_t r = segment_read(window->file, window->bytes, WINDOW_BYTES, place);
        window->place = place;
        window->n_bytes = r > 0 ? (size_t)r : 0;
        if (r < 0)
            window->error = (int)r;
        end = place + window->n_bytes;
    }
    return (struct str){
        .at = (const char *)window->bytes + (place - window->place),
        .len = end - place < max_bytes ? end - place : max_bytes,
    };
}

static bool is_payload_whole(struct window *window, uint64_t place, const struct record *record)
{
    uint32_t checksum = 0;
    uint64_t left = record->payload_bytes;

    while (left > 0) {
        size_t     wanted = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
        struct str piece = window_at(window, place, wanted);
        if (piece.len == 0)
            return false;
        checksum = checksum_crc32(checksum, piece);
        place += piece.len;
        left -= piece.len;
    }
    return checksum == record->payload_checksum;
}

static void keep(struct segment_scan *scan, const struct record *record)
{
    if (scan->n_records++ == 0)
        scan->first = record->start;
    scan->skipped_bytes += record->start.offset - scan->end.offset;
    scan->end = record_end(record);
    if (record->time_ns > scan->newest_ns)
        scan->newest_ns = record->time_ns;
}

/* How many zeros there are from `place` on in the window. */
static size_t count_zeros(const struct window *window, uint64_t place)
{
    const uint8_t *at = window->bytes + (place - window->place);
    size_t         left = window->n_bytes - (size_t)(place - window->place);
    size_t         n = 0;
    uint64_t       word = 0;

    while (left - n >= sizeof(word)) {
        memcpy(&word, at + n, sizeof(word));
        if (word != 0)
            break;
        n += sizeof(word);
    }
    while (n < left && at[n] == 0)
        n++;
    return n;
}

/*
 * How far to go on when no record is here: the header of the next may be at any aligned place. One
 * that begins with zeros does not have as many of them as a header is long.
 */
static uint64_t pass_over(struct segment_scan *scan, const struct window *window, uint64_t offset,
                          uint64_t place)
{
    size_t n_zeros = count_zeros(window, place);

    if (n_zeros >= RECORD_HEADER_BYTES + RECORD_ALIGNMENT)
        return (n_zeros - RECORD_HEADER_BYTES) / RECORD_ALIGNMENT * RECORD_ALIGNMENT;
    if (n_zeros < RECORD_ALIGNMENT && place + n_zeros < window->place + window->n_bytes)
        scan->torn_bytes = offset + RECORD_ALIGNMENT - scan->end.offset;
    return RECORD_ALIGNMENT;
}

static bool find_record(struct str bytes, uint64_t offset, uint64_t first_span,
                        struct record *ret_record)
{
    struct journal_position from = {.offset = offset, .span = first_span};
    struct journal_position until = {.offset = UINT64_MAX, .span = UINT64_MAX};

    return bytes.len >= RECORD_HEADER_BYTES &&
           record_decode((const uint8_t *)bytes.at, offset, ret_record) &&
           record_is_within(ret_record, from, until);
}

static void scan_records(struct window *window, uint64_t base, struct segment_scan *scan)
{
    uint64_t      offset = scan->end.offset;
    struct record record;
    struct str    bytes;

    while ((bytes = window_at(window, offset - base, RECORD_HEADER_BYTES)).len > 0) {
        if (!find_record(bytes, offset, scan->end.span, &record)) {
            offset += pass_over(scan, window, offset, offset - base);
        } else if (is_payload_whole(window, offset - base + RECORD_HEADER_BYTES, &record)) {
            keep(scan, &record);
            scan->torn_bytes = 0;
            offset = scan->end.offset;
        } else {
            offset = record_end(&record).offset;
            scan->torn_bytes = offset - scan->end.offset;
        }
    }
}

int segment_scan(int file, struct journal_position base, struct segment_scan *ret_scan)
{
    cleanup_with(free_bytes_at) uint8_t *bytes = malloc(WINDOW_BYTES);
    if (!bytes)
        return -ENOMEM;

    struct window       window = {.file = file, .bytes = bytes};
    struct segment_scan scan = {
        .end = {.offset = base.offset + SEGMENT_HEADER_BYTES, .span = base.span},
        .newest_ns = INT64_MIN,
    };
    scan_records(&window, base.offset, &scan);
    if (window.error < 0)
        return window.error;

    *ret_scan = scan;
    return 0;
}
