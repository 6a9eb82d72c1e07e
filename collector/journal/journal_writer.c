#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collector/journal/journal_private.h"
#include "collector/journal/segment_file.h"
#include "common/base/clock.h"

/*
 * One group after the other: what waits is taken, written at once, synced once, published
 * to readers, and only then acknowledged. Meanwhile the next group gathers.
 *
 * What could not be written or synced was never there: the segment ends before it, and the log
 * goes on in a new one. (A sync that failed says nothing about what a second would mean.)
 * Until a new segment can be begun, which is tried now and then, appends are refused.
 */

static const int64_t probe_interval_ns = 200 * (int64_t)NS_PER_MS;

/* On a disk that is almost full, segments are no smaller than this. */
static const uint64_t least_segment_bytes = 64 << 10;

struct group {
    struct journal_entry *first;
    size_t                n_records;
    uint64_t              n_bytes; /* in the log */
    int64_t               newest_ns;
};

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static bool is_synced(const struct journal *journal)
{
    return journal->options.durability != JOURNAL_NONE;
}

/* Of the segment being written, header included. */
static uint64_t used_bytes(const struct journal_writer *writer)
{
    return writer->end.offset - writer->base;
}

static uint64_t free_bytes(const struct journal_writer *writer)
{
    return writer->file < 0 ? 0 : writer->room_bytes - used_bytes(writer);
}

static int sync_segment(struct journal *journal)
{
    struct journal_writer *writer = &journal->writer;

    if (!writer->has_unsynced)
        return 0;
    writer->has_unsynced = false;
    int r = fdatasync(writer->file) < 0 ? -errno : 0;

    pthread_mutex_lock(&journal->lock);
    journal->locked.figures.syncs++;
    pthread_mutex_unlock(&journal->lock);
    return r;
}

/* The segment keeps what is committed. Readers look no further, also where the cut fails. */
static void end_segment(struct journal *journal)
{
    struct journal_writer *writer = &journal->writer;
    bool                   is_cut = ftruncate(writer->file, (off_t)used_bytes(writer)) == 0;

    close(writer->file);
    writer->file = -1;
    writer->has_unsynced = false;
    if (!is_cut)
        return;

    pthread_mutex_lock(&journal->lock);
    segment_list_last(&journal->locked.log)->disk_bytes = used_bytes(writer);
    pthread_mutex_unlock(&journal->lock);
}

/* Where the next segment begins; there is room in the list for it. 0 or -ENOMEM. */
static int next_base(struct journal *journal, struct journal_position *ret_base)
{
    pthread_mutex_lock(&journal->lock);
    int r = segment_list_reserve(&journal->locked.log);
    *ret_base = journal->locked.log.end;
    pthread_mutex_unlock(&journal->lock);
    return r;
}

static int begin_segment(struct journal *journal, uint64_t first_record_bytes)
{
    struct journal_writer *writer = &journal->writer;
    struct segment_header  header = {.time_ns = clock_realtime_ns()};
    uint64_t               needed_bytes = SEGMENT_HEADER_BYTES + first_record_bytes;

    int r = next_base(journal, &header.base);
    if (r < 0)
        return r;
    r = segment_create(journal->directory, &header, larger(journal->segment_bytes, needed_bytes),
                       larger(least_segment_bytes, needed_bytes), is_synced(journal),
                       &writer->room_bytes);
    if (r < 0)
        return r;

    writer->file = r;
    writer->base = header.base.offset;
    writer->end = header.base;
    writer->end.offset += SEGMENT_HEADER_BYTES;

    writer->trouble = 0;
    pthread_mutex_lock(&journal->lock);
    journal->locked.figures.trouble = 0;
    segment_list_add(&journal->locked.log, &(struct segment){
                                               .base = header.base,
                                               .disk_bytes = writer->room_bytes,
                                               .began_ns = header.time_ns,
                                               .newest_ns = header.time_ns,
                                           });
    pthread_mutex_unlock(&journal->lock);
    return 0;
}

static int make_room(struct journal *journal, uint64_t first_record_bytes)
{
    struct journal_writer *writer = &journal->writer;

    if (first_record_bytes <= free_bytes(writer))
        return 0;
    if (writer->file >= 0) {
        int r = is_synced(journal) ? sync_segment(journal) : 0;
        end_segment(journal);
        if (r < 0)
            return r;
    }
    return begin_segment(journal, first_record_bytes);
}

/* At least one entry waits. The first is taken in any case. */
static struct group take_group(struct journal *journal, uint64_t max_bytes)
{
    pthread_mutex_lock(&journal->lock);
    struct group           group = {.first = journal->locked.first, .newest_ns = INT64_MIN};
    struct journal_entry **next = &group.first;

    while (*next && group.n_records < GROUP_MAX_RECORDS) {
        uint64_t n_bytes = record_bytes((*next)->payload.len);
        if (group.n_records > 0 && group.n_bytes + n_bytes > max_bytes)
            break;
        group.n_records++;
        group.n_bytes += n_bytes;
        if ((*next)->time_ns > group.newest_ns)
            group.newest_ns = (*next)->time_ns;
        next = &(*next)->next;
    }
    journal->locked.first = *next;
    if (!journal->locked.first)
        journal->locked.last_next = &journal->locked.first;
    *next = NULL;
    pthread_mutex_unlock(&journal->lock);
    return group;
}

/* Puts the pieces of the group in order; returns where it ends. */
static struct journal_position lay_out(struct journal_writer *writer, const struct group *group)
{
    struct journal_position position = writer->end;
    struct iovec           *piece = writer->pieces;
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
        uint8_t *header = writer->headers[i] + RECORD_ALIGNMENT;

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

static int write_pieces(int file, struct iovec *piece, size_t n_pieces, uint64_t place)
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

static int write_group(struct journal *journal, const struct group *group)
{
    struct journal_writer  *writer = &journal->writer;
    struct journal_position end = lay_out(writer, group);

    int r = write_pieces(writer->file, writer->pieces, group->n_records * 2, used_bytes(writer));
    if (r < 0)
        return r;

    if (!writer->has_unsynced)
        writer->sync_due_ns = clock_monotonic_ns() + journal->options.sync_interval_ns;
    writer->has_unsynced = true;
    if (journal->options.durability == JOURNAL_SYNC)
        r = sync_segment(journal);
    if (r == 0)
        writer->end = end;
    return r;
}

static void publish(struct journal *journal, const struct group *group)
{
    struct segment_list          *log = &journal->locked.log;
    struct journal_figures       *figures = &journal->locked.figures;
    const struct journal_position end = journal->writer.end;

    pthread_mutex_lock(&journal->lock);
    struct segment *segment = segment_list_last(log);
    if (group->newest_ns > segment->newest_ns)
        segment->newest_ns = group->newest_ns;
    figures->groups++;
    figures->appended_records += group->n_records;
    figures->appended_bytes += group->n_bytes;
    figures->appended_spans += end.span - log->end.span;
    figures->waiting_bytes -= group->n_bytes;
    log->end = end;
    pthread_mutex_unlock(&journal->lock);
}

static void end_entries(const struct group *group, int result)
{
    struct journal_entry *next;

    for (struct journal_entry *entry = group->first; entry; entry = next) {
        next = entry->next; /* done may free it */
        entry->done(entry, result);
    }
}

static void refuse(struct journal *journal, const struct group *group)
{
    pthread_mutex_lock(&journal->lock);
    journal->locked.figures.waiting_bytes -= group->n_bytes;
    pthread_mutex_unlock(&journal->lock);
    end_entries(group, journal->writer.trouble);
}

/* It ends when a segment can be begun. */
static void begin_trouble(struct journal *journal, int r)
{
    if (journal->writer.file >= 0)
        end_segment(journal);
    journal->writer.trouble = r;
    journal->writer.probe_due_ns = clock_monotonic_ns() + probe_interval_ns;

    pthread_mutex_lock(&journal->lock);
    journal->locked.figures.trouble = r;
    journal->locked.figures.failed_writes++;
    pthread_mutex_unlock(&journal->lock);
}

static void probe(struct journal *journal)
{
    journal_delete_trimmed(journal);
    int r = begin_segment(journal, 0);
    if (r < 0)
        begin_trouble(journal, r);
}

static void commit_group(struct journal *journal, uint64_t first_record_bytes)
{
    int r = journal->writer.trouble;
    if (r == 0) {
        r = make_room(journal, first_record_bytes);
        if (r < 0)
            begin_trouble(journal, r);
    }

    struct group group = take_group(
        journal, r == 0 ? smaller(free_bytes(&journal->writer), GROUP_MAX_BYTES) : GROUP_MAX_BYTES);
    if (r == 0) {
        r = write_group(journal, &group);
        if (r < 0)
            begin_trouble(journal, r);
    }
    if (r < 0) {
        refuse(journal, &group);
        return;
    }
    publish(journal, &group);
    end_entries(&group, 0);
    if (journal->options.committed)
        journal->options.committed(journal->options.context);
}

static bool is_sync_due(const struct journal *journal, int64_t now_ns)
{
    return journal->options.durability == JOURNAL_INTERVAL && journal->writer.has_unsynced &&
           now_ns >= journal->writer.sync_due_ns;
}

/* When there is something to do besides writing what waits. */
static int64_t next_duty_ns(const struct journal *journal)
{
    const struct journal_writer *writer = &journal->writer;

    if (writer->trouble < 0)
        return writer->probe_due_ns;
    if (journal->options.durability == JOURNAL_INTERVAL && writer->has_unsynced)
        return writer->sync_due_ns;
    return NEVER_NS;
}

static void wait_until_locked(struct journal *journal, int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};

    if (until_ns == NEVER_NS)
        pthread_cond_wait(&journal->changed, &journal->lock);
    else
        (void)pthread_cond_timedwait(&journal->changed, &journal->lock, &until);
}

/* Until something waits, or is to be done, or the journal closes. False: it is at its end. */
static bool wait_for_work(struct journal *journal, uint64_t *ret_first_record_bytes)
{
    int64_t duty_ns = next_duty_ns(journal);

    pthread_mutex_lock(&journal->lock);
    while (!journal->locked.first && !journal->locked.is_closing && clock_monotonic_ns() < duty_ns)
        wait_until_locked(journal, duty_ns);
    const struct journal_entry *first = journal->locked.first;
    bool                        is_at_end = !first && journal->locked.is_closing;
    *ret_first_record_bytes = first ? record_bytes(first->payload.len) : 0;
    pthread_mutex_unlock(&journal->lock);
    return !is_at_end;
}

static void do_duties(struct journal *journal)
{
    int64_t now_ns = clock_monotonic_ns();

    if (journal->writer.trouble < 0 && now_ns >= journal->writer.probe_due_ns)
        probe(journal);
    if (is_sync_due(journal, now_ns)) {
        int r = sync_segment(journal);
        if (r < 0)
            begin_trouble(journal, r);
    }
}

/* Without durability there may be unsynced segments before the one that is being written. */
static void end_log(struct journal *journal)
{
    if (journal->writer.file < 0)
        return;

    if (is_synced(journal))
        (void)sync_segment(journal);
    else
        (void)syncfs(journal->directory);
    end_segment(journal);
}

void *journal_write_all(void *context)
{
    struct journal *journal = context;
    uint64_t        first_record_bytes;

    (void)pthread_setname_np(pthread_self(), "journal");
    while (wait_for_work(journal, &first_record_bytes)) {
        do_duties(journal);
        if (first_record_bytes > 0)
            commit_group(journal, first_record_bytes);
    }
    end_log(journal);
    return NULL;
}
