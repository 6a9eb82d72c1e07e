/*
 * A request in JSON becomes bytes that the skim lets pass, not larger than they may be; told as
 * JSON again they read as the same.
 */

#include <assert.h>
#include <errno.h>

#include "collector/spans/otlp_json.h"
#include "collector/spans/otlp_render.h"
#include "collector/spans/skim.h"
#include "common/base/arena.h"
#include "tests/fuzz/fuzz.h"

enum { ARENA_BYTES = 64 << 20, MAX_BYTES = 1 << 20, SMALL_BYTES = 64 };

static struct str rendered(struct str request, struct arena *arena)
{
    struct text text = text_in_arena(arena, 256);

    otlp_render(&otlp_export_request, request, &text);
    assert(!text.is_cut);
    return text_view(&text);
}

static void check_request(struct str request, struct arena *arena)
{
    const char *skim_reason;
    uint32_t    n_spans;
    struct str  again, reason = STR("");

    assert(skim_request(request, &n_spans, &skim_reason) == 0);
    struct str json = rendered(request, arena);
    assert(otlp_json_read(json, SIZE_MAX, arena, &again, &reason) == 0);
    assert(str_equal(rendered(again, arena), json));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str                                input = fuzz_input(data, size);
    cleanup_with(arena_free_at) struct arena *arena = arena_new(ARENA_BYTES);

    assert(arena);
    struct str request, small, reason = STR("");

    int r = otlp_json_read(input, MAX_BYTES, arena, &request, &reason);
    assert(r == 0 || (r == -EBADMSG && reason.len > 0 && reason.len < 512));
    assert(arena_used_bytes(arena) <= 3 * size + 1024);
    if (r < 0)
        return 0;

    int small_r = otlp_json_read(input, SMALL_BYTES, arena, &small, &reason);
    assert(small_r == (request.len > SMALL_BYTES ? -E2BIG : 0));
    check_request(request, arena);
    return 0;
}
