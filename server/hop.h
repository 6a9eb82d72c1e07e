#pragma once

/*
 * Hop: what every request of this process shares. Made by main, then only read;
 * its parts keep their own threads apart.
 */

#include <stdatomic.h>

#include "common/edge/http_client.h"
#include "common/edge/rpc_worker.h"
#include "common/trace/tracer.h"
#include "server/attempts.h"
#include "server/config.h"
#include "server/hop_metrics.h"
#include "server/upstream.h"

struct exchange;

struct hop_worker {
    struct rpc_worker *rpc;
    struct exchange
        *uncalled; /* exchanges that no gRPC call stands behind; the worker's own thread only */
    struct rpc_task cancel;
};

struct hop {
    const struct server_config *config;
    struct tracer              *tracer;
    struct hop_metrics          metrics;
    struct attempts            *attempts;
    struct http_client         *http_client;
    struct upstream            *upstreams;
    size_t                      n_upstreams;
    struct hop_worker           workers[RPC_MAX_WORKERS];
    size_t                      n_workers;

    uint64_t         fault_seed;
    _Atomic uint64_t n_draws; /* each draw has a number, so a seed repeats them all */
    _Atomic size_t   next_worker;
};

/* The next of this hop's draws, in [0, 1). Any thread. */
double hop_draw(struct hop *hop);

/* The worker whose turn it is to take a request that did not come in by gRPC. Any thread. */
struct hop_worker *hop_pick_worker(struct hop *hop);
