#pragma once

/*
 * Config: everything that can be set of a collector, checked and worked out.
 */

#include "collector/journal/journal.h"
#include "collector/relay/relay.h"
#include "common/base/settings.h"

struct collector_settings {
    struct listen_address otlp_grpc_listen, otlp_http_listen, zipkin_listen, admin_listen;
    struct str            relay_to;
    int64_t               relay_timeout_ns;
    struct str            journal_dir;
    uint64_t              journal_max_bytes;
    int64_t               journal_max_age_ns;
    int                   durability;
    int64_t               sync_interval_ns;
    uint64_t              max_request_bytes;
    uint64_t              recent_traces;
    uint64_t              workers;
    int64_t               drain_grace_ns, drain_timeout_ns;
    int                   log_level, log_format;
};

struct collector_config {
    struct collector_settings settings;

    /* Worked out of the settings. */
    struct relay_destination destinations[RELAY_MAX_DESTINATIONS];
    size_t                   n_destinations;
    const char              *journal_dir; /* NUL-terminated */
    unsigned                 n_workers;
};

/*
 * Reads and checks. An outcome of settings_read, or -EINVAL with one line for the user in
 * `error`. Texts live in `arena`, argv or the environment.
 */
int collector_config_read(int argc, char *argv[], settings_lookup_fn *lookup, struct arena *arena,
                          struct collector_config *ret_config, char *error, size_t error_size);

void collector_config_print_help(FILE *to);
