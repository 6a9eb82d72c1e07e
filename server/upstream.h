#pragma once

/*
 * Upstream: whom a hop calls, over gRPC or HTTP, and one call to it. Both
 * protocols give the same result: the tree of a hop, the answer of a URL, or a
 * failure.
 *
 * Threads: upstreams are made and closed by main and read by all; a call belongs
 * to its worker.
 */

#include "common/base/metadata.h"
#include "common/edge/http_client.h"
#include "common/edge/rpc_client.h"
#include "common/trace/tracer.h"
#include "server/config.h"
#include "server/hop_metrics.h"
#include "server/reply.h"

struct hop;
struct rpc_call;

struct upstream {
    struct str          text;    /* as configured, and as it is shown */
    struct uri          address; /* the first one */
    struct rpc_peer    *peer;    /* gRPC; NULL: HTTP */
    struct str          url;     /* HTTP; NUL-terminated */
    struct str          proxy;   /* HTTP: "host:port" of OUTBOUND_PROXY; empty: none */
    struct call_metrics metrics;
};

/*
 * 0 or -ENOMEM. Connects in the background: to `proxy`, or with NULL to where the
 * URI says. What it points to must stay.
 */
int  upstream_open(struct upstream *upstream, const struct upstream_config *config,
                   const struct uri *proxy, const struct hop_metrics *metrics, struct arena *arena);
void upstream_close(struct upstream *upstream);

struct upstream_call;
typedef void upstream_done_fn(struct upstream_call *call);

/* Embed it, zeroed. What is public is set by the caller, and `result` for it. */
struct upstream_call {
    struct hop            *hop;
    const struct upstream *upstream;
    struct rpc_worker     *worker;
    struct arena          *arena;  /* of the request; used on the worker only */
    struct rpc_call       *caller; /* the call that this one serves; NULL: none over gRPC */
    const struct span     *parent;
    const struct metadata *headers; /* what is forwarded */
    struct instant         anchor;
    int64_t                deadline_ns;
    upstream_done_fn      *done; /* on the worker; never inside upstream_call_start */
    void                  *context;

    struct upstream_result result;

    struct {
        bool                 is_under_way;
        struct span          span;
        int64_t              start_ns;
        struct metadata      headers;
        struct rpc_outbound *rpc;
        uint64_t             http; /* its number */
        struct arena        *http_arena;
        struct http_outcome  http_outcome;
        struct rpc_task      http_task;
    } private;
};

/* Starts the call. False when it could not be: `result` is then a failure, and `done` does not run.
 */
bool upstream_call_start(struct upstream_call *call);

/* `done` still runs. Fine when the call has ended. */
void upstream_call_cancel(struct upstream_call *call);
