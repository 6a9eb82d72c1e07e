#pragma once

/*
 * Hex: bytes as pairs of digits.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"
#include "common/base/text.h"

/* The value of a digit of either case, or -1. */
int hex_digit(char c);

/* An even number of digits, of either case, to half as many bytes. False when they are not that. */
bool hex_decode(struct str hex, uint8_t *ret_bytes);

/* In lower case. */
void text_add_hex(struct text *text, struct str bytes);
