#include "server/attempts.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/random.h>

#include "common/base/siphash.h"

enum { WAYS = 8 };

/* A call is known by its hash alone: the key is secret, so no peer can make two look like one. */
struct sighting {
    uint64_t hash;
    int64_t  last_ns;
    uint32_t count; /* 0: free */
    uint32_t cost;  /* of the tries that have ended */
};

/* A call can only be in the set that its hash selects. */
struct set {
    struct sighting ways[WAYS];
};

struct attempts {
    struct siphash_key key;
    size_t             n_sets; /* a power of two */
    int64_t            ttl_ns;
    pthread_mutex_t    lock;

    struct {
        struct set *sets;
    } locked;
};

static size_t sets_for(size_t capacity)
{
    size_t n_sets = 1;
    while (n_sets * WAYS < capacity)
        n_sets *= 2;
    return n_sets;
}

struct attempts *attempts_new(size_t capacity, int64_t ttl_ns)
{
    assert(capacity <= UINT32_MAX);
    cleanup_with(attempts_free_at) struct attempts *attempts = calloc(1, sizeof(*attempts));
    if (!attempts)
        return NULL;

    pthread_mutex_init(&attempts->lock, NULL);
    attempts->ttl_ns = ttl_ns;
    attempts->n_sets = sets_for(capacity);
    attempts->locked.sets = calloc(attempts->n_sets, sizeof(struct set));
    if (!attempts->locked.sets)
        return NULL;

    if (getrandom(&attempts->key, sizeof(attempts->key), 0) != sizeof(attempts->key))
        return NULL;
    return take(attempts);
}

void attempts_free(struct attempts *attempts)
{
    if (!attempts)
        return;

    free(attempts->locked.sets);
    pthread_mutex_destroy(&attempts->lock);
    free(attempts);
}

static bool is_live(const struct sighting *sighting, int64_t oldest_ns)
{
    return sighting->count > 0 && sighting->last_ns >= oldest_ns;
}

static struct sighting *set_find(struct set *set, uint64_t hash, int64_t oldest_ns)
{
    for (size_t i = 0; i < WAYS; i++) {
        if (is_live(&set->ways[i], oldest_ns) && set->ways[i].hash == hash)
            return &set->ways[i];
    }
    return NULL;
}

/* A free or expired place, else the one seen longest ago. */
static struct sighting *set_make_room(struct set *set, int64_t oldest_ns)
{
    struct sighting *oldest = &set->ways[0];

    for (size_t i = 0; i < WAYS; i++) {
        struct sighting *way = &set->ways[i];
        if (!is_live(way, oldest_ns))
            return way;
        if (way->last_ns < oldest->last_ns)
            oldest = way;
    }
    return oldest;
}

static struct set *set_for(struct attempts *attempts, uint64_t hash)
{
    return &attempts->locked.sets[hash & (attempts->n_sets - 1)];
}

static uint32_t add_saturated(uint32_t a, uint32_t b)
{
    return a <= UINT32_MAX - b ? a + b : UINT32_MAX;
}

static uint32_t count_locked(struct attempts *attempts, uint64_t hash, int64_t now_ns)
{
    struct set      *set = set_for(attempts, hash);
    int64_t          oldest_ns = now_ns - attempts->ttl_ns;
    struct sighting *sighting = set_find(set, hash, oldest_ns);
    if (!sighting) {
        sighting = set_make_room(set, oldest_ns);
        *sighting = (struct sighting){.hash = hash};
    }

    sighting->last_ns = now_ns;
    sighting->count = add_saturated(sighting->count, 1);
    return sighting->count;
}

static uint32_t add_cost_locked(struct attempts *attempts, uint64_t hash, uint32_t cost,
                                int64_t now_ns)
{
    struct sighting *sighting = set_find(set_for(attempts, hash), hash, now_ns - attempts->ttl_ns);
    if (!sighting)
        return cost;

    sighting->last_ns = now_ns;
    sighting->cost = add_saturated(sighting->cost, cost);
    return sighting->cost;
}

uint32_t attempts_count(struct attempts *attempts, struct str call, int64_t now_ns)
{
    if (str_is_empty(call))
        return 1;

    uint64_t hash = siphash(attempts->key, call);

    pthread_mutex_lock(&attempts->lock);
    uint32_t count = count_locked(attempts, hash, now_ns);
    pthread_mutex_unlock(&attempts->lock);
    return count;
}

uint32_t attempts_add_cost(struct attempts *attempts, struct str call, uint32_t cost,
                           int64_t now_ns)
{
    if (str_is_empty(call))
        return cost;

    uint64_t hash = siphash(attempts->key, call);

    pthread_mutex_lock(&attempts->lock);
    uint32_t sum = add_cost_locked(attempts, hash, cost, now_ns);
    pthread_mutex_unlock(&attempts->lock);
    return sum;
}
