#include "common/base/random.h"

#include <stdbool.h>
#include <sys/random.h>

#include "common/base/clock.h"

/* xoshiro256** (prng.di.unimi.it). Its state must not be all zero. */
struct generator {
    bool     is_seeded;
    uint64_t state[4];
};

static _Thread_local struct generator generator;

/* Without the kernel's randomness: still different in each thread and at each start. */
static void seed_from_clock(struct generator *g)
{
    uint64_t value = (uint64_t)clock_realtime_ns() ^ (uint64_t)(uintptr_t)g;
    for (int i = 0; i < 4; i++)
        g->state[i] = value = random_mix(value);
}

static bool is_zero(const struct generator *g)
{
    return (g->state[0] | g->state[1] | g->state[2] | g->state[3]) == 0;
}

static void seed(struct generator *g)
{
    if (getrandom(g->state, sizeof(g->state), 0) != sizeof(g->state) || is_zero(g))
        seed_from_clock(g);
    g->is_seeded = true;
}

static uint64_t rotate_left(uint64_t value, int bits)
{
    return (value << bits) | (value >> (64 - bits));
}

static uint64_t next(uint64_t s[4])
{
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t random_id(void)
{
    struct generator *g = &generator;
    uint64_t          id;

    if (!g->is_seeded)
        seed(g);
    do {
        id = next(g->state);
    } while (id == 0);
    return id;
}

uint64_t random_mix(uint64_t value)
{
    value += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

double random_unit(uint64_t bits)
{
    return (double)(bits >> 11) * 0x1.0p-53;
}
