/*
 * Any header has an answer, and empty elements (RFC 9110, 5.6.1) do not change it.
 */

#include "server/accept.h"

#include <assert.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str                          input = fuzz_input(data, size);
    cleanup_with(text_done) struct text padded = text_on_heap(size + 4);
    enum form                           form = accept_negotiate(input);

    text_add(&padded, STR(", "));
    text_add(&padded, input);
    text_add(&padded, STR(" ,"));
    assert(form < FORM_COUNT);
    assert(accept_negotiate(text_view(&padded)) == form);
    return 0;
}
