#pragma once

/*
 * Settings: one table per program says what can be set. The table reads the
 * environment and the command line, checks every value, and prints --help, so
 * the three cannot disagree.
 *
 * A setting HTTP_LISTEN is the variable of that name and the flag --http-listen
 * (`--http-listen VALUE` or `--http-listen=VALUE`); the flag wins. An empty
 * value counts as unset. An unknown flag is an error, an unknown variable is not.
 *
 * Threads: at start-up, before any other.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/str.h"

struct arena;

enum setting_kind {
    SETTING_TEXT,     /* struct str */
    SETTING_CHOICE,   /* int: index into `choices` */
    SETTING_SWITCH,   /* bool: true or false */
    SETTING_INTEGER,  /* uint64_t within [min, max] */
    SETTING_DECIMAL,  /* double within [min, max] */
    SETTING_DURATION, /* int64_t nanoseconds within [min, max]; see units.h */
    SETTING_MILLIS,   /* int64_t nanoseconds, written as plain milliseconds (OTEL_BSP_*) */
    SETTING_BYTES,    /* uint64_t within [min, max]; see units.h */
    SETTING_LISTEN,   /* struct listen_address */
};

struct setting {
    const char       *name;          /* the variable */
    enum setting_kind kind;          /* says what is at `offset` */
    size_t            offset;        /* of the value in the program's configuration */
    const char       *default_value; /* as a user would write it; NULL: empty text */
    const char       *choices;       /* CHOICE: "json|text" */
    double            min, max;      /* in the unit of the stored value; max 0: no limit */
    const char       *help;          /* one sentence */
};

/*
 * Where to listen: "0.0.0.0:8080", "[::]:8080", "localhost:0"; port 0 lets the system pick one.
 * ":8080" is every IPv4 address; settings_read completes its text to "0.0.0.0:8080".
 */
struct listen_address {
    struct str text; /* NUL-terminated */
    struct str host; /* without brackets */
    uint16_t   port;
};

/* Views into `text`. 0 or -EINVAL. */
int listen_address_parse(struct str text, struct listen_address *ret_address);

/* A fixed variable lookup in tests, getenv in programs. */
typedef char *settings_lookup_fn(const char *name);

enum settings_outcome { SETTINGS_READY, SETTINGS_HELP, SETTINGS_VERSION };

/*
 * Fills `values` (a struct of the program's own, laid out as the table says) from
 * defaults, environment and `argv`. Texts live in `arena` or in argv/environ.
 * Returns an outcome (--help, and --version alone, are for the caller to print), or
 * -EINVAL (-ENOMEM) with a line for the user in `error`: which setting, which
 * value, what is wrong with it, what would be right.
 */
int settings_read(const struct setting table[], size_t n_settings, void *values, int argc,
                  char *argv[], settings_lookup_fn *lookup, struct arena *arena, char *error,
                  size_t error_size);

/* The table as text for --help: variable, flag, default, meaning. */
void settings_print_help(const struct setting table[], size_t n_settings, FILE *to);
