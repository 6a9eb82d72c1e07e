#include "common/base/base64.h"

#include <errno.h>

static int digit_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

/* Padding fills up the last four; one that does not is left to be refused as digits. */
static struct str without_padding(struct str base64)
{
    if (base64.len % 4 != 0)
        return base64;
    for (int i = 0; i < 2 && base64.len > 0 && base64.at[base64.len - 1] == '='; i++)
        base64.len--;
    return base64;
}

size_t base64_decoded_size(struct str base64)
{
    return base64.len / 4 * 3 + base64.len % 4 * 3 / 4;
}

int base64_decode(struct str base64, uint8_t *ret_bytes, size_t *ret_len)
{
    struct str digits = without_padding(base64);
    uint32_t   bits = 0;
    size_t     len = 0;

    if (digits.len % 4 == 1)
        return -EINVAL;

    for (size_t i = 0; i < digits.len; i++) {
        int value = digit_value(digits.at[i]);
        if (value < 0)
            return -EINVAL;
        bits = bits << 6 | (uint32_t)value;
        if (i % 4 != 0)
            ret_bytes[len++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    *ret_len = len;
    return 0;
}

/* One to three bytes as four characters. */
static void add_group(struct text *text, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    uint32_t bits = (uint32_t)bytes[0] << 16;
    if (n > 1)
        bits |= (uint32_t)bytes[1] << 8;
    if (n > 2)
        bits |= bytes[2];

    char group[4] = {digits[bits >> 18], digits[bits >> 12 & 63], '=', '='};
    if (n > 1)
        group[2] = digits[bits >> 6 & 63];
    if (n > 2)
        group[3] = digits[bits & 63];
    text_add(text, (struct str){group, sizeof(group)});
}

void text_add_base64(struct text *text, struct str bytes)
{
    for (size_t i = 0; i < bytes.len; i += 3)
        add_group(text, (const uint8_t *)bytes.at + i, bytes.len - i < 3 ? bytes.len - i : 3);
}
