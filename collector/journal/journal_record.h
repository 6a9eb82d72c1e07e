#pragma once

/*
 * Journal record: the bytes of the log. A segment is a header and records one after the other,
 * each at a multiple of 8. Offsets count every byte, headers too, so that a place in a file is the
 * offset less the segment's base.
 *
 * A record's header says at which offset it stands. That is what it is recognised by: stale
 * or misplaced bytes are never taken for a record, and zeros are none.
 *
 * Pure.
 */

#include <stdbool.h>
#include <stdint.h>

#include "collector/journal/journal.h"
#include "common/base/str.h"

enum { SEGMENT_HEADER_BYTES = 64, RECORD_HEADER_BYTES = 40, RECORD_ALIGNMENT = 8 };

/* The next place where a record can begin. */
static inline uint64_t aligned(uint64_t offset)
{
    return (offset + RECORD_ALIGNMENT - 1) / RECORD_ALIGNMENT * RECORD_ALIGNMENT;
}

struct segment_header {
    struct journal_position base;    /* of the header; the spans before the first record */
    int64_t                 time_ns; /* real time when it was begun */
};

void segment_header_encode(uint8_t                      ret_bytes[SEGMENT_HEADER_BYTES],
                           const struct segment_header *header);

/* False when it is damaged, or not the header of the segment with this base. */
bool segment_header_decode(const uint8_t bytes[SEGMENT_HEADER_BYTES], uint64_t base,
                           struct segment_header *ret_header);

struct record {
    struct journal_position start; /* of its header; the spans before it */
    uint32_t                payload_bytes;
    uint32_t                payload_checksum;
    uint32_t                n_spans;
    int64_t                 time_ns;
};

/* Of a record in the log: header, payload and what aligns the next. */
uint64_t record_bytes(uint64_t payload_bytes);

struct journal_position record_end(const struct record *record);

void record_encode(uint8_t ret_bytes[RECORD_HEADER_BYTES], const struct record *record);

/* False when no undamaged header of a record that stands at `offset` is there. */
bool record_decode(const uint8_t bytes[RECORD_HEADER_BYTES], uint64_t offset,
                   struct record *ret_record);

/* It lies in the log between two positions: no span before the first, none after the second. */
bool record_is_within(const struct record *record, struct journal_position from,
                      struct journal_position until);

/* The payload is the one that was written. */
bool record_is_whole(const struct record *record, struct str payload);
