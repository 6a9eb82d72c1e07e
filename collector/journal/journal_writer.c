#include <errno.h>
#include <fcntl.h>
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

/* The disk is told to begin with so much. */
enum { HURRY_BYTES = 1 << 20 };

static const int64_t probe_interval_ns = 200 * (int64_t)NS_PER_MS;

/* On a disk that is almost full, segments are no smaller than this. */
static const uint64_t least_segment_bytes = 64 << 10;

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
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
    writer->hurried_bytes = 0;
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

/* 0, or the trouble that there is. */
static int be_ready(struct journal *journal, uint64_t first_record_bytes)
{
    if (journal->writer.trouble < 0)
        return journal->writer.trouble;

    int r = make_room(journal, first_record_bytes);
    if (r < 0)
        begin_trouble(journal, r);
    return r;
}

static void note_unsynced(struct journal *journal)
{
    struct journal_writer *writer = &journal->writer;

    if (!writer->has_unsynced)
        writer->sync_due_ns = clock_monotonic_ns() + journal->options.sync_interval_ns;
    writer->has_unsynced = true;
}

/*
 * With syncs far apart the disk begins with what is written before it is asked to end, so that
 * the sync, which everybody waits for, finds little left. What fails here, fails there.
 */
static void hurry_disk(struct journal_writer *writer)
{
    uint64_t n_bytes = used_bytes(writer) - writer->hurried_bytes;

    if (n_bytes < HURRY_BYTES)
        return;
    (void)sync_file_range(writer->file, (off_t)writer->hurried_bytes, (off_t)n_bytes,
                          SYNC_FILE_RANGE_WRITE);
    writer->hurried_bytes += n_bytes;
}

/* 0, or the trouble that it is in now. */
static int write_group(struct journal *journal, const struct journal_group *group)
{
    struct journal_writer  *writer = &journal->writer;
    struct journal_position end;

    int r = group_write(group, &writer->pieces, writer->file, writer->base, writer->end, &end);
    if (r == 0) {
        note_unsynced(journal);
        r = journal->options.durability == JOURNAL_SYNC ? sync_segment(journal) : 0;
    }
    if (r < 0) {
        begin_trouble(journal, r);
        return r;
    }

    writer->end = end;
    if (journal->options.durability == JOURNAL_INTERVAL)
        hurry_disk(writer);
    return 0;
}

static void publish(struct journal *journal, const struct journal_group *group)
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

static void acknowledge(struct journal *journal, const struct journal_group *group)
{
    group_done(group, 0);
    if (journal->options.committed)
        journal->options.committed(journal->options.context);
}

static void refuse(struct journal *journal, const struct journal_group *group, int result)
{
    pthread_mutex_lock(&journal->lock);
    journal->locked.figures.waiting_bytes -= group->n_bytes;
    pthread_mutex_unlock(&journal->lock);
    group_done(group, result);
}

static void commit_group(struct journal *journal, uint64_t first_record_bytes)
{
    int r = be_ready(journal, first_record_bytes);

    pthread_mutex_lock(&journal->lock);
    struct journal_group group =
        group_take(&journal->locked.waiting, r == 0 ? free_bytes(&journal->writer) : UINT64_MAX);
    pthread_mutex_unlock(&journal->lock);

    if (r == 0)
        r = write_group(journal, &group);
    if (r == 0) {
        publish(journal, &group);
        acknowledge(journal, &group);
    } else {
        refuse(journal, &group, r);
    }
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
    while (!journal->locked.waiting.first && !journal->locked.is_closing &&
           clock_monotonic_ns() < duty_ns)
        wait_until_locked(journal, duty_ns);
    const struct journal_entry *first = journal->locked.waiting.first;
    bool                        is_at_end = !first && journal->locked.is_closing;
    *ret_first_record_bytes = first ? record_bytes(first->payload.len) : 0;
    pthread_mutex_unlock(&journal->lock);
    return !is_at_end;
}

static void do_duty(struct journal *journal)
{
    if (clock_monotonic_ns() < next_duty_ns(journal))
        return;
    if (journal->writer.trouble < 0) {
        probe(journal);
        return;
    }

    int r = sync_segment(journal);
    if (r < 0)
        begin_trouble(journal, r);
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
        do_duty(journal);
        if (first_record_bytes > 0)
            commit_group(journal, first_record_bytes);
    }
    end_log(journal);
    return NULL;
}
