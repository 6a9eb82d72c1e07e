#pragma once

/*
 * Siphash: a hash of which nobody who lacks the key can find collisions.
 * SipHash-2-4 (Aumasson and Bernstein, 2012). Pure.
 */

#include <stdint.h>

#include "common/base/str.h"

struct siphash_key {
    uint64_t low, high; /* the 16 bytes of the key, read as little-endian numbers */
};

uint64_t siphash(struct siphash_key key, struct str s);
