#include "common/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "common/base/cleanup.h"
#include "tests/unit/expect.h"

enum { MAX_LINE_BYTES = 4096 };

static const struct str time_shape = STR_INIT("dddd-dd-ddTdd:dd:dd.ddddddZ");

struct output {
    int    fd;
    char  *bytes;
    size_t len;
};

/* Everything that was written so far. */
static struct str read_output(struct output *output)
{
    off_t size = lseek(output->fd, 0, SEEK_END);
    assert_true(size >= 0);
    output->bytes = realloc(output->bytes, (size_t)size + 1);
    assert_int_equal(pread(output->fd, output->bytes, (size_t)size, 0), size);
    return (struct str){output->bytes, (size_t)size};
}

static int open_output(void **state)
{
    struct output *output = calloc(1, sizeof(*output));
    output->fd = memfd_create("log", MFD_CLOEXEC);
    (void)fcntl(output->fd, F_SETFL, O_APPEND);
    log_to_descriptor(output->fd);
    log_configure(LOG_INFO, LOG_JSON);
    *state = output;
    return output->fd < 0;
}

static int close_output(void **state)
{
    struct output *output = *state;
    log_to_descriptor(STDERR_FILENO);
    close(output->fd);
    free(output->bytes);
    free(output);
    return 0;
}

static bool has_time_shape(struct str s)
{
    if (s.len != time_shape.len)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        bool is_digit = s.at[i] >= '0' && s.at[i] <= '9';
        if (time_shape.at[i] == 'd' ? !is_digit : s.at[i] != time_shape.at[i])
            return false;
    }
    return true;
}

/* The one line that was written, without what differs from run to run. */
static struct str read_line_after_time(struct output *output, struct str before_time)
{
    struct str line = read_output(output);

    assert_true(str_starts_with(line, before_time));
    line = (struct str){line.at + before_time.len, line.len - before_time.len};
    assert_true(line.len > time_shape.len);
    assert_true(has_time_shape((struct str){line.at, time_shape.len}));
    return (struct str){line.at + time_shape.len, line.len - time_shape.len};
}

static struct str read_json_line(struct output *output)
{
    return read_line_after_time(output, STR("{\"time\":\""));
}

static struct str read_text_line(struct output *output)
{
    return read_line_after_time(output, STR(""));
}

static void a_json_line_has_time_level_message_identity_and_fields(void **state)
{
    log_info("listening", log_str("address", STR("[::]:80")), log_int("port", -80),
             log_double("ratio", 0.25), log_bool("is_ready", true), log_text("none", NULL));
    expect_str(read_json_line(*state),
               STR("\",\"level\":\"info\",\"message\":\"listening\",\"service\":\"hop-prod\","
                   "\"address\":\"[::]:80\",\"port\":-80,\"ratio\":0.25,\"is_ready\":true,"
                   "\"none\":\"\"}\n"));
}

static void the_time_is_now_in_utc(void **state)
{
    char      start[] = "{\"time\":\"yyyy-mm-ddThh:mm:ss";
    time_t    before = time(NULL);
    struct tm tm = {0};

    log_info("x");
    memcpy(start, read_output(*state).at, sizeof(start) - 1);
    assert_non_null(strptime(start, "{\"time\":\"%Y-%m-%dT%H:%M:%S", &tm));
    assert_in_range(timegm(&tm), before, time(NULL));
}

static void a_line_may_have_no_fields(void **state)
{
    log_error("over");
    expect_str(read_json_line(*state),
               STR("\",\"level\":\"error\",\"message\":\"over\",\"service\":\"hop-prod\"}\n"));
}

static void json_is_escaped_everywhere(void **state)
{
    log_warning("a \"quoted\"\nmessage", log_str("x\"y", STR("\x01\xFF\\")));
    expect_str(read_json_line(*state),
               STR("\",\"level\":\"warning\",\"message\":\"a \\\"quoted\\\"\\nmessage\","
                   "\"service\":\"hop-prod\",\"x\\\"y\":\"\\u0001\xEF\xBF\xBD\\\\\"}\n"));
}

static void numbers_that_json_does_not_know_are_null(void **state)
{
    log_info("odd", log_double("a", NAN), log_double("b", -INFINITY), log_int("c", INT64_MIN));
    expect_str(read_json_line(*state),
               STR("\",\"level\":\"info\",\"message\":\"odd\",\"service\":\"hop-prod\","
                   "\"a\":null,\"b\":null,\"c\":-9223372036854775808}\n"));
}

static void a_text_line_is_for_eyes(void **state)
{
    log_configure(LOG_DEBUG, LOG_TEXT);
    log_debug("call ended", log_text("uri", "grpc://a:1"), log_int("attempt", 2));
    expect_str(read_text_line(*state),
               STR(" debug call ended service=hop-prod uri=grpc://a:1 attempt=2\n"));
}

static void text_values_are_quoted_when_they_need_it(void **state)
{
    log_configure(LOG_INFO, LOG_TEXT);
    log_info("x", log_text("a", ""), log_text("b", "two words"), log_text("c", "k=v"),
             log_text("d", "\""), log_text("e", "\n"), log_text("f", "\xFF"),
             log_text("g", "\xC3\xA4"), log_text("h", "\x7F"));
    expect_str(read_text_line(*state),
               STR(" info x service=hop-prod a=\"\" b=\"two words\" c=\"k=v\" d=\"\\\"\" "
                   "e=\"\\n\" f=\"\xEF\xBF\xBD\" g=\xC3\xA4 h=\"\x7F\"\n"));
}

static void a_text_message_never_breaks_its_line(void **state)
{
    log_configure(LOG_INFO, LOG_TEXT);
    log_info("two\nlines");
    expect_str(read_text_line(*state), STR(" info \"two\\nlines\" service=hop-prod\n"));
}

static void what_is_below_the_level_is_not_written(void **state)
{
    log_configure(LOG_WARNING, LOG_JSON);
    log_info("unheard");
    log_debug("unheard");
    expect_str(read_output(*state), STR(""));
    assert_true(log_enabled(LOG_ERROR));
    assert_true(log_enabled(LOG_WARNING));
    assert_false(log_enabled(LOG_INFO));
}

static int n_evaluated;

static int64_t evaluate(void)
{
    return ++n_evaluated;
}

static void fields_below_the_level_are_not_evaluated(void **state)
{
    (void)state;
    log_debug("unheard", log_int("n", evaluate()));
    assert_int_equal(n_evaluated, 0);
    log_info("heard", log_int("n", evaluate()));
    assert_int_equal(n_evaluated, 1);
}

/* Whether a line is one JSON object of strings and plain values, no deeper. */
static bool is_flat_json(struct str line)
{
    bool is_in_string = false;

    if (!str_starts_with(line, STR("{\"")) || !str_ends_with(line, STR("}\n")))
        return false;
    for (size_t i = 1; i < line.len - 2; i++) {
        if ((unsigned char)line.at[i] < ' ')
            return false;
        if (line.at[i] == '"')
            is_in_string = !is_in_string;
        else if (line.at[i] == '\\')
            i++;
        else if (!is_in_string && (line.at[i] == '{' || line.at[i] == '}'))
            return false;
    }
    return !is_in_string && str_is_utf8(line);
}

static void a_long_value_is_shortened_and_the_line_says_so(void **state)
{
    char value[5000];
    memset(value, 'v', sizeof(value));

    log_info("long", log_str("value", (struct str){value, sizeof(value)}), log_int("after", 1));
    struct str line = read_output(*state);
    assert_true(is_flat_json(line));
    assert_true(str_ends_with(line, STR("vvv\",\"after\":1,\"is_cut\":true}\n")));
    assert_in_range(line.len, 1024, 1200);
}

static void a_long_message_is_shortened_and_the_line_says_so(void **state)
{
    char message[1000];
    memset(message, 'm', sizeof(message) - 1);
    message[sizeof(message) - 1] = '\0';

    log_write(LOG_INFO, message, NULL, 0);
    struct str line = read_output(*state);
    assert_true(is_flat_json(line));
    assert_true(str_ends_with(line, STR(",\"is_cut\":true}\n")));
    assert_in_range(line.len, 512, 700);
}

static void a_line_is_whole_whatever_is_in_it(void **state)
{
    static const char fills[] = {'v', '\x01', '"', '\xFF', '\xE2'};

    for (size_t i = 0; i < ARRAY_LENGTH(fills); i++) {
        char value[6000];
        memset(value, fills[i], sizeof(value) - 1);
        value[sizeof(value) - 1] = '\0';
        struct str long_value = str_from(value);

        assert_int_equal(ftruncate(((struct output *)*state)->fd, 0), 0);
        log_write(LOG_INFO, value,
                  (const struct log_field[]){
                      log_str("a", long_value),
                      log_str("b", long_value),
                      log_int("number", 1),
                      log_str("c", long_value),
                      log_str("d", long_value),
                      log_str("e", long_value),
                  },
                  6);
        struct str line = read_output(*state);
        if (!is_flat_json(line) || line.len > MAX_LINE_BYTES)
            fail_msg("%zu bytes: %.*s", line.len, STR_ARGS(line));
        assert_true(str_ends_with(line, STR(",\"is_cut\":true}\n")));
    }
}

static void a_long_text_line_ends_with_its_newline(void **state)
{
    char value[6000];
    memset(value, '\x02', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';

    log_configure(LOG_INFO, LOG_TEXT);
    log_write(LOG_INFO, value,
              (const struct log_field[]){log_text("a", value), log_text("b", value)}, 2);
    struct str line = read_output(*state);
    assert_true(line.len <= MAX_LINE_BYTES);
    assert_true(str_ends_with(line, STR(" is_cut=true\n")));
}

static void a_value_is_not_shortened_within_a_character(void **state)
{
    char value[1026];
    memset(value, 'v', sizeof(value));
    value[1022] = '\xE2';
    value[1023] = '\x82';
    value[1024] = '\xAC';

    log_info("euro", log_str("value", (struct str){value, sizeof(value)}));
    assert_true(str_ends_with(read_output(*state), STR("vvv\",\"is_cut\":true}\n")));
}

static void too_many_fields_are_left_out(void **state)
{
    struct log_field fields[1000];
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
        fields[i] = log_int("number", 1234567890);

    log_write(LOG_INFO, "many", fields, ARRAY_LENGTH(fields));
    struct str line = read_output(*state);
    assert_true(is_flat_json(line));
    assert_in_range(line.len, MAX_LINE_BYTES - 50, MAX_LINE_BYTES);
}

static void errno_is_kept_even_when_the_log_is_gone(void **state)
{
    (void)state;
    log_to_descriptor(-1);
    errno = ENOSPC;
    log_info("unheard", log_double("x", 0.1));
    assert_int_equal(errno, ENOSPC);
}

enum { THREADS = 4, LINES = 500 };

static void *log_lines(void *letter)
{
    for (int i = 0; i < LINES; i++)
        log_info("line", log_text("letter", letter), log_int("i", i));
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    static char *const letters[THREADS] = {"a", "b", "c", "d"};
    pthread_t          threads[THREADS];
    struct str         line, rest;
    int                n_lines = 0;

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_lines, letters[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);

    rest = read_output(*state);
    for (; str_cut(&rest, '\n', &line); n_lines++) {
        line.len++;
        if (!is_flat_json(line))
            fail_msg("%.*s", STR_ARGS(line));
    }
    assert_int_equal(n_lines, THREADS * LINES);
}

static void a_limit_lets_one_through_per_interval(void **state)
{
    (void)state;
    struct log_limit limit = {.interval_ns = 100};
    uint64_t         suppressed = 4711;

    assert_true(log_limit_allows(&limit, 1000, &suppressed));
    assert_int_equal(suppressed, 0);
    assert_false(log_limit_allows(&limit, 1000, &suppressed));
    assert_false(log_limit_allows(&limit, 1099, &suppressed));
    assert_true(log_limit_allows(&limit, 1100, &suppressed));
    assert_int_equal(suppressed, 2);
    assert_true(log_limit_allows(&limit, 5000, &suppressed));
    assert_int_equal(suppressed, 0);
}

struct limit_race {
    struct log_limit limit;
    _Atomic uint64_t n_allowed;
    _Atomic uint64_t n_suppressed;
};

static void *ask_limit(void *argument)
{
    struct limit_race *race = argument;
    uint64_t           suppressed;

    for (int64_t now_ns = 1; now_ns <= 1000; now_ns++)
        if (log_limit_allows(&race->limit, now_ns, &suppressed)) {
            race->n_allowed++;
            race->n_suppressed += suppressed;
        }
    return NULL;
}

static void a_limit_counts_everything_once_among_threads(void **state)
{
    (void)state;
    struct limit_race race = {.limit = {.interval_ns = 100}};
    pthread_t         threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_limit, &race), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);

    assert_in_range(race.n_allowed, 1, 10);
    assert_int_equal(race.n_allowed + race.n_suppressed + race.limit.suppressed, THREADS * 1000);
}

static int identify(void **state)
{
    (void)state;
    log_identify("service", STR("hop-prod"));
    return 0;
}

#define log_test(test) cmocka_unit_test_setup_teardown(test, open_output, close_output)

int main(void)
{
    const struct CMUnitTest tests[] = {
        log_test(a_json_line_has_time_level_message_identity_and_fields),
        log_test(the_time_is_now_in_utc),
        log_test(a_line_may_have_no_fields),
        log_test(json_is_escaped_everywhere),
        log_test(numbers_that_json_does_not_know_are_null),
        log_test(a_text_line_is_for_eyes),
        log_test(text_values_are_quoted_when_they_need_it),
        log_test(a_text_message_never_breaks_its_line),
        log_test(what_is_below_the_level_is_not_written),
        log_test(fields_below_the_level_are_not_evaluated),
        log_test(a_long_value_is_shortened_and_the_line_says_so),
        log_test(a_long_message_is_shortened_and_the_line_says_so),
        log_test(a_line_is_whole_whatever_is_in_it),
        log_test(a_long_text_line_ends_with_its_newline),
        log_test(a_value_is_not_shortened_within_a_character),
        log_test(too_many_fields_are_left_out),
        log_test(errno_is_kept_even_when_the_log_is_gone),
        log_test(lines_of_threads_do_not_mix),
        log_test(a_limit_lets_one_through_per_interval),
        log_test(a_limit_counts_everything_once_among_threads),
    };
    return cmocka_run_group_tests_name("log", tests, identify, NULL);
}
