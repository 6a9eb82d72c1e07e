#include "common/base/settings_private.h"

enum { LINE_COLUMNS = 100, INDENT = 6, MAX_FLAG_BYTES = 64, MAX_MEANING_BYTES = 1024 };

struct columns {
    int name;
    int flag;
};

/* A table's widest names decide; a flag is its variable and two dashes. */
static struct columns measure(const struct setting table[], size_t n_settings)
{
    struct columns columns = {.name = (int)strlen("--version")};

    for (size_t i = 0; i < n_settings; i++) {
        int len = (int)strlen(table[i].name);
        columns.name = len > columns.name ? len : columns.name;
    }
    columns.flag = columns.name + 2;
    return columns;
}

static void print_row(FILE *to, struct columns columns, const char *name, const char *flag,
                      const char *default_value)
{
    int left = 2 + columns.name + 2 + columns.flag + 2;

    fprintf(to, "  %-*s  ", columns.name, name);
    if (!*default_value)
        fprintf(to, "%s\n", flag);
    else if (left + (int)strlen(default_value) <= LINE_COLUMNS)
        fprintf(to, "%-*s  %s\n", columns.flag, flag, default_value);
    else
        fprintf(to, "%s\n%*s%s\n", flag, INDENT, "", default_value);
}

static void print_wrapped(FILE *to, struct str text)
{
    struct str word;
    size_t     column = 0;

    while (str_cut(&text, ' ', &word)) {
        if (column > 0 && column + 1 + word.len > LINE_COLUMNS) {
            fputc('\n', to);
            column = 0;
        }
        column += (size_t)fprintf(to, "%*s%.*s", column > 0 ? 1 : INDENT, "", STR_ARGS(word));
    }
    fputc('\n', to);
}

static void add_limits(struct text *text, const struct setting *setting)
{
    bool has_min = setting->min > 0, has_max = setting->max > 0;

    if (has_min) {
        text_add(text, has_max ? STR(", from ") : STR(", at least "));
        setting_add_number(text, setting, setting->min);
    }
    if (has_max) {
        text_add(text, has_min ? STR(" to ") : STR(", at most "));
        setting_add_number(text, setting, setting->max);
    }
}

static void print_meaning(FILE *to, const struct setting *setting)
{
    char        buffer[MAX_MEANING_BYTES];
    struct text meaning = text_in_buffer(buffer, sizeof(buffer));

    text_add(&meaning, str_from(setting->help));
    if (setting->kind != SETTING_TEXT) {
        text_add(&meaning, STR(" Value: "));
        setting_add_form(&meaning, setting);
        add_limits(&meaning, setting);
        text_add_char(&meaning, '.');
    }
    print_wrapped(to, text_view(&meaning));
}

static void print_setting(FILE *to, struct columns columns, const struct setting *setting)
{
    char        buffer[MAX_FLAG_BYTES];
    struct text flag = text_in_buffer(buffer, sizeof(buffer));

    setting_add_flag(&flag, setting);
    text_add_char(&flag, '\0');
    print_row(to, columns, setting->name, buffer,
              setting->default_value ? setting->default_value : "");
    print_meaning(to, setting);
}

void settings_print_help(const struct setting table[], size_t n_settings, FILE *to)
{
    struct columns columns = measure(table, n_settings);

    print_row(to, columns, "VARIABLE", "FLAG", "DEFAULT");
    for (size_t i = 0; i < n_settings; i++)
        print_setting(to, columns, &table[i]);
    print_row(to, columns, "", "--help", "");
    print_wrapped(to, STR("Prints this and ends."));
    print_row(to, columns, "", "--version", "");
    print_wrapped(to, STR("Prints the version and ends."));
}
