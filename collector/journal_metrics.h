#pragma once

/*
 * Journal metrics: what the journal counts, in /metrics.
 *
 * Threads: opens at start; what it reads may be read from any.
 */

#include "collector/journal/journal.h"
#include "common/base/metrics.h"

/* The journal outlives the metrics' last page. `recovery` is what opening found. */
void journal_metrics_init(struct journal *journal, const struct journal_recovery *recovery,
                          struct metrics *metrics);
