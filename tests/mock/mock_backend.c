/*
 * A backend for spans that tests can bend: takes OTLP over gRPC and HTTP, remembers every
 * span id, refuses what no relay may send, and misbehaves as it is told (control.h). It logs where
 * it listens, and ends on SIGTERM.
 *
 * Threads: main; one gRPC worker, which also answers what waits; one each for HTTP and control.
 */

#include <errno.h>
#include <stdlib.h>

#include "common/base/arena.h"
#include "common/base/log.h"
#include "common/base/process.h"
#include "common/edge/rpc_server.h"
#include "tests/mock/backend.h"
#include "tests/mock/control.h"
#include "tests/mock/receivers.h"

enum {
    MAX_REQUEST_BYTES = 64 << 20,
    MAX_HEADER_BYTES = 16 * 1024,
    MAX_METADATA_BYTES = 64 * 1024,
    REQUEST_ARENA_BYTES = 1 << 30, /* a request, and protobuf-c's tree of it */
    MAX_CONNECTIONS = 1000,
    MAX_STREAMS = 1000,
    IDLE_TIMEOUT_S = 3600,
    SETTINGS_ARENA_BYTES = 64 * 1024,
};

struct settings {
    struct listen_address grpc, http, control;
};

#define AT(member) offsetof(struct settings, member)

static const struct setting table[] = {
    {"OTLP_GRPC_LISTEN", SETTING_LISTEN, AT(grpc), "127.0.0.1:0", .help = "For OTLP/gRPC."},
    {"OTLP_HTTP_LISTEN", SETTING_LISTEN, AT(http), "127.0.0.1:0", .help = "For OTLP/HTTP."},
    {"CONTROL_LISTEN", SETTING_LISTEN, AT(control), "127.0.0.1:0", .help = "For the test."},
};

struct program {
    struct settings     settings;
    struct backend     *backend;
    struct receivers    receivers;
    struct rpc_worker  *worker;
    struct rpc_server  *rpc_server;
    struct http_server *http_server;
    struct http_server *control_server;
    sigset_t            signals;
};

static int open_grpc(struct program *program)
{
    uint16_t port;

    int r = rpc_worker_new(&program->worker, "grpc");
    if (r < 0)
        return r;
    receivers_init(&program->receivers, program->backend, program->worker);
    r = rpc_server_new(&program->rpc_server, &program->worker, 1,
                       (struct rpc_server_limits){.max_message_bytes = MAX_REQUEST_BYTES,
                                                  .max_metadata_bytes = MAX_METADATA_BYTES,
                                                  .max_streams = MAX_STREAMS,
                                                  .arena_bytes = REQUEST_ARENA_BYTES});
    if (r < 0)
        return r;

    rpc_server_add_unary(program->rpc_server,
                         "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
                         receive_grpc, &program->receivers);
    r = rpc_server_start(program->rpc_server, &program->settings.grpc, &port);
    if (r < 0)
        return r;
    process_log_listening("otlp-grpc", &program->settings.grpc, port);
    return rpc_worker_start(program->worker);
}

static int open_http(const char *front, const struct listen_address *address,
                     http_handler_fn *handle, void *context, struct http_server **ret_server)
{
    uint16_t port;

    int r = http_server_new(ret_server,
                            &(struct http_server_options){.address = *address,
                                                          .thread_name = front,
                                                          .threads = 1,
                                                          .max_connections = MAX_CONNECTIONS,
                                                          .idle_timeout_s = IDLE_TIMEOUT_S,
                                                          .max_header_bytes = MAX_HEADER_BYTES,
                                                          .max_body_bytes = MAX_REQUEST_BYTES,
                                                          .arena_bytes = REQUEST_ARENA_BYTES,
                                                          .handle = handle,
                                                          .context = context},
                            &port);
    if (r == 0)
        process_log_listening(front, address, port);
    return r;
}

static int start(struct program *program)
{
    int r;

    program->backend = backend_new();
    if (!program->backend)
        return process_complain("the backend", -ENOMEM);
    if ((r = open_grpc(program)) < 0)
        return process_complain("OTLP/gRPC", r);
    if ((r = open_http("otlp-http", &program->settings.http, receive_http, &program->receivers,
                       &program->http_server)) < 0)
        return process_complain("OTLP/HTTP", r);
    if ((r = open_http("control", &program->settings.control, control_handle, program->backend,
                       &program->control_server)) < 0)
        return process_complain("the control port", r);
    log_info("ready");
    return 0;
}

static void stop(struct program *program)
{
    receivers_release(&program->receivers);
    http_server_drain(program->control_server, NEVER_NS);
    http_server_drain(program->http_server, NEVER_NS);
    rpc_server_drain(program->rpc_server, clock_monotonic_ns());
    rpc_worker_stop(program->worker);
    http_server_free(program->control_server);
    http_server_free(program->http_server);
    rpc_server_free(program->rpc_server);
    rpc_worker_free(program->worker);
    backend_free(program->backend);
}

int main(int argc, char *argv[])
{
    static struct program                     program;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(SETTINGS_ARENA_BYTES);
    char                                      error[256];

    if (settings_read(table, ARRAY_LENGTH(table), &program.settings, argc, argv, getenv, arena,
                      error, sizeof(error)) != SETTINGS_READY) {
        settings_print_help(table, ARRAY_LENGTH(table), stderr);
        return 2;
    }
    log_configure(LOG_INFO, LOG_JSON);
    process_block_signals(&program.signals);
    process_raise_descriptor_limit();
    rpc_init();
    if (start(&program) < 0)
        _Exit(EXIT_FAILURE);

    process_wait(&program.signals);
    stop(&program);
    rpc_shutdown();
    return EXIT_SUCCESS;
}
