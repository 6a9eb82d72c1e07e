/*
 * Fail disk: a disk that refuses, for tests. Preloaded into a program (LD_PRELOAD) or linked into a
 * test. The variable FAIL_DISK names a control file, which is read at each call; while it holds
 * lines like
 *
 *     sync EIO /var/lib/journal
 *     write ENOSPC /var/lib/journal
 *
 * the calls fail with that error on the directory and the files directly or deeper in it:
 *
 *     sync     fsync, fdatasync
 *     write    write, pwrite, pwritev, fallocate
 *
 * Without a control file, or with an empty one, nothing fails. A call that fails does nothing.
 */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CONTROL_MAX_BYTES = 4096 };

static const struct {
    const char *name;
    int         number;
} errors[] = {
    {"EIO", EIO},     {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT},
    {"EROFS", EROFS}, {"EFBIG", EFBIG},   {"ENOMEM", ENOMEM},
};

static int error_called(const char *name)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (strcmp(errors[i].name, name) == 0)
            return errors[i].number;
    fprintf(stderr, "fail_disk: no error is called %s here\n", name);
    abort();
}

/* The control file's text; false when there is none. */
static bool read_control(char ret_text[CONTROL_MAX_BYTES])
{
    const char *path = getenv("FAIL_DISK");
    if (!path)
        return false;

    int control = open(path, O_RDONLY | O_CLOEXEC);
    if (control < 0)
        return false;

    ssize_t n_bytes = read(control, ret_text, CONTROL_MAX_BYTES - 1);
    close(control);
    if (n_bytes <= 0)
        return false;

    ret_text[n_bytes] = '\0';
    return true;
}

static bool is_in(int file, const char *directory)
{
    char link[64], path[PATH_MAX];

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
    ssize_t n_bytes = readlink(link, path, sizeof(path) - 1);
    if (n_bytes < 0)
        return false;

    path[n_bytes] = '\0';
    size_t length = strlen(directory);
    return strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* Whether the call is to fail; errno then says how, else it is as it was. */
static bool fails(const char *what, int file)
{
    char  text[CONTROL_MAX_BYTES], kind[16], error[16], directory[PATH_MAX];
    char *rest = text;
    int   saved_errno = errno;

    if (!read_control(text))
        rest = NULL;
    for (char *line; (line = strsep(&rest, "\n"));)
        if (sscanf(line, "%15s %15s %4095s", kind, error, directory) == 3 &&
            strcmp(kind, what) == 0 && is_in(file, directory)) {
            errno = error_called(error);
            return true;
        }
    errno = saved_errno;
    return false;
}

/* The function that this one stands before. */
static void *next_called(const char *name)
{
    void *next = dlsym(RTLD_NEXT, name);
    if (!next)
        abort();
    return next;
}

/* The C library's headers name their parameters as only they may. */
/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

int fsync(int file)
{
    int (*next)(int) = next_called("fsync");
    return fails("sync", file) ? -1 : next(file);
}

int fdatasync(int file)
{
    int (*next)(int) = next_called("fdatasync");
    return fails("sync", file) ? -1 : next(file);
}

ssize_t write(int file, const void *bytes, size_t n_bytes)
{
    ssize_t (*next)(int, const void *, size_t) = next_called("write");
    return fails("write", file) ? -1 : next(file, bytes, n_bytes);
}

ssize_t pwrite(int file, const void *bytes, size_t n_bytes, off_t place)
{
    ssize_t (*next)(int, const void *, size_t, off_t) = next_called("pwrite");
    return fails("write", file) ? -1 : next(file, bytes, n_bytes, place);
}

ssize_t pwritev(int file, const struct iovec *pieces, int n_pieces, off_t place)
{
    ssize_t (*next)(int, const struct iovec *, int, off_t) = next_called("pwritev");
    return fails("write", file) ? -1 : next(file, pieces, n_pieces, place);
}

int fallocate(int file, int mode, off_t place, off_t n_bytes)
{
    int (*next)(int, int, off_t, off_t) = next_called("fallocate");
    return fails("write", file) ? -1 : next(file, mode, place, n_bytes);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
