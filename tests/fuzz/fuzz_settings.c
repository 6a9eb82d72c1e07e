/*
 * Settings, from lines: NAME=VALUE is a variable, anything else an argument. What
 * is taken is within its limits; what is not is explained in one readable line.
 */

#include <assert.h>

#include "common/base/arena.h"
#include "common/base/cleanup.h"
#include "common/base/settings.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_INPUT_BYTES = 4096, MAX_LINES = 32, ARENA_BYTES = 1 << 16 };

struct config {
    struct str            text;
    int                   choice;
    bool                  is_on;
    uint64_t              integer;
    double                decimal;
    int64_t               duration_ns;
    int64_t               millis_ns;
    uint64_t              bytes;
    struct listen_address listen;
};

#define AT(field) offsetof(struct config, field)

static const struct setting table[] = {
    {"TEXT", SETTING_TEXT, AT(text), NULL, NULL, 0, 0, "A text."},
    {"CHOICE", SETTING_CHOICE, AT(choice), "b", "a|b|c", 0, 0, "A choice."},
    {"IS_ON", SETTING_SWITCH, AT(is_on), "false", NULL, 0, 0, "A switch."},
    {"INTEGER", SETTING_INTEGER, AT(integer), "5", NULL, 2, 90, "A number."},
    {"DECIMAL", SETTING_DECIMAL, AT(decimal), "1", NULL, 0, 1, "A share."},
    {"DURATION", SETTING_DURATION, AT(duration_ns), "1s", NULL, 1, 1e12, "A duration."},
    {"MILLIS", SETTING_MILLIS, AT(millis_ns), "1", NULL, 0, 1e12, "A duration."},
    {"BYTES", SETTING_BYTES, AT(bytes), "1KiB", NULL, 1, 1 << 30, "A size."},
    {"LISTEN", SETTING_LISTEN, AT(listen), ":0", NULL, 0, 0, "An address."},
};

static char  *variables[MAX_LINES];
static size_t n_variables;

static char *look_up(const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < n_variables; i++)
        if (strncmp(variables[i], name, len) == 0 && variables[i][len] == '=')
            return variables[i] + len + 1;
    return NULL;
}

/* Sets the variables and the arguments; returns the number of these. */
static int read_lines(struct str input, struct arena *arena, char *argv[])
{
    struct str line;
    int        argc = 0;

    n_variables = 0;
    argv[argc++] = arena_zalloc(arena, 1);
    while (argc < MAX_LINES && n_variables < MAX_LINES && str_cut(&input, '\n', &line)) {
        char *copy = (char *)(uintptr_t)arena_copy(arena, line).at;
        if (copy[0] != '-' && strchr(copy, '='))
            variables[n_variables++] = copy;
        else
            argv[argc++] = copy;
    }
    return argc;
}

static void check_values(const struct config *config)
{
    assert(config->choice >= 0 && config->choice <= 2);
    assert(config->integer >= 2 && config->integer <= 90);
    assert(config->decimal >= 0 && config->decimal <= 1);
    assert(config->duration_ns >= 1 && config->duration_ns <= INT64_C(1000000000000));
    assert(config->millis_ns >= 0 && config->millis_ns <= INT64_C(1000000000000));
    assert(config->bytes >= 1 && config->bytes <= 1 << 30);
    assert(config->listen.host.len > 0);
    assert(config->listen.text.at[config->listen.text.len] == '\0');
}

static void check_error(struct str error)
{
    assert(error.len > 0);
    for (size_t i = 0; i < error.len; i++)
        assert((unsigned char)error.at[i] >= ' ');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config = {0};
    char         *argv[MAX_LINES + 1] = {0};
    char          error[512];

    if (size > MAX_INPUT_BYTES)
        return 0;

    struct arena *arena = arena_new(ARENA_BYTES);
    int           argc = read_lines(fuzz_input(data, size), arena, argv);
    int r = settings_read(table, ARRAY_LENGTH(table), &config, argc, argv, look_up, arena, error,
                          sizeof(error));
    if (r == SETTINGS_READY)
        check_values(&config);
    else if (r < 0)
        check_error(str_from(error));
    arena_free(arena);
    return 0;
}
