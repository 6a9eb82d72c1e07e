#pragma once

/*
 * Receiver otlp http: POST /v1/traces, protobuf or JSON, plain or gzip.
 *
 * Threads: the http server's; answers come from the journal's too.
 */

#include "common/edge/http_server.h"

/* An http_handler_fn and its http_refuser_fn; the context is a struct intake. */
void receiver_otlp_http_handle(struct http_request *request, void *context);
void receiver_otlp_http_refuse(struct http_request *request, int code, void *context);
