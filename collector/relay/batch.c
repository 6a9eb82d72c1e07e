#include "collector/relay/batch.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { MAX_RECORDS = 4096 };

struct batch_pool {
    size_t                buffer_bytes;
    struct journal_record records[MAX_RECORDS]; /* of the read at hand */
    pthread_mutex_t       lock;

    struct {
        struct batch *free;
        unsigned      n_free;
        unsigned      n_spare; /* the fewest that were free since the last trim */
        unsigned      n_used;
        bool          has_large; /* one that is larger than the buffers is in use */
        bool          is_closed;
    } locked;
};

int batch_pool_new(struct batch_pool **ret_pool, size_t buffer_bytes)
{
    struct batch_pool *pool = calloc(1, sizeof(*pool));
    if (!pool)
        return -ENOMEM;

    pool->buffer_bytes =
        buffer_bytes > JOURNAL_LEAST_READ_BYTES ? buffer_bytes : JOURNAL_LEAST_READ_BYTES;
    pthread_mutex_init(&pool->lock, NULL);
    *ret_pool = pool;
    return 0;
}

/* The bytes are mapped: what is not written to takes no memory, and what is freed is gone. */
static struct batch *memory_new(size_t capacity)
{
    struct batch *batch = calloc(1, sizeof(*batch));
    if (!batch)
        return NULL;

    void *bytes = mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED) {
        free(batch);
        return NULL;
    }
    batch->bytes = bytes;
    batch->capacity = capacity;
    return batch;
}

static void memory_free(struct batch *batch)
{
    munmap(batch->bytes, batch->capacity);
    free(batch->records);
    free(batch);
}

static void memory_free_all(struct batch *batch)
{
    while (batch) {
        struct batch *next = batch->next_free;
        memory_free(batch);
        batch = next;
    }
}

static void pool_destroy(struct batch_pool *pool)
{
    memory_free_all(pool->locked.free);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

void batch_pool_free(struct batch_pool *pool)
{
    if (!pool)
        return;

    pthread_mutex_lock(&pool->lock);
    pool->locked.is_closed = true;
    bool is_unused = pool->locked.n_used == 0;
    pthread_mutex_unlock(&pool->lock);
    if (is_unused)
        pool_destroy(pool);
}

static struct batch *take_free_locked(struct batch_pool *pool)
{
    struct batch *batch = pool->locked.free;
    if (!batch)
        return NULL;

    pool->locked.free = batch->next_free;
    pool->locked.n_free--;
    if (pool->locked.n_spare > pool->locked.n_free)
        pool->locked.n_spare = pool->locked.n_free;
    return batch;
}

void batch_pool_trim(struct batch_pool *pool)
{
    struct batch *unneeded = NULL;

    pthread_mutex_lock(&pool->lock);
    for (unsigned n = pool->locked.n_spare; n > 0; n--) {
        struct batch *batch = take_free_locked(pool);
        batch->next_free = unneeded;
        unneeded = batch;
    }
    pool->locked.n_spare = pool->locked.n_free;
    pthread_mutex_unlock(&pool->lock);
    memory_free_all(unneeded);
}

static bool is_large(const struct batch *batch)
{
    return batch->capacity > batch->pool->buffer_bytes;
}

static struct batch *claim(struct batch_pool *pool, struct batch *batch)
{
    batch->pool = pool;
    batch->n_refs = 1;
    batch->n_records = 0;
    batch->is_in_memory = true;
    batch->next_free = NULL;

    pthread_mutex_lock(&pool->lock);
    pool->locked.n_used++;
    pthread_mutex_unlock(&pool->lock);
    return batch;
}

struct batch *batch_new(struct batch_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    struct batch *batch = take_free_locked(pool);
    pthread_mutex_unlock(&pool->lock);

    if (!batch)
        batch = memory_new(pool->buffer_bytes);
    return batch ? claim(pool, batch) : NULL;
}

static int small_new(struct batch **ret_batch, struct batch_pool *pool)
{
    *ret_batch = batch_new(pool);
    return *ret_batch ? 0 : -ENOMEM;
}

/* There is one place for them. */
static bool take_large_place(struct batch_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    bool was_free = !pool->locked.has_large;
    pool->locked.has_large = true;
    pthread_mutex_unlock(&pool->lock);
    return was_free;
}

static void leave_large_place(struct batch_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->locked.has_large = false;
    pthread_mutex_unlock(&pool->lock);
}

static int large_new(struct batch **ret_batch, struct batch_pool *pool, size_t capacity)
{
    if (!take_large_place(pool))
        return -EBUSY;

    struct batch *batch = memory_new(capacity);
    if (!batch) {
        leave_large_place(pool);
        return -ENOMEM;
    }
    *ret_batch = claim(pool, batch);
    return 0;
}

/* True when it stays in the pool. */
static bool give_back_locked(struct batch_pool *pool, struct batch *batch)
{
    pool->locked.n_used--;
    if (is_large(batch)) {
        pool->locked.has_large = pool->locked.has_large && !batch->is_in_memory;
        return false;
    }
    free(take(batch->records));
    batch->next_free = pool->locked.free;
    pool->locked.free = batch;
    pool->locked.n_free++;
    return true;
}

/* Nobody else has it. True when it was the last that a pool which was freed waited for. */
static bool give_back(struct batch *batch)
{
    struct batch_pool *pool = batch->pool;

    pthread_mutex_lock(&pool->lock);
    bool is_kept = give_back_locked(pool, batch);
    bool is_last = pool->locked.is_closed && pool->locked.n_used == 0;
    pthread_mutex_unlock(&pool->lock);

    if (!is_kept)
        memory_free(batch);
    return is_last;
}

struct batch *batch_ref(struct batch *batch)
{
    __atomic_fetch_add(&batch->n_refs, 1, __ATOMIC_RELAXED);
    return batch;
}

void batch_unref(struct batch *batch)
{
    struct batch_pool *pool = batch->pool;

    if (__atomic_fetch_sub(&batch->n_refs, 1, __ATOMIC_ACQ_REL) == 1 && give_back(batch))
        pool_destroy(pool);
}

static size_t bytes_before(const struct batch *batch, size_t record)
{
    return record == 0 ? 0 : batch->records[record - 1].bytes_end;
}

struct str batch_view(const struct batch *batch, size_t first, size_t n_records)
{
    size_t start = bytes_before(batch, first);

    assert(first + n_records <= batch->n_records);
    return (struct str){.at = batch->bytes + start,
                        .len = bytes_before(batch, first + n_records) - start};
}

static int note_records(struct batch *batch, const struct journal_record records[], size_t n)
{
    size_t bytes_end = 0;

    batch->records = malloc(n * sizeof(*batch->records));
    if (!batch->records)
        return -ENOMEM;

    for (size_t i = 0; i < n; i++) {
        bytes_end += records[i].payload.len;
        batch->records[i] = (struct batch_record){
            .end = records[i].end, .bytes_end = bytes_end, .time_ns = records[i].time_ns};
    }
    batch->n_records = n;
    return 0;
}

static int read_records(struct batch *batch, struct journal *journal, struct journal_position from,
                        size_t size, size_t max_records, struct journal_chunk *ret_chunk)
{
    struct journal_record *records = batch->pool->records;

    int n = journal_read(journal, from, batch->bytes, size, records, max_records, ret_chunk);
    if (n <= 0)
        return n;

    int r = note_records(batch, records, (size_t)n);
    return r < 0 ? r : n;
}

/* What was read into, or back to the pool when that was nothing. */
static int hand_over(struct batch **ret_batch, struct batch *batch, int n)
{
    if (n > 0)
        *ret_batch = batch;
    else
        (void)give_back(batch);
    return n;
}

/* One record that is larger than what was asked for, and maybe than the pool's buffers. */
static int read_large(struct batch **ret_batch, struct batch_pool *pool, struct journal *journal,
                      struct journal_position from, struct journal_chunk *chunk)
{
    size_t        size = chunk->wanted_bytes;
    struct batch *batch;

    int r = size > pool->buffer_bytes ? large_new(&batch, pool, size) : small_new(&batch, pool);
    if (r < 0)
        return r;
    return hand_over(ret_batch, batch, read_records(batch, journal, from, size, 1, chunk));
}

int batch_read(struct batch **ret_batch, struct batch_pool *pool, struct journal *journal,
               struct journal_position from, size_t max_bytes, struct journal_chunk *ret_chunk)
{
    struct batch *batch;
    if (max_bytes < JOURNAL_LEAST_READ_BYTES)
        max_bytes = JOURNAL_LEAST_READ_BYTES;
    assert(max_bytes <= pool->buffer_bytes);

    int r = small_new(&batch, pool);
    if (r < 0)
        return r;

    int n = read_records(batch, journal, from, max_bytes, MAX_RECORDS, ret_chunk);
    if (n != -ENOBUFS)
        return hand_over(ret_batch, batch, n);

    n = read_large(ret_batch, pool, journal, from, ret_chunk);
    (void)give_back(batch);
    return n;
}

void batch_forget(struct batch *batch)
{
    if (!is_large(batch) || !batch->is_in_memory)
        return;

    madvise(batch->bytes, batch->capacity, MADV_DONTNEED);
    batch->is_in_memory = false;
    leave_large_place(batch->pool);
}

static int read_again(struct batch *batch, struct journal *journal, struct journal_position from)
{
    struct journal_record record;
    struct journal_chunk  chunk;

    int n = journal_read(journal, from, batch->bytes, batch->capacity, &record, 1, &chunk);
    if (n < 0 && n != -ENOBUFS)
        return n;
    return n == 1 && record.end.offset == batch->records[0].end.offset ? 0 : -ENODATA;
}

int batch_recall(struct batch *batch, struct journal *journal, struct journal_position from)
{
    if (batch->is_in_memory)
        return 0;
    if (!take_large_place(batch->pool))
        return -EBUSY;

    batch->is_in_memory = true;
    int r = read_again(batch, journal, from);
    if (r < 0)
        batch_forget(batch);
    return r;
}
