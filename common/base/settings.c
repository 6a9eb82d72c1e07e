#include "common/base/settings.h"

#include <errno.h>

#include "common/base/settings_private.h"

enum { MAX_SHOWN_BYTES = 80 };

struct reading {
    const struct setting *table;
    size_t                n_settings;
    int                   argc;
    char                **argv;
    settings_lookup_fn   *lookup;
    struct arena         *arena;
    struct text           error;
};

struct argument {
    struct str  name;  /* what follows "--"; absent when it does not begin so */
    const char *value; /* NULL: there is none */
};

/* A value as it was given, and how. */
struct given {
    const char *value;
    bool        is_flag;
};

/* The argument at `*at`, which moves past it and its value. */
static bool next_argument(const struct reading *reading, int *at, struct argument *ret_argument)
{
    if (*at >= reading->argc)
        return false;

    const char     *whole = reading->argv[(*at)++];
    struct argument argument = {0};
    if (strncmp(whole, "--", 2) == 0) {
        argument.name = str_from(whole + 2);
        struct str value;
        if (str_split(argument.name, '=', &argument.name, &value))
            argument.value = value.at;
        else if (*at < reading->argc && strncmp(reading->argv[*at], "--", 2) != 0)
            argument.value = reading->argv[(*at)++];
    }
    *ret_argument = argument;
    return true;
}

static char flag_character(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    if (c == '_')
        return '-';
    return c;
}

static bool is_flag_of(const struct setting *setting, struct str name)
{
    struct str variable = str_from(setting->name);
    if (variable.len != name.len)
        return false;

    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] != flag_character(variable.at[i]))
            return false;
    return true;
}

void setting_add_flag(struct text *text, const struct setting *setting)
{
    text_add(text, STR("--"));
    for (const char *c = setting->name; *c; c++)
        text_add_char(text, flag_character(*c));
}

static bool has_setting(const struct reading *reading, struct str flag)
{
    for (size_t i = 0; i < reading->n_settings; i++)
        if (is_flag_of(&reading->table[i], flag))
            return true;
    return false;
}

static void add_quoted(struct text *text, struct str s)
{
    bool is_long = s.len > MAX_SHOWN_BYTES;

    text_add_json(text, (struct str){s.at, is_long ? MAX_SHOWN_BYTES : s.len});
    text_add(text, is_long ? STR("...") : STR(""));
}

static int complain_argument(struct reading *reading, struct str argument, struct str complaint)
{
    add_quoted(&reading->error, argument);
    text_add(&reading->error, complaint);
    return -EINVAL;
}

static int check_argument(struct reading *reading, const char *whole,
                          const struct argument *argument)
{
    if (!argument->name.at)
        return complain_argument(reading, str_from(whole),
                                 STR(": settings are given as --name VALUE; --help lists them"));

    struct str flag = {whole, strlen("--") + argument->name.len};
    if (!has_setting(reading, argument->name))
        return complain_argument(reading, flag,
                                 STR(": there is no such setting; --help lists them"));
    if (!argument->value)
        return complain_argument(reading, flag, STR(": its value is missing"));
    return 0;
}

static int check_arguments(struct reading *reading)
{
    struct argument argument;

    for (int at = 1, start = at; next_argument(reading, &at, &argument); start = at) {
        int r = check_argument(reading, reading->argv[start], &argument);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool has_word(const struct reading *reading, const char *word)
{
    for (int i = 1; i < reading->argc; i++)
        if (strcmp(reading->argv[i], word) == 0)
            return true;
    return false;
}

/* The last flag wins. */
static const char *find_flag(const struct reading *reading, const struct setting *setting)
{
    struct argument argument;
    const char     *value = NULL;

    for (int at = 1; next_argument(reading, &at, &argument);)
        if (is_flag_of(setting, argument.name))
            value = argument.value;
    return value;
}

static bool is_set(const char *value)
{
    return value && *value;
}

static struct given find_value(const struct reading *reading, const struct setting *setting)
{
    const char *flag = find_flag(reading, setting);
    if (is_set(flag))
        return (struct given){.value = flag, .is_flag = true};

    const char *variable = reading->lookup(setting->name);
    if (is_set(variable))
        return (struct given){.value = variable};
    return (struct given){.value = setting->default_value ? setting->default_value : ""};
}

static void complain(struct reading *reading, const struct setting *setting, struct given given)
{
    if (given.is_flag)
        setting_add_flag(&reading->error, setting);
    else
        text_add(&reading->error, str_from(setting->name));
    text_add(&reading->error, STR(": "));
    add_quoted(&reading->error, str_from(given.value));
}

static int complain_form(struct reading *reading, const struct setting *setting, struct given given)
{
    complain(reading, setting, given);
    text_add(&reading->error, STR(" is not "));
    setting_add_form(&reading->error, setting);
    return -EINVAL;
}

static int complain_size(struct reading *reading, const struct setting *setting, struct given given,
                         bool is_large)
{
    double limit = is_large ? setting->max : setting->min;

    complain(reading, setting, given);
    text_add(&reading->error, is_large ? STR(" is too large") : STR(" is too small"));
    if (limit > 0) {
        text_add(&reading->error, is_large ? STR(" (at most ") : STR(" (at least "));
        setting_add_number(&reading->error, setting, limit);
        text_add_char(&reading->error, ')');
    }
    return -EINVAL;
}

static int read_setting(struct reading *reading, const struct setting *setting, void *at)
{
    struct given        given = find_value(reading, setting);
    struct setting_slot slot = {
        .setting = setting,
        .text = str_from(given.value),
        .arena = reading->arena,
        .at = at,
        .number = setting->min,
    };

    int r = setting_store(&slot);
    if (r == -EINVAL)
        return complain_form(reading, setting, given);
    if (r == -ERANGE || (setting->max > 0 && slot.number > setting->max))
        return complain_size(reading, setting, given, /* is_large= */ true);
    if (slot.number < setting->min)
        return complain_size(reading, setting, given, /* is_large= */ false);
    return r;
}

static int read_all(struct reading *reading, void *values)
{
    if (has_word(reading, "--help"))
        return SETTINGS_HELP;
    /* Alone; with a value it is the flag of a setting VERSION. */
    if (reading->argc == 2 && has_word(reading, "--version"))
        return SETTINGS_VERSION;

    int r = check_arguments(reading);
    for (size_t i = 0; r == 0 && i < reading->n_settings; i++)
        r = read_setting(reading, &reading->table[i], (char *)values + reading->table[i].offset);
    if (r == -ENOMEM)
        text_add(&reading->error, STR("there is not enough memory for the settings"));
    return r < 0 ? r : SETTINGS_READY;
}

int settings_read(const struct setting table[], size_t n_settings, void *values, int argc,
                  char *argv[], settings_lookup_fn *lookup, struct arena *arena, char *error,
                  size_t error_size)
{
    struct reading reading = {
        .table = table,
        .n_settings = n_settings,
        .argc = argc,
        .argv = argv,
        .lookup = lookup,
        .arena = arena,
        .error = text_in_buffer(error, error_size - 1),
    };

    int r = read_all(&reading, values);
    error[reading.error.len] = '\0';
    return r;
}
