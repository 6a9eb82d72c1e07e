#include "collector/config.h"

#include "common/base/arena.h"
#include "common/base/cleanup.h"
#include "common/base/complaint.h"
#include "common/base/process.h"
#include "common/edge/rpc_worker.h"

enum { MOST_WORKERS_BY_DEFAULT = 4 };

#define AT(member) offsetof(struct collector_settings, member)
#define MiB(n) ((double)(n) * (1 << 20))

/* clang-format off */
static const struct setting table[] = {
    {"OTLP_GRPC_LISTEN", SETTING_LISTEN, AT(otlp_grpc_listen), "0.0.0.0:4317", .help = "Where to take in OTLP over gRPC; port 0 picks one and logs it."},
    {"OTLP_HTTP_LISTEN", SETTING_LISTEN, AT(otlp_http_listen), "0.0.0.0:4318", .help = "Where to take in OTLP over HTTP: POST /v1/traces."},
    {"ZIPKIN_LISTEN", SETTING_LISTEN, AT(zipkin_listen), "0.0.0.0:9411", .help = "Where to take in Zipkin v2: POST /api/v2/spans."},
    {"ADMIN_LISTEN", SETTING_LISTEN, AT(admin_listen), "0.0.0.0:9465", .help = "Where to serve /healthz, /readyz, /metrics, /status and /api/v3/."},
    {"RELAY_TO", SETTING_TEXT, AT(relay_to), NULL, .help = "Where spans go: grpc://host:4317 or http://host:4318 URIs, separated by commas. Empty: nowhere, only the recent traces are kept."},
    {"RELAY_TIMEOUT", SETTING_DURATION, AT(relay_timeout_ns), "10s", .min = 1e6, .max = 3600e9, .help = "How long a destination may take to answer one call."},
    {"JOURNAL_DIR", SETTING_TEXT, AT(journal_dir), "tracehop-journal", .help = "The directory of the journal, made when it is not there; used when RELAY_TO is set."},
    {"JOURNAL_MAX_BYTES", SETTING_BYTES, AT(journal_max_bytes), "1GiB", .min = MiB(4), .help = "How large the journal may become; beyond it the oldest spans expire."},
    {"JOURNAL_MAX_AGE", SETTING_DURATION, AT(journal_max_age_ns), "0s", .help = "How old spans may become in the journal; 0: as old as its size lets them."},
    {"DURABILITY", SETTING_CHOICE, AT(durability), "sync", .choices = "sync|interval|none", .help = "When a request is acknowledged: once it is on the disk, or once it is written, with the disk following at intervals or when the system likes."},
    {"SYNC_INTERVAL", SETTING_DURATION, AT(sync_interval_ns), "100ms", .min = 1e6, .max = 60e9, .help = "With DURABILITY=interval: how often the disk follows."},
    {"MAX_REQUEST_BYTES", SETTING_BYTES, AT(max_request_bytes), "64MiB", .min = 1024, .max = MiB(1024), .help = "The largest request, after decompression."},
    {"RECENT_TRACES", SETTING_INTEGER, AT(recent_traces), "1000", .max = 1e6, .help = "How many of the last traces /api/v3/ shows; 0: none are kept."},
    {"WORKERS", SETTING_INTEGER, AT(workers), "0", .max = RPC_MAX_WORKERS, .help = "Threads for gRPC; 0: one for every two processors, at most 4."},
    {"DRAIN_GRACE", SETTING_DURATION, AT(drain_grace_ns), "500ms", .max = 600e9, .help = "After SIGTERM: how long to go on taking in while readiness says no."},
    {"DRAIN_TIMEOUT", SETTING_DURATION, AT(drain_timeout_ns), "10s", .max = 600e9, .help = "After that: how long to go on relaying; what is left stays in the journal."},
    {"LOG_LEVEL", SETTING_CHOICE, AT(log_level), "info", .choices = "error|warning|info|debug", .help = "What is logged to standard error."},
    {"LOG_FORMAT", SETTING_CHOICE, AT(log_format), "json", .choices = "json|text", .help = "How it is written."},
};
/* clang-format on */

/* OpenTelemetry specification, protocol/exporter.md: a URI without a path means /v1/traces. */
static struct uri with_traces_path(struct uri endpoint, struct arena *arena)
{
    if (!str_equal(endpoint.path, STR("/")))
        return endpoint;

    const char *slash = str_ends_with(endpoint.text, STR("/")) ? "" : "/";
    struct str  text = arena_format(arena, "%.*s%sv1/traces", STR_ARGS(endpoint.text), slash);
    struct uri  completed = endpoint;
    (void)uri_parse(text, &completed, NULL);
    return completed;
}

static int read_destination(struct relay_destination *destination, struct str name,
                            struct arena *arena, struct complaint complaint)
{
    const char *reason;
    struct uri  endpoint;

    if (uri_parse(name, &endpoint, &reason) < 0)
        return complain(complaint, "RELAY_TO: \"%.*s\": %s", STR_ARGS(name), reason);
    if (endpoint.scheme == URI_GRPCS)
        return complain(complaint, "RELAY_TO: \"%.*s\": grpcs:// is not supported yet",
                        STR_ARGS(name));

    bool is_grpc = uri_is_grpc(&endpoint);
    *destination = (struct relay_destination){
        .name = name,
        .endpoint = is_grpc ? endpoint : with_traces_path(endpoint, arena),
        .protocol = is_grpc ? OTLP_GRPC : OTLP_HTTP_PROTOBUF,
    };
    return 0;
}

static bool is_named(const struct collector_config *config, struct str name)
{
    for (size_t i = 0; i < config->n_destinations; i++) {
        if (str_equal(config->destinations[i].name, name))
            return true;
    }
    return false;
}

static int read_destinations(struct collector_config *config, struct arena *arena,
                             struct complaint complaint)
{
    struct str rest = config->settings.relay_to;
    struct str piece;

    while (str_cut(&rest, ',', &piece)) {
        struct str name = str_trim(piece);

        if (config->n_destinations == RELAY_MAX_DESTINATIONS)
            return complain(complaint, "RELAY_TO: more than %d destinations",
                            RELAY_MAX_DESTINATIONS);
        if (is_named(config, name))
            return complain(complaint, "RELAY_TO: \"%.*s\" comes twice", STR_ARGS(name));

        int r =
            read_destination(&config->destinations[config->n_destinations], name, arena, complaint);
        if (r < 0)
            return r;
        config->n_destinations++;
    }
    return 0;
}

/* A request becomes one record. */
static int check_journal(const struct collector_settings *settings, struct complaint complaint)
{
    if (settings->max_request_bytes > settings->journal_max_bytes)
        return complain(complaint, "MAX_REQUEST_BYTES: %llu is more than JOURNAL_MAX_BYTES, %llu",
                        (unsigned long long)settings->max_request_bytes,
                        (unsigned long long)settings->journal_max_bytes);
    return 0;
}

int collector_config_read(int argc, char *argv[], settings_lookup_fn *lookup, struct arena *arena,
                          struct collector_config *ret_config, char *error, size_t error_size)
{
    struct complaint         complaint = {.text = error, .size = error_size};
    struct collector_config *config = ret_config;
    int                      r;

    *config = (struct collector_config){0};
    int outcome = settings_read(table, ARRAY_LENGTH(table), &config->settings, argc, argv, lookup,
                                arena, error, error_size);
    if (outcome != SETTINGS_READY)
        return outcome;

    if ((r = read_destinations(config, arena, complaint)) < 0 ||
        (r = check_journal(&config->settings, complaint)) < 0)
        return r;

    config->journal_dir = arena_copy(arena, config->settings.journal_dir).at;
    if (!config->journal_dir)
        return complain(complaint, "out of memory");
    config->n_workers = process_threads(config->settings.workers, MOST_WORKERS_BY_DEFAULT);
    return SETTINGS_READY;
}

void collector_config_print_help(FILE *to)
{
    settings_print_help(table, ARRAY_LENGTH(table), to);
}
