#pragma once

/*
 * Budget: how many bytes several owners may hold together. Whoever wants some claims them
 * first, and is told no when there are too few left; nobody waits.
 *
 * Threads: any.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct budget {
    size_t         max_bytes;
    _Atomic size_t used_bytes;
};

/* Whether there were so many left: then they are the caller's to release. */
static inline bool budget_claim(struct budget *budget, size_t n_bytes)
{
    if (atomic_fetch_add(&budget->used_bytes, n_bytes) + n_bytes <= budget->max_bytes)
        return true;

    (void)atomic_fetch_sub(&budget->used_bytes, n_bytes);
    return false;
}

static inline void budget_release(struct budget *budget, size_t n_bytes)
{
    (void)atomic_fetch_sub(&budget->used_bytes, n_bytes);
}
