#pragma once

/*
 * Control: how a test talks to its mock backend.
 *
 *     POST /script     the body is a script (script.h)
 *     GET /counts      what has come so far
 *     POST /look       the body names ranges of span ids (backend_render_look)
 */

#include "common/edge/http_server.h"

/* An http_handler_fn; its context is a struct backend. */
void control_handle(struct http_request *request, void *context);
