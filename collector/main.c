/*
 * tracehop-collector: takes in everybody's spans, keeps them safe, and relays them.
 *
 * Threads:
 *   main          starts and stops everything, and waits for signals in between
 *   grpc-N        workers: OTLP over gRPC; the first one also carries the relay's calls
 *   otlp-http-N   libmicrohttpd for OTLP over HTTP
 *   zipkin-N      the same for Zipkin
 *   admin-N       the same for the admin port
 *   journal       writes, syncs, and acknowledges: senders are answered from here
 *   relay         reads the journal for each destination, and decides what to send
 *   recent        files copies of what was kept, when nobody else wants the processor
 *   otlp-http     calls to destinations over HTTP (curl); one for each of them
 *
 * A request belongs to the thread it came in on, from there to the journal's until it is kept or
 * refused, and back for its answer. What threads share: the journal, the relay's books, the recent
 * traces, the metrics.
 */

#include <errno.h>
#include <stdlib.h>

#include "collector/config.h"
#include "collector/front_admin.h"
#include "collector/intake.h"
#include "collector/journal_metrics.h"
#include "collector/receiver_otlp_grpc.h"
#include "collector/receiver_otlp_http.h"
#include "collector/receiver_zipkin.h"
#include "collector/recent/recent.h"
#include "collector/relay_log.h"
#include "common/base/arena.h"
#include "common/base/log.h"
#include "common/base/process.h"
#include "common/edge/rpc_health.h"
#include "common/edge/rpc_reflection.h"
#include "common/edge/rpc_server.h"
#include "proto/descriptors.h"

enum {
    CONFIG_ARENA_BYTES = 1 << 20,
    MAX_METADATA_BYTES = 64 * 1024,
    MAX_HTTP_HEADER_BYTES = 16 * 1024,
    MAX_HTTP_CONNECTIONS = 10000,
    MAX_ADMIN_CONNECTIONS = 100,
    HTTP_IDLE_TIMEOUT_S = 75,
    ADMIN_ARENA_BYTES = 1 << 20,
    MAX_STREAMS_PER_CONNECTION = 1000,
    GRPC_MEMORY_BYTES = 64 << 20,  /* for connections, besides one request of the largest size */
    REQUEST_EXTRA_BYTES = 1 << 20, /* headers and bookkeeping, besides the request itself */
    MAX_WAITING_BYTES = 32 << 20,
    /* What would be replaced within a second shows nothing to anybody. */
    RECENT_BYTES = 32 << 20,
    RECENT_BYTES_PER_S = RECENT_BYTES,
    RECENT_TRACE_BYTES = 1 << 20,
    RECENT_QUEUE_BYTES = 4 << 20,
    /* 3.5 MiB: below the 4 that most receivers take. */
    MAX_BATCH_BYTES = 7 << 19,
    MAX_CALLS_IN_FLIGHT = 4,
    EXIT_USAGE = 2,
};

static const char *const services[] = {
    "opentelemetry.proto.collector.trace.v1.TraceService", "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection", NULL};

struct program {
    struct arena           *arena; /* of what lives as long as the program */
    struct collector_config config;
    struct metrics         *metrics;
    struct rpc_worker      *workers[RPC_MAX_WORKERS];
    size_t                  n_workers;
    struct journal         *journal; /* NULL, as the relay: no destinations */
    struct relay           *relay;
    struct recent          *recent; /* NULL: none wanted */
    struct intake           intake;
    struct rpc_server      *rpc_server;
    struct rpc_health      *health;
    struct rpc_reflection  *reflection;
    struct http_server     *otlp_server, *zipkin_server;
    struct front_admin      admin;
    struct http_server     *admin_server;
    sigset_t                signals;
};

static int open_metrics(struct program *program)
{
    program->metrics = metrics_new();
    if (!program->metrics)
        return process_complain("the metrics", -ENOMEM);

    metrics_add_process(program->metrics);
    struct metrics_family *build =
        metrics_family(program->metrics, METRICS_GAUGE, "tracehop_build_info",
                       "What runs here: always 1, the labels say what.",
                       (const char *const[]){"program", "build", NULL});
    metrics_set(
        metrics_series(build, (struct str[]){STR("tracehop-collector"), STR(TRACEHOP_VERSION)}), 1);
    return 0;
}

static int open_workers(struct program *program)
{
    while (program->n_workers < program->config.n_workers) {
        int r = rpc_worker_new(&program->workers[program->n_workers],
                               rpc_worker_name(program->n_workers));
        if (r < 0)
            return process_complain("a gRPC worker", r);
        program->n_workers++;
    }
    return 0;
}

/* On the journal's thread. No commit comes before the receivers are open: the relay is there. */
static void journal_committed(void *context)
{
    struct program *program = context;

    relay_wake(program->relay);
}

static int complain_of_journal(const struct program *program, int error)
{
    log_error("cannot open the journal; the program ends",
              log_text("directory", program->config.journal_dir),
              log_text("why", error == -EBUSY ? "another process has it open" : strerror(-error)));
    return error;
}

static void log_journal(const struct program *program, const struct journal_recovery *recovery)
{
    log_info("journal opened", log_text("directory", program->config.journal_dir),
             log_int("spans", (int64_t)recovery->n_spans),
             log_int("bytes", (int64_t)recovery->n_bytes),
             log_int("cut_bytes", (int64_t)recovery->cut_bytes),
             log_int("skipped_bytes", (int64_t)recovery->skipped_bytes));
}

static int open_journal(struct program *program)
{
    const struct collector_settings *settings = &program->config.settings;
    struct journal_recovery          recovery;
    if (program->config.n_destinations == 0)
        return 0;

    int r = journal_open(&program->journal,
                         &(struct journal_options){
                             .directory = program->config.journal_dir,
                             .durability = (enum journal_durability)settings->durability,
                             .sync_interval_ns = settings->sync_interval_ns,
                             .max_bytes = settings->journal_max_bytes,
                             .max_waiting_bytes = MAX_WAITING_BYTES,
                             .committed = journal_committed,
                             .context = program,
                         },
                         &recovery);
    if (r < 0)
        return complain_of_journal(program, r);

    log_journal(program, &recovery);
    journal_metrics_init(program->journal, &recovery, program->metrics);
    return 0;
}

static int open_relay(struct program *program)
{
    const struct collector_config *config = &program->config;
    struct str                     culprit = STR("");
    if (config->n_destinations == 0)
        return 0;

    int r = relay_new(&program->relay,
                      &(struct relay_options){
                          .destinations = config->destinations,
                          .n_destinations = config->n_destinations,
                          .journal = program->journal,
                          .directory = config->journal_dir,
                          .worker = program->workers[0],
                          .max_bytes = config->settings.journal_max_bytes,
                          .max_age_ns = config->settings.journal_max_age_ns,
                          .call_timeout_ns = config->settings.relay_timeout_ns,
                          .max_batch_bytes = MAX_BATCH_BYTES,
                          .max_in_flight = MAX_CALLS_IN_FLIGHT,
                          .event = relay_log_event,
                      },
                      program->metrics, &culprit);
    if (r < 0)
        log_error("cannot relay; the program ends", log_str("destination", culprit),
                  log_text("why", strerror(-r)));
    return r;
}

static int open_recent(struct program *program)
{
    size_t max_traces = program->config.settings.recent_traces;
    if (max_traces == 0)
        return 0;

    int r = recent_new(&program->recent,
                       &(struct recent_options){.max_traces = max_traces,
                                                .max_bytes = RECENT_BYTES,
                                                .max_trace_bytes = RECENT_TRACE_BYTES,
                                                .max_queue_bytes = RECENT_QUEUE_BYTES,
                                                .max_bytes_per_s = RECENT_BYTES_PER_S},
                       program->metrics);
    if (r == 0)
        r = recent_start(program->recent);
    return r < 0 ? process_complain("the recent traces", r) : 0;
}

static int open_intake(struct program *program)
{
    size_t max_request_bytes = program->config.settings.max_request_bytes;

    intake_init(&program->intake, program->journal, program->recent, max_request_bytes,
                program->metrics);
    return 0;
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

static int start_workers(struct program *program)
{
    for (size_t i = 0; i < program->n_workers; i++) {
        int r = rpc_worker_start(program->workers[i]);
        if (r < 0)
            return process_complain("the thread of a gRPC worker", r);
    }
    return 0;
}

static int open_grpc(struct program *program)
{
    const struct collector_settings *settings = &program->config.settings;
    const struct listen_address     *address = &settings->otlp_grpc_listen;
    uint16_t                         port;

    int r = rpc_server_new(&program->rpc_server, program->workers, program->n_workers,
                           (struct rpc_server_limits){
                               .max_message_bytes = settings->max_request_bytes,
                               .max_metadata_bytes = MAX_METADATA_BYTES,
                               .max_streams = MAX_STREAMS_PER_CONNECTION,
                               .arena_bytes = settings->max_request_bytes + REQUEST_EXTRA_BYTES,
                               .takes_gzip = true,
                               .memory_bytes = settings->max_request_bytes + GRPC_MEMORY_BYTES,
                           });
    if (r < 0)
        return process_complain("the gRPC server", r);

    receiver_otlp_grpc_add_to(program->rpc_server, &program->intake);
    rpc_health_add_to(program->health, program->rpc_server);
    rpc_reflection_add_to(program->reflection, program->rpc_server);
    if ((r = rpc_server_start(program->rpc_server, address, &port)) < 0)
        return process_complain_of_address("otlp-grpc", address, r);
    process_log_listening("otlp-grpc", address, port);
    return start_workers(program);
}

/* The relay's calls run on a worker, so it starts after them. */
static int start_relay(struct program *program)
{
    int r = program->relay ? relay_start(program->relay) : 0;

    return r < 0 ? process_complain("the thread of the relay", r) : 0;
}

static int open_http(const char *front, const struct listen_address *address,
                     struct http_server_options options, struct http_server **ret_server)
{
    uint16_t port;

    options.address = *address;
    options.thread_name = front;
    options.threads = 1;
    options.idle_timeout_s = HTTP_IDLE_TIMEOUT_S;
    options.max_header_bytes = MAX_HTTP_HEADER_BYTES;
    int r = http_server_new(ret_server, &options, &port);
    if (r < 0)
        return process_complain_of_address(front, address, r);

    process_log_listening(front, address, port);
    return 0;
}

/* A body, and what it is translated to. */
static struct http_server_options receiver_options(struct program *program, http_handler_fn *handle,
                                                   http_refuser_fn *refuse)
{
    size_t max_request_bytes = program->config.settings.max_request_bytes;

    return (struct http_server_options){
        .max_connections = MAX_HTTP_CONNECTIONS,
        .max_body_bytes = max_request_bytes,
        .bodies = &program->intake.in_hand,
        .arena_bytes = 2 * max_request_bytes + REQUEST_EXTRA_BYTES,
        .handle = handle,
        .refuse = refuse,
        .context = &program->intake,
    };
}

static int open_otlp_http(struct program *program)
{
    return open_http(
        "otlp-http", &program->config.settings.otlp_http_listen,
        receiver_options(program, receiver_otlp_http_handle, receiver_otlp_http_refuse),
        &program->otlp_server);
}

static int open_zipkin(struct program *program)
{
    return open_http("zipkin", &program->config.settings.zipkin_listen,
                     receiver_options(program, receiver_zipkin_handle, receiver_zipkin_refuse),
                     &program->zipkin_server);
}

static int open_admin(struct program *program)
{
    program->admin.admin.metrics = program->metrics;
    program->admin.admin.other_pages = STR(", /status, /api/v3/services and its kind");
    program->admin.recent = program->recent;
    program->admin.status = (struct status_page){.config = &program->config,
                                                 .intake = &program->intake,
                                                 .journal = program->journal,
                                                 .relay = program->relay};

    return open_http("admin", &program->config.settings.admin_listen,
                     (struct http_server_options){.max_connections = MAX_ADMIN_CONNECTIONS,
                                                  .arena_bytes = ADMIN_ARENA_BYTES,
                                                  .handle = front_admin_handle,
                                                  .context = &program->admin},
                     &program->admin_server);
}

static int start(struct program *program)
{
    int (*const steps[])(struct program *) = {
        open_metrics, open_workers, open_journal, open_relay,     open_recent, open_intake,
        open_health,  open_grpc,    start_relay,  open_otlp_http, open_zipkin, open_admin};

    for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
        int r = steps[i](program);
        if (r < 0)
            return r;
    }
    rpc_health_set(program->health, true);
    admin_set_ready(&program->admin.admin, true);
    log_info("ready");
    return 0;
}

/* Says no to new work and yes to what still comes, until balancers have noticed. */
static void announce_end(struct program *program)
{
    admin_set_ready(&program->admin.admin, false);
    rpc_health_set(program->health, false);
    process_pause(&program->signals, program->config.settings.drain_grace_ns);
}

/* A request in hand ends when the journal has it, and that takes no other program. */
static void drain_receivers(struct program *program)
{
    int64_t deadline_ns = clock_monotonic_ns() + program->config.settings.drain_timeout_ns;

    rpc_health_end_watches(program->health);
    http_server_drain(program->otlp_server, NEVER_NS);
    http_server_drain(program->zipkin_server, NEVER_NS);
    rpc_server_drain(program->rpc_server, deadline_ns);
}

static void drain_relay(struct program *program)
{
    if (!program->relay)
        return;

    relay_stop(program->relay, clock_monotonic_ns() + program->config.settings.drain_timeout_ns);
    relay_log_left(program->relay);
}

static void stop(struct program *program)
{
    announce_end(program);
    drain_receivers(program);
    drain_relay(program);
    for (size_t i = 0; i < program->n_workers; i++)
        rpc_worker_stop(program->workers[i]);
    if (program->recent)
        recent_stop(program->recent);
    log_info("stopped");
}

/* What start made, last first. */
static void release(struct program *program)
{
    http_server_free(program->admin_server);
    http_server_free(program->zipkin_server);
    http_server_free(program->otlp_server);
    rpc_server_free(program->rpc_server);
    rpc_reflection_free(program->reflection);
    rpc_health_free(program->health);
    journal_close(take(program->journal)); /* its thread knows the relay and the recent traces */
    relay_free(program->relay);
    recent_free(program->recent);
    for (size_t i = 0; i < program->n_workers; i++)
        rpc_worker_free(program->workers[i]);
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

static int read_config(struct program *program, int argc, char *argv[])
{
    char error[512];
    int outcome = collector_config_read(argc, argv, getenv, program->arena, &program->config, error,
                                        sizeof(error));

    if (outcome < 0)
        fprintf(stderr, "tracehop-collector: %s\n", error);
    else if (outcome == SETTINGS_HELP)
        collector_config_print_help(stdout);
    else if (outcome == SETTINGS_VERSION)
        printf("tracehop-collector %s\n", TRACEHOP_VERSION);
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
    log_identify("service", STR("collector"));
    process_block_signals(&program.signals);
    process_raise_descriptor_limit();
    process_return_large_blocks();
    return run(&program);
}
