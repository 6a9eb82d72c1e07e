#pragma once

/*
 * Query: the parameters in a URL behind the question mark, "name=value&name=value". Pure.
 *
 * Rules: url.spec.whatwg.org, application/x-www-form-urlencoded parsing: + is a blank, %41
 * an A, and what is no such code stands for itself.
 */

#include "common/base/str.h"

struct arena;

struct query_parameter {
    struct str name, value; /* decoded; views of the query, or in the arena */
};

/*
 * Cuts the next parameter off `rest`: start with the whole query. 1; 0 when nothing is
 * left; -ENOMEM when it does not fit the arena.
 */
int query_next(struct str *rest, struct arena *arena, struct query_parameter *ret_parameter);
