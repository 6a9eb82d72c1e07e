#include "common/base/log.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/text.h"

enum { LINE_BYTES = 4096, MAX_MESSAGE_BYTES = 512, MAX_VALUE_BYTES = 1024, MAX_IDENTITY = 4 };

/* Room for the longest end of a line is kept free, so that every line is whole. */
static const char longest_end[] = ",\"is_cut\":true}\n";
enum { END_BYTES = sizeof(longest_end) - 1 };

static const char *const level_names[] = {
    [LOG_ERROR] = "error",
    [LOG_WARNING] = "warning",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};

static struct {
    enum log_level   level;
    enum log_format  format;
    int              descriptor;
    struct log_field identity[MAX_IDENTITY];
    size_t           n_identity;
} config = {.level = LOG_INFO, .format = LOG_JSON, .descriptor = STDERR_FILENO};

struct line {
    struct text text;
    bool        is_cut; /* something was shortened or left out */
};

void log_configure(enum log_level level, enum log_format format)
{
    config.level = level;
    config.format = format;
}

void log_to_descriptor(int fd)
{
    config.descriptor = fd;
}

void log_identify(const char *key, struct str value)
{
    assert(config.n_identity < MAX_IDENTITY);
    config.identity[config.n_identity++] = log_str(key, value);
}

bool log_enabled(enum log_level level)
{
    return level <= config.level;
}

static bool needs_quotes(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.at[i] <= ' ' || s.at[i] == '"' || s.at[i] == '=' || s.at[i] == 0x7F)
            return true;
    return s.len == 0 || !str_is_utf8(s);
}

static void add_str(struct text *text, struct str s)
{
    if (config.format == LOG_JSON || needs_quotes(s))
        text_add_json(text, s);
    else
        text_add(text, s);
}

static void add_double(struct text *text, double value)
{
    if (isfinite(value))
        text_add_format(text, "%.9g", value);
    else
        text_add(text, STR("null")); /* JSON has no infinity */
}

static void add_value(struct text *text, const struct log_field *field)
{
    switch (field->kind) {
    case LOG_FIELD_STR:
        add_str(text, field->str);
        break;
    case LOG_FIELD_INT:
        text_add_int(text, field->integer);
        break;
    case LOG_FIELD_DOUBLE:
        add_double(text, field->real);
        break;
    case LOG_FIELD_BOOL:
        text_add(text, field->boolean ? STR("true") : STR("false"));
        break;
    }
}

static void add_pair(struct text *text, const struct log_field *field)
{
    if (config.format == LOG_JSON) {
        text_add_char(text, ',');
        text_add_json(text, str_from(field->key));
        text_add_char(text, ':');
    } else {
        text_add_char(text, ' ');
        text_add(text, str_from(field->key));
        text_add_char(text, '=');
    }
    add_value(text, field);
}

/* At most `len` bytes of `s`, and no part of a character. */
static struct str shorten(struct str s, size_t len)
{
    if (s.len <= len)
        return s;
    while (len > 0 && ((unsigned char)s.at[len] & 0xC0) == 0x80)
        len--;
    return (struct str){s.at, len};
}

/* Escaping may make a value six times as long, so what does not fit is halved until it does. */
static void add_field(struct line *line, struct log_field field)
{
    size_t start = line->text.len;

    if (field.kind == LOG_FIELD_STR && field.str.len > MAX_VALUE_BYTES) {
        field.str = shorten(field.str, MAX_VALUE_BYTES);
        line->is_cut = true;
    }

    for (;;) {
        add_pair(&line->text, &field);
        if (!line->text.is_cut)
            return;

        line->text.len = start;
        line->text.is_cut = false;
        line->is_cut = true;
        if (field.kind != LOG_FIELD_STR || field.str.len == 0)
            return;
        field.str = shorten(field.str, field.str.len / 2);
    }
}

static void add_time(struct text *text)
{
    int64_t   now_ns = clock_realtime_ns();
    time_t    seconds = now_ns / NS_PER_S;
    struct tm tm;

    gmtime_r(&seconds, &tm);
    text_add_format(text, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900, tm.tm_mon + 1,
                    tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                    (int)(now_ns % NS_PER_S / NS_PER_US));
}

static bool is_one_line(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.at[i] < ' ')
            return false;
    return str_is_utf8(s);
}

static void add_text_message(struct text *text, struct str message)
{
    text_add_char(text, ' ');
    if (is_one_line(message))
        text_add(text, message);
    else
        text_add_json(text, message);
}

static void add_head(struct line *line, enum log_level level, struct str message)
{
    struct text *text = &line->text;

    line->is_cut = message.len > MAX_MESSAGE_BYTES;
    message = shorten(message, MAX_MESSAGE_BYTES);
    if (config.format == LOG_JSON) {
        text_add(text, STR("{\"time\":\""));
        add_time(text);
        text_add_char(text, '"');
        add_field(line, log_text("level", level_names[level]));
        add_field(line, log_str("message", message));
    } else {
        add_time(text);
        text_add_char(text, ' ');
        text_add(text, str_from(level_names[level]));
        add_text_message(text, message);
    }
}

static void add_end(struct line *line)
{
    line->text.capacity += END_BYTES;
    if (config.format == LOG_JSON)
        text_add(&line->text, line->is_cut ? str_from(longest_end) : STR("}\n"));
    else
        text_add(&line->text, line->is_cut ? STR(" is_cut=true\n") : STR("\n"));
}

void log_write(enum log_level level, const char *message, const struct log_field *fields,
               size_t n_fields)
{
    int         saved_errno = errno;
    char        buffer[LINE_BYTES];
    struct line line = {.text = text_in_buffer(buffer, sizeof(buffer) - END_BYTES)};

    add_head(&line, level, str_from(message));
    for (size_t i = 0; i < config.n_identity; i++)
        add_field(&line, config.identity[i]);
    for (size_t i = 0; i < n_fields; i++)
        add_field(&line, fields[i]);
    add_end(&line);

    /* There is nobody to tell when the log itself fails. */
    ssize_t ignored = write(config.descriptor, line.text.at, line.text.len);
    (void)ignored;
    errno = saved_errno;
}

bool log_limit_allows(struct log_limit *limit, int64_t now_ns, uint64_t *ret_suppressed)
{
    int64_t next_ns = atomic_load_explicit(&limit->next_ns, memory_order_relaxed);

    /* Of those that come at once, one wins the exchange. */
    if (now_ns < next_ns ||
        !atomic_compare_exchange_strong(&limit->next_ns, &next_ns, now_ns + limit->interval_ns)) {
        atomic_fetch_add_explicit(&limit->suppressed, 1, memory_order_relaxed);
        return false;
    }
    *ret_suppressed = atomic_exchange_explicit(&limit->suppressed, 0, memory_order_relaxed);
    return true;
}
