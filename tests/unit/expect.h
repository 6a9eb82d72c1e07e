#pragma once

/*
 * Expect: cmocka's assertions for our strings. They show what they saw.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/str.h"

#define expect_str(saw, expected) expect_str_in(saw, expected, __FILE__, __LINE__)
#define expect_absent(saw) expect_absent_in(saw, __FILE__, __LINE__)

static inline void expect_str_in(struct str saw, struct str expected, const char *file, int line)
{
    if (str_equal(saw, expected))
        return;
    print_error("saw      \"%.*s\"\nexpected \"%.*s\"\n", STR_ARGS(saw), STR_ARGS(expected));
    _fail(file, line);
}

static inline void expect_absent_in(struct str saw, const char *file, int line)
{
    if (!saw.at)
        return;
    print_error("saw \"%.*s\", expected nothing\n", STR_ARGS(saw));
    _fail(file, line);
}
