#pragma once

/*
 * Parameters: what the query of `GET /` asks for. `fail`, `delay` and `x-dev-user`
 * stand in for the headers of that name, so that a link and a form can carry them;
 * `detail` is for the text. Others are not ours. Pure.
 */

#include <stdbool.h>

#include "common/base/metadata.h"

struct arena;

enum { PARAMETERS_MAX_HEADERS = 3 };

struct parameters {
    bool            is_detailed;
    struct metadata headers; /* the request's own, and after them those that stand in */
    struct str ignored[PARAMETERS_MAX_HEADERS]; /* "name=value": no header can have that value */
    size_t     n_ignored;
};

/*
 * A header that the request has wins, even an empty one; of equal parameters the
 * first that is not empty. 0, or -ENOMEM when the arena is used up. What is set
 * borrows from `query`, `headers` and the arena.
 */
int parameters_read(struct str query, const struct metadata *headers, struct arena *arena,
                    struct parameters *ret_parameters);
