#pragma once

/*
 * Receivers: the two fronts of a mock backend, OTLP/gRPC and OTLP/HTTP. What waits or hangs,
 * waits on the worker.
 *
 * Threads: stop from the main one; handlers on the servers' own.
 */

#include <pthread.h>
#include <sys/queue.h>

#include "common/edge/http_server.h"
#include "common/edge/rpc_call.h"
#include "common/edge/rpc_worker.h"

struct backend;

struct http_visit;
TAILQ_HEAD(http_visits, http_visit);

struct receivers {
    struct backend    *backend;
    struct rpc_worker *worker; /* the gRPC server's only one */

    struct http_visits waiting; /* HTTP requests that are to be answered later; the worker's own */
    struct rpc_task    release; /* the worker's own */
    bool               is_releasing;
};

void receivers_init(struct receivers *receivers, struct backend *backend,
                    struct rpc_worker *worker);

/* An rpc_handler_fn and an http_handler_fn; their context is the receivers. */
void receive_grpc(struct rpc_call *call, void *context);
void receive_http(struct http_request *request, void *context);

/* Answers what still waits over HTTP, 503, now and from now on. */
void receivers_release(struct receivers *receivers);
