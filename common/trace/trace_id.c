#include "common/trace/trace_id.h"

#include <errno.h>

#include "common/base/hex.h"
#include "common/base/random.h"

enum { SHORT_TRACE_ID_HEX_LENGTH = 16 };

struct trace_id trace_id_new(void)
{
    uint64_t        random[2] = {random_id(), random_id()};
    struct trace_id id;
    memcpy(id.bytes, random, sizeof(id.bytes));
    return id;
}

struct span_id span_id_new(void)
{
    uint64_t       random = random_id();
    struct span_id id;
    memcpy(id.bytes, &random, sizeof(id.bytes));
    return id;
}

bool trace_id_is_zero(const struct trace_id *id)
{
    return trace_id_equal(id, &(struct trace_id){{0}});
}

bool span_id_is_zero(const struct span_id *id)
{
    return span_id_equal(id, &(struct span_id){{0}});
}

bool trace_id_equal(const struct trace_id *a, const struct trace_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool span_id_equal(const struct span_id *a, const struct span_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

int trace_id_parse(struct str hex, struct trace_id *ret_id)
{
    if (hex.len != TRACE_ID_HEX_LENGTH && hex.len != SHORT_TRACE_ID_HEX_LENGTH)
        return -EINVAL;

    struct trace_id id = {{0}};
    size_t          padding = sizeof(id.bytes) - hex.len / 2;
    if (!hex_decode(hex, id.bytes + padding) || trace_id_is_zero(&id))
        return -EINVAL;

    *ret_id = id;
    return 0;
}

int span_id_parse(struct str hex, struct span_id *ret_id)
{
    struct span_id id = {{0}};
    if (hex.len != SPAN_ID_HEX_LENGTH || !hex_decode(hex, id.bytes) || span_id_is_zero(&id))
        return -EINVAL;

    *ret_id = id;
    return 0;
}

static struct str format_hex(const uint8_t *bytes, size_t n_bytes, char *hex)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n_bytes; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 0xf];
    }
    return (struct str){.at = hex, .len = 2 * n_bytes};
}

struct str trace_id_format(const struct trace_id *id, char hex[TRACE_ID_HEX_LENGTH])
{
    return format_hex(id->bytes, sizeof(id->bytes), hex);
}

struct str span_id_format(const struct span_id *id, char hex[SPAN_ID_HEX_LENGTH])
{
    return format_hex(id->bytes, sizeof(id->bytes), hex);
}
