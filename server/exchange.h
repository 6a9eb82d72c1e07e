#pragma once

/*
 * Exchange: one request at this hop, from its headers to its answer, whichever
 * front it came in by:
 *
 *     prepare -> delay -> fail? -> work -> upstreams -> done
 *
 * Each step may wait (a timer, a call), none blocks. Preparing decides
 * everything that needs no waiting; a front whose exchange will not wait may run
 * it where it is, else it hands it to a worker.
 *
 * Threads: prepare from any; afterwards the exchange belongs to its worker.
 */

#include "server/hop.h"
#include "server/reply.h"

enum exchange_kind { EXCHANGE_CHAIN, EXCHANGE_TIME };

struct exchange;
typedef void exchange_done_fn(struct exchange *exchange, void *context);

struct exchange_request {
    struct hop            *hop;
    enum front             front;
    enum exchange_kind     kind; /* TIME: the clock answers, and calls nobody */
    struct arena          *arena;
    struct rpc_call       *caller;  /* gRPC; NULL over HTTP */
    const struct metadata *headers; /* live as long as the arena */
    const struct str      *ignored; /* parts of the request that the front could not use */
    size_t                 n_ignored;
    struct str             method, path; /* HTTP */
    struct instant         arrival;
    int64_t                deadline_ns; /* the caller's; NEVER_NS: none */
    exchange_done_fn      *done; /* owes the caller an answer; the exchange ends with the arena */
    void                  *context;
};

/* How it ended. */
struct exchange_result {
    struct reply          reply;
    const struct failure *failure;       /* NULL: all went well */
    int                   http_code;     /* for an HTTP front */
    bool                  headers_first; /* for a gRPC front: see struct rpc_failure */
    struct str            warning;       /* x-tracehop-warning; may be empty */
    struct str            trace_url;     /* may be empty */
};

/* Decides what can be decided. NULL when the arena is used up. */
struct exchange *exchange_prepare(const struct exchange_request *request);

/* Whether it is going to wait for something, and so needs a worker. */
bool exchange_needs_worker(const struct exchange *exchange);

/*
 * Runs it; `done` may run inside. `worker` is the caller's own, or NULL for an
 * exchange that needs none.
 */
void exchange_run(struct exchange *exchange, struct rpc_worker *worker);

/* Runs an exchange of the HTTP front on `worker`, where exchange_cancel_all finds it. */
void exchange_run_uncalled(struct exchange *exchange, struct hop_worker *worker);

/*
 * Makes every exchange end soon that no gRPC call stands behind (the gRPC server
 * cancels the others). From any thread; the workers must still run.
 */
void exchange_cancel_all(struct hop *hop);

const struct exchange_result *exchange_result(const struct exchange *exchange);

/* What every answer carries: x-trace-id, x-trace-url, x-tracehop-warning. In `arena`. */
struct metadata exchange_answer_headers(const struct exchange *exchange, struct arena *arena);
