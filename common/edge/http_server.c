#include "common/edge/http_server.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "common/base/timer_heap.h"
#include "common/edge/http_request.h"
#include "common/edge/listen_socket.h"

/*
 * What a connection needs besides the bytes of a request's header: a record for
 * each field and query argument, and the answer's header. Not more than need be,
 * for libmicrohttpd zeroes it all after each request.
 */
enum { CONNECTION_EXTRA_BYTES = 12 * 1024 };

/* A body may take as long as it likes while so much of it comes within the idle timeout. */
enum { BODY_PROGRESS_BYTES = 16 * 1024 };

enum stage {
    SERVING,
    DRAINING, /* no new connections, and an answer closes its connection */
    DRAINED,  /* no request reaches the handler any more */
    STOPPING,
};

/*
 * A thread with a libmicrohttpd daemon of its own; all loops accept from one
 * socket. The threads are ours because the library's cannot cut off a peer that
 * sends a byte now and then: to it, that is activity.
 */
struct http_loop {
    struct http_server *server;
    struct MHD_Daemon  *daemon;
    pthread_t           thread;
    bool                is_started;
    int                 wake_fd;
    _Atomic bool        is_woken; /* wake_fd is written to, and the loop has not looked */
    struct timer_heap   patience; /* one timer for each peer */

    _Atomic bool     is_accepting;
    _Atomic unsigned in_hand;    /* requests whose first line came and whose answer is not sent */
    _Atomic unsigned unanswered; /* of these, the ones that the handler has */
};

struct http_server {
    struct http_server_options options;
    _Atomic enum stage         stage;

    pthread_mutex_t lock;
    pthread_cond_t
        changed; /* while draining: a loop has stopped accepting, or has nothing in hand */

    unsigned         n_loops;
    struct http_loop loops[];
};

/* The other end of a connection, as long as that lasts. */
struct peer {
    struct http_loop *loop;
    int               fd;
    struct timer_node timer; /* looked at when due, and not touched with each request */
    bool              is_our_turn;
    int64_t           waiting_since_ns; /* for it, when it is not our turn */
    size_t            body_bytes;       /* that came since then */
};

static enum stage stage_of(struct http_server *server)
{
    return atomic_load(&server->stage);
}

static void loop_wake(struct http_loop *loop)
{
    if (!atomic_exchange(&loop->is_woken, true))
        (void)eventfd_write(loop->wake_fd, 1);
}

/* The lock keeps a drain from ending, and the server from going, while we are still in here. */
void http_loop_resume(struct http_loop *loop, struct MHD_Connection *connection)
{
    struct http_server *server = loop->server;

    pthread_mutex_lock(&server->lock);
    MHD_resume_connection(connection);
    loop_wake(loop); /* which libmicrohttpd leaves to those who run the loop */
    (void)atomic_fetch_sub(&loop->unanswered, 1);
    pthread_mutex_unlock(&server->lock);
}

/* While draining nobody is waited for: what has begun to come gets a moment. */
static int64_t idle_timeout_ns(const struct http_loop *loop)
{
    if (stage_of(loop->server) != SERVING)
        return NS_PER_S;
    return (int64_t)loop->server->options.idle_timeout_s * NS_PER_S;
}

static void wait_for_peer(struct peer *peer, int64_t now_ns)
{
    peer->is_our_turn = false;
    peer->waiting_since_ns = now_ns;
    peer->body_bytes = 0;
}

static void cut_off(const struct peer *peer)
{
    /* The library sees the end of the stream and closes. */
    (void)shutdown(peer->fd, SHUT_RDWR);
}

static void look_at(struct peer *peer, int64_t now_ns)
{
    int64_t since_ns = peer->is_our_turn ? now_ns : peer->waiting_since_ns;
    int64_t due_ns = since_ns + idle_timeout_ns(peer->loop);

    if (due_ns <= now_ns)
        cut_off(peer);
    else
        timer_heap_add(&peer->loop->patience, &peer->timer, due_ns);
}

static void look_at_due_peers(struct http_loop *loop)
{
    if (!loop->patience.earliest)
        return;

    int64_t            now_ns = clock_monotonic_ns();
    struct timer_node *due;
    while ((due = timer_heap_take_due(&loop->patience, now_ns)))
        look_at(container_of(due, struct peer, timer), now_ns);
}

/* Looks at everybody again, for the timeout is another now. */
static void look_at_all_peers(struct http_loop *loop)
{
    struct timer_heap  all = loop->patience;
    int64_t            now_ns = clock_monotonic_ns();
    struct timer_node *node;

    loop->patience = (struct timer_heap){0};
    while ((node = timer_heap_take_due(&all, INT64_MAX)))
        look_at(container_of(node, struct peer, timer), now_ns);
}

static struct peer *peer_new(struct http_loop *loop, struct MHD_Connection *connection)
{
    int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;

    struct peer *peer = calloc(1, sizeof(*peer));
    if (!peer) {
        (void)shutdown(fd, SHUT_RDWR);
        return NULL;
    }

    peer->loop = loop;
    peer->fd = fd;
    wait_for_peer(peer, clock_monotonic_ns());
    look_at(peer, peer->waiting_since_ns);
    return peer;
}

static void peer_free(struct peer *peer)
{
    if (peer && peer->timer.is_armed)
        timer_heap_remove(&peer->loop->patience, &peer->timer);
    free(peer);
}

static struct peer *peer_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **peer,
                          enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        *peer = peer_new(context, connection);
    else
        peer_free(*peer);
}

/*
 * The only call that shows the query undecoded. What it returns is handed to the
 * next calls; without a request these give up the connection.
 */
static void *on_request_line(void *context, const char *uri, struct MHD_Connection *connection)
{
    struct http_loop *loop = context;

    if (!peer_of(connection))
        return NULL;
    struct http_request *request = http_request_new(loop, loop->server->options.bodies, connection,
                                                    uri, loop->server->options.arena_bytes);
    if (!request)
        return NULL;

    (void)atomic_fetch_add(&loop->in_hand, 1);
    return request;
}

static void tell_drain(struct http_server *server)
{
    pthread_mutex_lock(&server->lock);
    pthread_cond_signal(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **slot,
                         enum MHD_RequestTerminationCode why)
{
    struct http_loop    *loop = context;
    struct http_request *request = *slot;
    (void)why;

    if (!request)
        return;

    wait_for_peer(peer_of(connection), clock_monotonic_ns());
    http_request_free(request);
    if (atomic_fetch_sub(&loop->in_hand, 1) == 1 && stage_of(loop->server) != SERVING)
        tell_drain(loop->server);
}

static enum MHD_Result send_answer(struct http_loop *loop, struct http_request *request)
{
    return http_request_send(request, stage_of(loop->server) != SERVING) ? MHD_YES : MHD_NO;
}

static enum MHD_Result begin(struct http_loop *loop, struct http_request *request,
                             const char *method)
{
    if (http_request_begin(request, method, &loop->server->options))
        return MHD_YES;

    http_request_refuse(request, request->refusal_code, &loop->server->options);
    return send_answer(loop, request);
}

static enum MHD_Result receive(struct http_request *request, const char *piece, size_t *size)
{
    struct peer *peer = peer_of(request->connection);

    peer->body_bytes += *size;
    if (peer->body_bytes >= BODY_PROGRESS_BYTES)
        wait_for_peer(peer, clock_monotonic_ns());

    bool goes_on = http_request_receive(request, piece, *size);
    *size = 0;
    return goes_on ? MHD_YES : MHD_NO;
}

/* False: the answer comes later. */
static bool handle(struct http_loop *loop, struct http_request *request)
{
    bool is_answered = true;

    /* Counted before the stage is looked at, so a drain either counts it or forbids it. */
    (void)atomic_fetch_add(&loop->unanswered, 1);
    if (stage_of(loop->server) < DRAINED)
        is_answered = http_request_handle(request, &loop->server->options);
    else
        http_request_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, &loop->server->options);

    if (is_answered)
        (void)atomic_fetch_sub(&loop->unanswered, 1);
    return is_answered;
}

static enum MHD_Result complete(struct http_loop *loop, struct http_request *request)
{
    peer_of(request->connection)->is_our_turn = true;

    if (request->refusal_code != 0)
        http_request_refuse(request, request->refusal_code, &loop->server->options);
    else if (!handle(loop, request))
        return MHD_YES;
    return send_answer(loop, request);
}

/*
 * libmicrohttpd calls this once with the headers, then with each piece of the
 * body, then without one, and again when a suspended connection was resumed.
 */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *piece,
                                  size_t *piece_bytes, void **slot)
{
    struct http_loop    *loop = context;
    struct http_request *request = *slot;
    (void)connection, (void)url, (void)version;

    if (!request)
        return MHD_NO;
    if (request->stage == HTTP_STARTED)
        return begin(loop, request, method);
    if (*piece_bytes > 0)
        return receive(request, piece, piece_bytes);
    if (request->stage == HTTP_RECEIVING)
        return complete(loop, request);
    return send_answer(loop, request);
}

static int wait_limit_ms(const struct http_loop *loop)
{
    MHD_UNSIGNED_LONG_LONG daemon_ms;
    int64_t                limit_ms = INT_MAX;

    if (MHD_get_timeout(loop->daemon, &daemon_ms) == MHD_YES && daemon_ms < INT_MAX)
        limit_ms = (int64_t)daemon_ms;
    if (limit_ms == 0 || !loop->patience.earliest)
        return (int)limit_ms;

    /* Rounded up, for poll must not end just before it is due. */
    int64_t left_ms = (loop->patience.earliest->due_ns - clock_monotonic_ns()) / NS_PER_MS + 1;
    if (left_ms < limit_ms)
        limit_ms = left_ms;
    return limit_ms > 0 ? (int)limit_ms : 0;
}

static void wait_for_events(struct http_loop *loop)
{
    int epoll_fd = MHD_get_daemon_info(loop->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;

    struct pollfd fds[] = {{.fd = epoll_fd, .events = POLLIN},
                           {.fd = loop->wake_fd, .events = POLLIN}};
    eventfd_t     wakes;

    (void)poll(fds, ARRAY_LENGTH(fds), wait_limit_ms(loop));
    if (fds[1].revents) {
        (void)eventfd_read(loop->wake_fd, &wakes);
        atomic_store(&loop->is_woken, false);
    }
}

static void begin_to_drain(struct http_loop *loop)
{
    if (!atomic_load(&loop->is_accepting))
        return;

    look_at_all_peers(loop);
    close(MHD_quiesce_daemon(loop->daemon));
    atomic_store(&loop->is_accepting, false);
    tell_drain(loop->server);
}

static void name_thread(const struct http_loop *loop)
{
    char name[16];

    (void)snprintf(name, sizeof(name), "%.13s-%u", loop->server->options.thread_name,
                   (unsigned)(loop - loop->server->loops));
    (void)pthread_setname_np(pthread_self(), name);
}

static void *run(void *context)
{
    struct http_loop *loop = context;
    enum stage        stage;

    name_thread(loop);
    while ((stage = stage_of(loop->server)) != STOPPING) {
        if (stage != SERVING)
            begin_to_drain(loop);
        wait_for_events(loop);
        (void)MHD_run(loop->daemon);
        look_at_due_peers(loop);
    }
    return NULL;
}

/* Closes `listen_fd` at its end. */
static struct MHD_Daemon *start_daemon(struct http_loop *loop, int listen_fd)
{
    const struct http_server_options *options = &loop->server->options;

    struct MHD_OptionItem items[] = {
        {MHD_OPTION_LISTEN_SOCKET, listen_fd, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, 1 + (options->max_connections - 1) / options->threads, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, options->idle_timeout_s, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT,
         (intptr_t)options->max_header_bytes + CONNECTION_EXTRA_BYTES, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, loop},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_request_line, loop},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, loop},
        {MHD_OPTION_END, 0, NULL},
    };
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request,
                            loop, MHD_OPTION_ARRAY, items, MHD_OPTION_END);
}

static int loop_open(struct http_loop *loop, struct http_server *server, int listen_fd)
{
    loop->server = server;
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd < 0)
        return -errno;

    int own_listen_fd = fcntl(listen_fd, F_DUPFD_CLOEXEC, 0);
    if (own_listen_fd < 0)
        return -errno;
    loop->daemon = start_daemon(loop, own_listen_fd);
    if (!loop->daemon)
        return -ENOMEM;

    loop->is_accepting = true;
    return 0;
}

static int loop_start(struct http_loop *loop)
{
    int r = pthread_create(&loop->thread, NULL, run, loop);
    loop->is_started = r == 0;
    return -r;
}

static void loop_stop(struct http_loop *loop)
{
    if (loop->is_started)
        pthread_join(loop->thread, NULL);
    loop->is_started = false;
}

static void loop_close(struct http_loop *loop)
{
    assert(atomic_load(&loop->unanswered) == 0);

    if (loop->daemon)
        MHD_stop_daemon(loop->daemon);
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
}

static struct http_server *server_alloc(const struct http_server_options *options)
{
    struct http_server *server =
        calloc(1, sizeof(*server) + options->threads * sizeof(server->loops[0]));
    if (!server)
        return NULL;

    server->options = *options;
    server->n_loops = options->threads;
    for (unsigned i = 0; i < server->n_loops; i++)
        server->loops[i].wake_fd = -1;

    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&server->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&server->lock, NULL);
    return server;
}

static int open_loops(struct http_server *server, uint16_t *ret_port)
{
    int listen_fd;

    int r = listen_socket_open(&server->options.address, &listen_fd, ret_port);
    if (r < 0)
        return r;

    for (unsigned i = 0; i < server->n_loops && r == 0; i++)
        r = loop_open(&server->loops[i], server, listen_fd);
    close(listen_fd);
    return r;
}

int http_server_new(struct http_server **ret_server, const struct http_server_options *options,
                    uint16_t *ret_port)
{
    assert(options->threads > 0 && options->max_connections > 0 && options->idle_timeout_s > 0);
    assert(options->max_header_bytes >= 4096);

    cleanup_with(http_server_free_at) struct http_server *server = server_alloc(options);
    if (!server)
        return -ENOMEM;

    uint16_t port;
    int      r = open_loops(server, &port);
    for (unsigned i = 0; i < server->n_loops && r == 0; i++)
        r = loop_start(&server->loops[i]);
    if (r < 0)
        return r;

    *ret_port = port;
    *ret_server = take(server);
    return 0;
}

static void enter(struct http_server *server, enum stage stage)
{
    if (stage_of(server) < stage)
        atomic_store(&server->stage, stage);
    for (unsigned i = 0; i < server->n_loops; i++)
        loop_wake(&server->loops[i]);
}

static bool is_quiet(struct http_server *server)
{
    for (unsigned i = 0; i < server->n_loops; i++)
        if (atomic_load(&server->loops[i].is_accepting) ||
            atomic_load(&server->loops[i].in_hand) > 0)
            return false;
    return true;
}

static unsigned count_unanswered(struct http_server *server)
{
    unsigned count = 0;
    for (unsigned i = 0; i < server->n_loops; i++)
        count += atomic_load(&server->loops[i].unanswered);
    return count;
}

static void wait_until_quiet_locked(struct http_server *server, int64_t deadline_ns)
{
    struct timespec deadline = {.tv_sec = deadline_ns / NS_PER_S,
                                .tv_nsec = deadline_ns % NS_PER_S};

    for (int r = 0; r == 0 && !is_quiet(server);)
        r = pthread_cond_timedwait(&server->changed, &server->lock, &deadline);
}

unsigned http_server_drain(struct http_server *server, int64_t deadline_ns)
{
    pthread_mutex_lock(&server->lock);
    enter(server, DRAINING);
    wait_until_quiet_locked(server, deadline_ns);
    /* Connections that are kept may bring a last request before the door shuts. */
    enter(server, DRAINED);
    wait_until_quiet_locked(server, deadline_ns);
    unsigned n_unanswered = count_unanswered(server);
    pthread_mutex_unlock(&server->lock);
    return n_unanswered;
}

void http_server_free(struct http_server *server)
{
    if (!server)
        return;

    enter(server, STOPPING);
    for (unsigned i = 0; i < server->n_loops; i++)
        loop_stop(&server->loops[i]);
    for (unsigned i = 0; i < server->n_loops; i++)
        loop_close(&server->loops[i]);

    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server);
}
