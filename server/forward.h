#pragma once

/*
 * Forward: which headers of a request go on to the next hop. One rule for every
 * pair of protocols: a list is forwarded byte for byte, everything else is not.
 * Pure.
 */

#include <stdbool.h>

#include "common/base/metadata.h"

struct arena;

enum { FORWARD_MAX_EXTRA = 64 };

/* Names to forward besides the built-in ones. */
struct forward_list {
    struct str extra[FORWARD_MAX_EXTRA]; /* lower case */
    size_t     n_extra;
    bool       copies_trace_context; /* tracing is disabled: those headers go on untouched */
};

/*
 * "x-team, X-Tenant": names, comma-separated; made lower case, in `text` or `arena`.
 * 0, or -EINVAL with the name that cannot be forwarded: not a header name, or one
 * that must never go on (authorization, cookie, x-envoy-*, grpc-*, hop-by-hop,
 * trace context).
 */
int forward_list_parse(struct str text, struct arena *arena, struct forward_list *ret_list,
                       struct str *ret_bad);

/* Whether a header (lower case) goes on. */
bool forward_allows(const struct forward_list *list, struct str name);

/* Appends the fields of `from` that go on. 0 or -ENOMEM. */
int forward_headers(const struct forward_list *list, const struct metadata *from,
                    struct metadata *to, struct arena *arena);
