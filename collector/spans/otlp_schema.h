#pragma once

/*
 * Otlp schema: the messages of an ExportTraceServiceRequest as tables, for everything
 * that reads or writes them field by field: the skim, the walk, both directions of JSON.
 * Pure data.
 *
 * Source: opentelemetry/proto/{collector/trace,trace,common,resource}/v1 (1.11); JSON
 * names by the protobuf JSON mapping, ids by the OTLP specification ("JSON Protobuf Encoding").
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/wire.h"
#include "common/trace/otlp_fields.h"

enum otlp_kind {
    OTLP_UNKNOWN, /* the message has no such field */
    OTLP_STRING,
    OTLP_BYTES,
    OTLP_TRACE_ID, /* bytes: 16 of them, or none; hex in JSON */
    OTLP_SPAN_ID,  /* bytes: 8 of them, or none; hex in JSON */
    OTLP_MESSAGE,
    OTLP_BOOL,
    OTLP_ENUM,
    OTLP_INT32,
    OTLP_UINT32,
    OTLP_INT64,
    OTLP_FIXED32,
    OTLP_FIXED64,
    OTLP_DOUBLE,
};

struct otlp_message;

struct otlp_field {
    const char                *json_name;
    const struct otlp_message *message; /* of an OTLP_MESSAGE */
    uint8_t                    kind;    /* enum otlp_kind */
    uint8_t                    wire;    /* enum wire_type */
    bool                       is_repeated;
};

enum { OTLP_MAX_FIELD = 16 };

struct otlp_message {
    const char       *name;
    bool              is_oneof;                   /* its fields exclude each other */
    struct otlp_field fields[OTLP_MAX_FIELD + 1]; /* by number */
};

extern const struct otlp_message otlp_export_request; /* the root */
extern const struct otlp_message otlp_resource_spans;
extern const struct otlp_message otlp_resource;
extern const struct otlp_message otlp_scope_spans;
extern const struct otlp_message otlp_scope;
extern const struct otlp_message otlp_span;
extern const struct otlp_message otlp_span_event;
extern const struct otlp_message otlp_span_link;
extern const struct otlp_message otlp_span_status;
extern const struct otlp_message otlp_key_value;
extern const struct otlp_message otlp_any_value;
extern const struct otlp_message otlp_array_value;
extern const struct otlp_message otlp_kvlist_value;
extern const struct otlp_message otlp_entity_ref;
