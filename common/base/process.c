#include "common/base/process.h"

#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"

enum { LARGE_BLOCK_BYTES = 256 * 1024, KEPT_BYTES = 4 << 20 };

void process_block_signals(sigset_t *ret_signals)
{
    (void)signal(SIGPIPE, SIG_IGN);
    sigemptyset(ret_signals);
    sigaddset(ret_signals, SIGTERM);
    sigaddset(ret_signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, ret_signals, NULL);
}

void process_wait(const sigset_t *signals)
{
    int number;

    sigwait(signals, &number);
    log_info("shutting down", log_text("signal", strsignal(number)));
}

void process_pause(const sigset_t *signals, int64_t wait_ns)
{
    struct timespec wait = {.tv_sec = wait_ns / NS_PER_S, .tv_nsec = wait_ns % NS_PER_S};

    sigtimedwait(signals, NULL, &wait);
}

void process_raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/*
 * glibc raises the threshold with each large block that is freed, unless it is set. Then it
 * also keeps only 128 KiB at the end of a heap, and would fault the pages in again for each
 * request.
 */
void process_return_large_blocks(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
}

unsigned process_threads(uint64_t wanted, unsigned most_by_default)
{
    long half = sysconf(_SC_NPROCESSORS_ONLN) / 2;

    if (wanted > 0)
        return (unsigned)wanted;
    if (half < 1)
        return 1;
    return half < (long)most_by_default ? (unsigned)half : most_by_default;
}

int process_complain(const char *what, int error)
{
    log_error("start-up failed; the program ends", log_text("what", what),
              log_text("why", strerror(-error)));
    return error;
}

int process_complain_of_address(const char *front, const struct listen_address *address, int error)
{
    log_error("cannot listen; the program ends", log_text("front", front),
              log_str("address", address->text), log_text("why", strerror(-error)));
    return error;
}

void process_log_listening(const char *front, const struct listen_address *address, uint16_t port)
{
    log_info("listening", log_text("front", front), log_str("address", address->host),
             log_int("port", port));
}
