#include "common/edge/checksum.h"

#include <libdeflate.h>

uint32_t checksum_crc32(uint32_t crc, struct str bytes)
{
    return libdeflate_crc32(crc, bytes.at, bytes.len);
}
