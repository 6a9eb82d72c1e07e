/* Uris, as users write them: what is taken can be written down again and means the same. */

#include <assert.h>

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/base/uri.h"
#include "tests/fuzz/fuzz.h"

static const struct str schemes[] = {
    [URI_GRPC] = STR_INIT("grpc://"),
    [URI_GRPCS] = STR_INIT("grpcs://"),
    [URI_HTTP] = STR_INIT("http://"),
    [URI_HTTPS] = STR_INIT("https://"),
};

static bool is_within(struct str part, struct str whole)
{
    return part.at >= whole.at && part.at + part.len <= whole.at + whole.len;
}

static void check_parts(const struct uri *uri)
{
    assert(uri->port != 0);
    assert(uri->is_ipv6 ? uri_is_ipv6_address(uri->host) : uri_is_host(uri->host));
    assert(is_within(uri->host, uri->text));
    assert(str_starts_with(uri->path, STR("/")));
    assert(is_within(uri->path, uri->text) || str_equal(uri->path, STR("/")));
    for (size_t i = 0; i < uri->path.len; i++)
        assert(uri->path.at[i] > ' ' && uri->path.at[i] <= '~');
}

static void check_round_trip(const struct uri *uri)
{
    struct text text = text_on_heap(uri->text.len + 32);
    struct uri  again;

    text_add(&text, schemes[uri->scheme]);
    text_add(&text, uri->is_ipv6 ? STR("[") : STR(""));
    text_add(&text, uri->host);
    text_add(&text, uri->is_ipv6 ? STR("]:") : STR(":"));
    text_add_uint(&text, uri->port);
    text_add(&text, uri->path);

    assert(uri_parse(text_view(&text), &again, NULL) == 0);
    assert(again.scheme == uri->scheme && again.port == uri->port);
    assert(str_equal(again.host, uri->host) && str_equal(again.path, uri->path));
    text_done(&text);
}

static void check_addresses(struct str input)
{
    enum { MAX = 4 };
    struct uri  uris[MAX];
    size_t      count = 0;
    const char *reason = NULL;

    if (uri_parse_addresses(input, uris, MAX, &count, &reason) < 0) {
        assert(reason);
        return;
    }
    assert(count >= 1 && count <= MAX);
    for (size_t i = 0; i < count; i++) {
        assert(uris[i].scheme == uris[0].scheme);
        check_parts(&uris[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str  input = fuzz_input(data, size);
    struct uri  uri;
    const char *reason = NULL;

    if (uri_parse(input, &uri, &reason) == 0) {
        check_parts(&uri);
        check_round_trip(&uri);
    } else {
        assert(reason);
    }
    check_addresses(input);
    return 0;
}
