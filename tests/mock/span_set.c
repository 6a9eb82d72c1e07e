#include "tests/mock/span_set.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/random.h"

/* Open addressing, at most half full. Id 0 marks a free slot: it is no span's. */
struct span_slot {
    uint64_t id;
    uint32_t count;
};

struct span_set {
    struct span_slot *slots;
    uint64_t          n_slots; /* a power of two */
    uint64_t          n_used;
};

enum { FIRST_SLOTS = 1 << 16 };

struct span_set *span_set_new(void)
{
    struct span_set *set = calloc(1, sizeof(*set));
    if (!set)
        return NULL;

    set->n_slots = FIRST_SLOTS;
    set->slots = calloc(set->n_slots, sizeof(*set->slots));
    if (!set->slots) {
        free(set);
        return NULL;
    }
    return set;
}

void span_set_free(struct span_set *set)
{
    if (!set)
        return;

    free(set->slots);
    free(set);
}

/* Where `id` is, or would be. */
static struct span_slot *find(struct span_slot slots[], uint64_t n_slots, uint64_t id)
{
    uint64_t at = random_mix(id);

    while (slots[at & (n_slots - 1)].id != 0 && slots[at & (n_slots - 1)].id != id)
        at++;
    return &slots[at & (n_slots - 1)];
}

static int grow(struct span_set *set)
{
    uint64_t          n_slots = 2 * set->n_slots;
    struct span_slot *slots = calloc(n_slots, sizeof(*slots));
    if (!slots)
        return -1;

    for (uint64_t i = 0; i < set->n_slots; i++)
        if (set->slots[i].id != 0)
            *find(slots, n_slots, set->slots[i].id) = set->slots[i];
    free(set->slots);
    set->slots = slots;
    set->n_slots = n_slots;
    return 0;
}

uint32_t span_set_add(struct span_set *set, uint64_t id)
{
    assert(id != 0);

    if (2 * set->n_used >= set->n_slots && grow(set) < 0)
        return 0;

    struct span_slot *slot = find(set->slots, set->n_slots, id);
    if (slot->id == 0) {
        slot->id = id;
        set->n_used++;
    }
    return ++slot->count;
}

uint32_t span_set_count(const struct span_set *set, uint64_t id)
{
    return id == 0 ? 0 : find(set->slots, set->n_slots, id)->count;
}

uint64_t span_set_size(const struct span_set *set)
{
    return set->n_used;
}
