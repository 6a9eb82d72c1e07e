#pragma once

/*
 * Front admin: what the collector serves on its admin port: what every program of ours does
 * (common/edge/admin.h), and /status and /api/v3/.
 *
 * Threads: the admin server's.
 */

#include "collector/status_page.h"
#include "common/edge/admin.h"

struct recent;

struct front_admin {
    struct admin       admin;
    struct status_page status;
    struct recent     *recent; /* NULL: none are kept */
};

/* An http_handler_fn; its context is a struct front_admin. */
void front_admin_handle(struct http_request *request, void *context);
