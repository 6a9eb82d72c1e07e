#pragma once

/*
 * Rfc 3339: points in time as people write them, "2026-07-01T12:00:00.5Z". Pure.
 */

#include <stdint.h>

#include "common/base/str.h"

/*
 * Nanoseconds since 1970 (what is earlier is 0, what is too late UINT64_MAX); digits
 * beyond them are ignored. 0 or -EINVAL.
 */
int rfc3339_parse(struct str s, uint64_t *ret_ns);
