#include <math.h>
#include <sched.h>

#include "common/base/clock.h"
#include "common/base/metrics_private.h"

/* Rules: Prometheus exposition formats, "Text format details"; OpenMetrics 1.0. */

struct page {
    struct text        *text;
    enum metrics_format format;
};

static void add(const struct page *page, const char *constant)
{
    text_add(page->text, str_from(constant));
}

static struct str escape(char c, bool is_quoted)
{
    switch (c) {
    case '\\':
        return STR("\\\\");
    case '\n':
        return STR("\\n");
    case '"':
        return is_quoted ? STR("\\\"") : (struct str){0};
    default:
        return (struct str){0};
    }
}

/* What is escaped is ASCII, so the pieces between are as much UTF-8 as the whole is. */
static void add_escaped(const struct page *page, struct str s, bool is_quoted)
{
    size_t plain = 0;

    for (size_t i = 0; i < s.len; i++) {
        struct str escaped = escape(s.at[i], is_quoted);
        if (!escaped.at)
            continue;
        text_add_utf8(page->text, (struct str){s.at + plain, i - plain});
        text_add(page->text, escaped);
        plain = i + 1;
    }
    text_add_utf8(page->text, (struct str){s.at + plain, s.len - plain});
}

static const char *counter_suffix(const struct metrics_family *family)
{
    return family->kind == METRICS_COUNTER ? "_total" : "";
}

/* OpenMetrics names the family, Prometheus the sample. */
static void add_family_name(const struct page *page, const struct metrics_family *family)
{
    add(page, family->name);
    if (page->format == METRICS_PROMETHEUS)
        add(page, counter_suffix(family));
}

static void add_description(const struct page *page, const struct metrics_family *family)
{
    static const char *const kinds[] = {
        [METRICS_COUNTER] = " counter\n",
        [METRICS_GAUGE] = " gauge\n",
        [METRICS_HISTOGRAM] = " histogram\n",
    };

    add(page, "# HELP ");
    add_family_name(page, family);
    add(page, " ");
    add_escaped(page, str_from(family->help), page->format == METRICS_OPENMETRICS);
    add(page, "\n# TYPE ");
    add_family_name(page, family);
    add(page, kinds[family->kind]);
}

static void add_label(const struct page *page, bool is_first, const char *name, struct str value)
{
    add(page, is_first ? "{" : ",");
    add(page, name);
    add(page, "=\"");
    add_escaped(page, value, true);
    add(page, "\"");
}

/* `limit` is the label `le` of a bucket, or absent. */
static void add_sample_name(const struct page *page, const struct metrics_family *family,
                            const struct metrics_series *series, const char *suffix,
                            struct str limit)
{
    add(page, family->name);
    add(page, suffix);
    for (size_t i = 0; i < family->n_labels; i++)
        add_label(page, i == 0, family->labels[i], series->values[i]);
    if (limit.at)
        add_label(page, family->n_labels == 0, "le", limit);
    add(page, family->n_labels > 0 || limit.at ? "} " : " ");
}

static void add_decimal_ns(const struct page *page, uint64_t ns)
{
    char     fraction[] = ".000000000";
    size_t   len = sizeof(fraction) - 1;
    uint64_t rest = ns % NS_PER_S;

    for (size_t i = len - 1; i > 0; i--, rest /= 10)
        fraction[i] = (char)('0' + rest % 10);
    while (fraction[len - 1] == '0')
        len--;
    text_add_uint(page->text, ns / NS_PER_S);
    text_add(page->text, (struct str){fraction, len > 1 ? len : 0});
}

static void add_uint_line(const struct page *page, uint64_t value)
{
    text_add_uint(page->text, value);
    add(page, "\n");
}

static void add_simple(const struct page *page, const struct metrics_family *family,
                       const struct metrics_series *series)
{
    uint64_t value = metrics_value(series);

    add_sample_name(page, family, series, counter_suffix(family), (struct str){0});
    if (family->kind == METRICS_GAUGE)
        text_add_int(page->text, (int64_t)value);
    else
        text_add_uint(page->text, value);
    add(page, "\n");
}

static void copy_exemplars(struct metrics_histogram *histogram,
                           struct metrics_exemplar   exemplars[METRICS_N_BUCKETS])
{
    while (!metrics_histogram_try_lock(histogram))
        sched_yield();
    memcpy(exemplars, histogram->exemplars, sizeof(histogram->exemplars));
    metrics_histogram_unlock(histogram);
}

static void add_exemplar(const struct page *page, const struct metrics_exemplar *exemplar)
{
    if (!exemplar->is_set)
        return;
    add(page, " # {trace_id=\"");
    text_add(page->text, (struct str){exemplar->trace_id_hex, METRICS_TRACE_ID_LENGTH});
    add(page, "\"} ");
    add_decimal_ns(page, (uint64_t)exemplar->duration_ns);
    add(page, " ");
    add_decimal_ns(page, (uint64_t)exemplar->realtime_ns);
}

/* OpenMetrics writes limits as floating-point numbers: 1.0, where Prometheus writes 1. */
static struct str limit_label(const struct page *page, struct str seconds, char buffer[16])
{
    bool is_integer = seconds.at[0] != '+' && !memchr(seconds.at, '.', seconds.len);
    if (page->format == METRICS_PROMETHEUS || !is_integer)
        return seconds;

    struct text label = text_in_buffer(buffer, 16);
    text_add(&label, seconds);
    text_add(&label, STR(".0"));
    return text_view(&label);
}

static void add_histogram(const struct page *page, const struct metrics_family *family,
                          const struct metrics_series *series)
{
    struct metrics_exemplar exemplars[METRICS_N_BUCKETS] = {0};
    uint64_t                count = 0;
    char                    buffer[16];

    if (page->format == METRICS_OPENMETRICS)
        copy_exemplars(series->histogram, exemplars);

    for (size_t i = 0; i < METRICS_N_BUCKETS; i++) {
        struct str limit = limit_label(page, metrics_bucket_limits[i].seconds, buffer);
        count += atomic_load_explicit(&series->histogram->counts[i], memory_order_relaxed);
        add_sample_name(page, family, series, "_bucket", limit);
        text_add_uint(page->text, count);
        add_exemplar(page, &exemplars[i]);
        add(page, "\n");
    }

    uint64_t sum_ns = atomic_load_explicit(&series->histogram->sum_ns, memory_order_relaxed);
    add_sample_name(page, family, series, "_sum", (struct str){0});
    add_decimal_ns(page, sum_ns);
    add(page, "\n");
    add_sample_name(page, family, series, "_count", (struct str){0});
    add_uint_line(page, count);
}

static void add_series(const struct page *page, const struct metrics_family *family,
                       const struct metrics_series *series)
{
    if (family->kind == METRICS_HISTOGRAM)
        add_histogram(page, family, series);
    else
        add_simple(page, family, series);
}

static void add_computed(const struct page *page, const struct metrics_family *family)
{
    double value = family->read(family->read_context);

    add(page, family->name);
    add(page, counter_suffix(family));
    add(page, " ");
    if (isnan(value))
        add(page, "NaN\n");
    else if (isinf(value))
        add(page, value > 0 ? "+Inf\n" : "-Inf\n");
    else
        text_add_format(page->text, "%.15g\n", value);
}

static void add_family(const struct page *page, struct metrics_family *family)
{
    add_description(page, family);
    if (family->read) {
        add_computed(page, family);
        return;
    }

    for (struct metrics_series *series = family->first; series; series = series->next)
        add_series(page, family, series);
    if (family->is_other_shown)
        add_series(page, family, family->other);
}

void metrics_render(struct metrics *metrics, enum metrics_format format, struct text *to)
{
    struct page page = {.text = to, .format = format};

    for (struct metrics_family *family = metrics->first; family; family = family->next)
        add_family(&page, family);
    if (format == METRICS_OPENMETRICS)
        add(&page, "# EOF\n");
}

static bool is_zero_weight(struct str parameter)
{
    struct str name, value;
    double     weight;

    return str_split(parameter, '=', &name, &value) &&
           str_equal_ignore_case(str_trim(name), STR("q")) &&
           (str_to_decimal(str_trim(value), &weight) < 0 || weight == 0);
}

/* RFC 9110, section 12.5.1. */
static bool accepts_openmetrics(struct str range)
{
    struct str part;

    if (!str_cut(&range, ';', &part) ||
        !str_equal_ignore_case(str_trim(part), STR("application/openmetrics-text")))
        return false;
    while (str_cut(&range, ';', &part))
        if (is_zero_weight(part))
            return false;
    return true;
}

enum metrics_format metrics_negotiate(struct str accept)
{
    struct str range;

    while (str_cut(&accept, ',', &range))
        if (accepts_openmetrics(range))
            return METRICS_OPENMETRICS;
    return METRICS_PROMETHEUS;
}

struct str metrics_content_type(enum metrics_format format)
{
    return format == METRICS_OPENMETRICS
               ? STR("application/openmetrics-text; version=1.0.0; charset=utf-8")
               : STR("text/plain; version=0.0.4; charset=utf-8");
}
