/*
 * Yardstick: libmicrohttpd alone. Every request is suspended, handed to a second
 * thread, and resumed by it with a short text: what any front must do that waits
 * for another server.
 *
 *     bench_mhd THREADS          as said
 *     bench_mhd THREADS direct   answers within the handler
 */

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <microhttpd.h>

enum { QUEUE_SIZE = 4096 };

static char text[] = "frontend-prod - 0.000secs\n";

static bool is_direct;

static struct {
    pthread_mutex_t        lock;
    pthread_cond_t         filled;
    struct MHD_Connection *waiting[QUEUE_SIZE];
    unsigned               n_waiting;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};

static void hand_over(struct MHD_Connection *connection)
{
    MHD_suspend_connection(connection);

    pthread_mutex_lock(&queue.lock);
    queue.waiting[queue.n_waiting++] = connection;
    if (queue.n_waiting == 1)
        pthread_cond_signal(&queue.filled);
    pthread_mutex_unlock(&queue.lock);
}

static unsigned take_waiting(struct MHD_Connection *taken[])
{
    pthread_mutex_lock(&queue.lock);
    while (queue.n_waiting == 0)
        pthread_cond_wait(&queue.filled, &queue.lock);
    unsigned n = queue.n_waiting;
    for (unsigned i = 0; i < n; i++)
        taken[i] = queue.waiting[i];
    queue.n_waiting = 0;
    pthread_mutex_unlock(&queue.lock);
    return n;
}

static void *resume_all(void *context)
{
    struct MHD_Connection *taken[QUEUE_SIZE];
    (void)context;

    for (;;) {
        unsigned n = take_waiting(taken);
        for (unsigned i = 0; i < n; i++)
            MHD_resume_connection(taken[i]);
    }
    return NULL;
}

static enum MHD_Result answer(struct MHD_Connection *connection)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(sizeof(text) - 1, text, MHD_RESPMEM_PERSISTENT);

    MHD_add_response_header(response, "Content-Type", "text/plain");
    enum MHD_Result result = MHD_queue_response(connection, 200, response);
    MHD_destroy_response(response);
    return result;
}

/* Called with the headers, with each piece of a body, at the end of the request, and once resumed.
 */
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *body,
                              size_t *body_bytes, void **times_called)
{
    static char times[3];
    (void)context, (void)url, (void)method, (void)version, (void)body;

    if (!*times_called) {
        *times_called = &times[1];
        return MHD_YES;
    }
    if (*body_bytes > 0) {
        *body_bytes = 0;
        return MHD_YES;
    }
    if (is_direct || *times_called == &times[2])
        return answer(connection);

    *times_called = &times[2];
    hand_over(connection);
    return MHD_YES;
}

static struct MHD_Daemon *start(unsigned n_threads)
{
    const unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;

    if (n_threads == 1) /* a pool of one is refused */
        return MHD_start_daemon(flags, 0, NULL, NULL, handle, NULL, MHD_OPTION_END);
    return MHD_start_daemon(flags, 0, NULL, NULL, handle, NULL, MHD_OPTION_THREAD_POOL_SIZE,
                            n_threads, MHD_OPTION_END);
}

int main(int argc, char *argv[])
{
    pthread_t thread;
    sigset_t  signals;
    int       signal_number;

    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: bench_mhd THREADS [direct]\n");
        return 2;
    }
    is_direct = argc == 3;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    pthread_create(&thread, NULL, resume_all, NULL);
    struct MHD_Daemon *daemon = start((unsigned)atoi(argv[1]));
    if (!daemon)
        return 1;

    fprintf(stderr, "{\"message\":\"listening\",\"port\":%u}\n",
            (unsigned)MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    sigwait(&signals, &signal_number);
    _exit(0);
}
