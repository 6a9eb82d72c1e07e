#include <errno.h>

#include "collector/spans/zipkin.h"
#include "collector/spans/zipkin_span.h"
#include "common/base/cleanup.h"
#include "common/base/hex.h"
#include "common/base/json.h"

enum { CAPACITY_BESIDES = 512 };

struct reader {
    struct json_cursor  json;
    struct zipkin_spans spans;
};

/*
 * The members of an object, as a table. Each is read into its place in the object's struct by a
 * function that leaves the value behind it, whatever is wrong with it.
 */
struct member;

typedef void read_fn(struct reader *reader, const struct member *member, void *to,
                     const struct json_value *value);

struct member {
    const char *name;
    read_fn    *read;
    size_t      offset;
};

static void refuse(struct reader *reader, const struct member *member,
                   const struct json_value *value, const char *wrong)
{
    zipkin_spans_refuse(&reader->spans, member->name, wrong);
    json_skip(&reader->json, value);
}

static const struct member *find_member(const struct member *members, struct str name)
{
    for (; members->name; members++)
        if (str_equal(str_from(members->name), name))
            return members;
    return NULL;
}

/* What is null counts as absent, what is unknown as not there. */
static void read_members(struct reader *reader, const struct member *members, void *to)
{
    struct str        name;
    struct json_value value;

    while (json_next_member(&reader->json, &name, &value)) {
        const struct member *member = find_member(members, name);
        if (member && value.kind != JSON_KIND_NULL)
            member->read(reader, member, (char *)to + member->offset, &value);
        else
            json_skip(&reader->json, &value);
    }
}

static void read_string(struct reader *reader, const struct member *member, void *to,
                        const struct json_value *value)
{
    if (value->kind != JSON_KIND_STRING)
        refuse(reader, member, value, "not a string");
    else
        *(struct str *)to = value->text;
}

/* Hex digits of either case, with zeros in front when they are too few. */
static void read_hex(struct reader *reader, const struct member *member, uint8_t *to,
                     size_t n_bytes, const struct json_value *value)
{
    char   digits[2 * ZIPKIN_TRACE_ID_BYTES];
    size_t n_digits = 2 * n_bytes;

    if (value->kind != JSON_KIND_STRING || value->text.len > n_digits) {
        refuse(reader, member, value,
               n_digits == 32 ? "not at most 32 hex digits" : "not at most 16 hex digits");
        return;
    }
    memset(digits, '0', n_digits);
    memcpy(digits + n_digits - value->text.len, value->text.at, value->text.len);
    if (!hex_decode((struct str){digits, n_digits}, to))
        refuse(reader, member, value, "not hex digits");
}

static void read_trace_id(struct reader *reader, const struct member *member, void *to,
                          const struct json_value *value)
{
    read_hex(reader, member, to, ZIPKIN_TRACE_ID_BYTES, value);
}

static void read_id(struct reader *reader, const struct member *member, void *to,
                    const struct json_value *value)
{
    read_hex(reader, member, to, ZIPKIN_ID_BYTES, value);
}

static void read_kind(struct reader *reader, const struct member *member, void *to,
                      const struct json_value *value)
{
    static const struct str names[] = {
        [ZIPKIN_CLIENT] = STR_INIT("CLIENT"),
        [ZIPKIN_SERVER] = STR_INIT("SERVER"),
        [ZIPKIN_PRODUCER] = STR_INIT("PRODUCER"),
        [ZIPKIN_CONSUMER] = STR_INIT("CONSUMER"),
    };

    for (enum zipkin_kind kind = ZIPKIN_CLIENT; kind <= ZIPKIN_CONSUMER; kind++)
        if (value->kind == JSON_KIND_STRING && str_equal(value->text, names[kind])) {
            *(enum zipkin_kind *)to = kind;
            return;
        }
    refuse(reader, member, value, "not one of Zipkin's");
}

/* As number or string (istio/istio#32026), in any form that is whole; below 0 stands for absent. */
static bool read_number(struct reader *reader, const struct member *member,
                        const struct json_value *value, uint64_t *ret_number)
{
    int64_t number = 0;
    int     r = -EINVAL;

    if (value->kind == JSON_KIND_NUMBER || value->kind == JSON_KIND_STRING)
        r = json_to_int64(value->text, &number);
    if (r < 0) {
        refuse(reader, member, value, r == -ERANGE ? "out of range" : "not a whole number");
        return false;
    }
    *ret_number = number > 0 ? (uint64_t)number : 0;
    return true;
}

static void read_us(struct reader *reader, const struct member *member, void *to,
                    const struct json_value *value)
{
    (void)read_number(reader, member, value, to);
}

static void read_port(struct reader *reader, const struct member *member, void *to,
                      const struct json_value *value)
{
    uint64_t port;
    if (!read_number(reader, member, value, &port))
        return;

    if (port > UINT16_MAX)
        refuse(reader, member, value, "out of range");
    else
        *(uint16_t *)to = (uint16_t)port;
}

static void read_bool(struct reader *reader, const struct member *member, void *to,
                      const struct json_value *value)
{
    if (value->kind != JSON_KIND_BOOL)
        refuse(reader, member, value, "neither true nor false");
    else
        *(bool *)to = value->is_true;
}

static void read_endpoint(struct reader *reader, const struct member *member, void *to,
                          const struct json_value *value)
{
    static const struct member members[] = {
        {"serviceName", read_string, offsetof(struct zipkin_endpoint, service_name)},
        {"ipv4", read_string, offsetof(struct zipkin_endpoint, ipv4)},
        {"ipv6", read_string, offsetof(struct zipkin_endpoint, ipv6)},
        {"port", read_port, offsetof(struct zipkin_endpoint, port)},
        {0},
    };

    if (value->kind != JSON_KIND_OBJECT)
        refuse(reader, member, value, "not an object");
    else
        read_members(reader, members, to);
}

/* A tag is a string; numbers and booleans are told as they are written. */
static struct str tag_text(const struct json_value *value)
{
    switch (value->kind) {
    case JSON_KIND_STRING:
    case JSON_KIND_NUMBER:
        return value->text;
    case JSON_KIND_BOOL:
        return value->is_true ? STR("true") : STR("false");
    default:
        return (struct str){0};
    }
}

static void read_tags(struct reader *reader, const struct member *member, void *to,
                      const struct json_value *value)
{
    struct str        key;
    struct json_value tag;
    (void)to;

    if (value->kind != JSON_KIND_OBJECT) {
        refuse(reader, member, value, "not an object");
        return;
    }
    while (json_next_member(&reader->json, &key, &tag)) {
        struct str text = tag_text(&tag);
        if (text.at)
            zipkin_spans_tag(&reader->spans, key, text);
        else
            refuse(reader, member, &tag, "one that is not a string");
    }
}

struct annotation {
    uint64_t   timestamp_us;
    struct str value;
};

static void read_annotation(struct reader *reader, const struct member *member,
                            const struct json_value *value)
{
    static const struct member members[] = {
        {"timestamp", read_us, offsetof(struct annotation, timestamp_us)},
        {"value", read_string, offsetof(struct annotation, value)},
        {0},
    };
    struct annotation annotation = {0};

    if (value->kind != JSON_KIND_OBJECT) {
        refuse(reader, member, value, "one that is not an object");
        return;
    }
    read_members(reader, members, &annotation);
    zipkin_spans_annotation(&reader->spans, annotation.timestamp_us, annotation.value);
}

static void read_annotations(struct reader *reader, const struct member *member, void *to,
                             const struct json_value *value)
{
    struct json_value annotation;
    (void)to;

    if (value->kind != JSON_KIND_ARRAY) {
        refuse(reader, member, value, "not a list");
        return;
    }
    while (json_next_element(&reader->json, &annotation))
        read_annotation(reader, member, &annotation);
}

/* Only v1 has this member. What it says is nowhere else, so the rest is not worth having. */
static void refuse_v1(struct reader *reader, const struct member *member, void *to,
                      const struct json_value *value)
{
    (void)member;
    (void)to;
    (void)value;
    json_refuse(&reader->json, "binaryAnnotations, so this is Zipkin v1; only v2 is taken, by "
                               "POST to /api/v2/spans");
}

static void read_span(struct reader *reader, const struct json_value *value)
{
    static const struct member members[] = {
        {"traceId", read_trace_id, offsetof(struct zipkin_span, trace_id)},
        {"id", read_id, offsetof(struct zipkin_span, id)},
        {"parentId", read_id, offsetof(struct zipkin_span, parent_id)},
        {"kind", read_kind, offsetof(struct zipkin_span, kind)},
        {"name", read_string, offsetof(struct zipkin_span, name)},
        {"timestamp", read_us, offsetof(struct zipkin_span, timestamp_us)},
        {"duration", read_us, offsetof(struct zipkin_span, duration_us)},
        {"localEndpoint", read_endpoint, offsetof(struct zipkin_span, local)},
        {"remoteEndpoint", read_endpoint, offsetof(struct zipkin_span, remote)},
        {"annotations", read_annotations, 0},
        {"tags", read_tags, 0},
        {"debug", read_bool, offsetof(struct zipkin_span, is_debug)},
        {"shared", read_bool, offsetof(struct zipkin_span, is_shared)},
        {"binaryAnnotations", refuse_v1, 0},
        {0},
    };

    zipkin_spans_begin(&reader->spans);
    if (value->kind == JSON_KIND_OBJECT) {
        read_members(reader, members, &reader->spans.span);
    } else {
        zipkin_spans_refuse(&reader->spans, NULL, "not an object");
        json_skip(&reader->json, value);
    }
    zipkin_spans_end(&reader->spans);
}

static void read_list(struct reader *reader)
{
    struct json_value value;

    if (!json_root(&reader->json, &value))
        return;
    if (value.kind != JSON_KIND_ARRAY) {
        json_refuse(&reader->json, "not a list of spans");
        return;
    }
    while (json_next_element(&reader->json, &value))
        read_span(reader, &value);
}

int zipkin_read_json(struct str json, size_t max_bytes, struct arena *arena,
                     struct zipkin_result *ret_result)
{
    struct reader reader = {
        .json = json_cursor(json, arena),
        .spans = zipkin_spans(arena, json.len + CAPACITY_BESIDES, max_bytes),
    };

    read_list(&reader);
    int r = json_end(&reader.json);
    if (r == 0)
        return zipkin_spans_finish(&reader.spans, ret_result);
    if (r == -EBADMSG)
        *ret_result = (struct zipkin_result){.reason = json_complaint(&reader.json)};
    return r;
}
