#include "collector/journal/recovery.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/journal/journal_record.h"
#include "collector/journal/segment_file.h"
#include "collector/journal/segment_scan.h"

static void close_directory(DIR *stream)
{
    (void)closedir(stream);
}
DEFINE_CLEANUP(DIR *, close_directory)

static void close_file_at(const int *file)
{
    if (*file >= 0)
        close(*file);
}

static int add_segment(int directory, const char *name, uint64_t base, struct segment_list *list)
{
    struct stat status;

    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(status.st_mode))
        return 0;

    int r = segment_list_reserve(list);
    if (r < 0)
        return r;

    list->segments[list->count++] = (struct segment){
        .base = {.offset = base},
        .disk_bytes = (uint64_t)status.st_size,
    };
    return 0;
}

static int compare_segments(const void *a, const void *b)
{
    uint64_t base_a = ((const struct segment *)a)->base.offset;
    uint64_t base_b = ((const struct segment *)b)->base.offset;

    return base_a < base_b ? -1 : base_a > base_b;
}

static int list_segments(int directory, struct segment_list *list)
{
    int file = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0)
        return -errno;

    cleanup_with(close_directory_at) DIR *stream = fdopendir(file);
    if (!stream) {
        int r = -errno;
        close(file);
        return r;
    }
    for (struct dirent *entry; errno = 0, (entry = readdir(stream));) {
        uint64_t base;
        int      r = segment_base_of(entry->d_name, &base)
                         ? add_segment(directory, entry->d_name, base, list)
                         : 0;
        if (r < 0)
            return r;
    }
    if (errno != 0)
        return -errno;
    if (list->count > 0)
        qsort(list->segments, list->count, sizeof(*list->segments), compare_segments);
    return 0;
}

/* 1, 0 when it is damaged, or -errno. */
static int read_header(int file, uint64_t base, struct segment_header *ret_header)
{
    uint8_t bytes[SEGMENT_HEADER_BYTES];

    int64_t n_bytes = segment_read(file, bytes, sizeof(bytes), 0);
    if (n_bytes < 0)
        return (int)n_bytes;
    return n_bytes == sizeof(bytes) && segment_header_decode(bytes, base, ret_header);
}

/* Ends the file where its last record does; returns how many bytes of another it had. */
static uint64_t cut_tail(int directory, struct segment *segment, const struct segment_scan *scan)
{
    uint64_t n_bytes = scan->end.offset - segment->base.offset;
    uint64_t tail_bytes = segment->disk_bytes > n_bytes ? segment->disk_bytes - n_bytes : 0;

    /* Where that fails, the base of the next segment will hide the tail. */
    if (tail_bytes > 0)
        (void)segment_cut(directory, segment->base.offset, n_bytes);
    segment->disk_bytes = n_bytes;
    return scan->torn_bytes < tail_bytes ? scan->torn_bytes : tail_bytes;
}

/* The log ends with its last record; where there is none, the segment is to be begun anew. */
static void end_log(struct segment_list *list, const struct segment_header *header,
                    const struct segment_scan *scan)
{
    struct segment *last = segment_list_last(list);

    last->base.span = header ? header->base.span : scan->first.span;
    last->began_ns = header ? header->time_ns : scan->newest_ns;
    last->newest_ns = scan->n_records > 0 ? scan->newest_ns : last->began_ns;
    list->end = scan->n_records > 0 ? scan->end : last->base;
}

/*
 * Reads the last segment through, for the end of the log. 0; 1, and nothing done, when it has
 * neither header nor record; or -errno: what cannot be read must not be taken for the end.
 */
static int recover_last(int directory, struct segment_list *list, struct journal_recovery *recovery)
{
    struct segment         *last = segment_list_last(list);
    struct segment_header   header;
    struct segment_scan     scan;
    struct journal_position base = last->base;

    cleanup_with(close_file_at) int file = segment_open(directory, base.offset);
    if (file < 0)
        return file;

    int has_header = read_header(file, base.offset, &header);
    if (has_header < 0)
        return has_header;
    if (has_header)
        base = header.base;
    int r = segment_scan(file, base, &scan);
    if (r < 0)
        return r;
    if (!has_header && scan.n_records == 0)
        return 1;

    end_log(list, has_header ? &header : NULL, &scan);
    recovery->skipped_bytes = scan.skipped_bytes;
    recovery->cut_bytes = cut_tail(directory, last, &scan);
    return 0;
}

/* A file that says nothing at all goes: the segment that comes next may begin before it. */
static int find_end(int directory, struct segment_list *list, struct journal_recovery *recovery)
{
    while (list->count > 0) {
        const struct segment *last = segment_list_last(list);
        int                   r = recover_last(directory, list, recovery);
        if (r <= 0)
            return r;

        r = segment_remove(directory, last->base.offset);
        if (r < 0)
            return r;
        list->count--;
    }
    return 0;
}

/* Of a segment without a header: the first record knows; without one, nothing can be read there. */
static uint64_t find_first_span(int file, uint64_t base, uint64_t end_span)
{
    struct segment_scan scan;

    if (segment_scan(file, (struct journal_position){.offset = base}, &scan) < 0 ||
        scan.n_records == 0 || scan.first.span > end_span)
        return end_span;
    return scan.first.span;
}

/*
 * A sealed segment is taken at its header's word. The next was begun when this one was sealed:
 * nothing in it is younger.
 */
static void recover_sealed(int directory, struct segment *segment, const struct segment *next)
{
    struct segment_header header;

    cleanup_with(close_file_at) int file = segment_open(directory, segment->base.offset);
    segment->newest_ns = next->began_ns;
    segment->began_ns = next->began_ns;
    if (file >= 0 && read_header(file, segment->base.offset, &header) == 1 &&
        header.base.span <= next->base.span) {
        segment->base = header.base;
        segment->began_ns = header.time_ns;
    } else {
        segment->base.span = find_first_span(file, segment->base.offset, next->base.span);
    }
}

/* Newest first: what is not known of one is known from the next. */
static void recover_others(int directory, struct segment_list *list)
{
    for (size_t i = list->count; i-- > 1;)
        recover_sealed(directory, &list->segments[i - 1], &list->segments[i]);
}

int recover(int directory, struct segment_list *ret_list, struct journal_recovery *ret_recovery)
{
    struct journal_recovery recovery = {0};

    segment_remove_unfinished(directory);
    *ret_list = (struct segment_list){0};
    int r = list_segments(directory, ret_list);
    if (r == 0)
        r = find_end(directory, ret_list, &recovery);
    if (r < 0)
        return r;

    recover_others(directory, ret_list);
    recovery.n_bytes = ret_list->end.offset - segment_list_begin(ret_list).offset;
    recovery.n_spans = ret_list->end.span - segment_list_begin(ret_list).span;
    *ret_recovery = recovery;
    return 0;
}
