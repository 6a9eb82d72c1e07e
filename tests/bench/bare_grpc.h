#pragma once

/*
 * Bare gRPC: a unary server on gRPC core and nothing else, for yardsticks. No
 * metadata is read, no limit set, no call cancelled, and nothing torn down.
 *
 * Threads: one per completion queue; a call stays on the one it came in on.
 */

#include <stddef.h>

#include <grpc/grpc.h>

struct bare_worker {
    grpc_completion_queue *queue;
    grpc_server           *server;
    void                  *method;
    struct bare_call      *unused; /* calls to use again */
    size_t                 call_size;
    void (*handle)(struct bare_call *call);
    void *context; /* the handler's, one for each worker */
};

/* What a completion queue hands back. */
struct bare_tag {
    void (*run)(struct bare_tag *tag);
};

/* One call served. Handlers that need room of their own begin a struct of theirs with it. */
struct bare_call {
    struct bare_tag     tag;
    struct bare_worker *worker;
    grpc_call          *call;
    grpc_byte_buffer   *request; /* lives until the reply; may be NULL */
    grpc_metadata_array metadata;
    gpr_timespec        deadline;
    int                 was_cancelled;
    struct bare_call   *next;
};

struct bare_options {
    const char *path; /* of the only method */
    unsigned    n_threads;
    unsigned    port; /* 0: the system picks one */
    size_t      call_size;
    void (*handle)(struct bare_call *call);
    void *(*open_context)(struct bare_worker *worker); /* or NULL */
};

/* Serves on 127.0.0.1, says on which port in a line of JSON, and returns on SIGTERM. */
void bare_serve(const struct bare_options *options);

/* The handler owes each call one of these, on its worker. Borrows `reply`. */
void bare_reply(struct bare_call *call, grpc_byte_buffer *reply);
