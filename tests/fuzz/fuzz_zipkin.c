/*
 * A list of Zipkin spans, in the form that the first byte tells ('[': JSON), becomes bytes that
 * the skim lets pass; each span is in them or counted.
 */

#include <assert.h>
#include <errno.h>

#include "collector/spans/skim.h"
#include "collector/spans/zipkin.h"
#include "common/base/arena.h"
#include "tests/fuzz/fuzz.h"

enum { ARENA_BYTES = 64 << 20, MAX_BYTES = 1 << 20, SMALL_BYTES = 128 };

static int read_list(struct str input, size_t max_bytes, struct arena *arena,
                     struct zipkin_result *ret_result)
{
    if (input.len > 0 && input.at[0] == '[')
        return zipkin_read_json(input, max_bytes, arena, ret_result);
    return zipkin_read_protobuf(input, max_bytes, arena, ret_result);
}

static void check_result(const struct zipkin_result *result)
{
    const char *skim_reason;
    uint32_t    n_spans;

    assert(skim_request(result->request, &n_spans, &skim_reason) == 0);
    assert(n_spans == result->n_spans);
    assert((result->n_bad > 0) == (result->reason.len > 0));
    assert((result->n_spans > 0) == (result->request.len > 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str                                input = fuzz_input(data, size);
    cleanup_with(arena_free_at) struct arena *arena = arena_new(ARENA_BYTES);

    assert(arena);
    struct zipkin_result result = {0}, small;

    int r = read_list(input, MAX_BYTES, arena, &result);
    if (r < 0) {
        assert(r == -E2BIG || (r == -EBADMSG && result.reason.len > 0));
        return 0;
    }
    check_result(&result);

    int small_r = read_list(input, SMALL_BYTES, arena, &small);
    assert(small_r == 0 || small_r == -E2BIG);
    assert(small_r < 0 || str_equal(small.request, result.request));
    return 0;
}
