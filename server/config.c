#include "server/config.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/complaint.h"
#include "common/base/process.h"
#include "common/base/random.h"
#include "server/hop.h"

enum { MOST_WORKERS_BY_DEFAULT = 4 };

#define AT(member) offsetof(struct server_settings, member)

/* clang-format off */
static const struct setting table[] = {
    {"ROLE", SETTING_TEXT, AT(role), "hop", .help = "The part this hop plays: frontend, middleware, backend, clock, ..."},
    {"VERSION", SETTING_TEXT, AT(version), "prod", .help = "Which version of the role: prod, canary, ..."},
    {"SERVICE_NAME", SETTING_TEXT, AT(service_name), NULL, .help = "How this hop is shown, instead of ROLE-VERSION."},
    {"HTTP_LISTEN", SETTING_LISTEN, AT(http_listen), "0.0.0.0:8080", .help = "Where to serve HTTP; port 0 picks one and logs it."},
    {"GRPC_LISTEN", SETTING_LISTEN, AT(grpc_listen), "0.0.0.0:9090", .help = "Where to serve gRPC."},
    {"ADMIN_LISTEN", SETTING_LISTEN, AT(admin_listen), "0.0.0.0:9464", .help = "Where to serve /healthz, /readyz and /metrics."},
    {"UPSTREAM_URI", SETTING_TEXT, AT(upstream_uri), NULL, .help = "Whom to call: grpc://, http:// or https:// URIs, separated by commas; grpc://a:1|b:2 is one upstream with two addresses. Empty: the last hop."},
    {"OUTBOUND_PROXY", SETTING_TEXT, AT(outbound_proxy), NULL, .help = "host:port to connect to for every upstream, whatever its URI says; the URI's host and port stay the authority. Stands in for the interception of a sidecar where there is none."},
    {"UPSTREAM_ORDER", SETTING_CHOICE, AT(upstream_order), "parallel", .choices = "parallel|sequential", .help = "How several upstreams are called."},
    {"UPSTREAM_TIMEOUT", SETTING_DURATION, AT(upstream_timeout_ns), "10s", .min = 1e6, .max = 3600e9, .help = "How long a call may take; the caller's deadline wins when it is shorter."},
    {"ON_UPSTREAM_FAILURE", SETTING_CHOICE, AT(on_upstream_failure), "propagate", .choices = "propagate|report", .help = "Fail with the upstream, or answer 200 and show its failure in the tree."},
    {"FORWARD_HEADERS", SETTING_TEXT, AT(forward_headers), NULL, .help = "Names of headers to forward besides the built-in ones, separated by commas."},
    {"WORK", SETTING_CHOICE, AT(work), "none", .choices = "none|fibonacci", .help = "What to do besides calling others: fibonacci computes and sleeps."},
    {"WORK_SLEEP_MAX", SETTING_DURATION, AT(work_sleep_max_ns), "50ms", .max = 60e9, .help = "The longest sleep of WORK."},
    {"WORK_FIBONACCI_MAX", SETTING_INTEGER, AT(work_fibonacci_max), "30", .max = WORK_MAX_FIBONACCI_INDEX, .help = "The largest Fibonacci number of WORK, by its index."},
    {"WORKERS", SETTING_INTEGER, AT(workers), "0", .max = RPC_MAX_WORKERS, .help = "Threads for gRPC, and as many for HTTP; 0: one for every two processors, at most 4."},
    {"DRAIN_GRACE", SETTING_DURATION, AT(drain_grace_ns), "500ms", .max = 600e9, .help = "After SIGTERM: how long to go on serving while readiness says no."},
    {"DRAIN_TIMEOUT", SETTING_DURATION, AT(drain_timeout_ns), "10s", .max = 600e9, .help = "After that: how long requests in hand may take to end."},
    {"TRACE_URL", SETTING_TEXT, AT(trace_url), NULL, .help = "Link to a trace, shown with each answer; {trace_id} is replaced."},
    {"FAULT_SEED", SETTING_TEXT, AT(fault_seed), NULL, .help = "A number that makes every roll of the dice repeatable."},
    {"LOG_LEVEL", SETTING_CHOICE, AT(log_level), "info", .choices = "error|warning|info|debug", .help = "What is logged to standard error."},
    {"LOG_FORMAT", SETTING_CHOICE, AT(log_format), "json", .choices = "json|text", .help = "How it is written."},
    {"OTEL_TRACES_EXPORTER", SETTING_CHOICE, AT(otel_exporter), "otlp", .choices = "otlp|none", .help = "Whether spans are sent away."},
    {"OTEL_EXPORTER_OTLP_ENDPOINT", SETTING_TEXT, AT(otel_endpoint), NULL, .help = "The collector. Default: http://localhost:4317 for grpc, http://localhost:4318 for http/protobuf."},
    {"OTEL_EXPORTER_OTLP_PROTOCOL", SETTING_CHOICE, AT(otel_protocol), "http/protobuf", .choices = "grpc|http/protobuf", .help = "How to talk to the collector."},
    {"OTEL_PROPAGATORS", SETTING_TEXT, AT(otel_propagators), "b3multi,tracecontext,baggage", .help = "Forms of trace context, in order of precedence: b3, b3multi, tracecontext, baggage, none."},
    {"OTEL_TRACES_SAMPLER", SETTING_TEXT, AT(otel_sampler), "parentbased_always_on", .help = "always_on, always_off, traceidratio, or one of them with parentbased_ before it."},
    {"OTEL_TRACES_SAMPLER_ARG", SETTING_TEXT, AT(otel_sampler_argument), NULL, .help = "The share of traces for traceidratio, 0 to 1."},
    {"OTEL_RESOURCE_ATTRIBUTES", SETTING_TEXT, AT(otel_resource_attributes), NULL, .help = "More attributes of every span's resource: key=value,key=value."},
    {"OTEL_SERVICE_NAME", SETTING_TEXT, AT(otel_service_name), NULL, .help = "service.name of the spans, instead of ROLE."},
    {"OTEL_BSP_SCHEDULE_DELAY", SETTING_MILLIS, AT(otel_schedule_delay_ns), "5000", .max = 3600e9, .help = "Milliseconds between two exports."},
    {"OTEL_BSP_EXPORT_TIMEOUT", SETTING_MILLIS, AT(otel_export_timeout_ns), "30000", .min = 1e6, .max = 3600e9, .help = "Milliseconds that one export may take, its retries included."},
    {"OTEL_BSP_MAX_QUEUE_SIZE", SETTING_INTEGER, AT(otel_max_queue_spans), "2048", .min = 1, .max = 1 << 20, .help = "Spans that may wait; more are dropped and counted."},
    {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", SETTING_INTEGER, AT(otel_max_batch_spans), "512", .min = 1, .max = 1 << 16, .help = "Spans in one export."},
    {"OTEL_SDK_DISABLED", SETTING_SWITCH, AT(otel_is_disabled), "false", .help = "No spans; trace headers are forwarded untouched."},
};
/* clang-format on */

static int check_upstream(const struct upstream_config *upstream, struct complaint complaint)
{
    const struct uri *uri = &upstream->addresses[0];

    if (uri->scheme == URI_GRPCS)
        return complain(complaint, "UPSTREAM_URI: \"%.*s\": grpcs:// is not supported yet",
                        STR_ARGS(upstream->text));
    if (!uri_is_grpc(uri) && upstream->n_addresses > 1)
        return complain(complaint,
                        "UPSTREAM_URI: \"%.*s\": only grpc:// can have several addresses",
                        STR_ARGS(upstream->text));
    return 0;
}

static int read_upstreams(struct server_config *config, struct complaint complaint)
{
    struct str rest = config->settings.upstream_uri;
    struct str piece;

    while (str_cut(&rest, ',', &piece)) {
        if (config->n_upstreams == CONFIG_MAX_UPSTREAMS)
            return complain(complaint, "UPSTREAM_URI: more than %d upstreams",
                            CONFIG_MAX_UPSTREAMS);

        struct upstream_config *upstream = &config->upstreams[config->n_upstreams++];
        const char             *reason;
        upstream->text = str_trim(piece);
        if (uri_parse_addresses(upstream->text, upstream->addresses, CONFIG_MAX_ADDRESSES,
                                &upstream->n_addresses, &reason) < 0)
            return complain(complaint, "UPSTREAM_URI: \"%.*s\": %s", STR_ARGS(upstream->text),
                            reason);

        int r = check_upstream(upstream, complaint);
        if (r < 0)
            return r;
    }
    return 0;
}

/* One connection has one authority: addresses that take turns would have to share it. */
static int check_proxied(const struct server_config *config, struct complaint complaint)
{
    for (size_t i = 0; i < config->n_upstreams; i++) {
        if (config->upstreams[i].n_addresses > 1)
            return complain(complaint,
                            "OUTBOUND_PROXY: UPSTREAM_URI \"%.*s\" has several addresses: behind a "
                            "proxy it can have one",
                            STR_ARGS(config->upstreams[i].text));
    }
    return 0;
}

static int read_outbound_proxy(struct server_config *config, struct arena *arena,
                               struct complaint complaint)
{
    struct str  text = config->settings.outbound_proxy;
    const char *reason;
    if (str_is_empty(text))
        return 0;

    struct uri *proxy = arena_alloc(arena, sizeof(*proxy));
    if (!proxy)
        return complain(complaint, "out of memory");
    if (uri_parse_host_port(text, proxy, &reason) < 0)
        return complain(complaint, "OUTBOUND_PROXY: \"%.*s\": %s", STR_ARGS(text), reason);

    config->outbound_proxy = proxy;
    return check_proxied(config, complaint);
}

static int read_names(struct server_config *config, struct arena *arena, struct complaint complaint)
{
    const struct server_settings *settings = &config->settings;
    char                          host[256] = "";

    if (!fault_name_is_valid(settings->role))
        return complain(complaint, "ROLE: \"%.*s\": letters, digits, '_', '.' and '-' only",
                        STR_ARGS(settings->role));
    if (!fault_name_is_valid(settings->version))
        return complain(complaint, "VERSION: \"%.*s\": letters, digits, '_', '.' and '-' only",
                        STR_ARGS(settings->version));

    gethostname(host, sizeof(host) - 1);
    config->instance = arena_copy(arena, str_from(host));
    config->name = !str_is_empty(settings->service_name)
                       ? settings->service_name
                       : arena_format(arena, "%.*s-%.*s", STR_ARGS(settings->role),
                                      STR_ARGS(settings->version));
    return config->instance.at && config->name.at ? 0 : complain(complaint, "out of memory");
}

static int read_propagation(struct server_config *config, struct arena *arena,
                            struct complaint complaint)
{
    const struct server_settings *settings = &config->settings;
    struct str                    bad;

    if (forward_list_parse(settings->forward_headers, arena, &config->forward, &bad) < 0)
        return complain(complaint,
                        "FORWARD_HEADERS: \"%.*s\" is not a header that can be forwarded",
                        STR_ARGS(bad));
    config->forward.copies_trace_context = settings->otel_is_disabled;

    if (propagators_parse(settings->otel_propagators, &config->propagators, &bad) < 0)
        return complain(
            complaint,
            "OTEL_PROPAGATORS: \"%.*s\" is none of b3, b3multi, tracecontext, baggage, none",
            STR_ARGS(bad));

    if (sampler_parse(settings->otel_sampler, settings->otel_sampler_argument, &config->sampler) <
        0)
        return complain(
            complaint,
            "OTEL_TRACES_SAMPLER: \"%.*s\" with OTEL_TRACES_SAMPLER_ARG \"%.*s\": want "
            "[parentbased_]always_on, always_off or traceidratio, with a ratio from 0 to 1",
            STR_ARGS(settings->otel_sampler), STR_ARGS(settings->otel_sampler_argument));
    return 0;
}

static struct str given_endpoint(const struct server_settings *settings)
{
    if (!str_is_empty(settings->otel_endpoint))
        return settings->otel_endpoint;
    return settings->otel_protocol == OTLP_GRPC ? STR("http://localhost:4317")
                                                : STR("http://localhost:4318");
}

/* OpenTelemetry specification, protocol/exporter.md: over HTTP, /v1/traces goes after the path. */
static int add_traces_path(struct server_config *config, struct arena *arena)
{
    struct str  endpoint = config->otlp_endpoint.text;
    const char *slash = str_ends_with(endpoint, STR("/")) ? "" : "/";
    struct str  text = arena_format(arena, "%.*s%sv1/traces", STR_ARGS(endpoint), slash);

    return uri_parse(text, &config->otlp_endpoint, NULL);
}

static int read_endpoint(struct server_config *config, struct arena *arena,
                         struct complaint complaint)
{
    static const char name[] = "OTEL_EXPORTER_OTLP_ENDPOINT";
    struct str        endpoint = given_endpoint(&config->settings);
    bool              is_grpc = config->settings.otel_protocol == OTLP_GRPC;
    const char       *reason;

    if (uri_parse(endpoint, &config->otlp_endpoint, &reason) < 0)
        return complain(complaint, "%s: \"%.*s\": %s", name, STR_ARGS(endpoint), reason);
    if (uri_is_grpc(&config->otlp_endpoint))
        return complain(complaint,
                        "%s: \"%.*s\": starts with http:// or https://; "
                        "OTEL_EXPORTER_OTLP_PROTOCOL chooses the protocol",
                        name, STR_ARGS(endpoint));
    if (is_grpc && config->otlp_endpoint.scheme == URI_HTTPS)
        return complain(complaint, "%s: \"%.*s\": TLS is not supported yet over grpc", name,
                        STR_ARGS(endpoint));
    if (!is_grpc && add_traces_path(config, arena) < 0)
        return complain(complaint, "%s: \"%.*s\": not an address to post to", name,
                        STR_ARGS(endpoint));
    return 0;
}

static int read_exporter(struct server_config *config, struct arena *arena,
                         struct complaint complaint)
{
    const struct server_settings *settings = &config->settings;

    config->exports_spans = !settings->otel_is_disabled && settings->otel_exporter == 0;
    if (settings->otel_max_batch_spans > settings->otel_max_queue_spans)
        return complain(complaint,
                        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE: %llu is more than "
                        "OTEL_BSP_MAX_QUEUE_SIZE, %llu",
                        (unsigned long long)settings->otel_max_batch_spans,
                        (unsigned long long)settings->otel_max_queue_spans);
    return read_endpoint(config, arena, complaint);
}

static void add_resource(struct server_config *config, struct str key, struct str value)
{
    for (size_t i = 0; i < config->n_resource; i++) {
        if (str_equal(config->resource[i].key, key))
            return; /* what was said first stands */
    }
    config->resource[config->n_resource++] =
        (struct span_attribute){.key = key, .kind = ATTRIBUTE_STR, .str = value};
}

/* OpenTelemetry specification, resource/sdk.md: OTEL_SERVICE_NAME beats OTEL_RESOURCE_ATTRIBUTES.
 */
static int read_resource(struct server_config *config, struct complaint complaint)
{
    const struct server_settings *settings = &config->settings;
    struct str                    rest = settings->otel_resource_attributes;
    struct str                    piece, key, value;

    if (!str_is_empty(settings->otel_service_name))
        add_resource(config, STR("service.name"), settings->otel_service_name);

    while (str_cut(&rest, ',', &piece)) {
        if (str_is_empty(str_trim(piece)))
            continue;
        if (!str_split(piece, '=', &key, &value) || str_is_empty(str_trim(key)))
            return complain(complaint, "OTEL_RESOURCE_ATTRIBUTES: \"%.*s\" is not key=value",
                            STR_ARGS(piece));
        if (config->n_resource == CONFIG_MAX_RESOURCE)
            return complain(complaint, "OTEL_RESOURCE_ATTRIBUTES: more than %d attributes",
                            CONFIG_MAX_RESOURCE);
        add_resource(config, str_trim(key), str_trim(value));
    }

    add_resource(config, STR("service.name"), settings->role);
    add_resource(config, STR("service.version"), settings->version);
    add_resource(config, STR("service.instance.id"), config->instance);
    add_resource(config, STR("telemetry.sdk.name"), STR("tracehop"));
    add_resource(config, STR("telemetry.sdk.language"), STR("c"));
    add_resource(config, STR("telemetry.sdk.version"), STR(TRACEHOP_VERSION));
    return 0;
}

/* The same seed gives each role and version dice of its own. */
static int read_seed(struct server_config *config, struct complaint complaint)
{
    const struct server_settings *settings = &config->settings;
    uint64_t                      seed;

    if (str_is_empty(settings->fault_seed)) {
        config->fault_seed = random_id();
        return 0;
    }
    if (str_to_uint64(settings->fault_seed, &seed) < 0)
        return complain(complaint, "FAULT_SEED: \"%.*s\" is not a number",
                        STR_ARGS(settings->fault_seed));

    config->fault_seed =
        random_mix(seed ^ random_mix(str_hash(settings->role)) ^ str_hash(settings->version));
    return 0;
}

int server_config_read(int argc, char *argv[], settings_lookup_fn *lookup, struct arena *arena,
                       struct server_config *ret_config, char *error, size_t error_size)
{
    struct complaint      complaint = {.text = error, .size = error_size};
    struct server_config *config = ret_config;
    int                   r;

    *config = (struct server_config){0};
    int outcome = settings_read(table, ARRAY_LENGTH(table), &config->settings, argc, argv, lookup,
                                arena, error, error_size);
    if (outcome != SETTINGS_READY)
        return outcome;

    if ((r = read_names(config, arena, complaint)) < 0 ||
        (r = read_upstreams(config, complaint)) < 0 ||
        (r = read_outbound_proxy(config, arena, complaint)) < 0 ||
        (r = read_propagation(config, arena, complaint)) < 0 ||
        (r = read_exporter(config, arena, complaint)) < 0 ||
        (r = read_resource(config, complaint)) < 0 || (r = read_seed(config, complaint)) < 0)
        return r;

    config->n_workers = process_threads(config->settings.workers, MOST_WORKERS_BY_DEFAULT);
    return SETTINGS_READY;
}

void server_config_print_help(FILE *to)
{
    settings_print_help(table, ARRAY_LENGTH(table), to);
    fputs("  --call URI [--header 'NAME: VALUE']...\n"
          "      Makes one call instead of serving, prints its tree, and fails when it failed.\n",
          to);
}
