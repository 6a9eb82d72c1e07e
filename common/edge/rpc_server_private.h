#pragma once

/*
 * What rpc_server.c and rpc_call.c share: a server takes calls, a call lives until
 * it is answered and tells its server. For them only.
 */

#include <pthread.h>
#include <stdatomic.h>

#include <grpc/grpc.h>

#include "common/edge/rpc_codec.h"
#include "common/edge/rpc_server.h"

enum { RPC_MAX_METHODS = 16 };

struct rpc_method {
    const char     *path;
    rpc_handler_fn *handle;
    void           *context;
    bool            is_stream;
    void           *registered;
};

struct rpc_server {
    struct rpc_server_limits  limits;
    struct rpc_worker *const *workers;
    size_t                    n_workers;
    grpc_server              *server;
    struct rpc_method         methods[RPC_MAX_METHODS];
    size_t                    n_methods;
    struct rpc_method         unknown; /* answers for the methods that nobody added */
    bool                      is_started;
    struct rpc_tag            shut_tag;

    _Atomic size_t open; /* calls, in hand and ready to be taken: what still has a tag to come */

    pthread_mutex_t lock;
    pthread_cond_t  changed;
    struct {
        bool is_empty; /* we have ended our last call */
        bool is_shut;  /* and the library its last connection */
    } locked;
};

/*
 * One call, from the time we are ready to take it. It goes away when it is
 * answered and the last of its tags has come back.
 */
struct rpc_call {
    struct rpc_server       *server;
    struct rpc_worker       *worker;
    const struct rpc_method *method;

    struct rpc_tag      arrived;
    grpc_call          *call;
    grpc_metadata_array received;
    grpc_call_details   details; /* of an unknown method only */
    gpr_timespec        deadline;
    grpc_byte_buffer   *payload;

    struct arena   *arena;
    struct metadata metadata;
    struct str      request;
    bool            is_gzip;

    unsigned pending; /* tags that are still to come */
    bool     is_answered;

    struct rpc_tag closed;
    bool           is_close_watched;
    bool           is_closed;
    int            was_cancelled;
    void (*cancelled)(void *context);
    void *cancelled_context;

    struct rpc_tag           answered;
    grpc_byte_buffer        *answer;
    grpc_slice               answer_message;
    struct rpc_sent_metadata trailing;
    enum status              answer_status;

    struct rpc_tag    read;
    grpc_byte_buffer *incoming;
    rpc_read_fn      *on_read;
    void             *read_context;

    struct rpc_tag    written;
    grpc_byte_buffer *outgoing;
    rpc_written_fn   *on_written;
    void             *written_context;
    bool              are_headers_sent;
};

/*
 * Asks the library for one more call of `method`, to be answered on `worker`.
 * Without memory there is one less: the others still serve.
 */
void rpc_call_make_ready(struct rpc_server *server, struct rpc_worker *worker,
                         const struct rpc_method *method);

/* A call has come to its end; `server` counts those that have not. */
void rpc_server_end_call(struct rpc_server *server);

/* Fails with a message of our own and nothing else. */
void rpc_call_fail_short(struct rpc_call *call, enum status status, struct str message);
