#pragma once

/*
 * Clock: durations come from the monotonic clock, the times of spans from the
 * real-time clock. Both are read together once per request (an instant), so a
 * clock that is set in between cannot turn a span inside out.
 */

#include <stdint.h>

enum { NS_PER_US = 1000, NS_PER_MS = 1000 * 1000, NS_PER_S = 1000 * 1000 * 1000 };

/* A deadline that never comes. */
#define NEVER_NS INT64_MAX

struct instant {
    int64_t monotonic_ns;
    int64_t realtime_ns; /* since 1970-01-01 00:00 UTC */
};

int64_t        clock_monotonic_ns(void);
int64_t        clock_realtime_ns(void);
struct instant clock_instant(void);

/* The real time at which the monotonic clock showed `monotonic_ns`, judged from `anchor`. */
static inline int64_t instant_realtime_ns(struct instant anchor, int64_t monotonic_ns)
{
    return anchor.realtime_ns + (monotonic_ns - anchor.monotonic_ns);
}
