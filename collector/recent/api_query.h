#pragma once

/*
 * Api query: what the parameters of a request to Jaeger's /api/v3 ask for. Pure.
 *
 * Rules: jaeger-idl, proto/api_v3/query_service.proto. Names are understood as Jaeger
 * has them now, query.serviceName, and as it had them before, query.service_name. Of a parameter
 * that comes twice the first counts; empty is as good as absent; unknown ones are ignored.
 *
 * Each reader returns 0; -EINVAL and what is wrong (in `arena`, for who asks); -ENOMEM when the
 * arena is full. The query points into `parameters` and the arena.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/recent/attribute_filter.h"
#include "common/base/str.h"
#include "common/trace/trace_id.h"

struct arena;
struct kept_span;

enum { FIND_QUERY_DEFAULT_TRACES = 100 };

/*
 * GET /api/v3/traces: the traces of which one span matches everything. Jaeger insists on the
 * times; here all that is left out matches.
 */
struct find_query {
    struct str                     service_name;   /* "": any */
    struct str                     operation_name; /* likewise */
    uint64_t                       start_min_ns;   /* the span starts then or later, */
    uint64_t                       start_max_ns;   /* and before then; UINT64_MAX: no limit */
    uint64_t                       duration_min_ns, duration_max_ns;
    uint64_t                       max_traces;
    const struct attribute_filter *attributes; /* NULL: any */
};
int  find_query_read(struct str parameters, struct arena *arena, struct find_query *ret_query,
                     struct str *ret_reason);
bool find_query_matches(const struct find_query *query, const struct kept_span *span);

/* GET /api/v3/traces/{trace_id}: hints for a search in a large store, which must be well-formed. */
struct get_query {
    uint64_t start_ns, end_ns;
    bool     is_raw;
};
int get_query_read(struct str parameters, struct arena *arena, struct get_query *ret_query,
                   struct str *ret_reason);

/* 1 to 32 hex digits, padded with zeros on the left: ids of 64 bits and less. 0 or -EINVAL. */
int trace_id_query_read(struct str digits, struct trace_id *ret_id);

/* GET /api/v3/operations. */
struct operations_query {
    struct str service;
    struct str span_kind; /* "": any */
};
int operations_query_read(struct str parameters, struct arena *arena,
                          struct operations_query *ret_query, struct str *ret_reason);
