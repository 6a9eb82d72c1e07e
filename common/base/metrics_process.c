#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/metrics.h"

/* Fields of /proc/self/stat after the command's name: proc(5) counts from the name, which is 2. */
enum stat_field {
    STAT_THREADS = 20,
    STAT_START_TICKS = 22,
    STAT_VIRTUAL_BYTES = 23,
    STAT_RESIDENT_PAGES = 24,
};

static size_t read_file(const char *path, char *buffer, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;

    ssize_t n = read(fd, buffer, size);
    close(fd);
    return n > 0 ? (size_t)n : 0;
}

/* NAN where there is no /proc. */
static double read_stat(enum stat_field field)
{
    char       buffer[1024];
    struct str rest = {buffer, read_file("/proc/self/stat", buffer, sizeof(buffer))};
    struct str piece;
    uint64_t   value;

    /* The name may hold blanks and brackets; its closing one is the last. */
    const char *end = rest.len > 0 ? memrchr(rest.at, ')', rest.len) : NULL;
    if (!end)
        return NAN;
    rest = (struct str){end + 1, rest.len - (size_t)(end + 1 - rest.at)};

    for (int at = 2; at <= (int)field; at++)
        if (!str_cut(&rest, ' ', &piece))
            return NAN;
    return str_to_uint64(piece, &value) == 0 ? (double)value : NAN;
}

static double read_virtual_bytes(void *context)
{
    (void)context;
    return read_stat(STAT_VIRTUAL_BYTES);
}

static double read_resident_bytes(void *context)
{
    (void)context;
    return read_stat(STAT_RESIDENT_PAGES) * (double)sysconf(_SC_PAGESIZE);
}

static double read_threads(void *context)
{
    (void)context;
    return read_stat(STAT_THREADS);
}

static double seconds(struct timespec time)
{
    return (double)time.tv_sec + (double)time.tv_nsec / NS_PER_S;
}

static double read_cpu_seconds(void *context)
{
    (void)context;
    struct timespec used = {0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return seconds(used);
}

static int64_t start_time_seconds(void)
{
    struct timespec now = {0}, since_boot = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &since_boot);

    double boot_seconds = seconds(now) - seconds(since_boot);
    double started = boot_seconds + read_stat(STAT_START_TICKS) / (double)sysconf(_SC_CLK_TCK);
    return isfinite(started) ? (int64_t)round(started) : 0;
}

/* Worked out once: two readings could differ, and a changed start means a restart. */
static void add_start_time(struct metrics *metrics)
{
    struct metrics_series *start =
        metrics_single(metrics, METRICS_GAUGE, "process_start_time_seconds",
                       "When the process started, in seconds since 1970.");
    if (start)
        metrics_set(start, start_time_seconds());
}

static double read_open_fds(void *context)
{
    (void)context;
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return NAN;

    double count = -1; /* the directory itself is one of them */
    for (struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

static double read_max_fds(void *context)
{
    (void)context;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return NAN;
    return limit.rlim_cur == RLIM_INFINITY ? INFINITY : (double)limit.rlim_cur;
}

/* Names and meanings: Prometheus, "Writing client libraries", Process metrics. */
void metrics_add_process(struct metrics *metrics)
{
    static const struct {
        enum metrics_kind kind;
        const char       *name;
        const char       *help;
        double (*read)(void *context);
    } figures[] = {
        {METRICS_COUNTER, "process_cpu_seconds", "User and system CPU time spent in seconds.",
         read_cpu_seconds},
        {METRICS_GAUGE, "process_open_fds", "Open file descriptors.", read_open_fds},
        {METRICS_GAUGE, "process_max_fds", "Most file descriptors that may be open.", read_max_fds},
        {METRICS_GAUGE, "process_virtual_memory_bytes", "Virtual memory in bytes.",
         read_virtual_bytes},
        {METRICS_GAUGE, "process_resident_memory_bytes", "Resident memory in bytes.",
         read_resident_bytes},
        {METRICS_GAUGE, "process_threads", "Threads of the process.", read_threads},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(figures); i++)
        metrics_computed(metrics, figures[i].kind, figures[i].name, figures[i].help,
                         figures[i].read, NULL);
    add_start_time(metrics);
}
