#pragma once

/*
 * Attribute filter: what attributes a span, or its resource, should have, by their values
 * as text: {"http.status_code":"200","error":"true"}. Pure.
 */

#include <stdbool.h>

#include "common/base/str.h"

struct arena;
struct kept_span;

/* One attribute, and the others; NULL wants nothing. */
struct attribute_filter {
    const struct attribute_filter *next;
    struct str                     key, value;
};

/* 0; -EINVAL; -ENOMEM. The filter is in `arena`, and points into it and the document. */
int attribute_filter_read(struct str json, struct arena *arena,
                          const struct attribute_filter **ret_filter);

/* Numbers are compared as numbers; values that are lists or bytes never match. */
bool attribute_filter_matches(const struct attribute_filter *filter, const struct kept_span *span);
