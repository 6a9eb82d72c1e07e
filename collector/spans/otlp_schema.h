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

/* Field numbers that code names. */
enum { EXPORT_RESOURCE_SPANS = 1 };
enum { RESOURCE_SPANS_RESOURCE = 1, RESOURCE_SPANS_SCOPE_SPANS = 2, RESOURCE_SPANS_SCHEMA_URL = 3 };
enum { RESOURCE_ATTRIBUTES = 1 };
enum { SCOPE_SPANS_SCOPE = 1, SCOPE_SPANS_SPANS = 2, SCOPE_SPANS_SCHEMA_URL = 3 };
enum { SCOPE_NAME = 1, SCOPE_VERSION = 2, SCOPE_ATTRIBUTES = 3 };
enum {
    SPAN_TRACE_ID = 1,
    SPAN_SPAN_ID = 2,
    SPAN_TRACE_STATE = 3,
    SPAN_PARENT_SPAN_ID = 4,
    SPAN_NAME = 5,
    SPAN_KIND = 6,
    SPAN_START_TIME = 7,
    SPAN_END_TIME = 8,
    SPAN_ATTRIBUTES = 9,
    SPAN_EVENTS = 11,
    SPAN_LINKS = 13,
    SPAN_STATUS = 15,
    SPAN_FLAGS = 16,
};
enum { EVENT_TIME = 1, EVENT_NAME = 2, EVENT_ATTRIBUTES = 3 };
enum { LINK_TRACE_ID = 1, LINK_SPAN_ID = 2, LINK_TRACE_STATE = 3, LINK_ATTRIBUTES = 4 };
enum { SPAN_STATUS_MESSAGE = 2, SPAN_STATUS_CODE = 3 };
enum { KEY_VALUE_KEY = 1, KEY_VALUE_VALUE = 2 };
enum {
    ANY_STRING = 1,
    ANY_BOOL = 2,
    ANY_INT = 3,
    ANY_DOUBLE = 4,
    ANY_ARRAY = 5,
    ANY_KVLIST = 6,
    ANY_BYTES = 7,
};
