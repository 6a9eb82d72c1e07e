#pragma once

/*
 * Backend: what a mock backend has seen and how it shall behave, behind one lock.
 *
 * Threads: any.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "tests/mock/script.h"

struct arena;
struct backend;

/* NULL when memory is short. */
struct backend *backend_new(void);
void            backend_free(struct backend *backend);
DEFINE_CLEANUP(struct backend *, backend_free)

/* How it behaves from now on. */
void backend_follow(struct backend *backend, const struct script *script);

/* Looks at a request, counts it, and says what to answer. Scratch memory comes from `arena`. */
struct script_verdict backend_receive(struct backend *backend, struct str request,
                                      struct arena *arena);

/* Counts a request that is wrong before its spans are looked at. `what` is a constant. */
struct script_verdict backend_receive_nonsense(struct backend *backend, const char *what);

/* All counts, as one JSON object. */
void backend_render_counts(struct backend *backend, struct text *to);

/*
 * What was seen of the ids in `ranges`, lines of "FIRST END" (END itself is not in the range): how
 * many are wanted, how many of these came, how often one came again, and the first that are
 * missing. One JSON object. 0 or -EINVAL.
 */
int backend_render_look(struct backend *backend, struct str ranges, struct text *to);
