#pragma once

/*
 * Recovery: finds the segments in a directory, and repairs the last. Nothing that is found
 * stops it, only what cannot be read or removed.
 */

#include "collector/journal/journal.h"
#include "collector/journal/segment_list.h"

/* 0 or -errno. The list is the caller's to end in either case. */
int recover(int directory, struct segment_list *ret_list, struct journal_recovery *ret_recovery);
