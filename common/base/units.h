#pragma once

/*
 * Units: durations and sizes as people write them.
 */

#include <stdint.h>

#include "common/base/str.h"
#include "common/base/text.h"

/* A decimal number and one of ns, us, ms, s, m, h: "50ms", "1.5s", "0s". 0, -EINVAL or -ERANGE. */
int duration_parse(struct str s, int64_t *ret_ns);

/* A whole number and one of B, KiB, MiB, GiB, or none for bytes: "64MiB". 0, -EINVAL or -ERANGE. */
int bytes_parse(struct str s, uint64_t *ret_bytes);

/* As they are parsed, in the largest unit that leaves no fraction: "90s", "64MiB". */
void text_add_duration(struct text *text, int64_t ns);
void text_add_bytes(struct text *text, uint64_t bytes);
