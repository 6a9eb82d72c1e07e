#pragma once

/*
 * Span set: every span id that was seen, with how often. For ids that count up from somewhere:
 * questions are about ranges of them.
 *
 * Threads: one at a time.
 */

#include <stdint.h>

#include "common/base/cleanup.h"

struct span_set;

/* NULL when memory is short. */
struct span_set *span_set_new(void);
void             span_set_free(struct span_set *set);
DEFINE_CLEANUP(struct span_set *, span_set_free)

/* `id` is not 0. How often it has been seen now; 0 when memory is short. */
uint32_t span_set_add(struct span_set *set, uint64_t id);

/* How often; 0: never. */
uint32_t span_set_count(const struct span_set *set, uint64_t id);

/* How many different ids there are. */
uint64_t span_set_size(const struct span_set *set);
