#pragma once

/*
 * Cleanup: ownership of a local variable, made visible where it is declared.
 *
 *     cleanup_with(arena_free_at) struct arena *arena = NULL;
 *
 * The named function runs when the variable goes out of scope. Hand the value
 * over with `take`, as the last act, and nothing is cleaned up.
 */

#define cleanup_with(fn) __attribute__((cleanup(fn)))

/* Defines `fn`_at, which calls `fn` on the variable it is pointed to, when that is set. */
#define DEFINE_CLEANUP(type, fn)                       \
    static inline void fn##_at(__typeof__(type) *slot) \
    {                                                  \
        if (*slot)                                     \
            fn(*slot);                                 \
    }

/* The pointer in `slot`, which is NULL afterwards: the caller owns it now. */
#define take(slot)                               \
    __extension__({                              \
        __typeof__(slot) *const from_ = &(slot); \
        __typeof__(slot) const  value_ = *from_; \
        *from_ = NULL;                           \
        value_;                                  \
    })

/* The struct of the given type whose `member` is at `pointer`. */
#define container_of(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))
