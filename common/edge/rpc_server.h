#pragma once

/*
 * Rpc server: answers gRPC calls, unary and streaming, on a set of workers.
 * A call stays on the worker it came in on. A method that nobody added is
 * answered UNIMPLEMENTED at once.
 *
 * Threads: one, for everything here; handlers run on the workers.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/settings.h"
#include "common/edge/rpc_call.h"

struct rpc_server;

struct rpc_server_limits {
    size_t   max_message_bytes; /* of a request, as it comes off the wire */
    size_t   max_metadata_bytes;
    unsigned max_streams;  /* calls at once on one connection */
    size_t   arena_bytes;  /* what one call may allocate, its request included */
    bool     takes_gzip;   /* requests may be compressed; the handler inflates (rpc_call_is_gzip) */
    size_t   memory_bytes; /* that the library may hold for all connections; 0: no limit */
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
 * Takes no new connection or call, waits until the calls in hand have ended, and
 * cancels what is left at `deadline_ns`. Clients have a second after the last call
 * to hang up themselves. Blocks; the workers must still run.
 */
void rpc_server_drain(struct rpc_server *server, int64_t deadline_ns);
