#include "collector/journal/cursor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/journal/little_endian.h"
#include "common/edge/checksum.h"

/*
 * The slots are so far apart that no disk writes both at once. Which of them is right: the one
 * with the higher sequence number, of those whose checksum fits.
 */
enum { N_SLOTS = 2 };

static const off_t slot_distance = 4096;

/* Where a slot's fields are. */
enum {
    SLOT_CHECKSUM = 0, /* of the rest */
    SLOT_NAME_LENGTH = 4,
    SLOT_SEQUENCE = 8, /* from 1 on */
    SLOT_OFFSET = 16,
    SLOT_SPAN = 24,
    SLOT_START_SPAN = 32,
    SLOT_COUNTS = 40,
    SLOT_NAME = SLOT_COUNTS + CURSOR_COUNTS * 8,
    SLOT_MAX_BYTES = SLOT_NAME + CURSOR_MAX_NAME_BYTES
};

enum { FILE_NAME_BYTES = sizeof("0123456789abcdef.cursor") };

struct slot {
    uint64_t            sequence;
    struct cursor_state state;
    struct str          name; /* in the bytes it was read from */
};

struct cursor {
    int        file;
    uint64_t   sequence; /* of the last that was saved */
    struct str name;
    uint8_t    slot[SLOT_MAX_BYTES]; /* what is written; the name stays in it */
};

static void file_name_of(struct str name, char ret_name[FILE_NAME_BYTES])
{
    (void)snprintf(ret_name, FILE_NAME_BYTES, "%016" PRIx64 ".cursor", str_hash(name));
}

static uint32_t slot_checksum(const uint8_t *bytes, size_t n_bytes)
{
    return checksum_crc32(0, (struct str){.at = (const char *)bytes + SLOT_NAME_LENGTH,
                                          .len = n_bytes - SLOT_NAME_LENGTH});
}

static void slot_encode(struct cursor *cursor, const struct cursor_state *state)
{
    uint8_t *bytes = cursor->slot;

    put_u32(bytes + SLOT_NAME_LENGTH, (uint32_t)cursor->name.len);
    put_u64(bytes + SLOT_SEQUENCE, cursor->sequence);
    put_u64(bytes + SLOT_OFFSET, state->position.offset);
    put_u64(bytes + SLOT_SPAN, state->position.span);
    put_u64(bytes + SLOT_START_SPAN, state->start_span);
    for (size_t i = 0; i < CURSOR_COUNTS; i++)
        put_u64(bytes + SLOT_COUNTS + i * 8, state->counts[i]);
    put_u32(bytes + SLOT_CHECKSUM, slot_checksum(bytes, SLOT_NAME + cursor->name.len));
}

static bool slot_decode(struct str bytes, struct slot *ret_slot)
{
    const uint8_t *at = (const uint8_t *)bytes.at;

    if (bytes.len < SLOT_NAME || get_u32(at + SLOT_NAME_LENGTH) > bytes.len - SLOT_NAME)
        return false;

    size_t name_bytes = get_u32(at + SLOT_NAME_LENGTH);
    if (get_u32(at + SLOT_CHECKSUM) != slot_checksum(at, SLOT_NAME + name_bytes))
        return false;

    struct slot slot = {
        .sequence = get_u64(at + SLOT_SEQUENCE),
        .state.position.offset = get_u64(at + SLOT_OFFSET),
        .state.position.span = get_u64(at + SLOT_SPAN),
        .state.start_span = get_u64(at + SLOT_START_SPAN),
        .name = {.at = bytes.at + SLOT_NAME, .len = name_bytes},
    };
    for (size_t i = 0; i < CURSOR_COUNTS; i++)
        slot.state.counts[i] = get_u64(at + SLOT_COUNTS + i * 8);
    *ret_slot = slot;
    return true;
}

/* The newest slot that can be read; its name is in `buffer`. False when there is none. */
static bool read_newest(int file, uint8_t buffer[N_SLOTS][SLOT_MAX_BYTES], struct slot *ret_slot)
{
    struct slot slot;
    bool        is_found = false;

    for (int i = 0; i < N_SLOTS; i++) {
        ssize_t n_bytes = pread(file, buffer[i], SLOT_MAX_BYTES, i * slot_distance);
        if (n_bytes < 0)
            continue;
        struct str bytes = {.at = (const char *)buffer[i], .len = (size_t)n_bytes};
        if (slot_decode(bytes, &slot) && (!is_found || slot.sequence > ret_slot->sequence)) {
            *ret_slot = slot;
            is_found = true;
        }
    }
    return is_found;
}

static int open_directory(const char *path)
{
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return directory < 0 ? -errno : directory;
}

/* A file that is empty, or has half a slot, is one of a new cursor: it needs no care to be made. */
static int open_file(const char *directory_path, struct str name)
{
    char file_name[FILE_NAME_BYTES];
    file_name_of(name, file_name);

    int directory = open_directory(directory_path);
    if (directory < 0)
        return directory;

    int file = openat(directory, file_name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int r = file < 0 ? -errno : file;
    close(directory);

    /* A full disk must not hold a cursor up: that it moves on is what makes room. */
    if (file >= 0)
        (void)fallocate(file, 0, 0, N_SLOTS * slot_distance);
    return r;
}

int cursor_open(struct cursor **ret_cursor, const char *directory, struct str name,
                struct cursor_state *ret_state)
{
    uint8_t     buffer[N_SLOTS][SLOT_MAX_BYTES];
    struct slot slot;

    if (name.len > CURSOR_MAX_NAME_BYTES)
        return -ENAMETOOLONG;

    cleanup_with(cursor_close_at) struct cursor *cursor = calloc(1, sizeof(*cursor));
    if (!cursor)
        return -ENOMEM;

    memcpy(cursor->slot + SLOT_NAME, name.at, name.len);
    cursor->name = (struct str){.at = (const char *)cursor->slot + SLOT_NAME, .len = name.len};
    cursor->file = open_file(directory, name);
    if (cursor->file < 0)
        return cursor->file;

    bool is_found = read_newest(cursor->file, buffer, &slot) && str_equal(slot.name, name);
    if (is_found) {
        cursor->sequence = slot.sequence;
        *ret_state = slot.state;
    }
    *ret_cursor = take(cursor);
    return is_found ? 0 : 1;
}

void cursor_close(struct cursor *cursor)
{
    if (!cursor)
        return;

    if (cursor->file >= 0)
        close(cursor->file);
    free(cursor);
}

int cursor_save(struct cursor *cursor, const struct cursor_state *state)
{
    size_t n_bytes = SLOT_NAME + cursor->name.len;

    cursor->sequence++;
    slot_encode(cursor, state);
    ssize_t written = pwrite(cursor->file, cursor->slot, n_bytes,
                             (off_t)(cursor->sequence % N_SLOTS) * slot_distance);
    if (written == (ssize_t)n_bytes)
        return 0;

    int r = written < 0 ? -errno : -ENOSPC;
    cursor->sequence--; /* the slot that may be torn is the next to be written, too */
    return r;
}

int cursor_sync(struct cursor *cursor)
{
    return fdatasync(cursor->file) < 0 ? -errno : 0;
}

static void close_directory(DIR *stream)
{
    (void)closedir(stream);
}
DEFINE_CLEANUP(DIR *, close_directory)

static bool is_among(struct str name, const struct str names[], size_t n_names)
{
    for (size_t i = 0; i < n_names; i++)
        if (str_equal(names[i], name))
            return true;
    return false;
}

/* The name of the cursor in this file, in `buffer`; false when there is none, or a stray copy. */
static bool read_name(int directory, const char *file_name, uint8_t buffer[N_SLOTS][SLOT_MAX_BYTES],
                      struct str *ret_name)
{
    char        right_name[FILE_NAME_BYTES];
    struct slot slot;

    if (!str_ends_with(str_from(file_name), STR(".cursor")))
        return false;

    int file = openat(directory, file_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0)
        return false;

    bool is_found = read_newest(file, buffer, &slot);
    close(file);
    if (!is_found)
        return false;

    file_name_of(slot.name, right_name);
    *ret_name = slot.name;
    return strcmp(right_name, file_name) == 0;
}

static int forget_unless_among(int directory, const char *file_name, const struct str names[],
                               size_t n_names, void (*removed)(struct str name))
{
    uint8_t    buffer[N_SLOTS][SLOT_MAX_BYTES];
    struct str name;

    if (!read_name(directory, file_name, buffer, &name) || is_among(name, names, n_names))
        return 0;
    if (unlinkat(directory, file_name, 0) < 0)
        return -errno;

    removed(name);
    return 0;
}

int cursor_forget_others(const char *directory, const struct str names[], size_t n_names,
                         void (*removed)(struct str name))
{
    int file = open_directory(directory);
    if (file < 0)
        return file;

    cleanup_with(close_directory_at) DIR *stream = fdopendir(file);
    if (!stream) {
        int r = -errno;
        close(file);
        return r;
    }
    for (struct dirent *entry; errno = 0, (entry = readdir(stream));) {
        int r = forget_unless_among(file, entry->d_name, names, n_names, removed);
        if (r < 0)
            return r;
    }
    return -errno;
}
