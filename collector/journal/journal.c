#include "collector/journal/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/journal/journal_private.h"
#include "collector/journal/recovery.h"
#include "collector/journal/segment_file.h"
#include "common/edge/checksum.h"

enum { SEGMENTS_AT_MOST = 16 }; /* about, in a full journal */

static const uint64_t min_segment_bytes = 1 << 20;
static const uint64_t max_segment_bytes = 64 << 20;

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t segment_bytes_for(uint64_t max_bytes)
{
    uint64_t n_bytes = max_bytes / SEGMENTS_AT_MOST;

    if (n_bytes < min_segment_bytes)
        return min_segment_bytes;
    if (n_bytes > max_segment_bytes)
        return max_segment_bytes;
    return n_bytes / RECORD_ALIGNMENT * RECORD_ALIGNMENT;
}

/* A new directory's name is synced too. */
static int open_directory(const char *path)
{
    bool is_new = mkdir(path, 0700) == 0;
    if (!is_new && errno != EEXIST)
        return -errno;

    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return -errno;
    if (!is_new)
        return directory;

    int parent = openat(directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent >= 0) {
        (void)directory_sync(parent);
        close(parent);
    }
    return directory;
}

static int lock_directory(int directory)
{
    int file = openat(directory, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0)
        return -errno;
    if (flock(file, LOCK_EX | LOCK_NB) == 0)
        return file;

    int r = errno == EWOULDBLOCK ? -EBUSY : -errno;
    close(file);
    return r;
}

static void close_if_open(int file)
{
    if (file >= 0)
        close(file);
}

/* Of a journal whose thread has ended, or was never begun. */
static void journal_free(struct journal *journal)
{
    segment_list_done(&journal->locked.log);
    pthread_cond_destroy(&journal->changed);
    pthread_mutex_destroy(&journal->lock);
    close_if_open(journal->lock_file);
    close_if_open(journal->directory);
    free(journal);
}
DEFINE_CLEANUP(struct journal *, journal_free)

static struct journal *journal_new(const struct journal_options *options)
{
    struct journal *journal = calloc(1, sizeof(*journal));
    if (!journal)
        return NULL;

    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&journal->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&journal->lock, NULL);

    journal->options = *options;
    journal->segment_bytes = segment_bytes_for(options->max_bytes);
    journal->directory = journal->lock_file = journal->writer.file = -1;
    journal->locked.waiting.last_next = &journal->locked.waiting.first;
    return journal;
}

int journal_open(struct journal **ret_journal, const struct journal_options *options,
                 struct journal_recovery *ret_recovery)
{
    cleanup_with(journal_free_at) struct journal *journal = journal_new(options);
    if (!journal)
        return -ENOMEM;

    journal->directory = open_directory(options->directory);
    if (journal->directory < 0)
        return journal->directory;
    journal->lock_file = lock_directory(journal->directory);
    if (journal->lock_file < 0)
        return journal->lock_file;

    struct journal_recovery recovery;
    int                     r = recover(journal->directory, &journal->locked.log, &recovery);
    if (r < 0)
        return r;
    r = -pthread_create(&journal->thread, NULL, journal_write_all, journal);
    if (r < 0)
        return r;

    *ret_recovery = recovery;
    *ret_journal = take(journal);
    return 0;
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;

    pthread_mutex_lock(&journal->lock);
    journal->locked.is_closing = true;
    pthread_mutex_unlock(&journal->lock);
    pthread_cond_signal(&journal->changed);
    pthread_join(journal->thread, NULL);
    journal_free(journal);
}

static int append_locked(struct journal *journal, struct journal_entry *entry)
{
    uint64_t waiting_bytes = journal->locked.figures.waiting_bytes;
    uint64_t n_bytes = record_bytes(entry->payload.len);

    if (journal->locked.is_closing)
        return -ESHUTDOWN;
    if (journal->locked.figures.trouble < 0)
        return journal->locked.figures.trouble;
    if (waiting_bytes > 0 && waiting_bytes + n_bytes > journal->options.max_waiting_bytes)
        return -EAGAIN;

    entry_queue_add(&journal->locked.waiting, entry);
    journal->locked.figures.waiting_bytes += n_bytes;
    return 0;
}

int journal_append(struct journal *journal, struct journal_entry *entry)
{
    if (entry->payload.len > JOURNAL_MAX_PAYLOAD_BYTES)
        return -EMSGSIZE;

    entry->checksum = checksum_crc32(0, entry->payload);

    pthread_mutex_lock(&journal->lock);
    bool is_first = !journal->locked.waiting.first;
    int  r = append_locked(journal, entry);
    pthread_mutex_unlock(&journal->lock);

    if (r == 0 && is_first)
        pthread_cond_signal(&journal->changed);
    return r;
}

void journal_reach(struct journal *journal, struct journal_position position)
{
    pthread_mutex_lock(&journal->lock);
    struct journal_position *end = &journal->locked.log.end;
    if (position.offset > end->offset || position.span > end->span) {
        assert(journal->locked.figures.groups == 0 && !journal->locked.waiting.first);
        end->offset = larger(end->offset, aligned(position.offset));
        end->span = larger(end->span, position.span);
    }
    pthread_mutex_unlock(&journal->lock);
}

struct journal_position journal_begin(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    struct journal_position begin = segment_list_begin(&journal->locked.log);
    pthread_mutex_unlock(&journal->lock);
    return begin;
}

struct journal_position journal_end(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    struct journal_position end = journal->locked.log.end;
    pthread_mutex_unlock(&journal->lock);
    return end;
}

struct journal_position journal_position_within(struct journal *journal, uint64_t max_bytes,
                                                int64_t oldest_ns)
{
    pthread_mutex_lock(&journal->lock);
    struct journal_position position =
        segment_list_within(&journal->locked.log, max_bytes, oldest_ns);
    pthread_mutex_unlock(&journal->lock);
    return position;
}

/* In trouble no segment is being written, and the last may be all that fills the disk. */
static bool drop_oldest(struct journal *journal, uint64_t *ret_base)
{
    pthread_mutex_lock(&journal->lock);
    struct segment_list *log = &journal->locked.log;
    bool                 may_go = log->count > 1 || journal->locked.figures.trouble < 0;
    bool is_dropped = may_go && segment_list_drop(log, journal->locked.trimmed, ret_base);
    pthread_mutex_unlock(&journal->lock);
    return is_dropped;
}

void journal_delete_trimmed(struct journal *journal)
{
    uint64_t base;

    /* One that cannot be removed is there again after a restart, and goes then. */
    while (drop_oldest(journal, &base))
        (void)segment_remove(journal->directory, base);
}

void journal_trim(struct journal *journal, uint64_t offset)
{
    pthread_mutex_lock(&journal->lock);
    if (offset > journal->locked.trimmed)
        journal->locked.trimmed = offset;
    pthread_mutex_unlock(&journal->lock);
    journal_delete_trimmed(journal);
}

uint64_t journal_disk_bytes(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    uint64_t n_bytes = segment_list_disk_bytes(&journal->locked.log);
    pthread_mutex_unlock(&journal->lock);
    return n_bytes;
}

struct journal_figures journal_figures(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    struct journal_figures figures = journal->locked.figures;
    pthread_mutex_unlock(&journal->lock);
    return figures;
}
