#pragma once

/*
 * Attempts: how often this hop has seen a call, and what its tries have cost so
 * far. Every retry that a proxy makes repeats the caller's x-tracehop-call (at the
 * edge: x-request-id). The table is bounded, and forgets what it has not seen for
 * a while.
 *
 * Threads: any.
 */

#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/str.h"

struct attempts;

/*
 * Remembers about `capacity` calls, each for `ttl_ns` after it was last seen.
 * NULL when memory is short or the kernel has no randomness to give.
 */
struct attempts *attempts_new(size_t capacity, int64_t ttl_ns);
void             attempts_free(struct attempts *attempts);
DEFINE_CLEANUP(struct attempts *, attempts_free)

/*
 * Counts one more sight of `call` and returns how many there were: 1 for the first.
 * A call without a name (the empty string) is always the first.
 */
uint32_t attempts_count(struct attempts *attempts, struct str call, int64_t now_ns);

/*
 * Notes what a try of `call` has cost, once it has ended, and returns the cost of
 * all that have: at most UINT32_MAX. That is `cost` alone for a call without a
 * name, and for one that is forgotten; nothing is then remembered.
 */
uint32_t attempts_add_cost(struct attempts *attempts, struct str call, uint32_t cost,
                           int64_t now_ns);
