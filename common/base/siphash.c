#include "common/base/siphash.h"

#include <endian.h>

struct state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate_left(uint64_t value, int bits)
{
    return (value << bits) | (value >> (64 - bits));
}

static void mix(struct state *s, int rounds)
{
    while (rounds-- > 0) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = rotate_left(s->v1, 13) ^ s->v0;
        s->v3 = rotate_left(s->v3, 16) ^ s->v2;
        s->v0 = rotate_left(s->v0, 32);
        s->v2 += s->v1;
        s->v0 += s->v3;
        s->v1 = rotate_left(s->v1, 17) ^ s->v2;
        s->v3 = rotate_left(s->v3, 21) ^ s->v0;
        s->v2 = rotate_left(s->v2, 32);
    }
}

static void absorb(struct state *s, uint64_t word)
{
    s->v3 ^= word;
    mix(s, 2);
    s->v0 ^= word;
}

/* The bytes from `first` on, fewer than eight, and the length of the whole in the highest byte. */
static uint64_t last_word(struct str s, size_t first)
{
    uint64_t word = 0;
    if (first < s.len)
        memcpy(&word, s.at + first, s.len - first);
    return le64toh(word) | (uint64_t)s.len << 56;
}

uint64_t siphash(struct siphash_key key, struct str s)
{
    struct state state = {
        .v0 = key.low ^ UINT64_C(0x736f6d6570736575),
        .v1 = key.high ^ UINT64_C(0x646f72616e646f6d),
        .v2 = key.low ^ UINT64_C(0x6c7967656e657261),
        .v3 = key.high ^ UINT64_C(0x7465646279746573),
    };
    size_t whole = s.len - s.len % sizeof(uint64_t);

    for (size_t i = 0; i < whole; i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, s.at + i, sizeof(word));
        absorb(&state, le64toh(word));
    }
    absorb(&state, last_word(s, whole));

    state.v2 ^= 0xff;
    mix(&state, 4);
    return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}
