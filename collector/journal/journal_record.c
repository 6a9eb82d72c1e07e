#include "collector/journal/journal_record.h"

#include "collector/journal/little_endian.h"
#include "common/edge/checksum.h"

/* The last byte is the format's version. */
static const char segment_magic[8] = {'h', 'o', 'p', 'l', 'o', 'g', '\n', 1};

/* Where the fields of a segment's header are; zeros fill it up. */
enum {
    SEGMENT_MAGIC = 0,
    SEGMENT_OFFSET = 8,
    SEGMENT_SPAN = 16,
    SEGMENT_TIME = 24,
    SEGMENT_CHECKSUM = 32 /* of what is before */
};

/* And of a record's. */
enum {
    RECORD_CHECKSUM = 0, /* of the rest of the header */
    RECORD_PAYLOAD_CHECKSUM = 4,
    RECORD_PAYLOAD_BYTES = 8,
    RECORD_SPANS = 12,
    RECORD_OFFSET = 16,
    RECORD_SPAN = 24,
    RECORD_TIME = 32
};

/* So that sums do not overflow; and no journal comes near. */
static bool is_plausible(struct journal_position position)
{
    return position.offset >> 62 == 0 && position.span >> 62 == 0;
}

static uint32_t checksum_of(const uint8_t *bytes, size_t n_bytes)
{
    return checksum_crc32(0, (struct str){.at = (const char *)bytes, .len = n_bytes});
}

static uint32_t record_header_checksum(const uint8_t *bytes)
{
    return checksum_of(bytes + RECORD_PAYLOAD_CHECKSUM,
                       RECORD_HEADER_BYTES - RECORD_PAYLOAD_CHECKSUM);
}

void segment_header_encode(uint8_t                      ret_bytes[SEGMENT_HEADER_BYTES],
                           const struct segment_header *header)
{
    memset(ret_bytes, 0, SEGMENT_HEADER_BYTES);
    memcpy(ret_bytes + SEGMENT_MAGIC, segment_magic, sizeof(segment_magic));
    put_u64(ret_bytes + SEGMENT_OFFSET, header->base.offset);
    put_u64(ret_bytes + SEGMENT_SPAN, header->base.span);
    put_u64(ret_bytes + SEGMENT_TIME, (uint64_t)header->time_ns);
    put_u32(ret_bytes + SEGMENT_CHECKSUM, checksum_of(ret_bytes, SEGMENT_CHECKSUM));
}

bool segment_header_decode(const uint8_t bytes[SEGMENT_HEADER_BYTES], uint64_t base,
                           struct segment_header *ret_header)
{
    if (memcmp(bytes + SEGMENT_MAGIC, segment_magic, sizeof(segment_magic)) != 0 ||
        get_u64(bytes + SEGMENT_OFFSET) != base ||
        get_u32(bytes + SEGMENT_CHECKSUM) != checksum_of(bytes, SEGMENT_CHECKSUM))
        return false;

    *ret_header = (struct segment_header){
        .base = {.offset = base, .span = get_u64(bytes + SEGMENT_SPAN)},
        .time_ns = (int64_t)get_u64(bytes + SEGMENT_TIME),
    };
    return is_plausible(ret_header->base);
}

uint64_t record_bytes(uint64_t payload_bytes)
{
    return aligned(RECORD_HEADER_BYTES + payload_bytes);
}

struct journal_position record_end(const struct record *record)
{
    return (struct journal_position){
        .offset = record->start.offset + record_bytes(record->payload_bytes),
        .span = record->start.span + record->n_spans,
    };
}

void record_encode(uint8_t ret_bytes[RECORD_HEADER_BYTES], const struct record *record)
{
    put_u32(ret_bytes + RECORD_PAYLOAD_CHECKSUM, record->payload_checksum);
    put_u32(ret_bytes + RECORD_PAYLOAD_BYTES, record->payload_bytes);
    put_u32(ret_bytes + RECORD_SPANS, record->n_spans);
    put_u64(ret_bytes + RECORD_OFFSET, record->start.offset);
    put_u64(ret_bytes + RECORD_SPAN, record->start.span);
    put_u64(ret_bytes + RECORD_TIME, (uint64_t)record->time_ns);
    put_u32(ret_bytes + RECORD_CHECKSUM, record_header_checksum(ret_bytes));
}

bool record_decode(const uint8_t bytes[RECORD_HEADER_BYTES], uint64_t offset,
                   struct record *ret_record)
{
    if (get_u64(bytes + RECORD_OFFSET) != offset ||
        get_u32(bytes + RECORD_CHECKSUM) != record_header_checksum(bytes))
        return false;

    *ret_record = (struct record){
        .start = {.offset = offset, .span = get_u64(bytes + RECORD_SPAN)},
        .payload_bytes = get_u32(bytes + RECORD_PAYLOAD_BYTES),
        .payload_checksum = get_u32(bytes + RECORD_PAYLOAD_CHECKSUM),
        .n_spans = get_u32(bytes + RECORD_SPANS),
        .time_ns = (int64_t)get_u64(bytes + RECORD_TIME),
    };
    return is_plausible(ret_record->start);
}

bool record_is_within(const struct record *record, struct journal_position from,
                      struct journal_position until)
{
    return record->start.offset >= from.offset && record->start.span >= from.span &&
           record->start.offset <= until.offset && record->start.span <= until.span &&
           record_bytes(record->payload_bytes) <= until.offset - record->start.offset &&
           record->n_spans <= until.span - record->start.span;
}

bool record_is_whole(const struct record *record, struct str payload)
{
    return payload.len == record->payload_bytes &&
           checksum_crc32(0, payload) == record->payload_checksum;
}
