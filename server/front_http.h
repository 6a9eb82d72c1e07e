#pragma once

/*
 * Front HTTP: GET / runs the chain, GET /time tells the time. The form of the
 * answer is the client's to choose; another hop asks for the same message that
 * gRPC carries.
 *
 * Threads: the HTTP server's pool, and the worker that an exchange was handed to.
 */

#include "common/edge/http_server.h"

/* An http_handler_fn; its context is the hop. */
void front_http_handle(struct http_request *request, void *context);
