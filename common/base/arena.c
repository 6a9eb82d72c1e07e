#include "common/base/arena.h"

#include <sanitizer/asan_interface.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* With the arena's own bookkeeping one malloc of 8 KiB: a usual request needs no more. */
enum { FIRST_CHUNK_BYTES = 8192 - 96 };

struct chunk {
    struct chunk *previous;
    alignas(max_align_t) char bytes[];
};

struct arena {
    size_t        budget_bytes;
    size_t        used_bytes;
    char         *at;  /* the first byte not given out */
    char         *end; /* of the chunk that is being given out */
    size_t        next_chunk_bytes;
    struct chunk *last; /* NULL: still in the first, which is part of the arena itself */
    alignas(max_align_t) char first[];
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Bytes not given out are poisoned, so that an overrun shows under the address sanitizer. */
static void give_out_from(struct arena *arena, char *bytes, size_t size)
{
    arena->at = bytes;
    arena->end = bytes + size;
    ASAN_POISON_MEMORY_REGION(bytes, size);
}

struct arena *arena_new(size_t budget_bytes)
{
    size_t        first_bytes = smaller(budget_bytes, FIRST_CHUNK_BYTES);
    struct arena *arena = malloc(sizeof(*arena) + first_bytes);
    if (!arena)
        return NULL;

    *arena = (struct arena){.budget_bytes = budget_bytes, .next_chunk_bytes = 2 * first_bytes};
    give_out_from(arena, arena->first, first_bytes);
    return arena;
}

void arena_free(struct arena *arena)
{
    if (!arena)
        return;

    for (struct chunk *chunk = arena->last, *previous; chunk; chunk = previous) {
        previous = chunk->previous;
        free(chunk);
    }
    free(arena);
}

/* A chunk with room for `size`, which the budget allows. */
static bool add_chunk(struct arena *arena, size_t size)
{
    size_t left_bytes = arena->budget_bytes - arena->used_bytes;
    size_t chunk_bytes = smaller(arena->next_chunk_bytes, left_bytes);
    if (chunk_bytes < size)
        chunk_bytes = size;

    struct chunk *chunk = malloc(sizeof(*chunk) + chunk_bytes);
    if (!chunk)
        return false;

    chunk->previous = arena->last;
    arena->last = chunk;
    arena->next_chunk_bytes = 2 * chunk_bytes;
    give_out_from(arena, chunk->bytes, chunk_bytes);
    return true;
}

static size_t padding_to(const char *at, size_t alignment)
{
    return -(uintptr_t)at & (alignment - 1);
}

static void *alloc_aligned(struct arena *arena, size_t size, size_t alignment)
{
    size_t left_bytes = arena->budget_bytes - arena->used_bytes;
    size_t padding = padding_to(arena->at, alignment);
    if (left_bytes < padding || left_bytes - padding < size)
        return NULL;

    if ((size_t)(arena->end - arena->at) < padding + size) {
        if (!add_chunk(arena, size))
            return NULL;
        padding = 0;
    }

    char *given = arena->at + padding;
    ASAN_UNPOISON_MEMORY_REGION(given, size);
    arena->at = given + size;
    arena->used_bytes += padding + size;
    return given;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    return alloc_aligned(arena, size, alignof(max_align_t));
}

void *arena_zalloc(struct arena *arena, size_t size)
{
    void *given = arena_alloc(arena, size);
    return given ? memset(given, 0, size) : NULL;
}

static char *alloc_text(struct arena *arena, size_t len)
{
    return len < SIZE_MAX ? alloc_aligned(arena, len + 1, 1) : NULL;
}

struct str arena_copy(struct arena *arena, struct str s)
{
    char *copy = alloc_text(arena, s.len);
    if (!copy)
        return (struct str){0};

    if (s.len > 0)
        memcpy(copy, s.at, s.len);
    copy[s.len] = '\0';
    return (struct str){copy, s.len};
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

struct str arena_lower(struct arena *arena, struct str s)
{
    size_t first = 0;
    while (first < s.len && !is_upper(s.at[first]))
        first++;
    if (first == s.len)
        return s;

    char *lower = alloc_text(arena, s.len);
    if (!lower)
        return (struct str){0};
    for (size_t i = 0; i < s.len; i++)
        lower[i] = (char)(is_upper(s.at[i]) ? s.at[i] - 'A' + 'a' : s.at[i]);
    lower[s.len] = '\0';
    return (struct str){lower, s.len};
}

struct str arena_format(struct arena *arena, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);

    char *formatted = len >= 0 ? alloc_text(arena, (size_t)len) : NULL;
    if (formatted)
        (void)vsnprintf(formatted, (size_t)len + 1, format, again);
    va_end(again);
    return (struct str){formatted, formatted ? (size_t)len : 0};
}

size_t arena_used_bytes(const struct arena *arena)
{
    return arena->used_bytes;
}
