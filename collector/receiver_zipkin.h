#pragma once

/*
 * Receiver zipkin: POST /api/v2/spans, JSON or protobuf, plain or gzip. Answers 202 and nothing
 * else on success, for Envoy counts every other code as loss. The good spans of a list are taken,
 * the bad ones counted; a list without a good one is refused.
 *
 * Threads: the http server's; answers come from the journal's too.
 */

#include "common/edge/http_server.h"

/* An http_handler_fn and its http_refuser_fn; the context is a struct intake. */
void receiver_zipkin_handle(struct http_request *request, void *context);
void receiver_zipkin_refuse(struct http_request *request, int code, void *context);
