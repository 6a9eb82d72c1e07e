#include "common/base/timer_heap.h"

#include <assert.h>
#include <stddef.h>

/* The two trees as one, its root the earlier of both roots. Either may be NULL. */
static struct timer_node *meld(struct timer_node *a, struct timer_node *b)
{
    if (!a || !b)
        return a ? a : b;

    struct timer_node *root = a->due_ns <= b->due_ns ? a : b;
    struct timer_node *child = root == a ? b : a;

    child->previous = root;
    child->next = root->child;
    if (child->next)
        child->next->previous = child;
    root->child = child;
    return root;
}

static struct timer_node *detach_first(struct timer_node **siblings)
{
    struct timer_node *first = *siblings;
    if (first) {
        *siblings = first->next;
        first->next = NULL;
        first->previous = NULL;
    }
    return first;
}

/*
 * All siblings as one tree: melded in pairs from the left, then the pairs from
 * the right. That order is what makes removal logarithmic.
 */
static struct timer_node *meld_siblings(struct timer_node *siblings)
{
    struct timer_node *pairs = NULL;
    while (siblings) {
        struct timer_node *a = detach_first(&siblings);
        struct timer_node *pair = meld(a, detach_first(&siblings));
        pair->next = pairs;
        pairs = pair;
    }

    struct timer_node *root = NULL;
    while (pairs)
        root = meld(root, detach_first(&pairs));
    return root;
}

static void unlink_from_siblings(struct timer_node *node)
{
    if (node->previous->child == node)
        node->previous->child = node->next;
    else
        node->previous->next = node->next;
    if (node->next)
        node->next->previous = node->previous;
}

void timer_heap_add(struct timer_heap *heap, struct timer_node *node, int64_t due_ns)
{
    assert(!node->is_armed);

    *node = (struct timer_node){.due_ns = due_ns, .is_armed = true};
    heap->earliest = meld(heap->earliest, node);
}

void timer_heap_remove(struct timer_heap *heap, struct timer_node *node)
{
    assert(node->is_armed);

    struct timer_node *below = meld_siblings(node->child);
    if (node == heap->earliest) {
        heap->earliest = below;
    } else {
        unlink_from_siblings(node);
        heap->earliest = meld(heap->earliest, below);
    }
    *node = (struct timer_node){.due_ns = node->due_ns};
}

struct timer_node *timer_heap_take_due(struct timer_heap *heap, int64_t now_ns)
{
    struct timer_node *node = heap->earliest;
    if (!node || node->due_ns > now_ns)
        return NULL;

    timer_heap_remove(heap, node);
    return node;
}
