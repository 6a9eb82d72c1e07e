#pragma once

/*
 * Span names: the services that are seen in traces, and the names of their spans. Pure.
 */

#include <stddef.h>

#include "collector/recent/api_query.h"
#include "collector/recent/recent.h"
#include "common/base/str.h"

struct span_name {
    struct str name; /* of a service, or of a span */
    struct str kind; /* of a span: "server" and so on */
};

/* Sorted, each once; views of the traces. */
struct span_names {
    struct span_name *names;
    size_t            count;
};

/* 0 or -ENOMEM. */
int  span_names_of_services(const struct trace_list *traces, struct span_names *ret_names);
int  span_names_of_operations(const struct trace_list *traces, const struct operations_query *query,
                              struct span_names *ret_names);
void span_names_done(struct span_names *names);
