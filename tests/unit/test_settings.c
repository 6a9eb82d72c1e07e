#include "common/base/settings.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "tests/unit/expect.h"

struct config {
    struct str            role;
    struct str            upstream;
    int                   log_format;
    bool                  is_disabled;
    uint64_t              batch_size;
    uint64_t              recent;
    double                ratio;
    int64_t               timeout_ns;
    int64_t               delay_ns;
    uint64_t              max_bytes;
    struct listen_address http;
};

#define AT(field) offsetof(struct config, field)

static const struct setting table[] = {
    {"ROLE", SETTING_TEXT, AT(role), "hop", NULL, 0, 0, "Who this is."},
    {"UPSTREAM_URI", SETTING_TEXT, AT(upstream), NULL, NULL, 0, 0,
     "The next hops, each grpc://, grpcs://, http:// or https://, with a comma between them; "
     "without any this is the last hop of the chain."},
    {"LOG_FORMAT", SETTING_CHOICE, AT(log_format), "json", "json|text|none", 0, 0,
     "How log lines look."},
    {"OTEL_SDK_DISABLED", SETTING_SWITCH, AT(is_disabled), "false", NULL, 0, 0, "No tracing."},
    {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", SETTING_INTEGER, AT(batch_size), "512", NULL, 1, 4096,
     "Spans in one export."},
    {"RECENT_TRACES", SETTING_INTEGER, AT(recent), "1000", NULL, 0, 0, "Traces to keep."},
    {"RATIO", SETTING_DECIMAL, AT(ratio), "1.0", NULL, 0, 1, "The share of traces."},
    {"UPSTREAM_TIMEOUT", SETTING_DURATION, AT(timeout_ns), "10s", NULL, NS_PER_MS, 600.0 * NS_PER_S,
     "How long a call may take."},
    {"OTEL_BSP_SCHEDULE_DELAY", SETTING_MILLIS, AT(delay_ns), "5000", NULL, 0, 60.0 * NS_PER_S,
     "How long spans are gathered."},
    {"JOURNAL_MAX_BYTES", SETTING_BYTES, AT(max_bytes), "1GiB", NULL, 1 << 20, 0,
     "How much is kept on disk."},
    {"HTTP_LISTEN", SETTING_LISTEN, AT(http), "0.0.0.0:8080", NULL, 0, 0, "Where HTTP is served."},
};

struct variable {
    const char *name;
    const char *value;
};

static const struct variable *environment;

static char *look_up(const char *name)
{
    for (const struct variable *v = environment; v && v->name; v++)
        if (strcmp(v->name, name) == 0)
            return (char *)(uintptr_t)v->value;
    return NULL;
}

struct trial {
    struct arena *arena;
    struct config config;
    char          error[300];
};

static int set_up(void **state)
{
    struct trial *trial = calloc(1, sizeof(*trial));
    trial->arena = arena_new(4096);
    environment = NULL;
    *state = trial;
    return 0;
}

static int tear_down(void **state)
{
    struct trial *trial = *state;
    arena_free(trial->arena);
    free(trial);
    return 0;
}

static int read_arguments(struct trial *trial, int argc, const char *const argv[])
{
    return settings_read(table, ARRAY_LENGTH(table), &trial->config, argc, (char **)(uintptr_t)argv,
                         look_up, trial->arena, trial->error, sizeof(trial->error));
}

/* Settings as read from these arguments. */
#define READ(trial, ...)                                                                        \
    read_arguments(trial, (int)ARRAY_LENGTH(((const char *const[]){"program", ##__VA_ARGS__})), \
                   (const char *const[]){"program", ##__VA_ARGS__})

static int read_variable(struct trial *trial, const char *name, const char *value)
{
    const struct variable variables[] = {{name, value}, {0}};

    environment = variables;
    int r = READ(trial);
    environment = NULL;
    return r;
}

static void without_anything_the_defaults_hold(void **state)
{
    struct trial *trial = *state;

    assert_int_equal(READ(trial), SETTINGS_READY);
    expect_str(trial->config.role, STR("hop"));
    expect_str(trial->config.upstream, STR(""));
    assert_int_equal(trial->config.log_format, 0);
    assert_false(trial->config.is_disabled);
    assert_int_equal(trial->config.batch_size, 512);
    assert_int_equal(trial->config.recent, 1000);
    assert_true(trial->config.ratio == 1.0);
    assert_int_equal(trial->config.timeout_ns, INT64_C(10) * NS_PER_S);
    assert_int_equal(trial->config.delay_ns, INT64_C(5) * NS_PER_S);
    assert_int_equal(trial->config.max_bytes, 1 << 30);
    expect_str(trial->config.http.host, STR("0.0.0.0"));
    assert_int_equal(trial->config.http.port, 8080);
    assert_string_equal(trial->error, "");
}

static void a_variable_wins_over_the_default(void **state)
{
    struct trial *trial = *state;
    environment = (const struct variable[]){{"ROLE", "backend"}, {"RATIO", "0.25"}, {0}};

    assert_int_equal(READ(trial), SETTINGS_READY);
    expect_str(trial->config.role, STR("backend"));
    assert_true(trial->config.ratio == 0.25);
}

static void a_flag_wins_over_the_variable(void **state)
{
    struct trial *trial = *state;
    environment = (const struct variable[]){{"ROLE", "backend"}, {0}};

    assert_int_equal(READ(trial, "--role", "frontend"), SETTINGS_READY);
    expect_str(trial->config.role, STR("frontend"));
    assert_int_equal(READ(trial, "--role=middleware"), SETTINGS_READY);
    expect_str(trial->config.role, STR("middleware"));
}

static void a_bad_variable_does_not_matter_when_a_flag_wins(void **state)
{
    environment = (const struct variable[]){{"RATIO", "nonsense"}, {0}};
    assert_int_equal(READ(*state, "--ratio", "0.5"), SETTINGS_READY);
}

static void empty_values_count_as_unset(void **state)
{
    struct trial *trial = *state;
    environment = (const struct variable[]){{"ROLE", "backend"}, {"RATIO", ""}, {0}};

    assert_int_equal(READ(trial, "--role="), SETTINGS_READY);
    expect_str(trial->config.role, STR("backend"));
    assert_true(trial->config.ratio == 1.0);
    assert_int_equal(READ(trial, "--role", ""), SETTINGS_READY);
    expect_str(trial->config.role, STR("backend"));
}

static void the_last_of_repeated_flags_wins(void **state)
{
    struct trial *trial = *state;
    assert_int_equal(READ(trial, "--role", "a", "--ratio=0", "--role", "b"), SETTINGS_READY);
    expect_str(trial->config.role, STR("b"));
}

static void a_value_may_hold_equals_signs_and_dashes(void **state)
{
    struct trial *trial = *state;

    assert_int_equal(READ(trial, "--upstream-uri=http://a/?b=c", "--role", "-x"), SETTINGS_READY);
    expect_str(trial->config.upstream, STR("http://a/?b=c"));
    expect_str(trial->config.role, STR("-x"));
    assert_int_equal(READ(trial, "--role=--x"), SETTINGS_READY);
    expect_str(trial->config.role, STR("--x"));
}

static void help_and_version_come_first(void **state)
{
    environment = (const struct variable[]){{"RATIO", "nonsense"}, {0}};
    assert_int_equal(READ(*state, "--help"), SETTINGS_HELP);
    assert_int_equal(READ(*state, "--version"), SETTINGS_VERSION);
    assert_int_equal(READ(*state, "--nonsense", "--help"), SETTINGS_HELP);
    assert_int_equal(READ(*state, "--version", "--help"), SETTINGS_HELP);
}

static void wrong_arguments_are_named(void **state)
{
    struct trial *trial = *state;

    assert_int_equal(READ(trial, "--no-such", "x"), -EINVAL);
    assert_string_equal(trial->error, "\"--no-such\": there is no such setting; --help lists them");
    assert_int_equal(READ(trial, "--ROLE", "x"), -EINVAL);
    assert_string_equal(trial->error, "\"--ROLE\": there is no such setting; --help lists them");
    assert_int_equal(READ(trial, "--http_listen", "x"), -EINVAL);
    assert_string_equal(trial->error,
                        "\"--http_listen\": there is no such setting; --help lists them");
    assert_int_equal(READ(trial, "--role"), -EINVAL);
    assert_string_equal(trial->error, "\"--role\": its value is missing");
    assert_int_equal(READ(trial, "--role", "--ratio", "1"), -EINVAL);
    assert_string_equal(trial->error, "\"--role\": its value is missing");
    assert_int_equal(READ(trial, "--role", "a", "b"), -EINVAL);
    assert_string_equal(trial->error,
                        "\"b\": settings are given as --name VALUE; --help lists them");
    assert_int_equal(READ(trial, "-r", "b"), -EINVAL);
    assert_string_equal(trial->error,
                        "\"-r\": settings are given as --name VALUE; --help lists them");
    assert_int_equal(READ(trial, "--no\x1B=x"), -EINVAL);
    assert_string_equal(trial->error,
                        "\"--no\\u001b\": there is no such setting; --help lists them");
    assert_int_equal(READ(trial, "--"), -EINVAL);
    assert_string_equal(trial->error, "\"--\": there is no such setting; --help lists them");
}

struct bad_value {
    const char *variable;
    const char *value;
    const char *error; /* what follows the variable and the value */
};

#define DURATION_FORM "is not a duration (a number and one of ns, us, ms, s, m, h)"
#define BYTES_FORM "is not a size (a whole number and one of B, KiB, MiB, GiB)"
#define LISTEN_FORM "is not an address to listen on (HOST:PORT, [IPV6]:PORT or :PORT)"

static const struct bad_value bad_values[] = {
    {"LOG_FORMAT", "xml", "is not one of json, text, none"},
    {"LOG_FORMAT", "jso", "is not one of json, text, none"},
    {"LOG_FORMAT", "json|text", "is not one of json, text, none"},
    {"OTEL_SDK_DISABLED", "yes", "is not true or false"},
    {"OTEL_SDK_DISABLED", "1", "is not true or false"},
    {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "many", "is not a whole number"},
    {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-1", "is not a whole number"},
    {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1.5", "is not a whole number"},
    {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0", "is too small (at least 1)"},
    {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4097", "is too large (at most 4096)"},
    {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "99999999999999999999", "is too large (at most 4096)"},
    {"RECENT_TRACES", "99999999999999999999", "is too large"},
    {"RATIO", "half", "is not a number, such as 0.5"},
    {"RATIO", "-0.5", "is not a number, such as 0.5"},
    {"RATIO", "1e-3", "is not a number, such as 0.5"},
    {"RATIO", "1.01", "is too large (at most 1)"},
    {"UPSTREAM_TIMEOUT", "10x", DURATION_FORM},
    {"UPSTREAM_TIMEOUT", "10", DURATION_FORM},
    {"UPSTREAM_TIMEOUT", "0s", "is too small (at least 1ms)"},
    {"UPSTREAM_TIMEOUT", "601s", "is too large (at most 10m)"},
    {"UPSTREAM_TIMEOUT", "9999999h", "is too large (at most 10m)"},
    {"OTEL_BSP_SCHEDULE_DELAY", "5s", "is not a whole number of milliseconds"},
    {"OTEL_BSP_SCHEDULE_DELAY", "60001", "is too large (at most 60000)"},
    {"OTEL_BSP_SCHEDULE_DELAY", "9999999999999999", "is too large (at most 60000)"},
    {"JOURNAL_MAX_BYTES", "1G", BYTES_FORM},
    {"JOURNAL_MAX_BYTES", "0.5GiB", BYTES_FORM},
    {"JOURNAL_MAX_BYTES", "1023KiB", "is too small (at least 1MiB)"},
    {"JOURNAL_MAX_BYTES", "99999999999GiB", "is too large"},
    {"HTTP_LISTEN", "8080", LISTEN_FORM},
    {"HTTP_LISTEN", "localhost", LISTEN_FORM},
    {"HTTP_LISTEN", "localhost:65536", LISTEN_FORM},
};

static void a_bad_variable_is_explained(void **state)
{
    struct trial *trial = *state;

    for (size_t i = 0; i < ARRAY_LENGTH(bad_values); i++) {
        const struct bad_value *bad = &bad_values[i];
        char                    expected[300];
        (void)snprintf(expected, sizeof(expected), "%s: \"%s\" %s", bad->variable, bad->value,
                       bad->error);
        assert_int_equal(read_variable(trial, bad->variable, bad->value), -EINVAL);
        assert_string_equal(trial->error, expected);
    }
}

static void a_bad_flag_is_explained_by_its_own_name(void **state)
{
    struct trial *trial = *state;

    assert_int_equal(READ(trial, "--upstream-timeout", "10x"), -EINVAL);
    assert_string_equal(trial->error, "--upstream-timeout: \"10x\" " DURATION_FORM);
}

static void a_bad_value_is_shown_safely_and_not_at_length(void **state)
{
    struct trial *trial = *state;
    char          value[201];
    memset(value, 'x', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';

    assert_int_equal(read_variable(trial, "RATIO", "\x1B[2J\n"), -EINVAL);
    assert_string_equal(trial->error, "RATIO: \"\\u001b[2J\\n\" is not a number, such as 0.5");
    assert_int_equal(read_variable(trial, "RATIO", value), -EINVAL);
    assert_true(
        str_ends_with(str_from(trial->error), STR("xxx\"... is not a number, such as 0.5")));
    assert_in_range(strlen(trial->error), 80, 140);
}

static void a_short_error_buffer_holds_the_beginning(void **state)
{
    struct trial *trial = *state;
    char          error[8] = "#######";
    char         *argv[] = {"program", "--nonsense"};

    assert_int_equal(settings_read(table, ARRAY_LENGTH(table), &trial->config, 2, argv, look_up,
                                   trial->arena, error, sizeof(error)),
                     -EINVAL);
    assert_string_equal(error, "\"--nons");
}

static void limits_are_within(void **state)
{
    struct trial *trial = *state;

    assert_int_equal(READ(trial, "--otel-bsp-max-export-batch-size", "1", "--ratio", "0",
                          "--upstream-timeout", "1ms", "--journal-max-bytes", "1MiB"),
                     SETTINGS_READY);
    assert_int_equal(trial->config.batch_size, 1);
    assert_true(trial->config.ratio == 0);
    assert_int_equal(trial->config.timeout_ns, NS_PER_MS);
    assert_int_equal(trial->config.max_bytes, 1 << 20);

    assert_int_equal(READ(trial, "--otel-bsp-max-export-batch-size", "4096", "--ratio", "1",
                          "--upstream-timeout", "10m", "--otel-bsp-schedule-delay", "60000"),
                     SETTINGS_READY);
    assert_int_equal(trial->config.batch_size, 4096);
    assert_int_equal(trial->config.timeout_ns, INT64_C(600) * NS_PER_S);
    assert_int_equal(trial->config.delay_ns, INT64_C(60) * NS_PER_S);
}

static void without_a_limit_all_64_bits_are_fine(void **state)
{
    struct trial *trial = *state;

    assert_int_equal(read_variable(trial, "RECENT_TRACES", "18446744073709551615"), SETTINGS_READY);
    assert_true(trial->config.recent == UINT64_MAX);
    assert_int_equal(read_variable(trial, "JOURNAL_MAX_BYTES", "18446744073709551615"),
                     SETTINGS_READY);
    assert_true(trial->config.max_bytes == UINT64_MAX);
}

static void choices_and_switches_are_of_any_case(void **state)
{
    struct trial *trial = *state;

    assert_int_equal(READ(trial, "--log-format", "NONE", "--otel-sdk-disabled", "True"),
                     SETTINGS_READY);
    assert_int_equal(trial->config.log_format, 2);
    assert_true(trial->config.is_disabled);
}

static void an_address_without_a_host_is_completed(void **state)
{
    struct trial *trial = *state;

    assert_int_equal(READ(trial, "--http-listen", ":9090"), SETTINGS_READY);
    assert_string_equal(trial->config.http.text.at, "0.0.0.0:9090");
    expect_str(trial->config.http.host, STR("0.0.0.0"));
    assert_int_equal(trial->config.http.port, 9090);
}

static void without_memory_there_are_no_settings(void **state)
{
    struct trial                             *trial = *state;
    cleanup_with(arena_free_at) struct arena *arena = arena_new(4);
    char                                     *argv[] = {"program", "--http-listen=:1"};

    assert_int_equal(settings_read(table, ARRAY_LENGTH(table), &trial->config, 2, argv, look_up,
                                   arena, trial->error, sizeof(trial->error)),
                     -ENOMEM);
    assert_string_equal(trial->error, "there is not enough memory for the settings");
}

static void listen_addresses_are_a_host_and_a_port(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        struct str  host;
        uint16_t    port;
    } cases[] = {
        {"0.0.0.0:8080", STR_INIT("0.0.0.0"), 8080}, {"localhost:0", STR_INIT("localhost"), 0},
        {"[::]:8080", STR_INIT("::"), 8080},         {"[::1]:65535", STR_INIT("::1"), 65535},
        {":9090", STR_INIT("0.0.0.0"), 9090},        {"a-b.c_d:1", STR_INIT("a-b.c_d"), 1},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct listen_address address;
        if (listen_address_parse(str_from(cases[i].text), &address) != 0)
            fail_msg("\"%s\" was refused", cases[i].text);
        expect_str(address.text, str_from(cases[i].text));
        expect_str(address.host, cases[i].host);
        assert_int_equal(address.port, cases[i].port);
    }
}

static void other_texts_are_no_listen_addresses(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",         ":",          "8080",   "a",      "a:",      "a:b",    "a:-1",  "a:65536",
        "::1:8080", "[::1]",      "[::1]:", "[::1]8", "[::1:8",  "[]:8",   "[a]:8", "a b:8",
        "a/b:8",    "http://a:8", "a@b:8",  "a:8/",   "1.2.3:8", "a..b:8", " a:8",  "a:8 ",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct listen_address address = {.port = 4711};
        if (listen_address_parse(str_from(cases[i]), &address) != -EINVAL)
            fail_msg("\"%s\" was taken", cases[i]);
        assert_int_equal(address.port, 4711);
    }
}

static char *print_help_of(const struct setting settings[], size_t n_settings)
{
    char  *help = NULL;
    size_t size;
    FILE  *to = open_memstream(&help, &size);

    settings_print_help(settings, n_settings, to);
    assert_int_equal(fclose(to), 0);
    return help;
}

static char *print_help(void)
{
    return print_help_of(table, ARRAY_LENGTH(table));
}

static void help_is_a_table_of_all_settings(void **state)
{
    (void)state;
    /* clang-format off */
    static const char *const expected[] = {
        "  VARIABLE                        FLAG                              DEFAULT",
        "  ROLE                            --role                            hop",
        "      Who this is.",
        "  UPSTREAM_URI                    --upstream-uri",
        "      The next hops, each grpc://, grpcs://, http:// or https://, with a comma between them; without",
        "      any this is the last hop of the chain.",
        "  LOG_FORMAT                      --log-format                      json",
        "      How log lines look. Value: one of json, text, none.",
        "  OTEL_SDK_DISABLED               --otel-sdk-disabled               false",
        "      No tracing. Value: true or false.",
        "  OTEL_BSP_MAX_EXPORT_BATCH_SIZE  --otel-bsp-max-export-batch-size  512",
        "      Spans in one export. Value: a whole number, from 1 to 4096.",
        "  RECENT_TRACES                   --recent-traces                   1000",
        "      Traces to keep. Value: a whole number.",
        "  RATIO                           --ratio                           1.0",
        "      The share of traces. Value: a number, such as 0.5, at most 1.",
        "  UPSTREAM_TIMEOUT                --upstream-timeout                10s",
        "      How long a call may take. Value: a duration (a number and one of ns, us, ms, s, m, h), from",
        "      1ms to 10m.",
        "  OTEL_BSP_SCHEDULE_DELAY         --otel-bsp-schedule-delay         5000",
        "      How long spans are gathered. Value: a whole number of milliseconds, at most 60000.",
        "  JOURNAL_MAX_BYTES               --journal-max-bytes               1GiB",
        "      How much is kept on disk. Value: a size (a whole number and one of B, KiB, MiB, GiB), at least",
        "      1MiB.",
        "  HTTP_LISTEN                     --http-listen                     0.0.0.0:8080",
        "      Where HTTP is served. Value: an address to listen on (HOST:PORT, [IPV6]:PORT or :PORT).",
        "                                  --help",
        "      Prints this and ends.",
        "                                  --version",
        "      Prints the version and ends.",
    };
    /* clang-format on */
    char      *help = print_help();
    struct str rest = str_from(help), line;

    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
        assert_true(str_cut(&rest, '\n', &line));
        expect_str(line, str_from(expected[i]));
    }
    expect_str(rest, STR(""));
    free(help);
}

static void a_long_default_stands_on_its_own_line(void **state)
{
    (void)state;
    static const struct setting long_one = {
        .name = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        .default_value = "http://opentelemetry-collector:4317",
        .help = "Where spans go.",
    };
    char *help = print_help_of(&long_one, 1);

    assert_non_null(strstr(help, "  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT  "
                                 "--otel-exporter-otlp-traces-endpoint\n"
                                 "      http://opentelemetry-collector:4317\n"
                                 "      Where spans go.\n"));
    free(help);
}

static void help_fits_a_hundred_columns(void **state)
{
    (void)state;
    char      *help = print_help();
    struct str rest = str_from(help), line;

    while (str_cut(&rest, '\n', &line))
        if (line.len > 100 || str_ends_with(line, STR(" ")))
            fail_msg("%zu columns: %.*s|", line.len, STR_ARGS(line));
    free(help);
}

#define settings_test(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        settings_test(without_anything_the_defaults_hold),
        settings_test(a_variable_wins_over_the_default),
        settings_test(a_flag_wins_over_the_variable),
        settings_test(a_bad_variable_does_not_matter_when_a_flag_wins),
        settings_test(empty_values_count_as_unset),
        settings_test(the_last_of_repeated_flags_wins),
        settings_test(a_value_may_hold_equals_signs_and_dashes),
        settings_test(help_and_version_come_first),
        settings_test(wrong_arguments_are_named),
        settings_test(a_bad_variable_is_explained),
        settings_test(a_bad_flag_is_explained_by_its_own_name),
        settings_test(a_bad_value_is_shown_safely_and_not_at_length),
        settings_test(a_short_error_buffer_holds_the_beginning),
        settings_test(limits_are_within),
        settings_test(without_a_limit_all_64_bits_are_fine),
        settings_test(choices_and_switches_are_of_any_case),
        settings_test(an_address_without_a_host_is_completed),
        settings_test(without_memory_there_are_no_settings),
        cmocka_unit_test(listen_addresses_are_a_host_and_a_port),
        cmocka_unit_test(other_texts_are_no_listen_addresses),
        cmocka_unit_test(help_is_a_table_of_all_settings),
        cmocka_unit_test(a_long_default_stands_on_its_own_line),
        cmocka_unit_test(help_fits_a_hundred_columns),
    };
    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
