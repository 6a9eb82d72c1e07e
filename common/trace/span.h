#pragma once

/*
 * Span: one piece of work as a trace shows it. Lives on the stack or in the
 * request; everything it points to is borrowed until it is ended.
 *
 * Names of attributes: OpenTelemetry semantic conventions.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"
#include "common/trace/trace_context.h"

/* The numbers are OTLP's (opentelemetry/proto/trace/v1/trace.proto). */
enum span_kind { SPAN_INTERNAL = 1, SPAN_SERVER = 2, SPAN_CLIENT = 3 };

enum { SPAN_MAX_ATTRIBUTES = 16 };

struct span_attribute {
    struct str key;
    enum { ATTRIBUTE_STR, ATTRIBUTE_INT, ATTRIBUTE_DOUBLE, ATTRIBUTE_BOOL } kind;
    union {
        struct str str;
        int64_t    integer;
        double     real;
        bool       boolean;
    };
};

struct span {
    struct trace_context  context;   /* its own ids, and what goes to the next hop */
    struct span_id        parent_id; /* zero: a root */
    bool                  has_remote_parent;
    bool                  is_recorded;
    enum span_kind        kind;
    struct str            name;
    int64_t               start_ns; /* real time */
    int64_t               end_ns;
    bool                  is_error;
    struct str            error_message;
    struct span_attribute attributes[SPAN_MAX_ATTRIBUTES];
    unsigned              n_attributes;
    unsigned              n_dropped_attributes; /* there was no more room */
};

/*
 * Ids, parent and sampling are the tracer's to set (tracer.h). These do nothing on a
 * span that is not recorded.
 */
void span_set_str(struct span *span, struct str key, struct str value);
void span_set_int(struct span *span, struct str key, int64_t value);
void span_set_double(struct span *span, struct str key, double value);
void span_set_bool(struct span *span, struct str key, bool value);
void span_set_error(struct span *span, struct str message);
