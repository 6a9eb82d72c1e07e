#pragma once

/*
 * Zipkin span: one of either form, JSON or protobuf, and what becomes of it in OTLP. The readers
 * fill the values in and report tags and annotations as they meet them, for a span may have any
 * number; the mapping exists once, here.
 *
 *     zipkin_spans_begin(spans);
 *     zipkin_spans_tag(spans, key, value);
 *     spans->span.name = name;
 *     zipkin_spans_end(spans);
 *
 * All strings are views that outlive the list, in UTF-8.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/spans/zipkin.h"
#include "common/base/wire_builder.h"

enum { ZIPKIN_TRACE_ID_BYTES = 16, ZIPKIN_ID_BYTES = 8 };

/* As numbered in zipkin.proto. */
enum zipkin_kind {
    ZIPKIN_KIND_ABSENT,
    ZIPKIN_CLIENT,
    ZIPKIN_SERVER,
    ZIPKIN_PRODUCER,
    ZIPKIN_CONSUMER,
};

struct zipkin_endpoint {
    struct str service_name;
    struct str ipv4, ipv6; /* as text */
    uint16_t   port;       /* 0: absent */
};

/* What is absent is zero. */
struct zipkin_span {
    uint8_t                trace_id[ZIPKIN_TRACE_ID_BYTES];
    uint8_t                id[ZIPKIN_ID_BYTES];
    uint8_t                parent_id[ZIPKIN_ID_BYTES];
    enum zipkin_kind       kind;
    struct str             name;
    uint64_t               timestamp_us, duration_us;
    struct zipkin_endpoint local, remote;
    bool                   is_debug, is_shared;
};

/* What tags said that is no attribute in OTLP. */
struct zipkin_tags {
    unsigned   seen; /* attributes that tags set, which endpoints then do not */
    struct str status_code, status_description, error;
    struct str trace_state;
    struct str scope_name, scope_version;
    struct str kind;
};

/* The export request under construction. Spans in a row of one service and scope share a group. */
struct zipkin_spans {
    struct zipkin_span span; /* for the reader to fill in */

    struct arena       *arena;
    struct wire_builder request, fields /* of the span at hand */;
    struct zipkin_tags  tags;
    const char         *wrong_member, *wrong; /* with the span at hand; NULL: nothing */
    bool                is_grouped;
    struct str          service_name, scope_name, scope_version; /* of the open group */
    struct wire_open    resource_spans, scope_spans;
    uint32_t            n_spans, n_bad;
    struct str          reason; /* what is wrong with the first bad one */
};

struct zipkin_spans zipkin_spans(struct arena *arena, size_t capacity, size_t max_bytes);

void zipkin_spans_begin(struct zipkin_spans *spans);
void zipkin_spans_tag(struct zipkin_spans *spans, struct str key, struct str value);
void zipkin_spans_annotation(struct zipkin_spans *spans, uint64_t timestamp_us, struct str value);

/*
 * The span at hand breaks a rule: what is wrong, and with which member, or NULL for the whole
 * (constants). The first reason counts.
 */
void zipkin_spans_refuse(struct zipkin_spans *spans, const char *member, const char *wrong);

/* Adds the span at hand, or counts it as bad. */
void zipkin_spans_end(struct zipkin_spans *spans);

/* After the last: 0 and the result, -E2BIG or -ENOMEM. */
int zipkin_spans_finish(struct zipkin_spans *spans, struct zipkin_result *ret_result);
