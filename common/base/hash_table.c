#include "common/base/hash_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { FIRST_BUCKETS = 8 };

void hash_table_done(struct hash_table *table, void (*drop)(struct hash_node *node))
{
    for (size_t i = 0; i < table->n_buckets; i++) {
        for (struct hash_node *node = table->buckets[i], *next; node; node = next) {
            next = node->next;
            drop(node);
        }
    }
    free(table->buckets);
    *table = (struct hash_table){0};
}

static struct hash_node **bucket_of(const struct hash_table *table, uint64_t hash)
{
    return &table->buckets[hash & (table->n_buckets - 1)];
}

static void link_node(struct hash_table *table, struct hash_node *node)
{
    struct hash_node **bucket = bucket_of(table, node->hash);
    node->next = *bucket;
    *bucket = node;
}

/* By how many buckets: they double. */
static size_t growth(const struct hash_table *table)
{
    return table->n_buckets > 0 ? table->n_buckets : FIRST_BUCKETS;
}

static int grow(struct hash_table *table)
{
    size_t             n_buckets = table->n_buckets + growth(table);
    struct hash_node **buckets = calloc(n_buckets, sizeof(struct hash_node *));
    if (!buckets)
        return -ENOMEM;

    struct hash_table grown = {buckets, n_buckets, table->count};
    for (size_t i = 0; i < table->n_buckets; i++) {
        for (struct hash_node *node = table->buckets[i], *next; node; node = next) {
            next = node->next;
            link_node(&grown, node);
        }
    }
    free(table->buckets);
    *table = grown;
    return 0;
}

/* A table that cannot grow gets slower, and works as long as it has any bucket. */
int hash_table_add(struct hash_table *table, struct hash_node *node)
{
    if (table->count >= table->n_buckets && grow(table) < 0 && table->n_buckets == 0)
        return -ENOMEM;

    link_node(table, node);
    table->count++;
    return 0;
}

void hash_table_remove(struct hash_table *table, struct hash_node *node)
{
    struct hash_node **slot = bucket_of(table, node->hash);

    while (*slot != node) {
        assert(*slot);
        slot = &(*slot)->next;
    }
    *slot = node->next;
    table->count--;
}

static struct hash_node *first_with(struct hash_node *node, uint64_t hash)
{
    while (node && node->hash != hash)
        node = node->next;
    return node;
}

struct hash_node *hash_table_find(const struct hash_table *table, uint64_t hash)
{
    return table->n_buckets > 0 ? first_with(*bucket_of(table, hash), hash) : NULL;
}

struct hash_node *hash_table_find_next(const struct hash_node *node)
{
    return first_with(node->next, node->hash);
}

size_t hash_table_bytes(const struct hash_table *table)
{
    return table->n_buckets * sizeof(struct hash_node *);
}

size_t hash_table_growth_bytes(const struct hash_table *table)
{
    return growth(table) * sizeof(struct hash_node *);
}
