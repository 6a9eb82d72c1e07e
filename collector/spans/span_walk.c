#include "collector/spans/span_walk.h"

#include "collector/spans/otlp_schema.h"

static bool is_bytes(const struct wire_field *field, uint32_t number)
{
    return field->number == number && field->type == WIRE_BYTES;
}

/* Of a oneof the last one counts. */
struct str any_value_string(struct str any_value)
{
    struct wire_cursor cursor = wire_cursor(any_value);
    struct wire_field  field;
    struct str         string = {0};

    while (wire_next(&cursor, &field))
        if (field.number <= OTLP_MAX_FIELD && otlp_any_value.fields[field.number].kind)
            string = is_bytes(&field, ANY_STRING) ? field.bytes : (struct str){0};
    return string;
}

struct wire_cursor attribute_walk(struct str message)
{
    return wire_cursor(message);
}

static struct attribute_view read_attribute(struct str key_value)
{
    struct attribute_view attribute = {.key = STR(""), .value = STR("")};
    struct wire_cursor    cursor = wire_cursor(key_value);
    struct wire_field     field;

    while (wire_next(&cursor, &field)) {
        if (is_bytes(&field, KEY_VALUE_KEY))
            attribute.key = field.bytes;
        else if (is_bytes(&field, KEY_VALUE_VALUE))
            attribute.value = field.bytes;
    }
    return attribute;
}

bool attribute_walk_next(struct wire_cursor *walk, uint32_t number, struct attribute_view *ret)
{
    struct wire_field field;

    while (wire_next(walk, &field))
        if (is_bytes(&field, number)) {
            *ret = read_attribute(field.bytes);
            return true;
        }
    return false;
}

static struct str find_service_name(struct str resource)
{
    struct wire_cursor    walk = attribute_walk(resource);
    struct attribute_view attribute;

    while (attribute_walk_next(&walk, RESOURCE_ATTRIBUTES, &attribute))
        if (str_equal(attribute.key, STR("service.name")))
            return any_value_string(attribute.value);
    return (struct str){0};
}

/* Looks through the whole message first, for the resource may stand behind the spans. */
static void enter_resource_spans(struct span_walk *walk, struct str message)
{
    struct span_view *context = &walk->context;
    struct wire_field field;

    *context = (struct span_view){.resource = STR(""), .resource_schema_url = STR("")};
    walk->resource_spans = wire_cursor(message);
    for (struct wire_cursor ahead = walk->resource_spans; wire_next(&ahead, &field);) {
        if (is_bytes(&field, RESOURCE_SPANS_RESOURCE))
            context->resource = field.bytes;
        else if (is_bytes(&field, RESOURCE_SPANS_SCHEMA_URL))
            context->resource_schema_url = field.bytes;
    }
    context->service_name = find_service_name(context->resource);
}

static void enter_scope_spans(struct span_walk *walk, struct str message)
{
    struct span_view *context = &walk->context;
    struct wire_field field;

    context->scope = context->scope_schema_url = STR("");
    walk->scope_spans = wire_cursor(message);
    for (struct wire_cursor ahead = walk->scope_spans; wire_next(&ahead, &field);) {
        if (is_bytes(&field, SCOPE_SPANS_SCOPE))
            context->scope = field.bytes;
        else if (is_bytes(&field, SCOPE_SPANS_SCHEMA_URL))
            context->scope_schema_url = field.bytes;
    }
}

static uint32_t read_status_code(struct str status, uint32_t before)
{
    struct wire_cursor cursor = wire_cursor(status);
    struct wire_field  field;
    uint32_t           code = before;

    while (wire_next(&cursor, &field))
        if (field.number == SPAN_STATUS_CODE && field.type == WIRE_VARINT)
            code = (uint32_t)field.value;
    return code;
}

/* What the skim let pass is of the right wire type; what is not has no bytes or no value. */
static void read_span_field(struct span_view *span, const struct wire_field *field)
{
    switch (field->number) {
    case SPAN_TRACE_ID:
        span->trace_id = field->bytes;
        break;
    case SPAN_SPAN_ID:
        span->span_id = field->bytes;
        break;
    case SPAN_PARENT_SPAN_ID:
        span->parent_span_id = field->bytes;
        break;
    case SPAN_NAME:
        span->name = field->bytes;
        break;
    case SPAN_KIND:
        span->kind = (uint32_t)field->value;
        break;
    case SPAN_START_TIME:
        span->start_ns = field->value;
        break;
    case SPAN_END_TIME:
        span->end_ns = field->value;
        break;
    case SPAN_STATUS:
        span->status_code = read_status_code(field->bytes, span->status_code);
        break;
    default:
        break;
    }
}

static struct span_view read_span(const struct span_view *context, struct str message)
{
    struct span_view   span = *context;
    struct wire_cursor cursor = wire_cursor(message);
    struct wire_field  field;

    span.bytes = message;
    span.trace_id = span.span_id = span.parent_span_id = span.name = STR("");
    while (wire_next(&cursor, &field))
        read_span_field(&span, &field);
    return span;
}

struct span_walk span_walk(struct str request)
{
    return (struct span_walk){.request = wire_cursor(request)};
}

/* The next element of a repeated message. */
static bool next_message(struct wire_cursor *cursor, uint32_t number, struct str *ret_message)
{
    struct wire_field field;

    while (wire_next(cursor, &field))
        if (is_bytes(&field, number)) {
            *ret_message = field.bytes;
            return true;
        }
    return false;
}

static bool next_scope_spans(struct span_walk *walk)
{
    struct str message;

    while (!next_message(&walk->resource_spans, RESOURCE_SPANS_SCOPE_SPANS, &message)) {
        if (walk->resource_spans.is_bad ||
            !next_message(&walk->request, EXPORT_RESOURCE_SPANS, &message))
            return false;
        enter_resource_spans(walk, message);
    }
    enter_scope_spans(walk, message);
    return true;
}

bool span_walk_next(struct span_walk *walk, struct span_view *ret_span)
{
    struct str message;

    while (!next_message(&walk->scope_spans, SCOPE_SPANS_SPANS, &message))
        if (walk->scope_spans.is_bad || !next_scope_spans(walk))
            return false;
    *ret_span = read_span(&walk->context, message);
    return true;
}
