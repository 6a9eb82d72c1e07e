#include "common/edge/rpc_health.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/base/wire.h"

/* grpc/health/v1/health.proto: HealthCheckResponse.ServingStatus */
enum serving { SERVING_UNSENT = 0, SERVING = 1, NOT_SERVING = 2, SERVICE_UNKNOWN = 3 };

enum { FIELD_SERVICE = 1, FIELD_STATUS = 1 };

/*
 * One Watch stream. Its worker owns it; `locked` parts of the health object lead
 * others to it. It is freed on its worker once the stream is over and no task of
 * it is posted.
 */
struct watch {
    struct rpc_health *health;
    struct rpc_call   *call; /* NULL: the stream is over */
    struct rpc_worker *worker;
    bool               is_known;
    bool               is_writing;
    bool               is_cancelled;
    enum serving       sent;

    struct rpc_task task;
    bool            is_posted; /* with the health lock held only, as the links */
    struct watch   *next, *previous;
};

struct rpc_health {
    const char *const *services;
    _Atomic bool       is_serving;
    _Atomic bool       is_ending;

    pthread_mutex_t lock;
    struct {
        struct watch *watches;
    } locked;
};

static void watch_update(struct watch *watch);

struct rpc_health *rpc_health_new(const char *const services[])
{
    struct rpc_health *health = calloc(1, sizeof(*health));
    if (!health)
        return NULL;

    health->services = services;
    pthread_mutex_init(&health->lock, NULL);
    return health;
}

void rpc_health_free(struct rpc_health *health)
{
    if (!health)
        return;
    assert(!health->locked.watches);

    pthread_mutex_destroy(&health->lock);
    free(health);
}

static bool is_known(const struct rpc_health *health, struct str service)
{
    if (str_is_empty(service))
        return true;

    for (const char *const *known = health->services; *known; known++) {
        if (str_equal(str_from(*known), service))
            return true;
    }
    return false;
}

/* The service that a HealthCheckRequest asks about. False: it is not one. */
static bool read_request(struct str request, struct str *ret_service)
{
    struct wire_cursor cursor = wire_cursor(request);
    struct wire_field  field;
    struct str         service = STR("");

    while (wire_next(&cursor, &field)) {
        if (field.number == FIELD_SERVICE && field.type == WIRE_BYTES)
            service = field.bytes;
    }
    if (cursor.is_bad)
        return false;

    *ret_service = service;
    return true;
}

static struct str write_response(enum serving serving, uint8_t buffer[static 16])
{
    struct wire_writer writer = wire_writer(buffer, 16);

    wire_put_varint(&writer, FIELD_STATUS, serving);
    return wire_written(&writer);
}

static enum serving serving_now(struct rpc_health *health)
{
    return atomic_load(&health->is_serving) ? SERVING : NOT_SERVING;
}

static void handle_check(struct rpc_call *call, void *context)
{
    struct rpc_health *health = context;
    struct str         service;
    uint8_t            buffer[16];

    if (!read_request(rpc_call_request(call), &service))
        rpc_call_fail(call,
                      &(struct rpc_failure){.status = STATUS_INVALID_ARGUMENT,
                                            .message = STR("not a HealthCheckRequest")},
                      NULL);
    else if (!is_known(health, service))
        rpc_call_fail(
            call,
            &(struct rpc_failure){.status = STATUS_NOT_FOUND, .message = STR("unknown service")},
            NULL);
    else
        rpc_call_reply(call, write_response(serving_now(health), buffer), NULL);
}

static void link_locked(struct watch *watch)
{
    watch->next = watch->health->locked.watches;
    if (watch->next)
        watch->next->previous = watch;
    watch->health->locked.watches = watch;
}

static void unlink_locked(struct watch *watch)
{
    if (watch->previous)
        watch->previous->next = watch->next;
    else
        watch->health->locked.watches = watch->next;
    if (watch->next)
        watch->next->previous = watch->previous;
}

static void watch_end(struct watch *watch, enum status status, struct str message)
{
    rpc_stream_finish(take(watch->call), status, message);

    pthread_mutex_lock(&watch->health->lock);
    unlink_locked(watch);
    bool is_posted = watch->is_posted;
    pthread_mutex_unlock(&watch->health->lock);

    if (!is_posted)
        free(watch);
}

static enum serving watch_serving(const struct watch *watch)
{
    return watch->is_known ? serving_now(watch->health) : SERVICE_UNKNOWN;
}

static void watch_written(struct rpc_call *call, bool ok, void *context)
{
    struct watch *watch = context;
    (void)call;

    watch->is_writing = false;
    watch->is_cancelled |= !ok;
    watch_update(watch);
}

static void watch_send(struct watch *watch, enum serving serving)
{
    uint8_t buffer[16];

    watch->sent = serving;
    watch->is_writing = true;
    rpc_stream_write(watch->call, write_response(serving, buffer), watch_written, watch);
}

/* Brings the stream up to date: one write at a time, the last state wins. */
static void watch_update(struct watch *watch)
{
    if (watch->is_writing)
        return;

    enum serving serving = watch_serving(watch);
    if (watch->is_cancelled)
        watch_end(watch, STATUS_CANCELLED, STR("the caller is gone"));
    else if (serving != watch->sent)
        watch_send(watch, serving);
    else if (atomic_load(&watch->health->is_ending))
        watch_end(watch, STATUS_UNAVAILABLE, STR("the server shuts down"));
}

static void watch_changed(struct rpc_task *task)
{
    struct watch *watch = container_of(task, struct watch, task);

    pthread_mutex_lock(&watch->health->lock);
    watch->is_posted = false;
    pthread_mutex_unlock(&watch->health->lock);

    if (watch->call)
        watch_update(watch);
    else
        free(watch);
}

static void watch_cancelled(void *context)
{
    struct watch *watch = context;

    watch->is_cancelled = true;
    if (watch->call)
        watch_update(watch);
}

static void watch_begin(struct rpc_call *call, struct str request, void *context)
{
    struct rpc_health *health = context;
    struct str         service;
    if (!request.at || !read_request(request, &service)) {
        rpc_stream_finish(call, STATUS_INVALID_ARGUMENT, STR("not a HealthCheckRequest"));
        return;
    }

    struct watch *watch = calloc(1, sizeof(*watch));
    if (!watch) {
        rpc_stream_finish(call, STATUS_RESOURCE_EXHAUSTED, STR("out of memory"));
        return;
    }
    watch->health = health;
    watch->call = call;
    watch->worker = rpc_call_worker(call);
    watch->is_known = is_known(health, service);
    watch->task.run = watch_changed;

    pthread_mutex_lock(&health->lock);
    link_locked(watch);
    pthread_mutex_unlock(&health->lock);

    watch_send(watch, watch_serving(watch));
    rpc_call_on_cancel(call, watch_cancelled, watch);
}

static void handle_watch(struct rpc_call *call, void *context)
{
    rpc_stream_read(call, watch_begin, context);
}

void rpc_health_add_to(struct rpc_health *health, struct rpc_server *server)
{
    rpc_server_add_unary(server, "/grpc.health.v1.Health/Check", handle_check, health);
    rpc_server_add_stream(server, "/grpc.health.v1.Health/Watch", handle_watch, health);
}

static void notify_watches(struct rpc_health *health)
{
    pthread_mutex_lock(&health->lock);
    for (struct watch *watch = health->locked.watches; watch; watch = watch->next) {
        if (!watch->is_posted) {
            watch->is_posted = true;
            rpc_worker_post(watch->worker, &watch->task);
        }
    }
    pthread_mutex_unlock(&health->lock);
}

void rpc_health_set(struct rpc_health *health, bool is_serving)
{
    atomic_store(&health->is_serving, is_serving);
    notify_watches(health);
}

void rpc_health_end_watches(struct rpc_health *health)
{
    atomic_store(&health->is_ending, true);
    notify_watches(health);
}
