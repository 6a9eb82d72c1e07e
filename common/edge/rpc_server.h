#pragma once

/*
 * Rpc server: answers gRPC calls, unary and streaming, on a set of workers.
 * A call stays on the worker it came in on. A method that nobody added is
 * answered UNIMPLEMENTED at once.
 *
 * A unary handler gets a call and owes it one rpc_call_reply or rpc_call_fail,
 * now or later, on the call's worker. After that the call is gone.
 *
 * Threads: new, add, start, drain and free from one; everything with a call on
 * the call's worker.
 */

#include "common/base/cleanup.h"
#include "common/base/metadata.h"
#include "common/base/settings.h"
#include "common/base/status.h"
#include "common/edge/rpc_worker.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rpc_call;
struct rpc_server;
typedef struct grpc_call grpc_call;

typedef void rpc_handler_fn(struct rpc_call *call, void *context);

struct rpc_server_limits {
    size_t   max_message_bytes; /* of a request, as it comes off the wire */
    size_t   max_metadata_bytes;
    unsigned max_streams; /* calls at once on one connection */
    size_t   arena_bytes; /* what one call may allocate */
};

/* 0 or -ENOMEM. The workers must outlive the server. */
int rpc_server_new(struct rpc_server **ret_server, struct rpc_worker *const workers[],
                   size_t n_workers, struct rpc_server_limits limits);

/* Every worker is stopped by then. NULL is fine. */
void rpc_server_free(struct rpc_server *server);
DEFINE_CLEANUP(struct rpc_server *, rpc_server_free)

/*
 * Before start. `path` ("/package.Service/Method", a constant) and `context`
 * outlive the server. A unary handler runs with the whole request at hand; a
 * stream's handler runs before the first message.
 */
void rpc_server_add_unary(struct rpc_server *server, const char *path, rpc_handler_fn *handle,
                          void *context);
void rpc_server_add_stream(struct rpc_server *server, const char *path, rpc_handler_fn *handle,
                           void *context);

/* Listens and serves. 0 and the port, or -EADDRINUSE when the address cannot be bound. */
int rpc_server_start(struct rpc_server *server, const struct listen_address *address,
                     uint16_t *ret_port);

/*
 * Takes no new connection or call, waits until those in hand have ended, and
 * cancels what is left at `deadline_ns`. Blocks; the workers must still run.
 */
void rpc_server_drain(struct rpc_server *server, int64_t deadline_ns);

/* Everything that belongs to the call; freed with it. */
struct arena      *rpc_call_arena(struct rpc_call *call);
struct rpc_worker *rpc_call_worker(struct rpc_call *call);

/* The request's bytes; lives with the call. Unary only. */
struct str rpc_call_request(const struct rpc_call *call);

/* The headers, without gRPC's own; they borrow from the call. */
const struct metadata *rpc_call_metadata(const struct rpc_call *call);

/* On clock_monotonic_ns; NEVER_NS when the caller set none. */
int64_t rpc_call_deadline_ns(const struct rpc_call *call);

/* "ipv4:127.0.0.1:41234"; lives with the call. */
struct str rpc_call_peer(struct rpc_call *call);

/*
 * From now on `cancelled` runs when the caller goes away or its deadline passes,
 * at most once and never after the answer; inside this call when that has happened
 * already. At most one per call. (Calls that were made with this one as their parent
 * are cancelled without it.)
 */
void rpc_call_on_cancel(struct rpc_call *call, void (*cancelled)(void *context), void *context);

struct rpc_failure {
    enum status status;
    struct str  message;
    struct str
         details; /* serialized google.rpc.Status for grpc-status-details-bin; may be absent */
    bool headers_first;
};

/* Answers OK with `message`; `trailing` may be NULL. All views need live only until this returns.
 */
void rpc_call_reply(struct rpc_call *call, struct str message, const struct metadata *trailing);

/*
 * Answers with a failure, Trailers-Only: status, message and `trailing` go in one
 * HEADERS frame that ends the stream, the only form that Envoy retries
 * (envoyproxy/envoy#11049). With `headers_first` the headers go out before it.
 */
void rpc_call_fail(struct rpc_call *call, const struct rpc_failure *failure,
                   const struct metadata *trailing);

/*
 * Streams. A read and a write may be in flight at once, one of each.
 * `message.at` is NULL when the caller has half-closed or is gone.
 */
typedef void rpc_read_fn(struct rpc_call *call, struct str message, void *context);
typedef void rpc_written_fn(struct rpc_call *call, bool ok, void *context);

void rpc_stream_read(struct rpc_call *call, rpc_read_fn *read, void *context);
void rpc_stream_write(struct rpc_call *call, struct str message, rpc_written_fn *written,
                      void *context);

/* Ends the stream; only while no read or write is in flight. The call is gone afterwards. */
void rpc_stream_finish(struct rpc_call *call, enum status status, struct str message);

/* For this folder only. */
grpc_call *rpc_call_handle(struct rpc_call *call);
