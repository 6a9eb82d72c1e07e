#pragma once

/*
 * Trace ids: 16 bytes for a trace, 8 for a span; never all zero. Pure but for
 * the two that make new ones.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

enum { TRACE_ID_HEX_LENGTH = 32, SPAN_ID_HEX_LENGTH = 16 };

struct trace_id {
    uint8_t bytes[16];
};

struct span_id {
    uint8_t bytes[8];
};

struct trace_id trace_id_new(void);
struct span_id  span_id_new(void);

bool trace_id_is_zero(const struct trace_id *id);
bool span_id_is_zero(const struct span_id *id);
bool trace_id_equal(const struct trace_id *a, const struct trace_id *b);
bool span_id_equal(const struct span_id *a, const struct span_id *b);

/*
 * Exactly 32 hex digits, or 16 (padded with zeros on the left), of either case, not all
 * zero. 0 or -EINVAL.
 */
int trace_id_parse(struct str hex, struct trace_id *ret_id);

/* Exactly 16 hex digits of either case, not all zero. 0 or -EINVAL. */
int span_id_parse(struct str hex, struct span_id *ret_id);

/* Lower case; `hex` has room for TRACE_ID_HEX_LENGTH (SPAN_ID_HEX_LENGTH) bytes and gets no NUL. */
struct str trace_id_format(const struct trace_id *id, char hex[TRACE_ID_HEX_LENGTH]);
struct str span_id_format(const struct span_id *id, char hex[SPAN_ID_HEX_LENGTH]);
