#pragma once

/*
 * Api v3: the query API of Jaeger, answered from the recent traces:
 * /api/v3/services, /api/v3/operations, /api/v3/traces, /api/v3/traces/{id}.
 *
 * Threads: the admin server's.
 */

struct http_request;
struct recent;

/* Answers a GET or HEAD whose path starts with /api/v3/. */
void api_v3_handle(struct http_request *request, struct recent *recent);
