#include "common/base/hex.h"

int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';

    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool hex_decode(struct str hex, uint8_t *ret_bytes)
{
    if (hex.len % 2 != 0)
        return false;

    for (size_t i = 0; i < hex.len; i += 2) {
        int high = hex_digit(hex.at[i]);
        int low = hex_digit(hex.at[i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret_bytes[i / 2] = (uint8_t)(high << 4 | low);
    }
    return true;
}

void text_add_hex(struct text *text, struct str bytes)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t byte = (uint8_t)bytes.at[i];
        char    pair[2] = {digits[byte >> 4], digits[byte & 15]};
        text_add(text, (struct str){pair, sizeof(pair)});
    }
}
