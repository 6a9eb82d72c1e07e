#pragma once

/*
 * Checksum: CRC-32 (ISO-HDLC, as gzip has it), by libdeflate. Pure.
 */

#include <stdint.h>

#include "common/base/str.h"

/* Goes on from `crc`, the checksum of what came before; 0 to begin with. */
uint32_t checksum_crc32(uint32_t crc, struct str bytes);
