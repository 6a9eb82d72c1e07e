#pragma once

/*
 * Hash table: finds what carries a hash_node, by its hash. It owns only its buckets, and grows
 * with what is put in. Hash what strangers send with a key (siphash), or they choose the
 * bucket.
 *
 * Threads: one at a time.
 */

#include <stddef.h>
#include <stdint.h>

struct hash_node {
    struct hash_node *next;
    uint64_t          hash;
};

/* All zero is an empty table. */
struct hash_table {
    struct hash_node **buckets;
    size_t             n_buckets; /* 0, or a power of two */
    size_t             count;
};

/* Frees the buckets, and calls `drop` with each node. */
void hash_table_done(struct hash_table *table, void (*drop)(struct hash_node *node));

/* 0, or -ENOMEM: not added. `node->hash` is set; equal hashes may be added. */
int hash_table_add(struct hash_table *table, struct hash_node *node);

/* The node must be in it. */
void hash_table_remove(struct hash_table *table, struct hash_node *node);

/* The first node with this hash, and the next with the same; NULL when there is none. */
struct hash_node *hash_table_find(const struct hash_table *table, uint64_t hash);
struct hash_node *hash_table_find_next(const struct hash_node *node);

/* What the buckets take, and what they will take more when they grow. */
size_t hash_table_bytes(const struct hash_table *table);
size_t hash_table_growth_bytes(const struct hash_table *table);
