#include "common/edge/http_client.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/edge/http_transfer.h"

enum { MAX_EVENTS = 64 };

enum slot_state {
    IDLE, /* free, or started and not yet seen by the client's thread */
    WAITING,
    RUNNING,
};

/* A place for one request. There are as many as may wait and run, all made at the start. */
struct slot {
    struct http_transfer transfer;
    enum slot_state      state;
    TAILQ_ENTRY(slot) link; /* in free, started or waiting */

    uint64_t number;       /* locked; 0 once the request has ended */
    bool     is_cancelled; /* locked; it is in the list of those */
    SLIST_ENTRY(slot) cancelled_link;
};

TAILQ_HEAD(slot_list, slot);
SLIST_HEAD(cancelled_list, slot);

/* A request for which there was no place. */
struct refusal {
    http_done_fn *done;
    void         *context;
    STAILQ_ENTRY(refusal) link;
};

STAILQ_HEAD(refusal_list, refusal);

/* What the client's thread is asked to do. */
struct orders {
    struct slot_list      started;
    struct cancelled_list cancelled;
    struct refusal_list   refused;
    bool                  is_stopping;
};

struct http_client {
    struct http_client_options options;
    pthread_t                  thread;
    bool                       is_started;
    int                        epoll_fd;
    int                        wake_fd;

    /* From here to the lock: the thread's own. */
    CURLM           *multi;
    int64_t          timer_ns;          /* when curl wants to be called */
    struct slot_list waiting;           /* for one of those running to end */
    int64_t          first_deadline_ns; /* no request that waits has an earlier one */
    unsigned         n_running;
    bool             has_own_orders; /* given from within `done` */

    pthread_mutex_t lock;
    struct {
        struct slot_list free;
        struct orders    orders;
        uint64_t         n_started;
        bool             is_woken; /* and has not looked at the orders since */
    } locked;

    unsigned    n_slots;
    struct slot slots[];
};

static _Thread_local struct http_client *current_client;

static void wake(struct http_client *client)
{
    (void)eventfd_write(client->wake_fd, 1);
}

/* Whether the thread must be woken for an order. To itself it is awake. */
static bool needs_wake_locked(struct http_client *client)
{
    if (client == current_client) {
        client->has_own_orders = true;
        return false;
    }

    bool needs_wake = !client->locked.is_woken;
    client->locked.is_woken = true;
    return needs_wake;
}

/* No two are alike, and each tells its slot. */
static uint64_t next_number_locked(struct http_client *client, const struct slot *slot)
{
    uint64_t index = slot ? (uint64_t)(slot - client->slots) : 0;
    return ++client->locked.n_started * client->n_slots + index;
}

static void refuse_locked(struct http_client *client, const struct http_call *call)
{
    struct refusal *refusal = malloc(sizeof(*refusal));
    if (!refusal)
        abort(); /* `done` must run, and there is not even memory to remember that */

    *refusal = (struct refusal){.done = call->done, .context = call->context};
    STAILQ_INSERT_TAIL(&client->locked.orders.refused, refusal, link);
}

static uint64_t start_locked(struct http_client *client, const struct http_call *call)
{
    struct slot *slot = TAILQ_FIRST(&client->locked.free);
    uint64_t     number = next_number_locked(client, slot);

    if (!slot) {
        refuse_locked(client, call);
        return number;
    }
    TAILQ_REMOVE(&client->locked.free, slot, link);
    slot->transfer.call = *call;
    slot->number = number;
    TAILQ_INSERT_TAIL(&client->locked.orders.started, slot, link);
    return number;
}

uint64_t http_start(struct http_client *client, const struct http_call *call)
{
    pthread_mutex_lock(&client->lock);
    uint64_t number = start_locked(client, call);
    bool     needs_wake = needs_wake_locked(client);
    pthread_mutex_unlock(&client->lock);

    if (needs_wake)
        wake(client);
    return number;
}

static bool cancel_locked(struct http_client *client, uint64_t number)
{
    struct slot *slot = &client->slots[number % client->n_slots];

    if (slot->number != number || slot->is_cancelled)
        return false;
    slot->is_cancelled = true;
    SLIST_INSERT_HEAD(&client->locked.orders.cancelled, slot, cancelled_link);
    return true;
}

void http_cancel(struct http_client *client, uint64_t number)
{
    pthread_mutex_lock(&client->lock);
    bool needs_wake = cancel_locked(client, number) && needs_wake_locked(client);
    pthread_mutex_unlock(&client->lock);

    if (needs_wake)
        wake(client);
}

static void orders_init(struct orders *orders)
{
    TAILQ_INIT(&orders->started);
    SLIST_INIT(&orders->cancelled);
    STAILQ_INIT(&orders->refused);
}

static void take_orders(struct http_client *client, struct orders *ret_orders)
{
    struct orders *orders = &client->locked.orders;

    orders_init(ret_orders);
    client->has_own_orders = false;

    pthread_mutex_lock(&client->lock);
    TAILQ_CONCAT(&ret_orders->started, &orders->started, link);
    STAILQ_CONCAT(&ret_orders->refused, &orders->refused);
    ret_orders->cancelled = orders->cancelled;
    SLIST_INIT(&orders->cancelled);
    ret_orders->is_stopping = orders->is_stopping;
    client->locked.is_woken = false;
    pthread_mutex_unlock(&client->lock);
}

static void release(struct http_client *client, struct slot *slot)
{
    pthread_mutex_lock(&client->lock);
    /* Somebody's cancel came too late, but has the slot in its list: it is free once taken from
     * there. */
    if (!slot->is_cancelled)
        TAILQ_INSERT_HEAD(&client->locked.free, slot, link);
    pthread_mutex_unlock(&client->lock);
}

/* From here on it cannot be cancelled. */
static void forget_number(struct http_client *client, struct slot *slot)
{
    pthread_mutex_lock(&client->lock);
    slot->number = 0;
    pthread_mutex_unlock(&client->lock);
}

/* Takes the request from wherever it is; what remains is to tell its outcome. */
static void detach(struct http_client *client, struct slot *slot)
{
    if (slot->state == RUNNING) {
        (void)curl_multi_remove_handle(client->multi, slot->transfer.easy);
        client->n_running--;
    } else if (slot->state == WAITING) {
        TAILQ_REMOVE(&client->waiting, slot, link);
    }
    slot->state = IDLE;
    forget_number(client, slot);
}

static void fail(struct http_client *client, struct slot *slot, enum status status,
                 struct str message)
{
    detach(client, slot);
    http_transfer_fail(&slot->transfer, status, message);
    release(client, slot);
}

static void finish(struct http_client *client, struct slot *slot, CURLcode how)
{
    detach(client, slot);
    http_transfer_finish(&slot->transfer, how);
    release(client, slot);
}

static void tell_refused(struct refusal_list *refused)
{
    struct refusal *refusal;

    while ((refusal = STAILQ_FIRST(refused))) {
        STAILQ_REMOVE_HEAD(refused, link);
        refusal->done(&(struct http_outcome){.status = STATUS_RESOURCE_EXHAUSTED,
                                             .message = STR("too many requests are waiting")},
                      refusal->context);
        free(refusal);
    }
}

static void let_wait(struct http_client *client, struct slot_list *started)
{
    for (struct slot *slot = TAILQ_FIRST(started); slot; slot = TAILQ_NEXT(slot, link)) {
        slot->state = WAITING;
        if (slot->transfer.call.deadline_ns < client->first_deadline_ns)
            client->first_deadline_ns = slot->transfer.call.deadline_ns;
    }
    TAILQ_CONCAT(&client->waiting, started, link);
}

/* False: it had ended before it was cancelled, and is free now. */
static bool leave_cancelled(struct http_client *client, struct slot *slot)
{
    pthread_mutex_lock(&client->lock);
    slot->is_cancelled = false;
    bool is_live = slot->number != 0;
    if (!is_live)
        TAILQ_INSERT_HEAD(&client->locked.free, slot, link);
    pthread_mutex_unlock(&client->lock);
    return is_live;
}

static void end_cancelled(struct http_client *client, struct cancelled_list *cancelled)
{
    struct slot *slot;

    while ((slot = SLIST_FIRST(cancelled))) {
        SLIST_REMOVE_HEAD(cancelled, cancelled_link);
        if (leave_cancelled(client, slot))
            fail(client, slot, STATUS_CANCELLED, STR("cancelled"));
    }
}

static void carry_out(struct http_client *client, struct orders *orders)
{
    let_wait(client, &orders->started);
    end_cancelled(client, &orders->cancelled);
    tell_refused(&orders->refused);
}

/*
 * curl 7.88 announces the removal of a socket that was still connecting only
 * after it is closed, when the number may be another thread's already: so
 * on_socket must not know it any more.
 */
static int close_socket(void *context, curl_socket_t fd)
{
    struct http_client *client = context;

    (void)curl_multi_assign(client->multi, fd, NULL);
    return close(fd);
}

static int add_to_multi(struct http_client *client, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, client);
    return curl_multi_add_handle(client->multi, easy) == CURLM_OK ? 0 : -ENOMEM;
}

static void run_slot(struct http_client *client, struct slot *slot, int64_t now_ns)
{
    int r = http_transfer_prepare(&slot->transfer, now_ns);
    if (r == 0)
        r = add_to_multi(client, slot->transfer.easy);
    if (r < 0) {
        fail(client, slot, STATUS_RESOURCE_EXHAUSTED, STR("out of memory"));
        return;
    }

    TAILQ_REMOVE(&client->waiting, slot, link);
    slot->state = RUNNING;
    client->n_running++;
}

static void run_waiting(struct http_client *client, int64_t now_ns)
{
    struct slot *slot;

    while (client->n_running < client->options.max_connections &&
           (slot = TAILQ_FIRST(&client->waiting)))
        run_slot(client, slot, now_ns);
}

/* While a request waits curl does not know it, so its deadline is ours to keep. */
static void end_expired(struct http_client *client, int64_t now_ns)
{
    if (now_ns < client->first_deadline_ns)
        return;

    client->first_deadline_ns = NEVER_NS;
    for (struct slot *slot = TAILQ_FIRST(&client->waiting), *next; slot; slot = next) {
        int64_t deadline_ns = slot->transfer.call.deadline_ns;
        next = TAILQ_NEXT(slot, link);
        if (deadline_ns <= now_ns)
            fail(client, slot, STATUS_DEADLINE_EXCEEDED, STR("no connection was free in time"));
        else if (deadline_ns < client->first_deadline_ns)
            client->first_deadline_ns = deadline_ns;
    }
}

static struct slot *slot_of(CURL *easy)
{
    void *transfer = NULL;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&transfer);
    return container_of(transfer, struct slot, transfer);
}

static void finish_done(struct http_client *client)
{
    CURLMsg *message;
    int      n_left;

    /* The message dies with the removal of its handle. */
    while ((message = curl_multi_info_read(client->multi, &n_left)))
        finish(client, slot_of(message->easy_handle), message->data.result);
}

static int on_timer(CURLM *multi, long timeout_ms, void *context)
{
    struct http_client *client = context;
    (void)multi;

    if (timeout_ms > 0)
        client->timer_ns = clock_monotonic_ns() + timeout_ms * NS_PER_MS;
    else
        client->timer_ns = timeout_ms == 0 ? 0 : NEVER_NS;
    return 0;
}

/* Anything but 0 would make curl give up all transfers (since 7.81). */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *is_known)
{
    struct http_client *client = context;
    struct epoll_event  event = {.data.fd = fd};
    (void)easy;

    if (what == CURL_POLL_REMOVE) {
        if (is_known)
            (void)epoll_ctl(client->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }

    event.events =
        ((what & CURL_POLL_IN) ? EPOLLIN : 0u) | ((what & CURL_POLL_OUT) ? EPOLLOUT : 0u);
    (void)curl_multi_assign(client->multi, fd, client);
    (void)epoll_ctl(client->epoll_fd, is_known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    return 0;
}

/* Rounded up, for what is almost due is not due. */
static int wait_limit_ms(const struct http_client *client, int64_t now_ns)
{
    int64_t due_ns =
        client->timer_ns < client->first_deadline_ns ? client->timer_ns : client->first_deadline_ns;
    if (client->has_own_orders || due_ns <= now_ns)
        return 0;
    if (due_ns == NEVER_NS)
        return -1;

    int64_t left_ms = (due_ns - now_ns) / NS_PER_MS + 1;
    return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

static void handle_event(struct http_client *client, const struct epoll_event *event)
{
    eventfd_t wakes;
    int       n_running;

    if (event->data.fd == client->wake_fd) {
        (void)eventfd_read(client->wake_fd, &wakes);
        return;
    }

    int what = ((event->events & EPOLLIN) ? CURL_CSELECT_IN : 0) |
               ((event->events & EPOLLOUT) ? CURL_CSELECT_OUT : 0) |
               ((event->events & (EPOLLERR | EPOLLHUP)) ? CURL_CSELECT_ERR : 0);
    (void)curl_multi_socket_action(client->multi, event->data.fd, what, &n_running);
}

static void handle_events(struct http_client *client, int64_t now_ns)
{
    struct epoll_event events[MAX_EVENTS];

    int n_events = epoll_wait(client->epoll_fd, events, MAX_EVENTS, wait_limit_ms(client, now_ns));
    for (int i = 0; i < n_events; i++)
        handle_event(client, &events[i]);
}

static void run_timer(struct http_client *client, int64_t now_ns)
{
    int n_running;

    if (now_ns < client->timer_ns)
        return;
    client->timer_ns = NEVER_NS;
    (void)curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &n_running);
}

static void turn(struct http_client *client)
{
    int64_t now_ns = clock_monotonic_ns();

    end_expired(client, now_ns);
    run_waiting(client, now_ns);
    handle_events(client, now_ns);
    run_timer(client, clock_monotonic_ns());
    finish_done(client);
}

/* False when nothing was left to cancel. */
static bool cancel_all(struct http_client *client)
{
    bool was_busy = client->has_own_orders;

    for (unsigned i = 0; i < client->n_slots; i++) {
        struct slot *slot = &client->slots[i];
        if (slot->state != IDLE) {
            was_busy = true;
            fail(client, slot, STATUS_CANCELLED, STR("the client is closing"));
        }
    }
    return was_busy;
}

static void *run(void *context)
{
    struct http_client *client = context;
    struct orders       orders;

    current_client = client;
    (void)pthread_setname_np(pthread_self(), client->options.thread_name);
    for (;;) {
        take_orders(client, &orders);
        carry_out(client, &orders);
        if (!orders.is_stopping)
            turn(client);
        else if (!cancel_all(client))
            return NULL;
    }
}

static struct http_client *client_alloc(const struct http_client_options *options)
{
    unsigned            n_slots = options->max_connections + options->max_queued;
    struct http_client *client = calloc(1, sizeof(*client) + n_slots * sizeof(client->slots[0]));
    if (!client)
        return NULL;

    client->options = *options;
    client->n_slots = n_slots;
    client->epoll_fd = -1;
    client->wake_fd = -1;
    client->timer_ns = NEVER_NS;
    client->first_deadline_ns = NEVER_NS;
    TAILQ_INIT(&client->waiting);
    TAILQ_INIT(&client->locked.free);
    orders_init(&client->locked.orders);
    for (unsigned i = 0; i < n_slots; i++)
        TAILQ_INSERT_TAIL(&client->locked.free, &client->slots[i], link);
    pthread_mutex_init(&client->lock, NULL);
    return client;
}

static int open_epoll(struct http_client *client)
{
    client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    client->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = client->wake_fd};

    if (client->epoll_fd < 0 || client->wake_fd < 0 ||
        epoll_ctl(client->epoll_fd, EPOLL_CTL_ADD, client->wake_fd, &event) < 0)
        return -errno;
    return 0;
}

static void init_curl(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static int open_multi(struct http_client *client)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_curl);

    client->multi = curl_multi_init();
    if (!client->multi)
        return -ENOMEM;

    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)client->options.max_connections);
    return 0;
}

int http_client_new(struct http_client **ret_client, const struct http_client_options *options)
{
    assert(options->max_connections > 0);

    cleanup_with(http_client_free_at) struct http_client *client = client_alloc(options);
    if (!client)
        return -ENOMEM;

    int r = open_epoll(client);
    if (r == 0)
        r = open_multi(client);
    if (r == 0)
        r = -pthread_create(&client->thread, NULL, run, client);
    if (r < 0)
        return r;

    client->is_started = true;
    *ret_client = take(client);
    return 0;
}

static void stop(struct http_client *client)
{
    pthread_mutex_lock(&client->lock);
    client->locked.orders.is_stopping = true;
    pthread_mutex_unlock(&client->lock);

    wake(client);
    pthread_join(client->thread, NULL);
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;

    if (client->is_started)
        stop(client);
    for (unsigned i = 0; i < client->n_slots; i++)
        http_transfer_free(&client->slots[i].transfer);
    curl_multi_cleanup(client->multi);
    if (client->wake_fd >= 0)
        close(client->wake_fd);
    if (client->epoll_fd >= 0)
        close(client->epoll_fd);
    pthread_mutex_destroy(&client->lock);
    free(client);
}
