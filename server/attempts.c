#include "server/attempts.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "common/base/siphash.h"

enum { WAYS = 8 };

/* A call is known by its hash alone: the key is secret, so no peer can make two look like one. */
struct sighting {
    uint64_t hash;
    int64_t  last_ns;
    uint32_t count; /* 0: free */
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

/* Where `hash` is, or may go: a free or expired place, else the one seen longest ago. */
static struct sighting *set_find(struct set *set, uint64_t hash, int64_t oldest_ns)
{
    struct sighting *place = &set->ways[0];

    for (size_t i = 0; i < WAYS; i++) {
        struct sighting *way = &set->ways[i];
        if (way->count > 0 && way->last_ns < oldest_ns)
            way->count = 0;
        if (way->count > 0 && way->hash == hash)
            return way;
        if (way->count == 0 || (place->count > 0 && way->last_ns < place->last_ns))
            place = way;
    }
    place->count = 0;
    return place;
}

static uint32_t count_locked(struct attempts *attempts, uint64_t hash, int64_t now_ns)
{
    struct set      *set = &attempts->locked.sets[hash & (attempts->n_sets - 1)];
    struct sighting *sighting = set_find(set, hash, now_ns - attempts->ttl_ns);

    sighting->hash = hash;
    sighting->last_ns = now_ns;
    if (sighting->count < UINT32_MAX)
        sighting->count++;
    return sighting->count;
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
