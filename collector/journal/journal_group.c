#include "collector/journal/journal_group.h"

#include <assert.h>
#include <errno.h>

void entry_queue_add(struct entry_queue *queue, struct journal_entry *entry)
{
    entry->next = NULL;
    *queue->last_next = entry;
    queue->last_next = &entry->next;
}

static void group_add(struct journal_group *group, const struct journal_entry *entry)
{
    group->n_records++;
    group->n_bytes += record_bytes(entry->payload.len);
    if (entry->time_ns > group->newest_ns)
        group->newest_ns = entry->time_ns;
}

struct journal_group group_take(struct entry_queue *queue, uint64_t max_bytes)
{
    struct journal_group   group = {.first = queue->first, .newest_ns = INT64_MIN};
    struct journal_entry **next = &group.first;

    assert(queue->first);
    if (max_bytes > GROUP_MAX_BYTES)
        max_bytes = GROUP_MAX_BYTES;
    do {
        group_add(&group, *next);
        next = &(*next)->next;
    } while (*next && group.n_records < GROUP_MAX_RECORDS &&
             group.n_bytes + record_bytes((*next)->payload.len) <= max_bytes);

    queue->first = *next;
    if (!queue->first)
        queue->last_next = &queue->first;
    *next = NULL;
    return group;
}

/* Puts the pieces of the group in order; returns where it ends. */
static struct journal_position lay_out(const struct journal_group *group,
                                       struct group_pieces *pieces, struct journal_position start)
{
    struct journal_position position = start;
    struct iovec           *piece = pieces->vector;
    size_t                  padding = 0; /* after the record before */
    size_t                  i = 0;

    for (struct journal_entry *entry = group->first; entry; entry = entry->next, i++) {
        struct record record = {
            .start = position,
            .payload_bytes = (uint32_t)entry->payload.len,
            .payload_checksum = entry->checksum,
            .n_spans = entry->n_spans,
            .time_ns = entry->time_ns,
        };
        uint8_t *header = pieces->headers[i] + RECORD_ALIGNMENT;

        record_encode(header, &record);
        *piece++ = (struct iovec){header - padding, padding + RECORD_HEADER_BYTES};
        *piece++ = (struct iovec){(void *)entry->payload.at, entry->payload.len};
        position = record_end(&record);
        padding = record_bytes(entry->payload.len) - RECORD_HEADER_BYTES - entry->payload.len;
    }
    return position;
}

/* Without what is written already. */
static void advance(struct iovec **piece, size_t *n_pieces, size_t n_bytes)
{
    while (*n_pieces > 0 && n_bytes >= (*piece)->iov_len) {
        n_bytes -= (*piece)->iov_len;
        (*piece)++;
        (*n_pieces)--;
    }
    if (n_bytes > 0) {
        (*piece)->iov_base = (char *)(*piece)->iov_base + n_bytes;
        (*piece)->iov_len -= n_bytes;
    }
}

static int write_all(int file, struct iovec *piece, size_t n_pieces, uint64_t place)
{
    while (n_pieces > 0) {
        ssize_t written = pwritev(file, piece, (int)n_pieces, (off_t)place);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? -errno : -EIO;
        place += (uint64_t)written;
        advance(&piece, &n_pieces, (size_t)written);
    }
    return 0;
}

int group_write(const struct journal_group *group, struct group_pieces *pieces, int file,
                uint64_t base, struct journal_position start, struct journal_position *ret_end)
{
    struct journal_position end = lay_out(group, pieces, start);

    int r = write_all(file, pieces->vector, group->n_records * 2, start.offset - base);
    if (r < 0)
        return r;

    *ret_end = end;
    return 0;
}

void group_done(const struct journal_group *group, int result)
{
    struct journal_entry *next;

    for (struct journal_entry *entry = group->first; entry; entry = next) {
        next = entry->next; /* done may free it */
        entry->done(entry, result);
    }
}
