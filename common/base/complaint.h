#pragma once

/*
 * Complaint: one line for the user about a setting that cannot be, in a buffer of the caller's.
 */

#include <stddef.h>

struct complaint {
    char  *text;
    size_t size;
};

/* Writes the line. -EINVAL, to be returned. */
int complain(struct complaint complaint, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
