#pragma once

/*
 * Body: the bytes of a request as its sender meant them, inflated when they came compressed.
 *
 * Threads: one at a time.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/budget.h"
#include "common/base/str.h"

struct body {
    struct str bytes;

    /* Its own: NULL when the bytes are as they came. */
    char          *inflated;
    struct budget *budget;
};

/*
 * 0, -E2BIG (more than `max_bytes` once inflated), -EAGAIN (too much of other bodies is in
 * hand at the moment), -EBADMSG (no gzip) or -ENOMEM. `sent` is borrowed until body_close.
 */
int body_open(struct body *ret_body, struct str sent, bool is_gzip, size_t max_bytes,
              struct budget *in_hand);

/* A zeroed body is fine, and so is one that is closed. */
void body_close(struct body *body);
