#include "collector/spans/zipkin_span.h"

#include <assert.h>
#include <errno.h>

#include "collector/spans/otlp_schema.h"
#include "common/base/arena.h"
#include "common/base/cleanup.h"

enum { NS_PER_US = 1000, SPAN_CAPACITY = 1024 };
enum { STATUS_OK = 1, STATUS_ERROR = 2 };
enum { KIND_INTERNAL = 1, KIND_SERVER, KIND_CLIENT, KIND_PRODUCER, KIND_CONSUMER };
enum { FLAG_SAMPLED = 1 };

/*
 * An endpoint is a socket: its address and port go by the names that the semantic conventions have
 * for those, network.{local,peer}.{address,port}, by which the specification's exporter fills the
 * remote endpoint too. client.* and server.* are names of a role (and of what was asked for), and
 * the net.* that the Collector still writes are deprecated.
 */
static const struct str peer_service = STR_INIT("peer.service");
static const struct str local_address = STR_INIT("network.local.address");
static const struct str local_port = STR_INIT("network.local.port");
static const struct str peer_address = STR_INIT("network.peer.address");
static const struct str peer_port = STR_INIT("network.peer.port");

/* Those of which a tag by that name wins; the number is a bit of `seen`. */
static const struct str *const endpoint_attributes[] = {
    &peer_service, &local_address, &local_port, &peer_address, &peer_port,
};

struct zipkin_spans zipkin_spans(struct arena *arena, size_t capacity, size_t max_bytes)
{
    return (struct zipkin_spans){
        .arena = arena,
        .request = wire_builder(arena, capacity < max_bytes ? capacity : max_bytes, max_bytes),
        .fields = wire_builder(arena, SPAN_CAPACITY, max_bytes),
    };
}

void zipkin_spans_begin(struct zipkin_spans *spans)
{
    spans->span = (struct zipkin_span){0};
    spans->tags = (struct zipkin_tags){0};
    spans->wrong = NULL;
    wire_build_clear(&spans->fields);
}

void zipkin_spans_refuse(struct zipkin_spans *spans, const char *member, const char *wrong)
{
    if (spans->wrong)
        return;

    spans->wrong_member = member;
    spans->wrong = wrong;
}

static void put_string(struct wire_builder *builder, uint32_t field, struct str key,
                       struct str value)
{
    struct wire_open attribute = wire_build_open(builder, field);
    wire_build_bytes(builder, KEY_VALUE_KEY, key);
    struct wire_open any = wire_build_open(builder, KEY_VALUE_VALUE);
    wire_build_bytes(builder, ANY_STRING, value);
    wire_build_close(builder, any);
    wire_build_close(builder, attribute);
}

/* A bool or an int of a span. */
static void put_number(struct wire_builder *fields, struct str key, uint32_t type, uint64_t value)
{
    struct wire_open attribute = wire_build_open(fields, SPAN_ATTRIBUTES);
    wire_build_bytes(fields, KEY_VALUE_KEY, key);
    struct wire_open any = wire_build_open(fields, KEY_VALUE_VALUE);
    wire_build_varint(fields, type, value);
    wire_build_close(fields, any);
    wire_build_close(fields, attribute);
}

static void put_text(struct wire_builder *builder, uint32_t field, struct str text)
{
    if (!str_is_empty(text))
        wire_build_bytes(builder, field, text);
}

/* Tags that are members of a span in OTLP, and where they are kept until the span ends. */
static const struct {
    struct str key;
    size_t     offset;
} special_tags[] = {
    {STR_INIT("otel.status_code"), offsetof(struct zipkin_tags, status_code)},
    {STR_INIT("otel.status_description"), offsetof(struct zipkin_tags, status_description)},
    {STR_INIT("error"), offsetof(struct zipkin_tags, error)},
    {STR_INIT("w3c.tracestate"), offsetof(struct zipkin_tags, trace_state)},
    {STR_INIT("otel.scope.name"), offsetof(struct zipkin_tags, scope_name)},
    {STR_INIT("otel.scope.version"), offsetof(struct zipkin_tags, scope_version)},
    {STR_INIT("otel.library.name"), offsetof(struct zipkin_tags, scope_name)},
    {STR_INIT("otel.library.version"), offsetof(struct zipkin_tags, scope_version)},
    {STR_INIT("span.kind"), offsetof(struct zipkin_tags, kind)},
};

/* NULL: it is an attribute. */
static struct str *special_tag(struct zipkin_tags *tags, struct str key)
{
    for (size_t i = 0; i < ARRAY_LENGTH(special_tags); i++)
        if (str_equal(special_tags[i].key, key))
            return (void *)((char *)tags + special_tags[i].offset);
    return NULL;
}

static unsigned endpoint_bit(struct str key)
{
    for (size_t i = 0; i < ARRAY_LENGTH(endpoint_attributes); i++)
        if (str_equal(*endpoint_attributes[i], key))
            return 1U << i;
    return 0;
}

void zipkin_spans_tag(struct zipkin_spans *spans, struct str key, struct str value)
{
    struct str *special = special_tag(&spans->tags, key);
    if (special) {
        *special = value;
        return;
    }

    spans->tags.seen |= endpoint_bit(key);
    put_string(&spans->fields, SPAN_ATTRIBUTES, key, value);
}

/* False, and nothing set, when nanoseconds in 64 bits do not go so far. */
static bool to_ns(uint64_t us, uint64_t *ret_ns)
{
    uint64_t ns;
    if (__builtin_mul_overflow(us, NS_PER_US, &ns))
        return false;

    *ret_ns = ns;
    return true;
}

void zipkin_spans_annotation(struct zipkin_spans *spans, uint64_t timestamp_us, struct str value)
{
    uint64_t time_ns;

    if (timestamp_us == 0 || !value.at) {
        zipkin_spans_refuse(spans, "annotations", "one without timestamp or value");
        return;
    }
    if (!to_ns(timestamp_us, &time_ns)) {
        zipkin_spans_refuse(spans, "annotations", "timestamp out of range");
        return;
    }

    struct wire_open event = wire_build_open(&spans->fields, SPAN_EVENTS);
    wire_build_fixed64(&spans->fields, EVENT_TIME, time_ns);
    wire_build_bytes(&spans->fields, EVENT_NAME, value);
    wire_build_close(&spans->fields, event);
}

static bool is_zero(const uint8_t *bytes, size_t n)
{
    static const uint8_t zeros[ZIPKIN_TRACE_ID_BYTES];
    return memcmp(bytes, zeros, n) == 0;
}

static void put_id(struct wire_builder *fields, uint32_t field, const uint8_t *id, size_t n_bytes)
{
    wire_build_bytes(fields, field, (struct str){(const char *)id, n_bytes});
}

/* Some tracers make a root its own parent. */
static bool has_parent(const struct zipkin_span *span)
{
    return !is_zero(span->parent_id, sizeof(span->parent_id)) &&
           memcmp(span->parent_id, span->id, sizeof(span->id)) != 0;
}

static void put_ids(struct zipkin_spans *spans)
{
    const struct zipkin_span *span = &spans->span;

    if (is_zero(span->trace_id, sizeof(span->trace_id)))
        zipkin_spans_refuse(spans, "traceId", "none, or all zero");
    if (is_zero(span->id, sizeof(span->id)))
        zipkin_spans_refuse(spans, "id", "none, or all zero");

    put_id(&spans->fields, SPAN_TRACE_ID, span->trace_id, sizeof(span->trace_id));
    put_id(&spans->fields, SPAN_SPAN_ID, span->id, sizeof(span->id));
    if (has_parent(span))
        put_id(&spans->fields, SPAN_PARENT_SPAN_ID, span->parent_id, sizeof(span->parent_id));
}

/* OpenTracing's tag tells what Zipkin has no kind for. 0: it does not. */
static unsigned kind_by_tag(struct str value)
{
    static const struct str names[] = {
        [KIND_INTERNAL] = STR_INIT("internal"), [KIND_SERVER] = STR_INIT("server"),
        [KIND_CLIENT] = STR_INIT("client"),     [KIND_PRODUCER] = STR_INIT("producer"),
        [KIND_CONSUMER] = STR_INIT("consumer"),
    };

    for (unsigned kind = KIND_INTERNAL; kind < ARRAY_LENGTH(names); kind++)
        if (str_equal(names[kind], value))
            return kind;
    return 0;
}

/*
 * Zipkin's way to say internal is no kind at all. So it looks too when data comes late, for a span
 * that another message begins: that has no timestamp, and stays unspecified.
 */
static unsigned kind_without_one(const struct zipkin_span *span)
{
    return span->timestamp_us > 0 ? KIND_INTERNAL : 0;
}

static void put_kind(struct zipkin_spans *spans)
{
    static const unsigned kinds[] = {
        [ZIPKIN_CLIENT] = KIND_CLIENT,
        [ZIPKIN_SERVER] = KIND_SERVER,
        [ZIPKIN_PRODUCER] = KIND_PRODUCER,
        [ZIPKIN_CONSUMER] = KIND_CONSUMER,
    };
    struct str tag = spans->tags.kind;
    unsigned   kind = kinds[spans->span.kind];

    if (kind == 0 && kind_by_tag(tag) != 0)
        kind = kind_by_tag(tag);
    else if (tag.at)
        put_string(&spans->fields, SPAN_ATTRIBUTES, STR("span.kind"), tag);
    wire_build_varint(&spans->fields, SPAN_KIND, kind != 0 ? kind : kind_without_one(&spans->span));
}

/* A start that is not known is not made up: it is 0, and marked, by the Collector's name. */
static void put_times(struct zipkin_spans *spans)
{
    uint64_t start_ns = 0, duration_ns = 0, end_ns = 0;

    if (!to_ns(spans->span.timestamp_us, &start_ns))
        zipkin_spans_refuse(spans, "timestamp", "out of range");
    if (!to_ns(spans->span.duration_us, &duration_ns) ||
        __builtin_add_overflow(start_ns, duration_ns, &end_ns))
        zipkin_spans_refuse(spans, "duration", "out of range");

    wire_build_fixed64(&spans->fields, SPAN_START_TIME, start_ns);
    wire_build_fixed64(&spans->fields, SPAN_END_TIME, end_ns);
    if (start_ns == 0)
        put_number(&spans->fields, STR("otel.zipkin.absentField.startTime"), ANY_BOOL, true);
}

static bool is_set_by_tag(const struct zipkin_spans *spans, struct str key)
{
    return (spans->tags.seen & endpoint_bit(key)) != 0;
}

static void put_endpoint(struct zipkin_spans *spans, const struct zipkin_endpoint *endpoint,
                         struct str address, struct str port)
{
    struct str ip = str_is_empty(endpoint->ipv4) ? endpoint->ipv6 : endpoint->ipv4;

    if (!str_is_empty(ip) && !is_set_by_tag(spans, address))
        put_string(&spans->fields, SPAN_ATTRIBUTES, address, ip);
    if (endpoint->port > 0 && !is_set_by_tag(spans, port))
        put_number(&spans->fields, port, ANY_INT, endpoint->port);
}

static void put_endpoints(struct zipkin_spans *spans)
{
    struct str peer = spans->span.remote.service_name;

    if (!str_is_empty(peer) && !is_set_by_tag(spans, peer_service))
        put_string(&spans->fields, SPAN_ATTRIBUTES, peer_service, peer);
    put_endpoint(spans, &spans->span.local, local_address, local_port);
    put_endpoint(spans, &spans->span.remote, peer_address, peer_port);
}

/* Zipkin takes any span with the tag for failed; some senders say "false" nonetheless. */
static bool has_failed(const struct zipkin_tags *tags)
{
    return tags->error.at && !str_equal(tags->error, STR("false"));
}

static unsigned status_code(const struct zipkin_tags *tags)
{
    if (has_failed(tags) || str_equal(tags->status_code, STR("ERROR")))
        return STATUS_ERROR;
    return str_equal(tags->status_code, STR("OK")) ? STATUS_OK : 0;
}

static struct str status_message(const struct zipkin_tags *tags)
{
    bool is_told = has_failed(tags) && tags->error.len > 0;
    return is_told && !str_equal(tags->error, STR("true")) ? tags->error : tags->status_description;
}

static void put_status(struct zipkin_spans *spans)
{
    unsigned   code = status_code(&spans->tags);
    struct str message = status_message(&spans->tags);

    if (code == 0 && spans->tags.status_code.at)
        put_string(&spans->fields, SPAN_ATTRIBUTES, STR("otel.status_code"),
                   spans->tags.status_code);
    if (code == 0 && str_is_empty(message))
        return;

    struct wire_open status = wire_build_open(&spans->fields, SPAN_STATUS);
    put_text(&spans->fields, SPAN_STATUS_MESSAGE, message);
    if (code != 0)
        wire_build_varint(&spans->fields, SPAN_STATUS_CODE, code);
    wire_build_close(&spans->fields, status);
}

/*
 * Nothing in OTLP has the meaning of these two; they are kept by name. Debug also means that the
 * span was to be sampled.
 */
static void put_flags(struct zipkin_spans *spans)
{
    if (spans->span.is_shared)
        put_number(&spans->fields, STR("zipkin.shared"), ANY_BOOL, true);
    if (!spans->span.is_debug)
        return;

    put_number(&spans->fields, STR("zipkin.debug"), ANY_BOOL, true);
    wire_build_fixed32(&spans->fields, SPAN_FLAGS, FLAG_SAMPLED);
}

static void put_fields(struct zipkin_spans *spans)
{
    put_ids(spans);
    put_text(&spans->fields, SPAN_TRACE_STATE, spans->tags.trace_state);
    put_text(&spans->fields, SPAN_NAME, spans->span.name);
    put_kind(spans);
    put_times(spans);
    put_endpoints(spans);
    put_flags(spans);
    put_status(spans);
}

static void open_resource(struct zipkin_spans *spans, struct str service_name)
{
    struct wire_builder *request = &spans->request;

    spans->resource_spans = wire_build_open(request, EXPORT_RESOURCE_SPANS);
    spans->service_name = service_name;
    if (str_is_empty(service_name))
        return;

    struct wire_open resource = wire_build_open(request, RESOURCE_SPANS_RESOURCE);
    put_string(request, RESOURCE_ATTRIBUTES, STR("service.name"), service_name);
    wire_build_close(request, resource);
}

static void open_scope(struct zipkin_spans *spans)
{
    struct wire_builder *request = &spans->request;

    spans->scope_spans = wire_build_open(request, RESOURCE_SPANS_SCOPE_SPANS);
    spans->scope_name = spans->tags.scope_name;
    spans->scope_version = spans->tags.scope_version;
    if (str_is_empty(spans->scope_name) && str_is_empty(spans->scope_version))
        return;

    struct wire_open scope = wire_build_open(request, SCOPE_SPANS_SCOPE);
    put_text(request, SCOPE_NAME, spans->scope_name);
    put_text(request, SCOPE_VERSION, spans->scope_version);
    wire_build_close(request, scope);
}

static void close_group(struct zipkin_spans *spans)
{
    if (!spans->is_grouped)
        return;

    wire_build_close(&spans->request, spans->scope_spans);
    wire_build_close(&spans->request, spans->resource_spans);
    spans->is_grouped = false;
}

static bool fits_group(const struct zipkin_spans *spans)
{
    return spans->is_grouped && str_equal(spans->service_name, spans->span.local.service_name) &&
           str_equal(spans->scope_name, spans->tags.scope_name) &&
           str_equal(spans->scope_version, spans->tags.scope_version);
}

static void add_span(struct zipkin_spans *spans)
{
    if (!fits_group(spans)) {
        close_group(spans);
        open_resource(spans, spans->span.local.service_name);
        open_scope(spans);
        spans->is_grouped = true;
    }
    wire_build_bytes(&spans->request, SCOPE_SPANS_SPANS, wire_built(&spans->fields));
    spans->n_spans++;
}

static void count_bad(struct zipkin_spans *spans)
{
    uint32_t index = spans->n_spans + spans->n_bad;

    if (spans->n_bad++ > 0)
        return;
    const char *member = spans->wrong_member;
    struct str  reason = arena_format(spans->arena, "span %u: %s%s%s", index, member ? member : "",
                                     member ? ": " : "", spans->wrong);
    spans->reason = reason.at ? reason : str_from(spans->wrong);
}

void zipkin_spans_end(struct zipkin_spans *spans)
{
    put_fields(spans);
    if (spans->wrong)
        count_bad(spans);
    else
        add_span(spans);
}

int zipkin_spans_finish(struct zipkin_spans *spans, struct zipkin_result *ret_result)
{
    close_group(spans);

    int error = spans->request.error ? spans->request.error : spans->fields.error;
    if (error < 0)
        return error;
    *ret_result = (struct zipkin_result){
        .request = wire_built(&spans->request),
        .n_spans = spans->n_spans,
        .n_bad = spans->n_bad,
        .reason = spans->reason,
    };
    return 0;
}
