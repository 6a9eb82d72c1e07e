#include "collector/journal/segment_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { NAME_BYTES = sizeof("0123456789abcdef.segment") };

static const char unfinished_name[] = "new.segment";

static void name_of(uint64_t base, char ret_name[NAME_BYTES])
{
    (void)snprintf(ret_name, NAME_BYTES, "%016" PRIx64 ".segment", base);
}

bool segment_base_of(const char *file_name, uint64_t *ret_base)
{
    char     name[NAME_BYTES];
    uint64_t base = strtoull(file_name, NULL, 16);

    name_of(base, name);
    if (strcmp(name, file_name) != 0 || base % RECORD_ALIGNMENT != 0 || base >> 62 != 0)
        return false;

    *ret_base = base;
    return true;
}

int directory_sync(int directory)
{
    return fsync(directory) < 0 && errno != EINVAL ? -errno : 0;
}

/* Where that is not supported a full disk is seen when it is written to. */
static int allocate(int file, uint64_t n_bytes)
{
    if (fallocate(file, 0, 0, (off_t)n_bytes) == 0 || errno == EOPNOTSUPP || errno == ENOSYS)
        return 0;
    return -errno;
}

/* A small disk holds a few segments: one that is done with makes room, one that fills it cannot. */
static uint64_t share_of_disk(int file, uint64_t wanted_bytes, uint64_t least_bytes)
{
    struct statvfs disk;

    if (fstatvfs(file, &disk) < 0)
        return wanted_bytes;

    uint64_t share = disk.f_bavail * disk.f_frsize / 4 / RECORD_ALIGNMENT * RECORD_ALIGNMENT;
    if (share < least_bytes)
        share = least_bytes;
    return share < wanted_bytes ? share : wanted_bytes;
}

static int write_header(int file, const struct segment_header *header, bool is_synced)
{
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    segment_header_encode(bytes, header);

    ssize_t written = pwrite(file, bytes, sizeof(bytes), 0);
    if (written < 0)
        return -errno;
    if (written != sizeof(bytes))
        return -EIO;
    return is_synced && fdatasync(file) < 0 ? -errno : 0;
}

static int give_name(int directory, uint64_t base, bool is_synced)
{
    char name[NAME_BYTES];
    name_of(base, name);

    if (renameat(directory, unfinished_name, directory, name) < 0)
        return -errno;
    return is_synced ? directory_sync(directory) : 0;
}

int segment_create(int directory, const struct segment_header *header, uint64_t wanted_bytes,
                   uint64_t least_bytes, bool is_synced, uint64_t *ret_room_bytes)
{
    int file = openat(directory, unfinished_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        return -errno;

    uint64_t room_bytes = share_of_disk(file, wanted_bytes, least_bytes);
    int      r = allocate(file, room_bytes);
    if (r == 0)
        r = write_header(file, header, is_synced);
    if (r == 0)
        r = give_name(directory, header->base.offset, is_synced);
    if (r < 0) {
        close(file);
        segment_remove_unfinished(directory);
        return r;
    }
    *ret_room_bytes = room_bytes;
    return file;
}

int segment_open(int directory, uint64_t base)
{
    char name[NAME_BYTES];
    name_of(base, name);

    int file = openat(directory, name, O_RDONLY | O_CLOEXEC);
    return file < 0 ? -errno : file;
}

int segment_cut(int directory, uint64_t base, uint64_t n_bytes)
{
    char name[NAME_BYTES];
    name_of(base, name);

    int file = openat(directory, name, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return -errno;

    int r = ftruncate(file, (off_t)n_bytes) < 0 ? -errno : 0;
    close(file);
    return r;
}

int segment_remove(int directory, uint64_t base)
{
    char name[NAME_BYTES];
    name_of(base, name);

    return unlinkat(directory, name, 0) < 0 ? -errno : 0;
}

void segment_remove_unfinished(int directory)
{
    (void)unlinkat(directory, unfinished_name, 0);
}

int64_t segment_read(int file, void *buffer, size_t size, uint64_t place)
{
    size_t n_bytes = 0;

    while (n_bytes < size) {
        ssize_t r = pread(file, (char *)buffer + n_bytes, size - n_bytes, (off_t)(place + n_bytes));
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -errno;
        if (r == 0)
            break;
        n_bytes += (size_t)r;
    }
    return (int64_t)n_bytes;
}
