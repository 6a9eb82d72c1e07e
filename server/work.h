#pragma once

/*
 * Work: what a hop does besides calling others, WORK=fibonacci: computes a
 * Fibonacci number, sees whether it is odd, and sleeps. Pure; the sleep is the
 * caller's to wait for.
 */

#include <stdbool.h>
#include <stdint.h>

enum { WORK_MAX_FIBONACCI_INDEX = 93 }; /* the last one that fits in 64 bits */

struct work_plan {
    uint32_t fibonacci_index; /* 0 to the limit */
    int64_t  sleep_ns;
};

/* Both limits are included; the draws are in [0, 1). */
struct work_plan work_plan(uint32_t max_index, int64_t max_sleep_ns, double index_draw,
                           double sleep_draw);

/* F(0) = 0, F(1) = 1. */
uint64_t fibonacci(uint32_t index);
