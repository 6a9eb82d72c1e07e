#pragma once

/*
 * Rpc call: one gRPC call that came in, as its handler sees it.
 *
 * A unary handler gets a call and owes it one rpc_call_reply or rpc_call_fail,
 * now or later. A stream's handler reads and writes as it likes, and owes it one
 * rpc_stream_finish. After that the call is gone.
 *
 * Threads: the call's worker, for everything.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/metadata.h"
#include "common/base/status.h"
#include "common/edge/rpc_worker.h"

struct arena;
struct rpc_call;
typedef struct grpc_call grpc_call;

typedef void rpc_handler_fn(struct rpc_call *call, void *context);

/* Everything that belongs to the call; freed with it. */
struct arena      *rpc_call_arena(struct rpc_call *call);
struct rpc_worker *rpc_call_worker(struct rpc_call *call);

/* The request's bytes, as they came; lives with the call. Unary only. */
struct str rpc_call_request(const struct rpc_call *call);

/* Whether they are gzip, which only a server that takes it lets through. */
bool rpc_call_is_gzip(const struct rpc_call *call);

/* The headers, without gRPC's own; they borrow from the call. */
const struct metadata *rpc_call_metadata(const struct rpc_call *call);

/* On clock_monotonic_ns; NEVER_NS when the caller set none. */
int64_t rpc_call_deadline_ns(const struct rpc_call *call);

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

/*
 * For this folder only. The library hands a cancellation down to the calls made
 * with this one as their parent only while somebody waits to hear of it.
 */
void       rpc_call_watch(struct rpc_call *call);
grpc_call *rpc_call_handle(struct rpc_call *call);
