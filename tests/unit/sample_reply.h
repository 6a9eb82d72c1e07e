#pragma once

/*
 * Sample reply: trees that several tests look at.
 */

#include "common/base/cleanup.h"
#include "server/reply.h"

/* The classic chain: frontend, middleware (canary), backend, and a clock that is no hop. */
static struct upstream_result sample_clock[] = {{
    .uri = STR_INIT("http://clock:8080/time"),
    .duration_us = 15000,
    .outcome = UPSTREAM_HTTP,
    .http = {.code = 200,
             .reason = STR_INIT("OK"),
             .body = STR_INIT("{\"time\":\"12:43:09 AM\"}\n")},
}};

static struct reply sample_backend = {
    .role = STR_INIT("backend"),
    .version = STR_INIT("prod"),
    .name = STR_INIT("backend-prod"),
    .instance = STR_INIT("backend-prod-6d4cf56db6-xk2lp"),
    .duration_us = 142499,
    .trace_id = STR_INIT("463ac35c9f6413ad48485a3953bb6124"),
    .attempt = 2,
    .work = {.is_done = true,
             .fibonacci_index = 10,
             .fibonacci = 55,
             .is_odd = true,
             .slept_us = 12345},
    .upstreams = sample_clock,
    .n_upstreams = ARRAY_LENGTH(sample_clock),
};

static struct upstream_result sample_to_backend[] = {{
    .uri = STR_INIT("grpc://backend:9090"),
    .duration_us = 143000,
    .outcome = UPSTREAM_HOP,
    .hop = &sample_backend,
}};

static struct reply sample_middleware = {
    .role = STR_INIT("middleware"),
    .version = STR_INIT("canary"),
    .name = STR_INIT("middleware-canary"),
    .duration_us = 154000,
    .attempt = 1,
    .upstreams = sample_to_backend,
    .n_upstreams = ARRAY_LENGTH(sample_to_backend),
};

static struct upstream_result sample_to_middleware[] = {{
    .uri = STR_INIT("grpc://middleware:9090"),
    .duration_us = 155000,
    .outcome = UPSTREAM_HOP,
    .hop = &sample_middleware,
}};

static struct reply sample_chain = {
    .role = STR_INIT("frontend"),
    .version = STR_INIT("prod"),
    .name = STR_INIT("frontend-prod"),
    .duration_us = 172000,
    .trace_id = STR_INIT("463ac35c9f6413ad48485a3953bb6124"),
    .attempt = 1,
    .upstreams = sample_to_middleware,
    .n_upstreams = ARRAY_LENGTH(sample_to_middleware),
};

/* A hop that asks three others: one failed half-way, one is gone, one is a page that is not there.
 */
static struct upstream_result sample_failed_to_clock[] = {{
    .uri = STR_INIT("grpc://clock:9090"),
    .duration_us = 900,
    .outcome = UPSTREAM_FAILURE,
    .failure = {.status = STATUS_UNAVAILABLE,
                .message = STR_INIT("rolled"),
                .hop = STR_INIT("clock-prod")},
}};

static struct reply sample_failed_backend = {
    .role = STR_INIT("backend"),
    .version = STR_INIT("prod"),
    .name = STR_INIT("backend-prod"),
    .duration_us = 1000,
    .attempt = 1,
    .upstreams = sample_failed_to_clock,
    .n_upstreams = ARRAY_LENGTH(sample_failed_to_clock),
};

static struct upstream_result sample_outcomes[] = {
    {
        .uri = STR_INIT("grpc://backend:9090"),
        .duration_us = 2000,
        .outcome = UPSTREAM_FAILURE,
        .failure = {.status = STATUS_UNAVAILABLE,
                    .message = STR_INIT("rolled"),
                    .hop = STR_INIT("clock-prod"),
                    .partial = &sample_failed_backend},
    },
    {
        .uri = STR_INIT("grpc://nobody:9090"),
        .duration_us = 3000,
        .outcome = UPSTREAM_FAILURE,
        .failure = {.status = STATUS_DEADLINE_EXCEEDED},
    },
    {
        .uri = STR_INIT("http://time.example/"),
        .duration_us = 4000,
        .outcome = UPSTREAM_HTTP,
        .http = {.code = 404,
                 .reason = STR_INIT("Not Found"),
                 .body = STR_INIT("no such page"),
                 .is_body_cut = true},
    },
};

static struct reply sample_fan = {
    .role = STR_INIT("middleware"),
    .version = STR_INIT("prod"),
    .name = STR_INIT("middleware-prod"),
    .duration_us = 5000,
    .attempt = 3,
    .upstreams = sample_outcomes,
    .n_upstreams = ARRAY_LENGTH(sample_outcomes),
};
