/*
 * Jansson is the judge: what it takes we take, and with the same content. Known differences: it
 * goes 2048 levels deep, takes a NUL byte for the end, refuses an escaped one in a name, and a
 * number beyond a double, which here is up to who wants a double.
 */

#include <assert.h>
#include <errno.h>
#include <jansson.h>

#include "common/base/arena.h"
#include "common/base/json.h"
#include "tests/fuzz/fuzz.h"

enum { ARENA_BYTES = 16 << 20 };

struct reading {
    struct json_cursor cursor;
    bool               is_beyond_jansson;
};

static json_t *build(struct reading *reading, const struct json_value *value);

static json_t *build_object(struct reading *reading)
{
    json_t           *object = json_object();
    struct str        name;
    struct json_value value;

    while (json_next_member(&reading->cursor, &name, &value)) {
        reading->is_beyond_jansson |= memchr(name.at, '\0', name.len) != NULL;
        (void)json_object_setn_new(object, name.at, name.len, build(reading, &value));
    }
    return object;
}

static json_t *build_array(struct reading *reading)
{
    json_t           *array = json_array();
    struct json_value value;

    while (json_next_element(&reading->cursor, &value))
        (void)json_array_append_new(array, build(reading, &value));
    return array;
}

static json_t *build_number(struct reading *reading, struct str text)
{
    double   number = 0;
    int64_t  whole;
    uint64_t whole_unsigned;

    int r = json_to_double(text, &number);
    assert(r == 0 || r == -ERANGE);
    reading->is_beyond_jansson |= r < 0;
    if (json_to_int64(text, &whole) == 0)
        assert((double)whole == number);
    if (json_to_uint64(text, &whole_unsigned) == 0)
        assert((double)whole_unsigned == number);
    return json_real(number);
}

static json_t *build(struct reading *reading, const struct json_value *value)
{
    switch (value->kind) {
    case JSON_KIND_OBJECT:
        return build_object(reading);
    case JSON_KIND_ARRAY:
        return build_array(reading);
    case JSON_KIND_STRING:
        assert(str_is_utf8(value->text));
        return json_stringn(value->text.at, value->text.len);
    case JSON_KIND_NUMBER:
        return build_number(reading, value->text);
    case JSON_KIND_BOOL:
        return json_boolean(value->is_true);
    case JSON_KIND_NULL:
        break;
    }
    return json_null();
}

/* Reading and skipping see the same errors, at the same place. */
static void check_skipped(struct str input, const struct json_cursor *read)
{
    struct json_cursor cursor = json_cursor(input, NULL);
    struct json_value  value;

    /* The outermost string would be kept. */
    if (input.len > 0 && (input.at[0] == '[' || input.at[0] == '{')) {
        if (json_root(&cursor, &value))
            json_skip(&cursor, &value);
        assert(json_end(&cursor) == read->error);
        assert(cursor.reason == read->reason && cursor.at == read->at);
    }
}

static void compare(struct str input, const struct reading *reading, json_t *ours)
{
    size_t  flags = JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL;
    json_t *theirs = json_loadb(input.at, input.len, flags, NULL);
    bool    is_too_deep =
        reading->cursor.reason && strcmp(reading->cursor.reason, "it nests too deep") == 0;

    bool has_nul = input.len > 0 && memchr(input.at, '\0', input.len);

    assert(!has_nul || reading->cursor.error);
    if (!is_too_deep && !has_nul && !reading->is_beyond_jansson) {
        assert((theirs != NULL) == (reading->cursor.error == 0));
        assert(!theirs || json_equal(ours, theirs));
    }
    json_decref(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str                                input = fuzz_input(data, size);
    cleanup_with(arena_free_at) struct arena *arena = arena_new(ARENA_BYTES);

    assert(arena);
    struct reading    reading = {.cursor = json_cursor(input, arena)};
    struct json_value value;
    json_t           *ours = NULL;

    if (json_root(&reading.cursor, &value))
        ours = build(&reading, &value);
    (void)json_end(&reading.cursor);
    assert(arena_used_bytes(arena) <= size);

    check_skipped(input, &reading.cursor);
    compare(input, &reading, ours);
    json_decref(ours);
    return 0;
}
