#pragma once

/*
 * Fuzz: what libFuzzer, or the runner of a corpus, calls with each input. A
 * target checks what must hold for any input with assert.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline struct str fuzz_input(const uint8_t *data, size_t size)
{
    return (struct str){.at = (const char *)data, .len = size};
}
