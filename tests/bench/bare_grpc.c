#include "tests/bench/bare_grpc.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/grpc_security.h>

enum { POSTED_PER_WORKER = 256, MAX_THREADS = 16 };

static void on_request(struct bare_tag *tag);

static struct bare_call *take_call(struct bare_worker *worker)
{
    struct bare_call *call = worker->unused;

    if (call)
        worker->unused = call->next;
    else
        call = malloc(worker->call_size);
    memset(call, 0, worker->call_size);
    call->worker = worker;
    return call;
}

static void post_request(struct bare_worker *worker)
{
    struct bare_call *call = take_call(worker);

    call->tag.run = on_request;
    grpc_metadata_array_init(&call->metadata);
    grpc_server_request_registered_call(worker->server, worker->method, &call->call,
                                        &call->deadline, &call->metadata, &call->request,
                                        worker->queue, worker->queue, &call->tag);
}

static void on_request(struct bare_tag *tag)
{
    struct bare_call *call = (struct bare_call *)tag;

    post_request(call->worker);
    call->worker->handle(call);
}

static void on_replied(struct bare_tag *tag)
{
    struct bare_call *call = (struct bare_call *)tag;

    grpc_byte_buffer_destroy(call->request);
    grpc_metadata_array_destroy(&call->metadata);
    grpc_call_unref(call->call);
    call->next = call->worker->unused;
    call->worker->unused = call;
}

void bare_reply(struct bare_call *call, grpc_byte_buffer *reply)
{
    grpc_op ops[4];

    memset(ops, 0, sizeof(ops));
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    ops[1].data.send_message.send_message = reply;
    ops[2].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    ops[2].data.send_status_from_server.status = GRPC_STATUS_OK;
    ops[3].op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    ops[3].data.recv_close_on_server.cancelled = &call->was_cancelled;
    call->tag.run = on_replied;
    grpc_call_start_batch(call->call, ops, 4, &call->tag, NULL);
}

static void *run(void *context)
{
    struct bare_worker *worker = context;

    for (int i = 0; i < POSTED_PER_WORKER; i++)
        post_request(worker);
    for (;;) {
        grpc_event event =
            grpc_completion_queue_next(worker->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        struct bare_tag *tag = event.tag;
        tag->run(tag);
    }
    return NULL;
}

/* The port it got; 0 picks one. */
static int listen_on(grpc_server *server, unsigned port)
{
    char address[32];
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", port);

    grpc_server_credentials *insecure = grpc_insecure_server_credentials_create();
    int                      bound = grpc_server_add_http2_port(server, address, insecure);

    grpc_server_credentials_release(insecure);
    return bound;
}

static void open_worker(struct bare_worker *worker, grpc_server *server, void *method,
                        const struct bare_options *options)
{
    *worker = (struct bare_worker){.server = server,
                                   .method = method,
                                   .call_size = options->call_size,
                                   .handle = options->handle,
                                   .queue = grpc_completion_queue_create_for_next(NULL)};
    if (options->open_context)
        worker->context = options->open_context(worker);
    grpc_server_register_completion_queue(server, worker->queue, NULL);
}

void bare_serve(const struct bare_options *options)
{
    static struct bare_worker workers[MAX_THREADS];
    pthread_t                 thread;
    sigset_t                  signals;
    int                       signal_number;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    grpc_init();
    grpc_server *server = grpc_server_create(NULL, NULL);
    void        *method = grpc_server_register_method(server, options->path, NULL,
                                                      GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
    for (unsigned i = 0; i < options->n_threads && i < MAX_THREADS; i++)
        open_worker(&workers[i], server, method, options);
    int port = listen_on(server, options->port);
    grpc_server_start(server);
    for (unsigned i = 0; i < options->n_threads && i < MAX_THREADS; i++)
        pthread_create(&thread, NULL, run, &workers[i]);

    fprintf(stderr, "{\"message\":\"listening\",\"port\":%d}\n", port);
    sigwait(&signals, &signal_number);
}
