#pragma once

/*
 * Base64 (RFC 4648), as protobuf's JSON mapping has it. Reads the standard alphabet and the
 * one that is safe in URLs, with padding or without; writes the standard one, with padding.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"
#include "common/base/text.h"

/* At most how many bytes `base64` stands for. */
size_t base64_decoded_size(struct str base64);

/* To `ret_bytes`, which has room for that many. 0 and their number, or -EINVAL. */
int base64_decode(struct str base64, uint8_t *ret_bytes, size_t *ret_len);

void text_add_base64(struct text *text, struct str bytes);
