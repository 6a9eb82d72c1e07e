#include "server/work.h"

#include <assert.h>

/* A whole number from 0 to `max`, each as likely, by a draw in [0, 1). */
static int64_t scale(int64_t max, double draw)
{
    int64_t value = (int64_t)(draw * ((double)max + 1));
    return value < max ? value : max;
}

struct work_plan work_plan(uint32_t max_index, int64_t max_sleep_ns, double index_draw,
                           double sleep_draw)
{
    assert(max_index <= WORK_MAX_FIBONACCI_INDEX);
    assert(max_sleep_ns >= 0);

    return (struct work_plan){
        .fibonacci_index = (uint32_t)scale(max_index, index_draw),
        .sleep_ns = scale(max_sleep_ns, sleep_draw),
    };
}

uint64_t fibonacci(uint32_t index)
{
    assert(index <= WORK_MAX_FIBONACCI_INDEX);

    uint64_t current = 0;
    uint64_t next = 1;
    for (uint32_t i = 0; i < index; i++) {
        uint64_t sum =
            current + next; /* wraps in the step after the last index, where nobody looks */
        current = next;
        next = sum;
    }
    return current;
}
