/* Parameters of the query API: any bytes are read, or refused with a reason. */

#include <assert.h>
#include <errno.h>

#include "collector/recent/api_query.h"
#include "common/base/arena.h"
#include "common/base/hex.h"
#include "common/base/query.h"
#include "common/base/text.h"
#include "tests/fuzz/fuzz.h"

static const size_t max_arena_bytes = 8 << 20;

static void add_encoded(struct text *to, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        text_add_char(to, '%');
        text_add_hex(to, (struct str){s.at + i, 1});
    }
}

/* A parameter with each of its bytes as a code means the same. */
static void check_codes(const struct query_parameter *parameter, struct arena *arena)
{
    struct text            text = text_in_arena(arena, 256);
    struct query_parameter again;

    add_encoded(&text, parameter->name);
    text_add_char(&text, '=');
    add_encoded(&text, parameter->value);

    struct str encoded = text_view(&text);
    if (text.is_cut || query_next(&encoded, arena, &again) < 0)
        return;
    assert(str_equal(again.name, parameter->name));
    assert(str_equal(again.value, parameter->value));
}

static void check_parameters(struct str input, struct arena *arena)
{
    struct query_parameter parameter;

    while (query_next(&input, arena, &parameter) > 0)
        check_codes(&parameter, arena);
}

static void check_result(int r, struct str reason)
{
    assert(r == 0 || r == -EINVAL || r == -ENOMEM);
    assert(r != -EINVAL || str_starts_with(reason, STR("malformed parameter ")));
}

static void check_queries(struct str input, struct arena *arena)
{
    struct find_query       find;
    struct get_query        get;
    struct operations_query operations;
    struct str              reason = {0};

    int r = find_query_read(input, arena, &find, &reason);
    check_result(r, reason);
    assert(r < 0 || find.max_traces > 0);
    check_result(get_query_read(input, arena, &get, &reason), reason);
    check_result(operations_query_read(input, arena, &operations, &reason), reason);
}

static void check_id(struct str input)
{
    struct trace_id id;

    if (trace_id_query_read(input, &id) == 0)
        assert(!trace_id_is_zero(&id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str    input = fuzz_input(data, size);
    struct arena *arena = arena_new(max_arena_bytes);

    assert(arena);
    check_parameters(input, arena);
    check_queries(input, arena);
    check_id(input);
    arena_free(arena);
    return 0;
}
