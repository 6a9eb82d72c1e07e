#pragma once

/*
 * Gzip: inflates a whole body, by libdeflate, with a hard cap: a bomb costs at most the cap.
 *
 * Threads: any.
 */

#include <stddef.h>

#include "common/base/budget.h"
#include "common/base/str.h"

/*
 * 0 and the bytes, for the caller to free(); they are claimed from `budget`, for the caller to
 * release. -E2BIG when there are more than `max_bytes`, or than the budget could ever give beside
 * the compressed ones (nothing is allocated when the sender's own trailer says so); -EAGAIN when
 * the budget has not enough left; -EBADMSG when this is not gzip (RFC 1952; several members are one
 * body, anything after the last is an error); -ENOMEM.
 */
int gzip_inflate(struct str compressed, size_t max_bytes, struct budget *budget, char **ret_bytes,
                 size_t *ret_n_bytes);
