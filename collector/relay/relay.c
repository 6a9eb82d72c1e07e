#include "collector/relay/relay.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "collector/relay/destination.h"
#include "common/base/clock.h"
#include "common/edge/rpc_worker.h"

/* Records in memory, of all destinations together. */
enum { MAX_HELD_BYTES = 24 << 20 };

/* How often the size of the log is looked at while it fills. */
enum { LOOKS_PER_LOG = 32 };

/* How often cursors are synced, old records looked for and memory is given back. */
static const int64_t housekeeping_ns = NS_PER_S;

/* The same while the journal is too large. */
static const int64_t hurried_housekeeping_ns = 50 * (int64_t)NS_PER_MS;

STAILQ_HEAD(ended_list, parcel);

struct relay {
    struct relay_options options;
    struct batch_pool   *pool;
    struct relay_metrics metrics;
    pthread_t            thread;
    bool                 is_started;

    /* The thread's own, once it has started. */
    int64_t             housekept_ns;
    uint64_t            seen_end; /* of the log, when the last turn began */
    bool                is_stopping;
    int64_t             stop_deadline_ns;
    size_t              n_destinations;
    struct destination *destinations[RELAY_MAX_DESTINATIONS];

    pthread_mutex_t lock;
    pthread_cond_t  changed;
    struct {
        struct ended_list       ended; /* parcels whose call has ended */
        bool                    is_woken;
        uint64_t                wants_until; /* where the log is to reach for the next turn */
        bool                    is_stopping;
        int64_t                 stop_deadline_ns;
        struct destination_view views[RELAY_MAX_DESTINATIONS];
    } locked;
};

static void publish(struct relay *relay, size_t i, int64_t now_ns)
{
    struct destination     *destination = relay->destinations[i];
    struct destination_view view;

    destination_view(destination, &view);
    pthread_mutex_lock(&relay->lock);
    relay->locked.views[i] = view;
    pthread_mutex_unlock(&relay->lock);

    struct relay_books books =
        destination_books(&view, journal_end(relay->options.journal), now_ns);
    destination_metrics_show(destination_series(destination), &books);
}

static void publish_all(struct relay *relay, int64_t now_ns)
{
    for (size_t i = 0; i < relay->n_destinations; i++)
        publish(relay, i, now_ns);
}

void relay_read_books(struct relay *relay, size_t destination, struct relay_books *ret_books)
{
    assert(destination < relay->n_destinations);

    pthread_mutex_lock(&relay->lock);
    struct destination_view view = relay->locked.views[destination];
    pthread_mutex_unlock(&relay->lock);

    *ret_books =
        destination_books(&view, journal_end(relay->options.journal), clock_monotonic_ns());
}

size_t relay_destinations(const struct relay *relay)
{
    return relay->n_destinations;
}

static void wake_locked(struct relay *relay)
{
    if (!relay->locked.is_woken)
        pthread_cond_signal(&relay->changed);
    relay->locked.is_woken = true;
}

/* A turn for each group that is committed would cost more than all else that the relay does. */
void relay_wake(struct relay *relay)
{
    uint64_t end = journal_end(relay->options.journal).offset;

    pthread_mutex_lock(&relay->lock);
    if (end >= relay->locked.wants_until)
        wake_locked(relay);
    pthread_mutex_unlock(&relay->lock);
}

/* On the worker. */
static void call_ended(struct parcel *parcel, void *context)
{
    struct relay *relay = context;

    pthread_mutex_lock(&relay->lock);
    STAILQ_INSERT_TAIL(&relay->locked.ended, parcel, ended);
    wake_locked(relay);
    pthread_mutex_unlock(&relay->lock);
}

static struct timespec time_from_ns(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
}

/*
 * What the turn before has seen of the log was not enough. Whoever cannot send must still see
 * that the log does not grow far beyond its limit.
 */
static uint64_t wants_until(const struct relay *relay)
{
    uint64_t nearest = relay->seen_end + relay->options.max_bytes / LOOKS_PER_LOG;
    int64_t  now_ns = clock_monotonic_ns();

    for (size_t i = 0; i < relay->n_destinations; i++) {
        uint64_t offset = destination_wants_until(relay->destinations[i], now_ns);
        if (offset < nearest)
            nearest = offset;
    }
    return nearest > relay->seen_end ? nearest : relay->seen_end + 1;
}

/* Under the lock, so that whoever commits from now on sees what is wanted. */
static void set_wanted_locked(struct relay *relay)
{
    relay->locked.wants_until = wants_until(relay);
    if (journal_end(relay->options.journal).offset >= relay->locked.wants_until)
        relay->locked.is_woken = true;
}

/* Until somebody wakes the thread, or `due_ns`. Returns the parcels whose calls have ended. */
static struct ended_list wait_until(struct relay *relay, int64_t due_ns)
{
    struct timespec   until = time_from_ns(due_ns);
    struct ended_list ended = STAILQ_HEAD_INITIALIZER(ended);
    int               r = 0;

    pthread_mutex_lock(&relay->lock);
    set_wanted_locked(relay);
    while (r == 0 && !relay->locked.is_woken)
        r = pthread_cond_timedwait(&relay->changed, &relay->lock, &until);
    relay->locked.is_woken = false;
    STAILQ_CONCAT(&ended, &relay->locked.ended);
    relay->is_stopping = relay->locked.is_stopping;
    relay->stop_deadline_ns = relay->locked.stop_deadline_ns;
    pthread_mutex_unlock(&relay->lock);
    return ended;
}

static void settle_ended(struct ended_list *ended, int64_t now_ns)
{
    struct parcel *parcel;

    while ((parcel = STAILQ_FIRST(ended))) {
        STAILQ_REMOVE_HEAD(ended, ended);
        destination_call_ended(parcel->destination, parcel, now_ns);
    }
}

static struct destination_limits limits_now(const struct relay *relay)
{
    const struct relay_options *options = &relay->options;
    struct destination_limits   limits = {
          .small = journal_position_within(options->journal, options->max_bytes, INT64_MIN),
          .oldest_ns = INT64_MIN,
    };

    if (options->max_age_ns > 0) {
        limits.oldest_ns = clock_realtime_ns() - options->max_age_ns;
        limits.young = journal_position_within(options->journal, UINT64_MAX, limits.oldest_ns);
    }
    return limits;
}

/*
 * What no destination needs after a power failure leaves the disk; for its size also what is
 * still in a call: if the process dies before the answer, that much has expired.
 */
static void trim(struct relay *relay, const struct destination_limits *limits)
{
    uint64_t small = limits->small.offset;
    uint64_t needed_from = journal_end(relay->options.journal).offset;

    for (size_t i = 0; i < relay->n_destinations; i++) {
        uint64_t offset = destination_needs_from(relay->destinations[i]);
        if (offset < needed_from)
            needed_from = offset;
    }
    journal_trim(relay->options.journal, needed_from > small ? needed_from : small);
}

static void save_all(struct relay *relay, bool sync)
{
    for (size_t i = 0; i < relay->n_destinations; i++)
        destination_save(relay->destinations[i], sync);
}

static bool is_housekeeping_due(const struct relay *relay, int64_t now_ns)
{
    if (now_ns >= relay->housekept_ns + housekeeping_ns)
        return true;
    return now_ns >= relay->housekept_ns + hurried_housekeeping_ns &&
           journal_disk_bytes(relay->options.journal) > relay->options.max_bytes;
}

static void keep_house(struct relay *relay, int64_t now_ns)
{
    struct destination_limits limits = limits_now(relay);

    relay->housekept_ns = now_ns;
    for (size_t i = 0; i < relay->n_destinations; i++)
        destination_expire(relay->destinations[i], &limits);
    save_all(relay, /* sync= */ true);
    trim(relay, &limits);
    batch_pool_trim(relay->pool);
}

static int64_t advance_all(struct relay *relay, int64_t now_ns)
{
    int64_t due_ns = relay->housekept_ns + housekeeping_ns;

    for (size_t i = 0; i < relay->n_destinations; i++) {
        int64_t next_ns = destination_advance(relay->destinations[i], now_ns);
        if (next_ns < due_ns)
            due_ns = next_ns;
    }
    return due_ns;
}

static bool is_drained(const struct relay *relay)
{
    for (size_t i = 0; i < relay->n_destinations; i++)
        if (!destination_is_done(relay->destinations[i], relay->stop_deadline_ns))
            return false;
    return true;
}

/* One turn: what has ended, what is old, what can start. Returns when the next one is due. */
static int64_t take_turn(struct relay *relay, struct ended_list *ended)
{
    int64_t now_ns = clock_monotonic_ns();

    relay->seen_end = journal_end(relay->options.journal).offset;
    settle_ended(ended, now_ns);
    if (is_housekeeping_due(relay, now_ns))
        keep_house(relay, now_ns);
    int64_t due_ns = advance_all(relay, now_ns);
    save_all(relay, /* sync= */ false);
    publish_all(relay, now_ns);
    return due_ns;
}

static unsigned count_calls(const struct relay *relay)
{
    unsigned n_calls = 0;

    for (size_t i = 0; i < relay->n_destinations; i++)
        n_calls += destination_calls(relay->destinations[i]);
    return n_calls;
}

/* Their outcomes still count. */
static void cancel_calls(struct relay *relay)
{
    for (size_t i = 0; i < relay->n_destinations; i++)
        destination_cancel(relay->destinations[i]);

    while (count_calls(relay) > 0) {
        struct ended_list ended = wait_until(relay, NEVER_NS);
        settle_ended(&ended, clock_monotonic_ns());
    }
}

static void hurry_all(struct relay *relay)
{
    for (size_t i = 0; i < relay->n_destinations; i++)
        destination_hurry(relay->destinations[i]);
}

static void drain(struct relay *relay)
{
    struct ended_list ended = STAILQ_HEAD_INITIALIZER(ended);

    hurry_all(relay);
    for (;;) {
        int64_t due_ns = take_turn(relay, &ended);
        if (is_drained(relay) || clock_monotonic_ns() >= relay->stop_deadline_ns)
            return;
        ended =
            wait_until(relay, due_ns < relay->stop_deadline_ns ? due_ns : relay->stop_deadline_ns);
    }
}

static void *relay_thread(void *argument)
{
    struct relay     *relay = argument;
    struct ended_list ended = STAILQ_HEAD_INITIALIZER(ended);

    while (!relay->is_stopping) {
        int64_t due_ns = take_turn(relay, &ended);
        ended = wait_until(relay, due_ns);
    }
    settle_ended(&ended, clock_monotonic_ns());

    drain(relay);
    cancel_calls(relay);
    keep_house(relay, clock_monotonic_ns());
    publish_all(relay, clock_monotonic_ns());
    return NULL;
}

int relay_start(struct relay *relay)
{
    int r = pthread_create(&relay->thread, NULL, relay_thread, relay);
    if (r != 0)
        return -r;

    pthread_setname_np(relay->thread, "relay");
    relay->is_started = true;
    return 0;
}

void relay_stop(struct relay *relay, int64_t deadline_ns)
{
    if (!relay->is_started)
        return;

    pthread_mutex_lock(&relay->lock);
    relay->locked.is_stopping = true;
    relay->locked.stop_deadline_ns = deadline_ns;
    wake_locked(relay);
    pthread_mutex_unlock(&relay->lock);

    pthread_join(relay->thread, NULL);
    relay->is_started = false;
}

static void init_locks(struct relay *relay)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&relay->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&relay->lock, NULL);
    STAILQ_INIT(&relay->locked.ended);
}

static int open_destination(struct relay *relay, const struct relay_destination *config)
{
    return destination_new(&relay->destinations[relay->n_destinations],
                           &(struct destination_options){
                               .destination = config,
                               .relay = &relay->options,
                               .pool = relay->pool,
                               .max_held_bytes = MAX_HELD_BYTES / relay->options.n_destinations,
                               .metrics = &relay->metrics,
                               .ended = call_ended,
                               .context = relay,
                           });
}

static int open_destinations(struct relay *relay, struct str *culprit)
{
    const struct relay_options *options = &relay->options;

    for (size_t i = 0; i < options->n_destinations; i++) {
        int r = open_destination(relay, &options->destinations[i]);
        if (r < 0) {
            *culprit = options->destinations[i].name;
            return r;
        }
        relay->n_destinations++;
    }
    return 0;
}

static void forget_silently(struct str name)
{
    (void)name;
}

static int forget_others(struct relay *relay)
{
    const struct relay_options *options = &relay->options;
    struct str                  names[RELAY_MAX_DESTINATIONS];

    for (size_t i = 0; i < relay->n_destinations; i++)
        names[i] = destination_name(relay->destinations[i]);
    return cursor_forget_others(options->directory, names, relay->n_destinations,
                                options->forgotten ? options->forgotten : forget_silently);
}

int relay_new(struct relay **ret_relay, const struct relay_options *options,
              struct metrics *metrics, struct str *ret_culprit)
{
    assert(options->n_destinations <= RELAY_MAX_DESTINATIONS);
    assert(options->max_in_flight > 0 && options->max_in_flight <= OTLP_MAX_CALLS);
    struct str culprit = STR("");

    cleanup_with(relay_free_at) struct relay *relay = calloc(1, sizeof(*relay));
    if (!relay)
        return -ENOMEM;

    relay->options = *options;
    init_locks(relay);
    int r = batch_pool_new(&relay->pool, options->max_batch_bytes);
    if (r == 0)
        r = relay_metrics_init(&relay->metrics, metrics);
    if (r == 0)
        r = open_destinations(relay, &culprit);
    if (r == 0)
        r = forget_others(relay);
    if (r < 0) {
        if (ret_culprit)
            *ret_culprit = culprit;
        return r;
    }
    publish_all(relay, clock_monotonic_ns());
    *ret_relay = take(relay);
    return 0;
}

void relay_free(struct relay *relay)
{
    if (!relay)
        return;
    assert(!relay->is_started);

    for (size_t i = 0; i < relay->n_destinations; i++)
        destination_free(relay->destinations[i]);
    batch_pool_free(relay->pool);
    pthread_cond_destroy(&relay->changed);
    pthread_mutex_destroy(&relay->lock);
    free(relay);
}
