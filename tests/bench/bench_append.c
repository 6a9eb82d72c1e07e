/*
 * Yardstick: what the disk gives to anyone who appends and waits for it. Appends BYTES to a file
 * in DIRECTORY and syncs, over and over for SECONDS, as a journal of one writer must.
 *
 *     bench_append DIRECTORY BYTES SECONDS
 *
 * Says how many appends a second, and how long one takes.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"

/* As large as a segment of the journal at its default size; then it starts again. */
enum { FILE_BYTES = 64 << 20, MAX_APPENDS = 1 << 20 };

static int64_t durations_ns[MAX_APPENDS];
static char    bytes[16 << 20];

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static double percentile_ms(size_t n, size_t percent)
{
    size_t place = (n - 1) * percent / 100;

    return (double)durations_ns[place] / NS_PER_MS;
}

static int append(int fd, size_t size, off_t *offset)
{
    if (*offset + (off_t)size > FILE_BYTES)
        *offset = 0;
    if (pwrite(fd, bytes, size, *offset) != (ssize_t)size || fdatasync(fd) < 0)
        return -errno;
    *offset += (off_t)size;
    return 0;
}

static size_t append_for(int fd, size_t size, int64_t duration_ns)
{
    int64_t start_ns = clock_monotonic_ns(), now_ns = start_ns;
    off_t   offset = 0;
    size_t  n = 0;

    while (now_ns - start_ns < duration_ns && n < MAX_APPENDS) {
        if (append(fd, size, &offset) < 0) {
            perror("bench_append");
            exit(1);
        }
        int64_t end_ns = clock_monotonic_ns();
        durations_ns[n++] = end_ns - now_ns;
        now_ns = end_ns;
    }
    return n;
}

int main(int argc, char *argv[])
{
    if (argc != 4) {
        fprintf(stderr, "usage: bench_append DIRECTORY BYTES SECONDS\n");
        return 2;
    }
    size_t size = strtoul(argv[2], NULL, 10);
    double seconds = atof(argv[3]);
    int    fd = open(argv[1], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (size > sizeof(bytes) || fd < 0 || posix_fallocate(fd, 0, FILE_BYTES) != 0) {
        perror("bench_append: cannot make a file");
        return 1;
    }

    size_t n = append_for(fd, size, (int64_t)(seconds * NS_PER_S));
    qsort(durations_ns, n, sizeof(durations_ns[0]), compare);
    printf("{\"appends_per_s\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n", (double)n / seconds,
           percentile_ms(n, 50), percentile_ms(n, 99));
    close(fd);
    return 0;
}
