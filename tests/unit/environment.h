#pragma once

/*
 * Environment: the variables that a test of settings gives to a program.
 */

#include <string.h>

/* Name, value, name, value, NULL. NULL: there are none. */
static const char *const *environment;

/* A settings_lookup_fn. */
static inline char *lookup(const char *name)
{
    for (const char *const *pair = environment; pair && *pair; pair += 2) {
        if (strcmp(pair[0], name) == 0)
            return (char *)pair[1];
    }
    return NULL;
}
