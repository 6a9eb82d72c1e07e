#include "server/hop.h"

#include "common/base/random.h"

double hop_draw(struct hop *hop)
{
    uint64_t number = atomic_fetch_add_explicit(&hop->n_draws, 1, memory_order_relaxed);

    return random_unit(random_mix(hop->fault_seed + random_mix(number)));
}

struct hop_worker *hop_pick_worker(struct hop *hop)
{
    size_t turn = atomic_fetch_add_explicit(&hop->next_worker, 1, memory_order_relaxed);

    return &hop->workers[turn % hop->n_workers];
}
