#pragma once

/*
 * Config: the settings of a hop, read once and checked as a whole. What is wrong
 * or contradicts itself stops start-up.
 *
 * Threads: read-only once made.
 */

#include <stdbool.h>

#include "common/base/arena.h"
#include "common/base/log.h"
#include "common/base/settings.h"
#include "common/base/uri.h"
#include "common/trace/sampler.h"
#include "common/trace/span.h"
#include "common/trace/span_exporter.h"
#include "common/trace/trace_context.h"
#include "server/chain.h"
#include "server/forward.h"

enum {
    CONFIG_MAX_UPSTREAMS = 32,
    CONFIG_MAX_ADDRESSES = 16, /* of one upstream */
    CONFIG_MAX_RESOURCE = 32,  /* attributes from OTEL_RESOURCE_ATTRIBUTES */
    CONFIG_OWN_RESOURCE = 7,   /* those that every hop has, or is given otherwise */
};

enum upstream_order { UPSTREAM_PARALLEL, UPSTREAM_SEQUENTIAL };
enum work_kind { WORK_NONE, WORK_FIBONACCI };

/* One upstream: a URI, or several addresses that take turns. */
struct upstream_config {
    struct str text; /* as it was given */
    struct uri addresses[CONFIG_MAX_ADDRESSES];
    size_t     n_addresses;
};

/* The settings as the table lays them out. */
struct server_settings {
    struct str            role, version, service_name;
    struct listen_address http_listen, grpc_listen, admin_listen;
    struct str            upstream_uri;
    struct str            outbound_proxy;
    int                   upstream_order;
    int64_t               upstream_timeout_ns;
    int                   on_upstream_failure;
    struct str            forward_headers;
    int                   work;
    int64_t               work_sleep_max_ns;
    uint64_t              work_fibonacci_max;
    uint64_t              workers;
    int64_t               drain_grace_ns, drain_timeout_ns;
    struct str            trace_url;
    struct str            fault_seed;
    int                   log_level, log_format;

    int        otel_exporter;
    struct str otel_endpoint;
    int        otel_protocol;
    struct str otel_propagators;
    struct str otel_sampler, otel_sampler_argument;
    struct str otel_resource_attributes, otel_service_name;
    int64_t    otel_schedule_delay_ns, otel_export_timeout_ns;
    uint64_t   otel_max_queue_spans, otel_max_batch_spans;
    bool       otel_is_disabled;
};

struct server_config {
    struct server_settings settings;

    /* Worked out of the settings. */
    struct str             name;     /* how this hop is shown */
    struct str             instance; /* pod or host */
    struct upstream_config upstreams[CONFIG_MAX_UPSTREAMS];
    size_t                 n_upstreams;
    const struct uri      *outbound_proxy; /* NULL: none */
    struct forward_list    forward;
    struct propagators     propagators;
    struct sampler         sampler;
    bool                   exports_spans;
    struct uri             otlp_endpoint;
    uint64_t               fault_seed;
    struct span_attribute  resource[CONFIG_MAX_RESOURCE + CONFIG_OWN_RESOURCE];
    size_t                 n_resource;
    unsigned               n_workers;
};

/*
 * Reads and checks. An outcome of settings_read, or -EINVAL with one line for the
 * user in `error`. Texts live in `arena`, argv or the environment.
 */
int server_config_read(int argc, char *argv[], settings_lookup_fn *lookup, struct arena *arena,
                       struct server_config *ret_config, char *error, size_t error_size);

void server_config_print_help(FILE *to);
