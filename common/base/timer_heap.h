#pragma once

/*
 * Timer heap: things to do later, the earliest first. A pairing heap threaded
 * through the nodes themselves, so arming a timer cannot fail.
 *
 * Threads: one.
 */

#include <stdbool.h>
#include <stdint.h>

/* Embed it, zeroed. */
struct timer_node {
    int64_t            due_ns;
    bool               is_armed;
    struct timer_node *child;    /* the first of those that are due no earlier */
    struct timer_node *next;     /* sibling */
    struct timer_node *previous; /* sibling, or the parent of a first child */
};

struct timer_heap {
    struct timer_node *earliest; /* NULL: nothing is armed */
};

/* `node` is not armed. O(1). */
void timer_heap_add(struct timer_heap *heap, struct timer_node *node, int64_t due_ns);

/* `node` is armed here. O(log n), amortised. */
void timer_heap_remove(struct timer_heap *heap, struct timer_node *node);

/* Removes and returns the earliest node when it is due at `now_ns`; else NULL. */
struct timer_node *timer_heap_take_due(struct timer_heap *heap, int64_t now_ns);
