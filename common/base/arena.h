#pragma once

/*
 * Arena: the memory of one request or batch. Everything taken from it dies with
 * it at once; nothing is freed alone. Its budget bounds what a peer can make us
 * allocate.
 *
 * Threads: one at a time; an arena goes along with the work it belongs to.
 */

#include <stddef.h>

#include "common/base/cleanup.h"
#include "common/base/str.h"

struct arena;

/* An arena that gives out at most `budget_bytes`. NULL when memory is short. */
struct arena *arena_new(size_t budget_bytes);

/* Frees the arena and all that came from it. NULL is fine. */
void arena_free(struct arena *arena);
DEFINE_CLEANUP(struct arena *, arena_free)

/* Uninitialised memory, aligned for any type; NULL beyond the budget or when memory is short. */
void *arena_alloc(struct arena *arena, size_t size);

/* The same, zeroed. */
void *arena_zalloc(struct arena *arena, size_t size);

/* A NUL-terminated copy (the NUL is not counted in `len`). `at` is NULL when it does not fit. */
struct str arena_copy(struct arena *arena, struct str s);

/*
 * `s` with its ASCII letters in lower case: `s` itself when it has no other, else a
 * copy. `at` is NULL when that does not fit.
 */
struct str arena_lower(struct arena *arena, struct str s);

/* A formatted string, NUL-terminated. `at` is NULL when it does not fit. */
struct str arena_format(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Bytes given out so far, and those lost between them to alignment. */
size_t arena_used_bytes(const struct arena *arena);
