#pragma once

/*
 * Otlp retry: what a receiver's answer to spans means for them. Pure.
 *
 * Rules: OTLP specification, "Failures" and "OTLP/HTTP Throttling"; RFC 9110,
 * section 10.2.3 (Retry-After).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/base/str.h"

enum otlp_answer {
    OTLP_TAKEN,       /* but for `rejected_spans`, which are not to be sent again */
    OTLP_REFUSED,     /* for good: not to be sent again */
    OTLP_TOO_LARGE,   /* refused as it is; in smaller pieces it may be taken */
    OTLP_LATER,       /* to be sent again, after `wait_ns` at least */
    OTLP_UNREACHABLE, /* to be sent again; nobody seems to be there */
    OTLP_ANSWERS
};

enum { OTLP_VERDICT_TEXT_BYTES = 160 };

struct otlp_verdict {
    enum otlp_answer answer;
    uint64_t         rejected_spans;
    int64_t          wait_ns;           /* what the receiver asked for, an hour at most */
    bool             is_datas_fault;    /* REFUSED: other spans may be welcome */
    bool             may_be_taken;      /* LATER, UNREACHABLE: no answer came, the spans may have */
    size_t           max_bytes;         /* TOO_LARGE: the receiver's limit; 0: it did not say */
    char text[OTLP_VERDICT_TEXT_BYTES]; /* for people: how it failed, if only in part; else "" */
};

/* The strings may be absent. */
struct otlp_grpc_answer {
    enum status status;
    struct str  message;  /* of the status */
    struct str  details;  /* grpc-status-details-bin */
    struct str  response; /* an ExportTraceServiceResponse */
};

struct otlp_verdict otlp_judge_grpc(const struct otlp_grpc_answer *answer);

struct otlp_http_answer {
    enum status status;  /* OK: an answer came; else why none did */
    struct str  message; /* of a failure */
    int         code;
    struct str  retry_after; /* absent when there is none */
    struct str  body;
};

/* `now_ns` is the real time: a Retry-After may be a date. */
struct otlp_verdict otlp_judge_http(const struct otlp_http_answer *answer, int64_t now_ns);

/*
 * How long to wait after so many failures in a row, at least 1; `random` is 64 random
 * bits, for the jitter.
 */
int64_t otlp_backoff_ns(unsigned failures, uint64_t random);
