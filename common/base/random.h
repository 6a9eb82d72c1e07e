#pragma once

/*
 * Random: fast, good enough for ids and dice, useless for secrets.
 */

#include <stdint.h>

/* A random number from this thread's own generator (seeded by the kernel); never 0. Any thread. */
uint64_t random_id(void);

/* Spreads `value` over all 64 bits, the same each time (splitmix64). */
uint64_t random_mix(uint64_t value);

/* From 64 random bits a number in [0, 1), all 53 bits of it. */
double random_unit(uint64_t bits);
