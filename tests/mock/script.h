#pragma once

/*
 * Script: how a mock backend behaves. Rules, one per line, looked at in order for each request; the
 * first that applies decides, and `delay` lets those after it decide too. Pure but for the dice.
 *
 *     status GRPC-CODE HTTP-CODE    the failure
 *     partial N                     takes all but the first N spans, and says so
 *     limit BYTES                   refuses larger requests for good, in the words of grpc-go
 *     poison                        refuses a request with a span named "poison" for good
 *     hang                          never answers
 *     delay DURATION                answers later
 *
 * followed by any of
 *
 *     times=N           for that many requests that it applies to
 *     chance=0.5        with this probability
 *     after=DURATION    status: RetryInfo, or Retry-After in seconds
 *     after-date=DURATION  status: the same, over HTTP as a date
 *     keeps             status: has taken the spans nevertheless
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/base/str.h"

enum { SCRIPT_MAX_RULES = 16 };

enum script_action {
    SCRIPT_STATUS,
    SCRIPT_PARTIAL,
    SCRIPT_LIMIT,
    SCRIPT_POISON,
    SCRIPT_HANG,
    SCRIPT_DELAY,
};

struct script_rule {
    enum script_action action;
    enum status        status; /* STATUS */
    int                http_code;
    int64_t            retry_after_ns; /* -1: not said */
    bool               says_date, keeps;
    uint64_t           amount; /* PARTIAL: spans; LIMIT: bytes; DELAY: nanoseconds */
    uint64_t           times_left;
    double             chance;
};

struct script {
    struct script_rule rules[SCRIPT_MAX_RULES];
    size_t             n_rules;
};

/* 0 or -EINVAL. An empty text is a backend that takes everything. */
int script_parse(struct str text, struct script *ret_script);

/* What a rule may depend on. */
struct script_request {
    size_t n_bytes;
    bool   has_poison;
};

struct script_verdict {
    bool        takes; /* the spans, but for the first `rejected` */
    uint64_t    rejected;
    bool        hangs;
    int64_t     delay_ns;
    enum status status;
    int         http_code;
    int64_t     retry_after_ns; /* -1: not said */
    bool        says_date;
    char        message[96];
};

struct script_verdict script_judge(struct script *script, const struct script_request *request);
