#include "collector/recent/api_query.h"

#include <errno.h>
#include <limits.h>

#include "collector/recent/kept_trace.h"
#include "collector/recent/rfc3339.h"
#include "common/base/arena.h"
#include "common/base/query.h"
#include "common/base/units.h"

enum kind { TEXT, TIME, DURATION, COUNT, BOOL, ATTRIBUTES };

/* A parameter and the member of the query that it sets. */
struct known {
    const char *name; /* in snake case */
    enum kind   kind;
    size_t      offset;
};

static const struct known find_parameters[] = {
    {"query.service_name", TEXT, offsetof(struct find_query, service_name)},
    {"query.operation_name", TEXT, offsetof(struct find_query, operation_name)},
    {"query.start_time_min", TIME, offsetof(struct find_query, start_min_ns)},
    {"query.start_time_max", TIME, offsetof(struct find_query, start_max_ns)},
    {"query.duration_min", DURATION, offsetof(struct find_query, duration_min_ns)},
    {"query.duration_max", DURATION, offsetof(struct find_query, duration_max_ns)},
    {"query.search_depth", COUNT, offsetof(struct find_query, max_traces)},
    {"query.num_traces", COUNT, offsetof(struct find_query, max_traces)},
    {"query.attributes", ATTRIBUTES, offsetof(struct find_query, attributes)},
};

static const struct known get_parameters[] = {
    {"start_time", TIME, offsetof(struct get_query, start_ns)},
    {"end_time", TIME, offsetof(struct get_query, end_ns)},
    {"raw_traces", BOOL, offsetof(struct get_query, is_raw)},
};

static const struct known operations_parameters[] = {
    {"service", TEXT, offsetof(struct operations_query, service)},
    {"span_kind", TEXT, offsetof(struct operations_query, span_kind)},
};

static const char *const expectations[] = {
    [TEXT] = "a text",
    [TIME] = "a time such as 2026-07-01T12:00:00Z",
    [DURATION] = "a duration such as 1.5s or 1m30s",
    [COUNT] = "a number",
    [BOOL] = "true or false",
    [ATTRIBUTES] = "a JSON object of strings",
};

static char upper(char c)
{
    bool is_lower = c >= 'a' && c <= 'z';
    return (char)(is_lower ? c - 'a' + 'A' : c);
}

/* Whether `given` is `snake`, or the same in camel case. */
static bool is_name(struct str given, const char *snake)
{
    size_t i = 0;

    for (; *snake; snake++, i++) {
        if (i == given.len)
            return false;
        char expected = *snake;
        if (expected == '_' && given.at[i] != '_')
            expected = upper(*++snake);
        if (given.at[i] != expected)
            return false;
    }
    return i == given.len;
}

static bool is_digit_or_point(char c)
{
    return (c >= '0' && c <= '9') || c == '.';
}

/* Cuts a number and its unit off `s`. */
static struct str cut_quantity(struct str *s)
{
    size_t n = 0;
    while (n < s->len && is_digit_or_point(s->at[n]))
        n++;
    while (n < s->len && !is_digit_or_point(s->at[n]))
        n++;

    struct str quantity = {s->at, n};
    *s = (struct str){s->at + n, s->len - n};
    return quantity;
}

/* As Go writes durations: "1m30.5s". */
static int read_duration(struct str s, uint64_t *ret_ns)
{
    uint64_t sum_ns = 0;

    while (s.len > 0) {
        int64_t ns;
        int     r = duration_parse(cut_quantity(&s), &ns);
        if (r < 0)
            return r;
        if (__builtin_add_overflow(sum_ns, (uint64_t)ns, &sum_ns))
            return -ERANGE;
    }
    *ret_ns = sum_ns;
    return 0;
}

static int read_bool(struct str s, bool *ret_value)
{
    bool is_true = str_equal_ignore_case(s, STR("true")) || str_equal(s, STR("1"));
    if (!is_true && !str_equal_ignore_case(s, STR("false")) && !str_equal(s, STR("0")))
        return -EINVAL;

    *ret_value = is_true;
    return 0;
}

static int read_value(enum kind kind, struct str value, struct arena *arena, void *member)
{
    switch (kind) {
    case TEXT:
        *(struct str *)member = value;
        return 0;
    case TIME:
        return rfc3339_parse(value, member);
    case DURATION:
        return read_duration(value, member);
    case COUNT:
        return str_to_uint64(value, member);
    case BOOL:
        return read_bool(value, member);
    case ATTRIBUTES:
        return attribute_filter_read(value, arena, member);
    }
    return -EINVAL;
}

/* The parameters of one request, and the query that they become. */
struct reading {
    const struct known *known;
    size_t              n_known;
    void               *query;
    struct arena       *arena;
    uint32_t            seen; /* bits, by place in `known` */
};

/* What is known of the parameter when it comes for the first time, else NULL. */
static const struct known *find_known(struct reading *reading, struct str name)
{
    for (size_t i = 0; i < reading->n_known; i++) {
        uint32_t bit = UINT32_C(1) << i;
        if (!is_name(name, reading->known[i].name) || reading->seen & bit)
            continue;
        reading->seen |= bit;
        return &reading->known[i];
    }
    return NULL;
}

static int complain(const struct reading *reading, struct str name, enum kind kind,
                    struct str *ret_reason)
{
    struct str reason = arena_format(reading->arena, "malformed parameter %.*s: %s is expected",
                                     STR_ARGS(name), expectations[kind]);
    if (!reason.at)
        return -ENOMEM;

    *ret_reason = reason;
    return -EINVAL;
}

static int read_parameter(struct reading *reading, const struct query_parameter *parameter,
                          struct str *ret_reason)
{
    if (parameter->value.len == 0)
        return 0;

    const struct known *known = find_known(reading, parameter->name);
    if (!known)
        return 0;

    int r = read_value(known->kind, parameter->value, reading->arena,
                       (char *)reading->query + known->offset);
    return r < 0 && r != -ENOMEM ? complain(reading, parameter->name, known->kind, ret_reason) : r;
}

static int read_parameters(struct reading *reading, struct str parameters, struct str *ret_reason)
{
    struct query_parameter parameter;
    int                    more;

    while ((more = query_next(&parameters, reading->arena, &parameter)) > 0) {
        int r = read_parameter(reading, &parameter, ret_reason);
        if (r < 0)
            return r;
    }
    return more;
}

int find_query_read(struct str parameters, struct arena *arena, struct find_query *ret_query,
                    struct str *ret_reason)
{
    struct find_query query = {.start_max_ns = UINT64_MAX, .duration_max_ns = UINT64_MAX};
    struct reading    reading = {find_parameters, ARRAY_LENGTH(find_parameters), &query, arena};

    int r = read_parameters(&reading, parameters, ret_reason);
    if (r < 0)
        return r;
    if (query.max_traces == 0)
        query.max_traces = FIND_QUERY_DEFAULT_TRACES;
    *ret_query = query;
    return 0;
}

static bool is_within_times(const struct find_query *query, const struct kept_span *span)
{
    return span->start_ns >= query->start_min_ns &&
           (span->start_ns < query->start_max_ns || query->start_max_ns == UINT64_MAX);
}

static bool is_within_durations(const struct find_query *query, const struct kept_span *span)
{
    uint64_t duration_ns = span->end_ns > span->start_ns ? span->end_ns - span->start_ns : 0;
    return duration_ns >= query->duration_min_ns && duration_ns <= query->duration_max_ns;
}

static bool is_asked_for(struct str wanted, struct str seen)
{
    return wanted.len == 0 || str_equal(wanted, seen);
}

bool find_query_matches(const struct find_query *query, const struct kept_span *span)
{
    return is_asked_for(query->service_name, span->context->service_name) &&
           is_asked_for(query->operation_name, span->name) && is_within_times(query, span) &&
           is_within_durations(query, span) && attribute_filter_matches(query->attributes, span);
}

int get_query_read(struct str parameters, struct arena *arena, struct get_query *ret_query,
                   struct str *ret_reason)
{
    struct get_query query = {0};
    struct reading   reading = {get_parameters, ARRAY_LENGTH(get_parameters), &query, arena};

    int r = read_parameters(&reading, parameters, ret_reason);
    if (r == 0)
        *ret_query = query;
    return r;
}

int trace_id_query_read(struct str digits, struct trace_id *ret_id)
{
    char padded[TRACE_ID_HEX_LENGTH];

    if (digits.len == 0 || digits.len > sizeof(padded))
        return -EINVAL;

    size_t n_zeros = sizeof(padded) - digits.len;
    memset(padded, '0', n_zeros);
    memcpy(padded + n_zeros, digits.at, digits.len);
    return trace_id_parse((struct str){padded, sizeof(padded)}, ret_id);
}

int operations_query_read(struct str parameters, struct arena *arena,
                          struct operations_query *ret_query, struct str *ret_reason)
{
    struct operations_query query = {0};
    struct reading reading = {operations_parameters, ARRAY_LENGTH(operations_parameters), &query,
                              arena};

    int r = read_parameters(&reading, parameters, ret_reason);
    if (r == 0)
        *ret_query = query;
    return r;
}
