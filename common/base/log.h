#pragma once

/*
 * Log: one line per event on standard error, as JSON or `key=value` text.
 * Programs log; libraries return. What a peer can trigger goes through a limit.
 *
 * Threads: configure before the first thread starts, then any; a line is one write.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

enum log_level {
    LOG_ERROR,   /* somebody must act */
    LOG_WARNING, /* degraded, and going on */
    LOG_INFO,    /* life-cycle and requests */
    LOG_DEBUG,
};

enum log_format { LOG_JSON, LOG_TEXT };

struct log_field {
    const char *key;
    enum { LOG_FIELD_STR, LOG_FIELD_INT, LOG_FIELD_DOUBLE, LOG_FIELD_BOOL } kind;
    union {
        struct str str;
        int64_t    integer;
        double     real;
        bool       boolean;
    };
};

/* Where lines go is standard error; tests may give another descriptor. */
void log_configure(enum log_level level, enum log_format format);
void log_to_descriptor(int fd);

/* Adds a field to every line from now on: who is speaking. The strings outlive the program. */
void log_identify(const char *key, struct str value);

bool log_enabled(enum log_level level);

void log_write(enum log_level level, const char *message, const struct log_field *fields,
               size_t n_fields);

#define log_at(level, message, ...)                                                           \
    do {                                                                                      \
        if (log_enabled(level)) {                                                             \
            const struct log_field fields_[] = {{0}, ##__VA_ARGS__};                          \
            log_write(level, message, fields_ + 1, sizeof(fields_) / sizeof(fields_[0]) - 1); \
        }                                                                                     \
    } while (0)

/* log_info("listening", log_str("address", address), log_int("port", port)); */
#define log_error(message, ...) log_at(LOG_ERROR, message, ##__VA_ARGS__)
#define log_warning(message, ...) log_at(LOG_WARNING, message, ##__VA_ARGS__)
#define log_info(message, ...) log_at(LOG_INFO, message, ##__VA_ARGS__)
#define log_debug(message, ...) log_at(LOG_DEBUG, message, ##__VA_ARGS__)

static inline struct log_field log_str(const char *key, struct str value)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_STR, .str = value};
}

static inline struct log_field log_text(const char *key, const char *value)
{
    return log_str(key, str_from(value));
}

static inline struct log_field log_int(const char *key, int64_t value)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_INT, .integer = value};
}

static inline struct log_field log_double(const char *key, double value)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_DOUBLE, .real = value};
}

static inline struct log_field log_bool(const char *key, bool value)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_BOOL, .boolean = value};
}

/*
 * Lets one event through per `interval_ns`; a static one per place that a peer can trigger.
 * Zero-initialise but for the interval.
 */
struct log_limit {
    int64_t          interval_ns;
    _Atomic int64_t  next_ns;
    _Atomic uint64_t suppressed;
};

/*
 * Whether this event may be logged. `*ret_suppressed` is how many were held back
 * since the last one that was let through.
 */
bool log_limit_allows(struct log_limit *limit, int64_t now_ns, uint64_t *ret_suppressed);
