#pragma once

/*
 * Census: who is in the bytes of an ExportTraceServiceRequest, by protobuf-c, which shares no code
 * with the collector. Stricter than the protocol asks of a receiver: what a relay may not send, it
 * finds. Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct arena;

struct census {
    uint64_t *span_ids; /* big-endian numbers; in the arena */
    size_t    n_spans;
    bool      has_poison; /* a span named "poison" */
};

/* 0, or -EBADMSG and what is wrong (a constant). */
int census_take(struct str bytes, struct arena *arena, struct census *ret_census,
                const char **ret_violation);
