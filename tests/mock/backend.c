#include "tests/mock/backend.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/mock/census.h"
#include "tests/mock/span_set.h"

enum { MISSING_SHOWN = 20 };

struct counts {
    uint64_t    requests, taken_requests, refused_requests;
    uint64_t    spans, duplicates; /* taken */
    uint64_t    largest_request_bytes, largest_request_spans;
    uint64_t    violations;
    const char *last_violation;
};

struct backend {
    pthread_mutex_t lock;
    struct {
        struct script    script;
        struct counts    counts;
        struct span_set *seen;
    } locked;
};

struct backend *backend_new(void)
{
    struct backend *backend = calloc(1, sizeof(*backend));
    if (!backend)
        return NULL;

    pthread_mutex_init(&backend->lock, NULL);
    backend->locked.counts.last_violation = "";
    backend->locked.seen = span_set_new();
    if (!backend->locked.seen) {
        backend_free(backend);
        return NULL;
    }
    return backend;
}

void backend_free(struct backend *backend)
{
    if (!backend)
        return;

    span_set_free(backend->locked.seen);
    pthread_mutex_destroy(&backend->lock);
    free(backend);
}

void backend_follow(struct backend *backend, const struct script *script)
{
    pthread_mutex_lock(&backend->lock);
    backend->locked.script = *script;
    pthread_mutex_unlock(&backend->lock);
}

static struct script_verdict verdict_on(const char *violation)
{
    struct script_verdict verdict = {
        .status = STATUS_INVALID_ARGUMENT, .http_code = 400, .retry_after_ns = -1};

    snprintf(verdict.message, sizeof(verdict.message), "%s", violation);
    return verdict;
}

static struct script_verdict count_violation_locked(struct backend *backend, const char *what)
{
    struct counts *counts = &backend->locked.counts;

    counts->requests++;
    counts->refused_requests++;
    counts->violations++;
    counts->last_violation = what;
    return verdict_on(what);
}

static void keep_largest(uint64_t *largest, uint64_t value)
{
    if (value > *largest)
        *largest = value;
}

static void keep_spans_locked(struct backend *backend, const struct census *census,
                              uint64_t n_rejected)
{
    struct counts *counts = &backend->locked.counts;

    for (size_t i = n_rejected; i < census->n_spans; i++) {
        counts->spans++;
        if (span_set_add(backend->locked.seen, census->span_ids[i]) > 1)
            counts->duplicates++;
    }
}

static struct script_verdict receive_locked(struct backend *backend, size_t n_bytes,
                                            const struct census *census)
{
    struct counts        *counts = &backend->locked.counts;
    struct script_verdict verdict = script_judge(
        &backend->locked.script,
        &(struct script_request){.n_bytes = n_bytes, .has_poison = census->has_poison});

    counts->requests++;
    keep_largest(&counts->largest_request_bytes, n_bytes);
    keep_largest(&counts->largest_request_spans, census->n_spans);
    if (verdict.takes)
        keep_spans_locked(backend, census, verdict.rejected);
    if (verdict.status == STATUS_OK)
        counts->taken_requests++;
    else
        counts->refused_requests++;
    return verdict;
}

struct script_verdict backend_receive(struct backend *backend, struct str request,
                                      struct arena *arena)
{
    struct script_verdict verdict;
    struct census         census;
    const char           *violation;

    int r = census_take(request, arena, &census, &violation);
    pthread_mutex_lock(&backend->lock);
    if (r < 0)
        verdict = count_violation_locked(backend, violation);
    else
        verdict = receive_locked(backend, request.len, &census);
    pthread_mutex_unlock(&backend->lock);
    return verdict;
}

struct script_verdict backend_receive_nonsense(struct backend *backend, const char *what)
{
    pthread_mutex_lock(&backend->lock);
    struct script_verdict verdict = count_violation_locked(backend, what);
    pthread_mutex_unlock(&backend->lock);
    return verdict;
}

void backend_render_counts(struct backend *backend, struct text *to)
{
    pthread_mutex_lock(&backend->lock);
    struct counts counts = backend->locked.counts;
    uint64_t      n_distinct = span_set_size(backend->locked.seen);
    pthread_mutex_unlock(&backend->lock);

    text_add_format(to,
                    "{\"requests\":%ju,\"taken_requests\":%ju,\"refused_requests\":%ju,"
                    "\"spans\":%ju,\"distinct\":%ju,\"duplicates\":%ju,",
                    (uintmax_t)counts.requests, (uintmax_t)counts.taken_requests,
                    (uintmax_t)counts.refused_requests, (uintmax_t)counts.spans,
                    (uintmax_t)n_distinct, (uintmax_t)counts.duplicates);
    text_add_format(to,
                    "\"largest_request_bytes\":%ju,\"largest_request_spans\":%ju,"
                    "\"violations\":%ju,\"last_violation\":",
                    (uintmax_t)counts.largest_request_bytes,
                    (uintmax_t)counts.largest_request_spans, (uintmax_t)counts.violations);
    text_add_json(to, str_from(counts.last_violation));
    text_add_char(to, '}');
}

struct range {
    uint64_t first, end;
};

static int parse_range(struct str line, struct range *ret_range)
{
    struct str first, end;

    if (!str_split(line, ' ', &first, &end))
        return -EINVAL;
    if (str_to_uint64(first, &ret_range->first) < 0 || str_to_uint64(end, &ret_range->end) < 0)
        return -EINVAL;
    return 0;
}

struct look {
    uint64_t wanted, found, duplicates;
    uint64_t missing[MISSING_SHOWN];
};

static void look_at_range_locked(const struct span_set *seen, struct range range, struct look *look)
{
    for (uint64_t id = range.first; id < range.end; id++) {
        uint32_t count = span_set_count(seen, id);
        uint64_t n_missing = look->wanted - look->found;
        look->wanted++;
        if (count > 0) {
            look->found++;
            look->duplicates += count - 1;
        } else if (n_missing < MISSING_SHOWN) {
            look->missing[n_missing] = id;
        }
    }
}

static int look_locked(const struct span_set *seen, struct str ranges, struct look *look)
{
    struct str   line;
    struct range range;

    while (str_cut(&ranges, '\n', &line)) {
        if (str_is_empty(line))
            continue;
        if (parse_range(line, &range) < 0)
            return -EINVAL;
        look_at_range_locked(seen, range, look);
    }
    return 0;
}

static void render_missing(const struct look *look, struct text *to)
{
    uint64_t n_missing = look->wanted - look->found;

    for (uint64_t i = 0; i < n_missing && i < MISSING_SHOWN; i++)
        text_add_format(to, "%s%ju", i > 0 ? "," : "", (uintmax_t)look->missing[i]);
}

int backend_render_look(struct backend *backend, struct str ranges, struct text *to)
{
    struct look look = {0};

    pthread_mutex_lock(&backend->lock);
    int r = look_locked(backend->locked.seen, ranges, &look);
    pthread_mutex_unlock(&backend->lock);
    if (r < 0)
        return r;

    text_add_format(to, "{\"wanted\":%ju,\"found\":%ju,\"duplicates\":%ju,\"missing\":[",
                    (uintmax_t)look.wanted, (uintmax_t)look.found, (uintmax_t)look.duplicates);
    render_missing(&look, to);
    text_add_char(to, ']');
    text_add_char(to, '}');
    return 0;
}
