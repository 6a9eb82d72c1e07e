/* Requests to JSON: any bytes do no harm, and what the skim lets pass can be read back. */

#include <assert.h>
#include <jansson.h>

#include "collector/spans/otlp_json.h"
#include "collector/spans/otlp_render.h"
#include "collector/spans/skim.h"
#include "common/base/arena.h"
#include "common/base/json.h"
#include "common/base/text.h"
#include "tests/fuzz/fuzz.h"

static const size_t max_arena_bytes = 64 << 20;

/* How deep objects and arrays are nested; brackets in strings do not count. */
static size_t nesting(struct str json)
{
    size_t depth = 0, deepest = 0;
    bool   is_string = false;

    for (size_t i = 0; i < json.len; i++) {
        char c = json.at[i];
        if (is_string && c == '\\')
            i++;
        else if (c == '"')
            is_string = !is_string;
        else if (!is_string && (c == '{' || c == '['))
            deepest = ++depth > deepest ? depth : deepest;
        else if (!is_string && (c == '}' || c == ']'))
            depth--;
    }
    return deepest;
}

static void expect_json(struct str json)
{
    json_error_t error;
    json_t      *document =
        json_loadb(json.at, json.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    assert(document);
    json_decref(document);
}

/* The bytes may differ, in the order of fields and by what is not shown; the JSON may not. */
static void expect_read_back(struct str json)
{
    struct arena *arena = arena_new(max_arena_bytes);
    struct text   again = text_on_heap(json.len);
    struct str    request, reason;

    assert(arena);
    assert(otlp_json_read(json, max_arena_bytes, arena, &request, &reason) == 0);
    otlp_render(&otlp_export_request, request, &again);
    assert(str_equal(text_view(&again), json));
    text_done(&again);
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str  input = fuzz_input(data, size);
    struct text json = text_on_heap(4096);
    uint32_t    n_spans;
    const char *reason;

    otlp_render(&otlp_export_request, input, &json);
    expect_json(text_view(&json));
    if (skim_request(input, &n_spans, &reason) == 0 && nesting(text_view(&json)) <= JSON_MAX_DEPTH)
        expect_read_back(text_view(&json));
    text_done(&json);
    return 0;
}
