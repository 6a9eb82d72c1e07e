#pragma once

/*
 * Admin: what orchestrators and scrapers ask of a program, on a port of its own:
 * /healthz (it runs), /readyz (it wants requests), /metrics. Nothing here depends
 * on any other program.
 *
 * Threads: set_ready from any; the handler runs on its server's.
 */

#include <stdatomic.h>
#include <stdbool.h>

#include "common/base/metrics.h"
#include "common/edge/http_server.h"

struct admin {
    struct metrics *metrics;
    struct str      other_pages; /* that the program serves itself, for the 404; may be empty */
    _Atomic bool    is_ready;
};

/* An http_handler_fn; its context is a struct admin. */
void admin_handle(struct http_request *request, void *context);

void admin_set_ready(struct admin *admin, bool is_ready);
