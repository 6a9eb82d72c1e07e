#pragma once

/*
 * Rpc client: unary calls to one peer over gRPC. A peer is one name or address,
 * or several that take turns: an address that is connected comes before one
 * that is not, and one whose last connection failed comes last.
 *
 * Threads: a peer from any; a call belongs to the worker it was started for.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/metadata.h"
#include "common/base/status.h"
#include "common/base/uri.h"
#include "common/edge/rpc_worker.h"

struct arena;
struct rpc_call;
struct rpc_peer;
typedef struct grpc_call grpc_call;

struct rpc_client_options {
    size_t max_message_bytes; /* of a response */
    size_t max_metadata_bytes;

    /*
     * Where to connect instead of the addresses, which the peer still hears as :authority;
     * NULL: to the addresses themselves.
     */
    const struct uri *connect_to;

    /* How long at most between two attempts to connect; 0: 3 s. */
    int max_reconnect_ms;

    /*
     * While calls are in flight, a connection that has been silent for so long is asked for a
     * sign of life; 0: never. It would otherwise be used until the kernel gives up on it, which
     * takes a quarter of an hour.
     */
    int keepalive_ms;
};

/* Connects in the background. `method` is "/package.Service/Method". 0 or -ENOMEM. */
int rpc_peer_new(struct rpc_peer **ret_peer, const struct uri addresses[], size_t n_addresses,
                 const char *method, const struct rpc_client_options *options);

/* No call may be in flight. NULL is fine. */
void rpc_peer_free(struct rpc_peer *peer);
DEFINE_CLEANUP(struct rpc_peer *, rpc_peer_free)

struct rpc_outcome {
    enum status status;
    struct str  message; /* of the status */
    struct str  details; /* grpc-status-details-bin; absent when there is none */
    struct str  response;
};

struct rpc_outbound;
typedef void rpc_done_fn(struct rpc_outbound *outbound, const struct rpc_outcome *outcome);

struct rpc_request {
    struct rpc_worker *worker; /* the caller's own */
    struct rpc_call
                 *parent; /* the call that this one serves: hands down its cancellation; or NULL */
    struct arena *arena;  /* where the outcome lives */
    int64_t       deadline_ns;
    struct str    message;                /* borrowed until rpc_start returns, or else: */
    void (*release)(void *message_owner); /* until this runs, once, on any thread; or NULL */
    void *message_owner;
    const struct metadata
                *metadata; /* borrowed until rpc_start returns; illegal fields are left out */
    rpc_done_fn *done;     /* runs once, on `worker`, never inside rpc_start */
    void        *context;
};

/*
 * Starts a call; what goes wrong with it comes as an outcome. The handle is in the
 * request's arena and good for rpc_cancel until `done` begins. NULL, and no `done`,
 * when the arena is used up.
 */
struct rpc_outbound *rpc_start(struct rpc_peer *peer, const struct rpc_request *request);

void *rpc_outbound_context(const struct rpc_outbound *outbound);

/* `done` still runs, with CANCELLED unless it was quicker. */
void rpc_cancel(struct rpc_outbound *outbound);
