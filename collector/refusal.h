#pragma once

/*
 * Refusal: why a request is not taken, in the forms in which each protocol wants to be told. Pure.
 *
 * Rules: OTLP specification, "Failures", "OTLP/gRPC Throttling", "OTLP/HTTP Throttling": what may
 * be sent again is UNAVAILABLE with RetryInfo, or 503 with Retry-After; what is too large is
 * RESOURCE_EXHAUSTED without it, or 413; the body is a google.rpc.Status.
 */

#include <stdint.h>

#include "common/base/status.h"
#include "common/base/str.h"
#include "common/base/text.h"

struct refusal {
    enum status status;
    int         http_code;
    struct str  message;       /* for the sender */
    struct str  reason;        /* for the metrics: one word out of few */
    int64_t     retry_after_s; /* 0: not to be sent again */
};

struct refusal refusal_malformed(struct str message);
struct refusal refusal_too_large(void);
struct refusal refusal_busy(void);
struct refusal refusal_short_of_memory(void);

/* `error` is what the journal said: -ENOSPC, -EIO, -EAGAIN, -ESHUTDOWN, ... */
struct refusal refusal_not_kept(int error);

/* `error` is what body_open said. */
struct refusal refusal_of_body(int error);

/* Of HTTP only; final. */
struct refusal refusal_of_http(int http_code, struct str message);

enum { REFUSAL_MAX_BYTES = 1024 };

/*
 * The serialized google.rpc.Status, at the end of `buffer`; a message that is too long for it is
 * cut.
 */
struct str refusal_encode(const struct refusal *refusal, char buffer[static REFUSAL_MAX_BYTES]);

/* The same in protobuf's JSON mapping. */
void refusal_render(const struct refusal *refusal, struct text *to);
