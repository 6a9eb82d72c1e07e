#pragma once

/*
 * Reply: the tree of one click: what a hop did, and what its upstreams answered.
 * Plain values; all of it lives in one arena. reply_wire.h takes it to and from
 * tracehop.v1.CallReply, the render_*.h to what people and programs read.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/base/str.h"

struct work_report {
    bool     is_done; /* false: this hop has no work to do */
    uint32_t fibonacci_index;
    uint64_t fibonacci;
    bool     is_odd;
    uint64_t slept_us;
};

struct http_result {
    int        code;
    struct str reason;
    struct str body;
    bool       is_body_cut;
};

struct failure {
    enum status   status;
    struct str    message;
    struct str    hop;     /* the hop that failed; empty when none answered */
    struct reply *partial; /* or NULL */
};

enum upstream_outcome { UPSTREAM_HOP, UPSTREAM_HTTP, UPSTREAM_FAILURE };

struct upstream_result {
    struct str            uri;
    uint64_t              duration_us;
    enum upstream_outcome outcome;
    union {
        struct reply      *hop;
        struct http_result http;
        struct failure     failure;
    };
};

struct reply {
    struct str              role, version, name, instance;
    uint64_t                duration_us;
    struct str              trace_id;
    uint32_t                attempt;
    uint32_t                calls; /* what this call cost: itself and all below, each try counted */
    struct work_report      work;
    struct upstream_result *upstreams;
    size_t                  n_upstreams;
};
