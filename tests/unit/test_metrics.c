#include "common/base/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "common/base/clock.h"
#include "tests/unit/expect.h"

static const char *const no_labels[] = {NULL};
static const char *const two_labels[] = {"front", "status", NULL};

static struct metrics_series *series_of(struct metrics_family *family, const char *front,
                                        const char *status)
{
    return metrics_series(family, (const struct str[]){str_from(front), str_from(status)});
}

static void expect_page(struct metrics *metrics, enum metrics_format format, struct str expected)
{
    struct text page = text_on_heap(0);
    metrics_render(metrics, format, &page);
    expect_str(text_view(&page), expected);
    text_done(&page);
}

static void an_empty_registry_is_an_empty_page(void **state)
{
    (void)state;
    cleanup_with(metrics_free_at) struct metrics *metrics = metrics_new();

    expect_page(metrics, METRICS_PROMETHEUS, STR(""));
    expect_page(metrics, METRICS_OPENMETRICS, STR("# EOF\n"));
}

static void counters_and_gauges_show_their_values(void **state)
{
    (void)state;
    cleanup_with(metrics_free_at) struct metrics *metrics = metrics_new();
    struct metrics_series                        *counter =
        metrics_single(metrics, METRICS_COUNTER, "spans_exported", "Spans that arrived.");
    struct metrics_series *gauge =
        metrics_single(metrics, METRICS_GAUGE, "queue_length", "Spans that wait.");

    metrics_add(counter, 2);
    metrics_add(counter, UINT64_C(1) << 60);
    metrics_set(gauge, 5);
    metrics_change(gauge, -7);

    assert_true(metrics_value(counter) == (UINT64_C(1) << 60) + 2);
    expect_page(metrics, METRICS_PROMETHEUS,
                STR("# HELP spans_exported_total Spans that arrived.\n"
                    "# TYPE spans_exported_total counter\n"
                    "spans_exported_total 1152921504606846978\n"
                    "# HELP queue_length Spans that wait.\n"
                    "# TYPE queue_length gauge\n"
                    "queue_length -2\n"));
    expect_page(metrics, METRICS_OPENMETRICS,
                STR("# HELP spans_exported Spans that arrived.\n"
                    "# TYPE spans_exported counter\n"
                    "spans_exported_total 1152921504606846978\n"
                    "# HELP queue_length Spans that wait.\n"
                    "# TYPE queue_length gauge\n"
                    "queue_length -2\n"
                    "# EOF\n"));
}

static void a_family_shows_each_combination_of_labels(void **state)
{
    (void)state;
    cleanup_with(metrics_free_at) struct metrics *metrics = metrics_new();
    struct metrics_family                        *family =
        metrics_family(metrics, METRICS_COUNTER, "requests", "Requests.", two_labels);

    metrics_add(series_of(family, "http", "OK"), 3);
    metrics_add(series_of(family, "grpc", "OK"), 2);
    metrics_add(series_of(family, "http", "INTERNAL"), 1);
    metrics_add(series_of(family, "http", "OK"), 1);

    expect_page(metrics, METRICS_PROMETHEUS,
                STR("# HELP requests_total Requests.\n"
                    "# TYPE requests_total counter\n"
                    "requests_total{front=\"http\",status=\"OK\"} 4\n"
                    "requests_total{front=\"grpc\",status=\"OK\"} 2\n"
                    "requests_total{front=\"http\",status=\"INTERNAL\"} 1\n"));
}

static void a_family_without_series_shows_its_description(void **state)
{
    (void)state;
    cleanup_with(metrics_free_at) struct metrics *metrics = metrics_new();

    (void)metrics_family(metrics, METRICS_GAUGE, "a", "b", two_labels);
    expect_page(metrics, METRICS_PROMETHEUS, STR("# HELP a b\n# TYPE a gauge\n"));
}

static void a_series_is_found_again(void **state)
{
    (void)state;
    cleanup_with(metrics_free_at) struct metrics *metrics = metrics_new();
    struct metrics_family *family = metrics_family(metrics, METRICS_GAUGE, "a", "b", two_labels);
    char                   front[] = "http";

    struct metrics_series *series = series_of(family, front, "OK");
    front[0] = 'x';
    assert_ptr_equal(series_of(family, "http", "OK"), series);
    assert_ptr_not_equal(series_of(family, "httpO", "K"), series);
    assert_ptr_not_equal(series_of(family, "", "httpOK"), series);
}

static void a_family_without_labels_has_one_series(void **state)
{
    (void)state;
    cleanup_with(metrics_free_at) struct metrics *metrics = metrics_new();
    struct metrics_family *family = metrics_family(metrics, METRICS_GAUGE, "a", "b", no_labels);

    assert_ptr_equal(metrics_series(family, NULL), metrics_series(family, NULL));
}

static void label_values_and_help_are_escaped(void **state)
{
    (void)state;
    cleanup_with(metrics_free_at) struct metrics *metrics = metrics_new();
    struct metrics_family                        *family =
        metrics_family(metrics, METRICS_GAUGE, "a", "A \"b\" \\ c\nd", two_labels);

    metrics_set(series_of(family, "\\ \"q\" \n", "\xC3\xA4\xFF"), 1);
    expect_page(metrics, METRICS_PROMETHEUS,
                STR("# HELP a A \"b\" \\\\ c\\nd\n"
                    "# TYPE a gauge\n"
                    "a{front=\"\\\\ \\\"q\\\" \\n\",status=\"\xC3\xA4\xEF\xBF\xBD\"} 1\n"));
    expect_page(metrics, METRICS_OPENMETRICS,
                STR("# HELP a A \\\"b\\\" \\\\ c\\nd\n"
                    "# TYPE a gauge\n"
                    "a{front=\"\\\\ \\\"q\\\" \\n\",status=\"\xC3\xA4\xEF\xBF\xBD\"} 1\n"
                    "# EOF\n"));
}

static void fill(struct metrics_family *family)
{
    for (int i = 0; i < METRICS_MAX_SERIES; i++) {
        char number[16];
        (void)snprintf(number, sizeof(number), "%d", i);
        metrics_set(series_of(family, number, "OK"), i);
    }
}

static void what_is_beyond_the_limit_goes_to_other(void **state)
{
    (void)state;
    cleanup_with(metrics_free_at) struct metrics *metrics = metrics_new();
    struct metrics_family *family = metrics_family(metrics, METRICS_COUNTER, "a", "b", two_labels);

    fill(family);
    struct metrics_series *beyond = series_of(family, "one too many", "OK");
    assert_ptr_equal(series_of(family, "and another", "INTERNAL"), beyond);
    assert_int_equal(metrics_value(series_of(family, "499", "OK")), 499);

    metrics_add(beyond, 7);
    struct text page = text_on_heap(0);
    metrics_render(metrics, METRICS_PROMETHEUS, &page);
    assert_true(
        str_ends_with(text_view(&page), STR("a_total{front=\"499\",status=\"OK\"} 499\n"
                                            "a_total{front=\"other\",status=\"other\"} 7\n")));
    text_done(&page);
}

static void labels_that_say_other_are_that_series(void **state)
{
    (void)state;
    cleanup_with(metrics_free_at) struct metrics *metrics = metrics_new();
    struct metrics_family *family = metrics_family(metrics, METRICS_GAUGE, "a", "b", two_labels);

    struct metrics_series *other = series_of(family, "other", "other");
    metrics_set(other, 1);
    expect_page(metrics, METRICS_PROMETHEUS,
                STR("# HELP a b\n# TYPE a gauge\na{front=\"other\",status=\"other\"} 1\n"));
    fill(family);
    assert_ptr_equal(series_of(family, "x", "y"), other);
}

static void a_histogram_counts_up_to_each_limit(void **state)
{
    (void)state;
    cleanup_with(metrics_free_at) struct metrics *metrics = metrics_new();
    struct metrics_series                        *h =
        metrics_single(metrics, METRICS_HISTOGRAM, "duration_seconds", "How long it took.");

    metrics_observe_ns(h, -5, (struct str){0});
    metrics_observe_ns(h, 500000, (struct str){0});
    metrics_observe_ns(h, 500001, (struct str){0});
    metrics_observe_ns(h, 2 * INT64_C(1000000000), (struct str){0});
    metrics_observe_ns(h, 10 * INT64_C(1000000000), (struct str){0});
    metrics_observe_ns(h, 3600 * INT64_C(1000000000), (struct str){0});

    assert_int_equal(metrics_value(h), 6);
    expect_page(metrics, METRICS_PROMETHEUS,
                STR("# HELP duration_seconds How long it took.\n"
                    "# TYPE duration_seconds histogram\n"
                    "duration_seconds_bucket{le=\"0.0005\"} 2\n"
                    "duration_seconds_bucket{le=\"0.001\"} 3\n"
                    "duration_seconds_bucket{le=\"0.0025\"} 3\n"
                    "duration_seconds_bucket{le=\"0.005\"} 3\n"
                    "duration_seconds_bucket{le=\"0.01\"} 3\n"
                    "duration_seconds_bucket{le=\"0.025\"} 3\n"
                    "duration_seconds_bucket{le=\"0.05\"} 3\n"
                    "duration_seconds_bucket{le=\"0.1\"} 3\n"
                    "duration_seconds_bucket{le=\"0.25\"} 3\n"
                    "duration_seconds_bucket{le=\"0.5\"} 3\n"
                    "duration_seconds_bucket{le=\"1\"} 3\n"
                    "duration_seconds_bucket{le=\"2.5\"} 4\n"
                    "duration_seconds_bucket{le=\"5\"} 4\n"
                    "duration_seconds_bucket{le=\"10\"} 5\n"
                    "duration_seconds_bucket{le=\"+Inf\"} 6\n"
                    "duration_seconds_sum 3612.001000001\n"
                    "duration_seconds_count 6\n"));
}

static void a_histogram_may_have_labels(void **state)
{
    (void)state;
    cleanup_with(metrics_free_at) struct metrics *metrics = metrics_new();
    struct metrics_family                        *family =
        metrics_family(metrics, METRICS_HISTOGRAM, "d_seconds", "D.", two_labels);
    struct text page = text_on_heap(0);

    metrics_observe_ns(series_of(family, "http", "OK"), 5 * INT64_C(1000000000), (struct str){0});
    metrics_render(metrics, METRICS_PROMETHEUS, &page);
    assert_true(str_ends_with(text_view(&page),
                              STR("d_seconds_bucket{front=\"http\",status=\"OK\",le=\"5\"} 1\n"
                                  "d_seconds_bucket{front=\"http\",status=\"OK\",le=\"10\"} 1\n"
                                  "d_seconds_bucket{front=\"http\",status=\"OK\",le=\"+Inf\"} 1\n"
                                  "d_seconds_sum{front=\"http\",status=\"OK\"} 5\n"
                                  "d_seconds_count{front=\"http\",status=\"OK\"} 1\n")));
    text_done(&page);
}

/* The line of `page` that begins with `start`, without that and the newline. */
static struct str find_line(const struct text *page, struct str start)
{
    struct str rest = text_view(page), line;

    while (str_cut(&rest, '\n', &line))
        if (str_starts_with(line, start))
            return (struct str){line.at + start.len, line.len - start.len};
    fail_msg("no line begins with %.*s", STR_ARGS(start));
    return (struct str){0};
}

static void openmetrics_writes_limits_as_floating_point(void **state)
{
    (void)state;
    cleanup_with(metrics_free_at) struct metrics *metrics = metrics_new();
    struct text                                   page = text_on_heap(0);

    (void)metrics_single(metrics, METRICS_HISTOGRAM, "d_seconds", "D.");
    metrics_render(metrics, METRICS_OPENMETRICS, &page);
    expect_str(find_line(&page, STR("d_seconds_bucket{le=\"0.5\"}")), STR(" 0"));
    expect_str(find_line(&page, STR("d_seconds_bucket{le=\"1.0\"}")), STR(" 0"));
    expect_str(find_line(&page, STR("d_seconds_bucket{le=\"10.0\"}")), STR(" 0"));
    expect_str(find_line(&page, STR("d_seconds_bucket{le=\"+Inf\"}")), STR(" 0"));
    text_done(&page);
}

static void a_buckets_exemplar_is_its_last_trace(void **state)
{
    (void)state;
    cleanup_with(metrics_free_at) struct metrics *metrics = metrics_new();
    struct metrics_series *h = metrics_single(metrics, METRICS_HISTOGRAM, "d_seconds", "D.");
    struct text            page = text_on_heap(0);
    int64_t                before_s = (int64_t)time(NULL);

    metrics_observe_ns(h, 61000000, STR("11111111111111111111111111111111"));
    metrics_observe_ns(h, 67000000, STR("22222222222222222222222222222222"));
    metrics_observe_ns(h, 68000000, (struct str){0});
    metrics_render(metrics, METRICS_OPENMETRICS, &page);

    struct str rest =
        find_line(&page, STR("d_seconds_bucket{le=\"0.1\"} 3 # "
                             "{trace_id=\"22222222222222222222222222222222\"} 0.067 "));
    struct str seconds_text;
    uint64_t   seconds;
    assert_true(str_cut(&rest, '.', &seconds_text));
    assert_int_equal(str_to_uint64(seconds_text, &seconds), 0);
    assert_in_range(seconds, before_s, before_s + 60);
    expect_str(find_line(&page, STR("d_seconds_bucket{le=\"0.25\"}")), STR(" 3"));
    text_done(&page);
}

static void prometheus_text_has_no_exemplars(void **state)
{
    (void)state;
    cleanup_with(metrics_free_at) struct metrics *metrics = metrics_new();
    struct metrics_series *h = metrics_single(metrics, METRICS_HISTOGRAM, "d_seconds", "D.");
    struct text            page = text_on_heap(0);

    metrics_observe_ns(h, 61000000, STR("11111111111111111111111111111111"));
    metrics_render(metrics, METRICS_PROMETHEUS, &page);
    expect_str(find_line(&page, STR("d_seconds_bucket{le=\"0.1\"}")), STR(" 1"));
    text_done(&page);
}

static double read_context(void *context)
{
    return *(const double *)context;
}

static void computed_values_are_read_when_the_page_is_made(void **state)
{
    (void)state;
    cleanup_with(metrics_free_at) struct metrics *metrics = metrics_new();
    double                                        a = 0.1, b = 123456789012, c = NAN, d = -INFINITY;

    metrics_computed(metrics, METRICS_COUNTER, "a_seconds", "A.", read_context, &a);
    metrics_computed(metrics, METRICS_GAUGE, "b", "B.", read_context, &b);
    metrics_computed(metrics, METRICS_GAUGE, "c", "C.", read_context, &c);
    metrics_computed(metrics, METRICS_GAUGE, "d", "D.", read_context, &d);
    a = 0.3;
    expect_page(metrics, METRICS_OPENMETRICS,
                STR("# HELP a_seconds A.\n# TYPE a_seconds counter\na_seconds_total 0.3\n"
                    "# HELP b B.\n# TYPE b gauge\nb 123456789012\n"
                    "# HELP c C.\n# TYPE c gauge\nc NaN\n"
                    "# HELP d D.\n# TYPE d gauge\nd -Inf\n"
                    "# EOF\n"));
}

static double figure(const struct text *page, struct str name)
{
    double value = -1;
    if (str_to_decimal(find_line(page, name), &value) < 0)
        fail_msg("%.*s is %.*s", STR_ARGS(name), STR_ARGS(find_line(page, name)));
    return value;
}

static void the_process_describes_itself(void **state)
{
    (void)state;
    cleanup_with(metrics_free_at) struct metrics *metrics = metrics_new();
    struct text                                   page = text_on_heap(0);

    metrics_add_process(metrics);
    metrics_render(metrics, METRICS_PROMETHEUS, &page);

    assert_true(figure(&page, STR("process_resident_memory_bytes ")) > 100000);
    assert_true(figure(&page, STR("process_virtual_memory_bytes ")) >=
                figure(&page, STR("process_resident_memory_bytes ")));
    assert_true(figure(&page, STR("process_cpu_seconds_total ")) > 0);
    assert_true(figure(&page, STR("process_open_fds ")) >= 3);
    assert_true(figure(&page, STR("process_threads ")) >= 1);
    double start = figure(&page, STR("process_start_time_seconds "));
    assert_in_range((int64_t)start, time(NULL) - 120, time(NULL) + 1);
    text_done(&page);
}

static void an_opened_file_shows_in_the_process_figures(void **state)
{
    (void)state;
    cleanup_with(metrics_free_at) struct metrics *metrics = metrics_new();
    struct text                                   before = text_on_heap(0), after = text_on_heap(0);

    metrics_add_process(metrics);
    metrics_render(metrics, METRICS_PROMETHEUS, &before);
    FILE *file = fopen("/dev/null", "r");
    assert_non_null(file);
    metrics_render(metrics, METRICS_PROMETHEUS, &after);
    (void)fclose(file);

    assert_true(figure(&after, STR("process_open_fds ")) ==
                figure(&before, STR("process_open_fds ")) + 1);
    text_done(&before);
    text_done(&after);
}

enum { THREADS = 4, ROUNDS = 20000, COMBINATIONS = 10 };

struct load {
    struct metrics_family *family;
    struct metrics_series *gauge;
    struct metrics_series *histogram;
    pthread_barrier_t     *start;
    char                   digit;
};

static void *add_load(void *argument)
{
    const struct load *load = argument;
    char               trace_id[32];

    memset(trace_id, load->digit, sizeof(trace_id));
    pthread_barrier_wait(load->start);
    for (int i = 0; i < ROUNDS; i++) {
        char front[] = {(char)('0' + i % COMBINATIONS), '\0'};
        metrics_add(series_of(load->family, front, "OK"), 1);
        metrics_change(load->gauge, i % 2 ? -1 : 1);
        metrics_observe_ns(load->histogram, 1000, (struct str){trace_id, sizeof(trace_id)});
    }
    return NULL;
}

static bool is_one_digit(struct str s)
{
    for (size_t i = 1; i < s.len; i++)
        if (s.at[i] != s.at[0])
            return false;
    return true;
}

/* What a reader sees while all write: counts that grow, and never half of two trace ids. */
static void check_page(struct metrics *metrics)
{
    struct text page = text_on_heap(0);
    struct str  before, after;

    metrics_render(metrics, METRICS_OPENMETRICS, &page);
    struct str line = find_line(&page, STR("d_seconds_bucket{le=\"0.0005\"} "));
    if (str_split(line, '#', &before, &after)) {
        assert_true(str_starts_with(after, STR(" {trace_id=\"")));
        struct str id = {after.at + strlen(" {trace_id=\""), 32};
        if (!is_one_digit(id))
            fail_msg("a torn exemplar: %.*s", STR_ARGS(id));
    }
    text_done(&page);
}

static void threads_write_while_pages_are_made(void **state)
{
    (void)state;
    cleanup_with(metrics_free_at) struct metrics *metrics = metrics_new();
    struct metrics_family *family = metrics_family(metrics, METRICS_COUNTER, "a", "b", two_labels);
    struct metrics_series *gauge = metrics_single(metrics, METRICS_GAUGE, "g", "G.");
    struct metrics_series *h = metrics_single(metrics, METRICS_HISTOGRAM, "d_seconds", "D.");
    struct load            loads[THREADS];
    pthread_t              threads[THREADS];
    pthread_barrier_t      start;

    assert_int_equal(pthread_barrier_init(&start, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++) {
        loads[i] = (struct load){family, gauge, h, &start, (char)('a' + i)};
        assert_int_equal(pthread_create(&threads[i], NULL, add_load, &loads[i]), 0);
    }
    for (int i = 0; i < 20; i++)
        check_page(metrics);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start);

    for (int i = 0; i < COMBINATIONS; i++) {
        char front[] = {(char)('0' + i), '\0'};
        assert_int_equal(metrics_value(series_of(family, front, "OK")),
                         THREADS * ROUNDS / COMBINATIONS);
    }
    assert_int_equal(metrics_value(gauge), 0);
    assert_int_equal(metrics_value(h), THREADS * ROUNDS);
}

static void the_format_is_what_the_scraper_accepts(void **state)
{
    (void)state;
    static const struct {
        const char         *accept;
        enum metrics_format format;
    } cases[] = {
        {NULL, METRICS_PROMETHEUS},
        {"", METRICS_PROMETHEUS},
        {"*/*", METRICS_PROMETHEUS},
        {"text/plain", METRICS_PROMETHEUS},
        {"application/openmetrics-text", METRICS_OPENMETRICS},
        {"Application/OpenMetrics-Text; version=1.0.0; charset=utf-8", METRICS_OPENMETRICS},
        {"text/plain;q=0.9, application/openmetrics-text;version=1.0.0;q=0.5", METRICS_OPENMETRICS},
        /* Prometheus 2.45 */
        {"application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;"
         "version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
         METRICS_OPENMETRICS},
        {"application/openmetrics-text;q=0", METRICS_PROMETHEUS},
        {"application/openmetrics-text; Q=0.000, text/plain", METRICS_PROMETHEUS},
        {"application/openmetrics-text;q=x", METRICS_PROMETHEUS},
        {"application/openmetrics-text;q=0, application/openmetrics-text;q=0.1",
         METRICS_OPENMETRICS},
        {"application/openmetrics", METRICS_PROMETHEUS},
        {"application/openmetrics-texts", METRICS_PROMETHEUS},
        {";q=1,application/json", METRICS_PROMETHEUS},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        enum metrics_format saw = metrics_negotiate(str_from(cases[i].accept));
        if (saw != cases[i].format)
            fail_msg("\"%s\" gave %d", cases[i].accept, (int)saw);
    }
}

static void each_format_has_its_content_type(void **state)
{
    (void)state;
    expect_str(metrics_content_type(METRICS_PROMETHEUS),
               STR("text/plain; version=0.0.4; charset=utf-8"));
    expect_str(metrics_content_type(METRICS_OPENMETRICS),
               STR("application/openmetrics-text; version=1.0.0; charset=utf-8"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_registry_is_an_empty_page),
        cmocka_unit_test(counters_and_gauges_show_their_values),
        cmocka_unit_test(a_family_shows_each_combination_of_labels),
        cmocka_unit_test(a_family_without_series_shows_its_description),
        cmocka_unit_test(a_series_is_found_again),
        cmocka_unit_test(a_family_without_labels_has_one_series),
        cmocka_unit_test(label_values_and_help_are_escaped),
        cmocka_unit_test(what_is_beyond_the_limit_goes_to_other),
        cmocka_unit_test(labels_that_say_other_are_that_series),
        cmocka_unit_test(a_histogram_counts_up_to_each_limit),
        cmocka_unit_test(a_histogram_may_have_labels),
        cmocka_unit_test(openmetrics_writes_limits_as_floating_point),
        cmocka_unit_test(a_buckets_exemplar_is_its_last_trace),
        cmocka_unit_test(prometheus_text_has_no_exemplars),
        cmocka_unit_test(computed_values_are_read_when_the_page_is_made),
        cmocka_unit_test(the_process_describes_itself),
        cmocka_unit_test(an_opened_file_shows_in_the_process_figures),
        cmocka_unit_test(threads_write_while_pages_are_made),
        cmocka_unit_test(the_format_is_what_the_scraper_accepts),
        cmocka_unit_test(each_format_has_its_content_type),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
