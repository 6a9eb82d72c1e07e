/*
 * Yardstick: one hop from gRPC to gRPC, with gRPC core and nothing else.
 *
 *     bench_grpc_hop THREADS          answers each call (the last hop)
 *     bench_grpc_hop THREADS TARGET   makes one call to TARGET for each, and relays its answer
 *
 * What a hop of ours does besides (limits, deadline, cancellation, trace context,
 * spans, metrics, the tree of replies) is what the comparison is about.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <grpc/byte_buffer.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>

#include "tests/bench/bare_grpc.h"

static const char path[] = "/tracehop.v1.Hop/Call";

/* A CallReply as a last hop gives it: role, version, name, instance, duration, trace id, attempt.
 */
static const char last_reply[] = "\x0a\x07"
                                 "backend"
                                 "\x12\x04"
                                 "prod"
                                 "\x1a\x0c"
                                 "backend-prod"
                                 "\x22\x09"
                                 "localhost"
                                 "\x28\x2a"
                                 "\x32\x20"
                                 "463ac35c9f6413ad48485a3953bb6124"
                                 "\x38\x01";

static const char       *target;
static grpc_byte_buffer *last_reply_buffer;

struct upstream {
    grpc_channel *channel;
    void         *method;
};

struct hop_call {
    struct bare_call    served;
    struct bare_tag     tag;
    grpc_call          *call;
    grpc_byte_buffer   *reply;
    grpc_metadata_array initial, trailing;
    grpc_status_code    status;
    grpc_slice          details;
};

static void *open_upstream(struct bare_worker *worker)
{
    /* A connection for each worker: else all calls end up on the queue that polls it. */
    grpc_arg                  own = {.type = GRPC_ARG_INTEGER,
                                     .key = (char *)GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL,
                                     .value.integer = 1};
    const grpc_channel_args   args = {.num_args = 1, .args = &own};
    grpc_channel_credentials *insecure = grpc_insecure_credentials_create();
    struct upstream          *upstream = calloc(1, sizeof(*upstream));
    (void)worker;

    upstream->channel = grpc_channel_create(target, insecure, &args);
    upstream->method = grpc_channel_register_call(upstream->channel, path, NULL, NULL);
    grpc_channel_credentials_release(insecure);
    return upstream;
}

static void relay_reply(struct bare_tag *tag)
{
    struct hop_call *call = (struct hop_call *)((char *)tag - offsetof(struct hop_call, tag));

    if (call->status != GRPC_STATUS_OK)
        fprintf(stderr, "{\"message\":\"the upstream failed\",\"status\":%d}\n", call->status);
    bare_reply(&call->served, call->reply);
    grpc_byte_buffer_destroy(call->reply);
    grpc_metadata_array_destroy(&call->initial);
    grpc_metadata_array_destroy(&call->trailing);
    grpc_slice_unref(call->details);
    grpc_call_unref(call->call);
}

static void start_upstream_call(struct hop_call *call)
{
    grpc_op ops[6];

    memset(ops, 0, sizeof(ops));
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    ops[1].data.send_message.send_message = call->served.request;
    ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &call->initial;
    ops[4].op = GRPC_OP_RECV_MESSAGE;
    ops[4].data.recv_message.recv_message = &call->reply;
    ops[5].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    ops[5].data.recv_status_on_client.trailing_metadata = &call->trailing;
    ops[5].data.recv_status_on_client.status = &call->status;
    ops[5].data.recv_status_on_client.status_details = &call->details;
    grpc_call_start_batch(call->call, ops, 6, &call->tag, NULL);
}

static void relay(struct bare_call *served)
{
    struct hop_call       *call = (struct hop_call *)served;
    const struct upstream *upstream = served->worker->context;

    call->tag.run = relay_reply;
    grpc_metadata_array_init(&call->initial);
    grpc_metadata_array_init(&call->trailing);
    call->call = grpc_channel_create_registered_call(upstream->channel, NULL, 0,
                                                     served->worker->queue, upstream->method,
                                                     gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    start_upstream_call(call);
}

static void answer(struct bare_call *served)
{
    bare_reply(served, last_reply_buffer);
}

int main(int argc, char *argv[])
{
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: bench_grpc_hop THREADS [TARGET]\n");
        return 2;
    }
    target = argv[2];

    grpc_slice reply = grpc_slice_from_static_buffer(last_reply, sizeof(last_reply) - 1);
    last_reply_buffer = grpc_raw_byte_buffer_create(&reply, 1);
    bare_serve(&(struct bare_options){
        .path = path,
        .n_threads = (unsigned)atoi(argv[1]),
        .call_size = sizeof(struct hop_call),
        .handle = target ? relay : answer,
        .open_context = target ? open_upstream : NULL,
    });
    _exit(0);
}
