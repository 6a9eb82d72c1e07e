/*
 * A tree that was read can be written; what was written reads as the same tree,
 * in our reader and in the generated one; and each form of it is safe to show.
 */

#include <assert.h>
#include <tracehop/v1/hop.pb-c.h>

#include "server/render.h"
#include "server/reply_wire.h"
#include "tests/fuzz/fuzz.h"

enum { ARENA_BYTES = 16 << 20, MAX_DETAILS_BYTES = 4096 };

static void check_written(struct str bytes, struct arena *arena)
{
    struct reply *again = reply_decode(bytes, arena);
    assert(again);
    struct str again_bytes = reply_encode(again, arena);
    assert(again_bytes.at && str_equal(again_bytes, bytes));

    Tracehop__V1__CallReply *message =
        tracehop__v1__call_reply__unpack(NULL, bytes.len, (const uint8_t *)bytes.at);
    assert(message);
    tracehop__v1__call_reply__free_unpacked(message, NULL);
}

static void check_no_controls(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        assert((unsigned char)s.at[i] >= ' ' || s.at[i] == '\n');
}

static void check_rendered(const struct rendering *rendering)
{
    cleanup_with(text_done) struct text text = text_on_heap(1024);
    cleanup_with(text_done) struct text json = text_on_heap(1024);
    cleanup_with(text_done) struct text html = text_on_heap(8192);

    render_text(rendering, &text);
    render_json(rendering, &json);
    render_html(rendering, &html);
    check_no_controls(text_view(&text));
    check_no_controls(text_view(&json));
    assert(str_is_utf8(text_view(&text)));
    assert(str_is_utf8(text_view(&json)));
    assert(str_is_utf8(text_view(&html)));
}

static void check_details(const struct failure *failure, struct arena *arena)
{
    struct failure told = {.status = failure->status, .message = failure->message};
    struct str     details = failure_encode_details(failure, MAX_DETAILS_BYTES, arena);

    assert(details.len <= MAX_DETAILS_BYTES);
    failure_decode_details(details, arena, &told);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str                                input = fuzz_input(data, size);
    cleanup_with(arena_free_at) struct arena *arena = arena_new(ARENA_BYTES);
    struct failure                            failure = {.status = STATUS_UNKNOWN};

    failure_decode_details(input, arena, &failure);
    check_details(&failure, arena);

    struct reply *reply = reply_decode(input, arena);
    if (!reply)
        return 0;
    struct str bytes = reply_encode(reply, arena);
    if (bytes.at)
        check_written(bytes, arena);
    check_rendered(&(struct rendering){.reply = reply,
                                       .failure = &failure,
                                       .trace_url = input,
                                       .warning = input,
                                       .is_detailed = size % 2 == 1});
    return 0;
}
