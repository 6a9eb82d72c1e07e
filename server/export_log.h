#pragma once

/*
 * Export log: what the hop's log says of spans on their way out.
 *
 * Threads: the exporter's worker.
 */

#include "common/trace/span_exporter.h"

/* For span_exporter_options: `context` is the const struct server_config. */
void export_log_event(enum span_exporter_event event, const char *why, void *context);
