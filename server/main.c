/*
 * tracehop-server: one hop of a chain, or with --call one call to one (client.h).
 *
 * Threads:
 *   main          starts and stops everything, and waits for signals in between
 *   grpc-N        workers: gRPC calls in both directions, timers, and every
 *                 exchange that has to wait (rpc_worker.h); the first one also
 *                 takes ended spans to the collector
 *   http-N        libmicrohttpd's pool for the HTTP front; runs exchanges that
 *                 need not wait, hands the others to a worker
 *   admin-N       the same for the admin port
 *   http-client   all HTTP calls to upstreams (curl)
 *
 * An exchange belongs to one thread at a time and lives in its request's arena.
 * What threads share is the hop (read-only but for atomics), the attempts table,
 * the span queue and the metrics.
 */

#include <errno.h>
#include <stdlib.h>

#include "common/base/arena.h"
#include "common/base/log.h"
#include "common/base/process.h"
#include "common/edge/admin.h"
#include "common/edge/http_server.h"
#include "common/edge/rpc_health.h"
#include "common/edge/rpc_reflection.h"
#include "common/edge/rpc_server.h"
#include "common/trace/otlp.h"
#include "proto/descriptors.h"
#include "server/client.h"
#include "server/exchange.h"
#include "server/export_log.h"
#include "server/front_grpc.h"
#include "server/front_http.h"
#include "server/hop.h"

enum {
    CONFIG_ARENA_BYTES = 1024 * 1024,
    REQUEST_ARENA_BYTES = 8 * 1024 * 1024, /* a whole tree of replies, decoded */
    MAX_REQUEST_BYTES = 64 * 1024,
    MAX_METADATA_BYTES = 64 * 1024,
    MAX_HTTP_HEADER_BYTES = 16 * 1024,
    MAX_HTTP_BODY_BYTES = 64 * 1024,
    MAX_HTTP_CONNECTIONS = 10000,
    MAX_ADMIN_CONNECTIONS = 100,
    HTTP_IDLE_TIMEOUT_S = 75,
    MAX_STREAMS_PER_CONNECTION = 1000,
    MAX_UPSTREAM_CONNECTIONS = 512,
    MAX_UPSTREAM_QUEUE = 1024,
    ATTEMPTS_REMEMBERED = 64 * 1024,
    ATTEMPTS_TTL_S = 60,
    EXIT_USAGE = 2,
};

static const char *const services[] = {"tracehop.v1.Hop", "grpc.health.v1.Health",
                                       "grpc.reflection.v1.ServerReflection",
                                       "grpc.reflection.v1alpha.ServerReflection", NULL};

struct program {
    struct arena         *arena; /* of what lives as long as the program */
    struct client_options client;
    struct server_config  config;
    struct metrics       *metrics;
    struct span_exporter *exporter;
    struct tracer        *tracer;
    struct hop            hop;
    struct rpc_worker *rpc_workers[RPC_MAX_WORKERS]; /* the hop's, as the gRPC server takes them */
    struct rpc_server *rpc_server;
    struct rpc_health *health;
    struct rpc_reflection *reflection;
    struct http_server    *http_server;
    struct admin           admin;
    struct http_server    *admin_server;
    sigset_t               signals;
};

static int open_exporter(struct program *program)
{
    const struct server_config   *config = &program->config;
    const struct server_settings *settings = &config->settings;
    enum { MAX_RESOURCE_BYTES = 16 * 1024 };
    if (!config->exports_spans)
        return 0;

    char      *buffer = arena_alloc(program->arena, MAX_RESOURCE_BYTES);
    struct str resource =
        otlp_encode_resource(config->resource, config->n_resource, buffer, MAX_RESOURCE_BYTES);
    if (!resource.at)
        return -E2BIG;

    return span_exporter_new(&program->exporter,
                             &(struct span_exporter_options){
                                 .worker = program->hop.workers[0].rpc,
                                 .protocol = (enum otlp_protocol)settings->otel_protocol,
                                 .endpoint = config->otlp_endpoint,
                                 .resource = resource,
                                 .scope_name = STR("tracehop"),
                                 .scope_version = STR(TRACEHOP_VERSION),
                                 .max_queue_spans = settings->otel_max_queue_spans,
                                 .max_batch_spans = settings->otel_max_batch_spans,
                                 .schedule_delay_ns = settings->otel_schedule_delay_ns,
                                 .export_timeout_ns = settings->otel_export_timeout_ns,
                                 .event = export_log_event,
                                 .context = &program->config,
                             },
                             program->metrics);
}

static int open_tracing(struct program *program)
{
    const struct server_config *config = &program->config;

    int r = open_exporter(program);
    if (r < 0)
        return process_complain("the span exporter", r);

    program->tracer =
        tracer_new(&(struct tracer_options){.is_disabled = config->settings.otel_is_disabled,
                                            .propagators = config->propagators,
                                            .sampler = config->sampler,
                                            .exporter = program->exporter},
                   program->metrics);
    return program->tracer ? 0 : process_complain("the tracer", -ENOMEM);
}

static void add_build_info(struct program *program)
{
    const struct server_settings *settings = &program->config.settings;
    struct metrics_family        *family =
        metrics_family(program->metrics, METRICS_GAUGE, "tracehop_build_info",
                       "What runs here: always 1, the labels say what.",
                       (const char *const[]){"program", "build", "role", "version", NULL});

    metrics_set(metrics_series(family, (struct str[]){STR("tracehop-server"), STR(TRACEHOP_VERSION),
                                                      settings->role, settings->version}),
                1);
}

static int open_metrics(struct program *program)
{
    program->metrics = metrics_new();
    if (!program->metrics)
        return process_complain("the metrics", -ENOMEM);

    hop_metrics_init(&program->hop.metrics, program->metrics);
    metrics_add_process(program->metrics);
    add_build_info(program);
    program->admin.metrics = program->metrics;
    return 0;
}

static int open_workers(struct program *program)
{
    struct hop *hop = &program->hop;

    while (hop->n_workers < program->config.n_workers) {
        int r = rpc_worker_new(&hop->workers[hop->n_workers].rpc, rpc_worker_name(hop->n_workers));
        if (r < 0)
            return process_complain("a gRPC worker", r);
        hop->n_workers++;
    }
    return 0;
}

static int open_upstreams(struct program *program)
{
    struct hop *hop = &program->hop;
    size_t      n_upstreams = program->config.n_upstreams;

    hop->upstreams = arena_zalloc(program->arena, (n_upstreams + 1) * sizeof(*hop->upstreams));
    if (!hop->upstreams)
        return process_complain("the upstreams", -ENOMEM);

    while (hop->n_upstreams < n_upstreams) {
        int r = upstream_open(&hop->upstreams[hop->n_upstreams],
                              &program->config.upstreams[hop->n_upstreams],
                              program->config.outbound_proxy, &hop->metrics, program->arena);
        if (r < 0)
            return process_complain("an upstream", r);
        hop->n_upstreams++;
    }
    return 0;
}

static int open_hop(struct program *program)
{
    struct hop *hop = &program->hop;
    int         r;

    hop->config = &program->config;
    hop->tracer = program->tracer;
    hop->fault_seed = program->config.fault_seed;
    hop->attempts = attempts_new(ATTEMPTS_REMEMBERED, (int64_t)ATTEMPTS_TTL_S * NS_PER_S);
    if (!hop->attempts)
        return process_complain("the table of attempts", -ENOMEM);

    r = http_client_new(&hop->http_client,
                        &(struct http_client_options){.thread_name = "http-client",
                                                      .max_connections = MAX_UPSTREAM_CONNECTIONS,
                                                      .max_queued = MAX_UPSTREAM_QUEUE});
    if (r < 0)
        return process_complain("the HTTP client", r);
    return open_upstreams(program);
}

static int open_health(struct program *program)
{
    program->health = rpc_health_new(services);
    if (!program->health)
        return process_complain("the health service", -ENOMEM);

    int r = rpc_reflection_new(
        &program->reflection,
        (struct str){.at = (const char *)proto_descriptors, .len = proto_descriptors_size},
        services);
    return r < 0 ? process_complain("the reflection service", r) : 0;
}

static int open_grpc_front(struct program *program)
{
    const struct listen_address *address = &program->config.settings.grpc_listen;
    struct hop                  *hop = &program->hop;
    uint16_t                     port;

    for (size_t i = 0; i < hop->n_workers; i++)
        program->rpc_workers[i] = hop->workers[i].rpc;
    int r = rpc_server_new(&program->rpc_server, program->rpc_workers, hop->n_workers,
                           (struct rpc_server_limits){.max_message_bytes = MAX_REQUEST_BYTES,
                                                      .max_metadata_bytes = MAX_METADATA_BYTES,
                                                      .max_streams = MAX_STREAMS_PER_CONNECTION,
                                                      .arena_bytes = REQUEST_ARENA_BYTES});
    if (r < 0)
        return process_complain("the gRPC server", r);

    front_grpc_add_to(program->rpc_server, hop);
    rpc_health_add_to(program->health, program->rpc_server);
    rpc_reflection_add_to(program->reflection, program->rpc_server);
    if ((r = rpc_server_start(program->rpc_server, address, &port)) < 0)
        return process_complain_of_address("grpc", address, r);
    process_log_listening("grpc", address, port);

    for (size_t i = 0; i < hop->n_workers; i++) {
        if ((r = rpc_worker_start(hop->workers[i].rpc)) < 0)
            return process_complain("the thread of a gRPC worker", r);
    }
    return 0;
}

static int open_http(const char *front, const struct listen_address *address,
                     struct http_server_options options, struct http_server **ret_server)
{
    uint16_t port;

    options.address = *address;
    options.idle_timeout_s = HTTP_IDLE_TIMEOUT_S;
    options.max_header_bytes = MAX_HTTP_HEADER_BYTES;
    options.max_body_bytes = MAX_HTTP_BODY_BYTES;
    int r = http_server_new(ret_server, &options, &port);
    if (r < 0)
        return process_complain_of_address(front, address, r);

    process_log_listening(front, address, port);
    return 0;
}

static int open_http_front(struct program *program)
{
    return open_http("http", &program->config.settings.http_listen,
                     (struct http_server_options){.thread_name = "http",
                                                  .threads = program->config.n_workers,
                                                  .max_connections = MAX_HTTP_CONNECTIONS,
                                                  .arena_bytes = REQUEST_ARENA_BYTES,
                                                  .handle = front_http_handle,
                                                  .context = &program->hop},
                     &program->http_server);
}

static int open_admin(struct program *program)
{
    return open_http("admin", &program->config.settings.admin_listen,
                     (struct http_server_options){.thread_name = "admin",
                                                  .threads = 1,
                                                  .max_connections = MAX_ADMIN_CONNECTIONS,
                                                  .arena_bytes = REQUEST_ARENA_BYTES,
                                                  .handle = admin_handle,
                                                  .context = &program->admin},
                     &program->admin_server);
}

typedef int step_fn(struct program *program);

static int take_steps(struct program *program, step_fn *const steps[], size_t n_steps)
{
    for (size_t i = 0; i < n_steps; i++) {
        int r = steps[i](program);
        if (r < 0)
            return r;
    }
    return 0;
}

/* What the fronts serve, and the client calls with. */
static int open_chain(struct program *program)
{
    step_fn *const steps[] = {open_metrics, open_workers, open_tracing, open_hop};

    return take_steps(program, steps, ARRAY_LENGTH(steps));
}

static int start(struct program *program)
{
    step_fn *const steps[] = {open_chain, open_health, open_grpc_front, open_http_front,
                              open_admin};

    int r = take_steps(program, steps, ARRAY_LENGTH(steps));
    if (r < 0)
        return r;
    rpc_health_set(program->health, true);
    admin_set_ready(&program->admin, true);
    log_info("ready");
    return 0;
}

/*
 * Says no to new work and yes to what still comes, until balancers have noticed. A
 * second signal cuts it short.
 */
static void announce_end(struct program *program)
{
    admin_set_ready(&program->admin, false);
    rpc_health_set(program->health, false);
    process_pause(&program->signals, program->config.settings.drain_grace_ns);
}

/* Answers what is in hand; what is not done at the deadline is cancelled, and then answered. */
static void drain_http(struct program *program, int64_t deadline_ns)
{
    if (http_server_drain(program->http_server, deadline_ns) == 0)
        return;

    exchange_cancel_all(&program->hop);
    http_server_drain(program->http_server, NEVER_NS);
}

/* HTTP first: its requests run on the workers, and call over gRPC. */
static void drain(struct program *program)
{
    int64_t deadline_ns = clock_monotonic_ns() + program->config.settings.drain_timeout_ns;

    rpc_health_end_watches(program->health);
    drain_http(program, deadline_ns);
    rpc_server_drain(program->rpc_server, deadline_ns);
}

static void stop_workers(struct program *program)
{
    for (size_t i = 0; i < program->hop.n_workers; i++)
        rpc_worker_stop(program->hop.workers[i].rpc);
}

/* Once nothing makes spans any more. */
static void flush_spans(struct program *program)
{
    if (program->exporter)
        span_exporter_stop(program->exporter,
                           clock_monotonic_ns() + program->config.settings.drain_timeout_ns);
}

static void stop(struct program *program)
{
    announce_end(program);
    drain(program);
    flush_spans(program);
    stop_workers(program);
    log_info("stopped");
}

static void close_hop(struct hop *hop)
{
    for (size_t i = 0; i < hop->n_upstreams; i++)
        upstream_close(&hop->upstreams[i]);
    http_client_free(hop->http_client);
    attempts_free(hop->attempts);
}

static void close_workers(struct hop *hop)
{
    for (size_t i = 0; i < hop->n_workers; i++)
        rpc_worker_free(hop->workers[i].rpc);
}

/* What start made, last first; half of it is fine. */
static void release(struct program *program)
{
    http_server_free(program->admin_server);
    http_server_free(program->http_server);
    rpc_server_free(program->rpc_server);
    rpc_reflection_free(program->reflection);
    rpc_health_free(program->health);
    close_hop(&program->hop);
    tracer_free(program->tracer);
    span_exporter_free(program->exporter);
    close_workers(&program->hop);
    metrics_free(program->metrics);
}

static int run(struct program *program)
{
    rpc_init();
    int r = start(program);
    /* What has started may be in any state: the kernel takes it back best. */
    if (r < 0)
        _Exit(EXIT_FAILURE);

    process_wait(&program->signals);
    stop(program);
    release(program);
    rpc_shutdown();
    return EXIT_SUCCESS;
}

/* One call instead of a server. */
static int run_client(struct program *program)
{
    rpc_init();
    program->config.exports_spans = false; /* the exporter's worker ends with the call */
    int r = open_chain(program);
    if (r < 0)
        _Exit(EXIT_FAILURE); /* as above */

    r = client_call(&program->hop, &program->client.headers, stdout);
    if (r < 0 && r != -EREMOTEIO)
        process_complain("the call", r);
    release(program);
    rpc_shutdown();
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* A client has nothing to say but the answer, unless it is told to. */
static int read_options(struct program *program, int *argc, char *argv[],
                        struct complaint complaint)
{
    int r = client_options_take(argc, argv, program->arena, &program->client, complaint);
    if (r < 0 || !program->client.is_wanted)
        return r;

    setenv("SERVICE_NAME", "call", /* overwrite= */ 0);
    setenv("LOG_LEVEL", "error", /* overwrite= */ 0);
    return 0;
}

static int read_config(struct program *program, int argc, char *argv[])
{
    char error[512] = "out of memory";
    int  outcome = read_options(program, &argc, argv,
                                (struct complaint){.text = error, .size = sizeof(error)});

    if (outcome == 0)
        outcome = server_config_read(argc, argv, getenv, program->arena, &program->config, error,
                                     sizeof(error));
    if (outcome < 0)
        fprintf(stderr, "tracehop-server: %s\n", error);
    else if (outcome == SETTINGS_HELP)
        server_config_print_help(stdout);
    else if (outcome == SETTINGS_VERSION)
        printf("tracehop-server %s\n", TRACEHOP_VERSION);
    return outcome;
}

int main(int argc, char *argv[])
{
    static struct program                     program;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(CONFIG_ARENA_BYTES);
    if (!arena)
        return EXIT_FAILURE;

    program.arena = arena;
    int outcome = read_config(&program, argc, argv);
    if (outcome != SETTINGS_READY)
        return outcome < 0 ? EXIT_USAGE : EXIT_SUCCESS;

    log_configure((enum log_level)program.config.settings.log_level,
                  (enum log_format)program.config.settings.log_format);
    log_identify("service", program.config.name);
    process_block_signals(&program.signals);
    process_raise_descriptor_limit();
    return program.client.is_wanted ? run_client(&program) : run(&program);
}
