#include "collector/recent/attribute_filter.h"

#include <errno.h>

#include "collector/recent/kept_trace.h"
#include "collector/spans/otlp_schema.h"
#include "collector/spans/span_walk.h"
#include "common/base/arena.h"
#include "common/base/json.h"

/* Before those that are there. */
static int add_wanted(const struct attribute_filter **filter, struct str key, struct str value,
                      struct arena *arena)
{
    struct attribute_filter *wanted = arena_alloc(arena, sizeof(*wanted));
    if (!wanted)
        return -ENOMEM;

    *wanted = (struct attribute_filter){.next = *filter, .key = key, .value = value};
    *filter = wanted;
    return 0;
}

static int read_members(struct json_cursor *cursor, const struct attribute_filter **filter)
{
    struct str        key;
    struct json_value value;

    while (json_next_member(cursor, &key, &value)) {
        if (value.kind != JSON_KIND_STRING)
            return -EINVAL;
        int r = add_wanted(filter, key, value.text, cursor->arena);
        if (r < 0)
            return r;
    }
    return 0;
}

int attribute_filter_read(struct str json, struct arena *arena,
                          const struct attribute_filter **ret_filter)
{
    const struct attribute_filter *filter = NULL;
    struct json_cursor             cursor = json_cursor(json, arena);
    struct json_value              root;

    if (json_root(&cursor, &root)) {
        if (root.kind != JSON_KIND_OBJECT)
            return -EINVAL;
        int r = read_members(&cursor, &filter);
        if (r < 0)
            return r;
    }
    int r = json_end(&cursor);
    if (r < 0)
        return r == -ENOMEM ? r : -EINVAL;
    *ret_filter = filter;
    return 0;
}

static bool is_double(uint64_t bits, struct str text)
{
    double value, wanted;

    memcpy(&value, &bits, sizeof(value));
    return json_to_double(text, &wanted) == 0 && value == wanted;
}

static bool is_int(int64_t value, struct str text)
{
    int64_t wanted;
    return json_to_int64(text, &wanted) == 0 && value == wanted;
}

static bool has_text(const struct wire_field *value, struct str text)
{
    switch (value->number) {
    case ANY_STRING:
        return str_equal(value->bytes, text);
    case ANY_BOOL:
        return str_equal(text, value->value != 0 ? STR("true") : STR("false"));
    case ANY_INT:
        return is_int((int64_t)value->value, text);
    case ANY_DOUBLE:
        return is_double(value->value, text);
    default:
        return false;
    }
}

/* Of a oneof the last member counts. */
static bool is_value(struct str any_value, struct str text)
{
    struct wire_cursor cursor = wire_cursor(any_value);
    struct wire_field  field, value = {0};

    while (wire_next(&cursor, &field)) {
        if (field.number <= OTLP_MAX_FIELD && otlp_any_value.fields[field.number].kind)
            value = field;
    }
    return has_text(&value, text);
}

/* `number` is that of the attributes in `message`. */
static bool is_among(const struct attribute_filter *wanted, struct str message, uint32_t number)
{
    struct wire_cursor    walk = attribute_walk(message);
    struct attribute_view attribute;

    while (attribute_walk_next(&walk, number, &attribute)) {
        if (str_equal(attribute.key, wanted->key) && is_value(attribute.value, wanted->value))
            return true;
    }
    return false;
}

bool attribute_filter_matches(const struct attribute_filter *filter, const struct kept_span *span)
{
    for (; filter; filter = filter->next) {
        if (!is_among(filter, span->piece.bytes, SPAN_ATTRIBUTES) &&
            !is_among(filter, span->context->parts.resource->bytes, RESOURCE_ATTRIBUTES))
            return false;
    }
    return true;
}
