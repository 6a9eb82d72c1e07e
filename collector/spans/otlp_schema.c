#include "collector/spans/otlp_schema.h"

#define STRING(name)                                                 \
    {                                                                \
        .json_name = (name), .kind = OTLP_STRING, .wire = WIRE_BYTES \
    }
#define STRINGS(name)                                                                     \
    {                                                                                     \
        .json_name = (name), .kind = OTLP_STRING, .wire = WIRE_BYTES, .is_repeated = true \
    }
#define BYTES(name, of_kind)                                       \
    {                                                              \
        .json_name = (name), .kind = (of_kind), .wire = WIRE_BYTES \
    }
#define VARINT(name, of_kind)                                       \
    {                                                               \
        .json_name = (name), .kind = (of_kind), .wire = WIRE_VARINT \
    }
#define FIXED32(name)                                                   \
    {                                                                   \
        .json_name = (name), .kind = OTLP_FIXED32, .wire = WIRE_FIXED32 \
    }
#define FIXED64(name, of_kind)                                       \
    {                                                                \
        .json_name = (name), .kind = (of_kind), .wire = WIRE_FIXED64 \
    }
#define ONE(name, of)                                                                   \
    {                                                                                   \
        .json_name = (name), .kind = OTLP_MESSAGE, .wire = WIRE_BYTES, .message = &(of) \
    }
#define MANY(name, of)                                                                   \
    {                                                                                    \
        .json_name = (name), .kind = OTLP_MESSAGE, .wire = WIRE_BYTES, .message = &(of), \
        .is_repeated = true                                                              \
    }

const struct otlp_message otlp_export_request = {
    "ExportTraceServiceRequest",
    .fields = {[EXPORT_RESOURCE_SPANS] = MANY("resourceSpans", otlp_resource_spans)},
};

const struct otlp_message otlp_resource_spans = {
    "ResourceSpans",
    .fields = {[RESOURCE_SPANS_RESOURCE] = ONE("resource", otlp_resource),
               [RESOURCE_SPANS_SCOPE_SPANS] = MANY("scopeSpans", otlp_scope_spans),
               [RESOURCE_SPANS_SCHEMA_URL] = STRING("schemaUrl")},
};

const struct otlp_message otlp_resource = {
    "Resource",
    .fields = {[RESOURCE_ATTRIBUTES] = MANY("attributes", otlp_key_value),
               [2] = VARINT("droppedAttributesCount", OTLP_UINT32),
               [3] = MANY("entityRefs", otlp_entity_ref)},
};

const struct otlp_message otlp_entity_ref = {
    "EntityRef",
    .fields = {[1] = STRING("schemaUrl"),
               [2] = STRING("type"),
               [3] = STRINGS("idKeys"),
               [4] = STRINGS("descriptionKeys")},
};

const struct otlp_message otlp_scope_spans = {
    "ScopeSpans",
    .fields = {[SCOPE_SPANS_SCOPE] = ONE("scope", otlp_scope),
               [SCOPE_SPANS_SPANS] = MANY("spans", otlp_span),
               [SCOPE_SPANS_SCHEMA_URL] = STRING("schemaUrl")},
};

const struct otlp_message otlp_scope = {
    "InstrumentationScope",
    .fields = {[SCOPE_NAME] = STRING("name"),
               [SCOPE_VERSION] = STRING("version"),
               [SCOPE_ATTRIBUTES] = MANY("attributes", otlp_key_value),
               [4] = VARINT("droppedAttributesCount", OTLP_UINT32)},
};

const struct otlp_message otlp_span = {
    "Span",
    .fields = {[SPAN_TRACE_ID] = BYTES("traceId", OTLP_TRACE_ID),
               [SPAN_SPAN_ID] = BYTES("spanId", OTLP_SPAN_ID),
               [SPAN_TRACE_STATE] = STRING("traceState"),
               [SPAN_PARENT_SPAN_ID] = BYTES("parentSpanId", OTLP_SPAN_ID),
               [SPAN_NAME] = STRING("name"),
               [SPAN_KIND] = VARINT("kind", OTLP_ENUM),
               [SPAN_START_TIME] = FIXED64("startTimeUnixNano", OTLP_FIXED64),
               [SPAN_END_TIME] = FIXED64("endTimeUnixNano", OTLP_FIXED64),
               [SPAN_ATTRIBUTES] = MANY("attributes", otlp_key_value),
               [10] = VARINT("droppedAttributesCount", OTLP_UINT32),
               [SPAN_EVENTS] = MANY("events", otlp_span_event),
               [12] = VARINT("droppedEventsCount", OTLP_UINT32),
               [SPAN_LINKS] = MANY("links", otlp_span_link),
               [14] = VARINT("droppedLinksCount", OTLP_UINT32),
               [SPAN_STATUS] = ONE("status", otlp_span_status),
               [SPAN_FLAGS] = FIXED32("flags")},
};

const struct otlp_message otlp_span_event = {
    "Event",
    .fields = {[EVENT_TIME] = FIXED64("timeUnixNano", OTLP_FIXED64),
               [EVENT_NAME] = STRING("name"),
               [EVENT_ATTRIBUTES] = MANY("attributes", otlp_key_value),
               [4] = VARINT("droppedAttributesCount", OTLP_UINT32)},
};

const struct otlp_message otlp_span_link = {
    "Link",
    .fields = {[LINK_TRACE_ID] = BYTES("traceId", OTLP_TRACE_ID),
               [LINK_SPAN_ID] = BYTES("spanId", OTLP_SPAN_ID),
               [LINK_TRACE_STATE] = STRING("traceState"),
               [LINK_ATTRIBUTES] = MANY("attributes", otlp_key_value),
               [5] = VARINT("droppedAttributesCount", OTLP_UINT32),
               [6] = FIXED32("flags")},
};

const struct otlp_message otlp_span_status = {
    "Status",
    .fields =
        {[SPAN_STATUS_MESSAGE] = STRING("message"), [SPAN_STATUS_CODE] = VARINT("code", OTLP_ENUM)},
};

const struct otlp_message otlp_key_value = {
    "KeyValue",
    .fields = {[KEY_VALUE_KEY] = STRING("key"),
               [KEY_VALUE_VALUE] = ONE("value", otlp_any_value),
               [3] = VARINT("keyStrindex", OTLP_INT32)},
};

const struct otlp_message otlp_any_value = {
    "AnyValue",
    .is_oneof = true,
    .fields = {[ANY_STRING] = STRING("stringValue"),
               [ANY_BOOL] = VARINT("boolValue", OTLP_BOOL),
               [ANY_INT] = VARINT("intValue", OTLP_INT64),
               [ANY_DOUBLE] = FIXED64("doubleValue", OTLP_DOUBLE),
               [ANY_ARRAY] = ONE("arrayValue", otlp_array_value),
               [ANY_KVLIST] = ONE("kvlistValue", otlp_kvlist_value),
               [ANY_BYTES] = BYTES("bytesValue", OTLP_BYTES),
               [8] = VARINT("stringValueStrindex", OTLP_INT32)},
};

const struct otlp_message otlp_array_value = {
    "ArrayValue",
    .fields = {[1] = MANY("values", otlp_any_value)},
};

const struct otlp_message otlp_kvlist_value = {
    "KeyValueList",
    .fields = {[1] = MANY("values", otlp_key_value)},
};
