#pragma once

/*
 * Otlp sender: hands ExportTraceServiceRequests to one receiver, over OTLP/gRPC or
 * OTLP/HTTP. A call is one try; several may be in flight.
 *
 * Threads: new and free from one, while the worker stands; the rest on the worker.
 */

#include "common/base/uri.h"
#include "common/edge/rpc_worker.h"
#include "common/trace/otlp.h"
#include "common/trace/otlp_retry.h"

struct arena;
struct rpc_outbound;
struct otlp_sender;

/* At once, for one sender. */
enum { OTLP_MAX_CALLS = 16 };

/*
 * Connects in the background. 0, -ENOMEM, or -EINVAL for an endpoint that the
 * protocol cannot use: http://host:port, and for OTLP/HTTP the path to post to.
 */
int otlp_sender_new(struct otlp_sender **ret_sender, enum otlp_protocol protocol,
                    const struct uri *endpoint, struct rpc_worker *worker);

/* No call may be in flight. NULL is fine. */
void otlp_sender_free(struct otlp_sender *sender);
DEFINE_CLEANUP(struct otlp_sender *, otlp_sender_free)

/* Embed it; it is the caller's again when `done` begins. */
struct otlp_call {
    void (*done)(struct otlp_call *call);

    /*
     * NULL, or what runs once nobody looks at the request's bytes any more: before `done` or after
     * it, on any thread. gRPC then sends them from where they are.
     */
    void (*release)(void *owner);
    void *owner;

    struct otlp_verdict verdict; /* for `done` */

    /* The sender's, until then. */
    struct otlp_sender  *sender;
    struct rpc_task      task;
    struct arena        *arena;
    struct rpc_outbound *outbound;
    uint64_t             http_number;
};

/*
 * Starts a try. `request` stays in place until `done`, which runs once, on the worker,
 * never inside this; with `release`, until that.
 */
void otlp_send(struct otlp_sender *sender, struct otlp_call *call, struct str request,
               int64_t deadline_ns);

/* `done` still runs. */
void otlp_cancel(struct otlp_call *call);
