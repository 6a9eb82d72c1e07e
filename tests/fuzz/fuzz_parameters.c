/*
 * A query, after the headers of its request as "name: value" lines. Whatever it
 * says, it adds only headers that a request could have, and changes none.
 */

#include "server/parameters.h"

#include <assert.h>

#include "common/base/arena.h"
#include "common/base/cleanup.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_INPUT_BYTES = 16 * 1024, ARENA_BYTES = 1 << 20 };

/* The last line is the query, and stays in `input`. */
static struct metadata read_headers(struct str *input, struct arena *arena)
{
    struct metadata headers = {0};
    struct str      line, rest, name, value;

    while (str_split(*input, '\n', &line, &rest)) {
        if (str_split(line, ':', &name, &value))
            assert(metadata_add(&headers, arena, name, str_trim(value)) == 0);
        *input = rest;
    }
    return headers;
}

static void check_added(const struct metadata *headers, const struct field *added)
{
    assert(!metadata_find(headers, added->name).at);
    assert(added->value.len > 0);
    assert(metadata_is_value(added->value));
    assert(str_equal(str_trim(added->value), added->value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > MAX_INPUT_BYTES)
        return 0;

    cleanup_with(arena_free_at) struct arena *arena = arena_new(ARENA_BYTES);
    struct str                                query = fuzz_input(data, size);
    struct metadata                           headers = read_headers(&query, arena);
    struct parameters                         parameters;

    assert(parameters_read(query, &headers, arena, &parameters) == 0);
    size_t n_added = parameters.headers.count - headers.count;
    assert(n_added + parameters.n_ignored <= PARAMETERS_MAX_HEADERS);
    for (size_t i = 0; i < headers.count; i++)
        assert(str_equal(parameters.headers.fields[i].value, headers.fields[i].value));
    for (size_t i = 0; i < n_added; i++)
        check_added(&headers, &parameters.headers.fields[headers.count + i]);
    return 0;
}
