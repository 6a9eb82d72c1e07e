#include "common/trace/span.h"

/* The attribute of that key, new or already there; NULL when nothing is to be set. */
static struct span_attribute *attribute(struct span *span, struct str key)
{
    if (!span->is_recorded)
        return NULL;

    for (unsigned i = 0; i < span->n_attributes; i++)
        if (str_equal(span->attributes[i].key, key))
            return &span->attributes[i];

    if (span->n_attributes == SPAN_MAX_ATTRIBUTES) {
        span->n_dropped_attributes++;
        return NULL;
    }
    return &span->attributes[span->n_attributes++];
}

static void set(struct span *span, struct span_attribute value)
{
    struct span_attribute *slot = attribute(span, value.key);
    if (slot)
        *slot = value;
}

void span_set_str(struct span *span, struct str key, struct str value)
{
    set(span, (struct span_attribute){.key = key, .kind = ATTRIBUTE_STR, .str = value});
}

void span_set_int(struct span *span, struct str key, int64_t value)
{
    set(span, (struct span_attribute){.key = key, .kind = ATTRIBUTE_INT, .integer = value});
}

void span_set_double(struct span *span, struct str key, double value)
{
    set(span, (struct span_attribute){.key = key, .kind = ATTRIBUTE_DOUBLE, .real = value});
}

void span_set_bool(struct span *span, struct str key, bool value)
{
    set(span, (struct span_attribute){.key = key, .kind = ATTRIBUTE_BOOL, .boolean = value});
}

void span_set_error(struct span *span, struct str message)
{
    if (!span->is_recorded)
        return;

    span->is_error = true;
    span->error_message = message;
}
