#pragma once

/*
 * Api v3: the query API of Jaeger, answered from the recent traces:
 * /api/v3/services, /api/v3/operations, /api/v3/traces, /api/v3/traces/{id}.
 *
 * Rules: jaeger, cmd/jaeger/internal/extension/jaegerquery/internal/apiv3/http_gateway.go. One
 * answer holds at most 16 MiB; traces come with the last active one first.
 *
 * Threads: the admin server's.
 */

struct http_request;
struct recent;

/* Answers a request whose path starts with /api/v3/. */
void api_v3_handle(struct http_request *request, struct recent *recent);
