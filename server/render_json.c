#include "server/render.h"

/*
 * As protobuf.dev/programming-guides/json maps proto/tracehop/v1/hop.proto:
 * names in lowerCamelCase, 64-bit numbers as strings, default values left out.
 */

struct object {
    struct text *to;
    bool         has_members;
};

static struct object object_open(struct text *to)
{
    text_add_char(to, '{');
    return (struct object){.to = to};
}

static void object_close(struct object *object)
{
    text_add_char(object->to, '}');
}

/* The next thing written is the value of this member. */
static void add_name(struct object *object, struct str name)
{
    if (object->has_members)
        text_add_char(object->to, ',');
    object->has_members = true;
    text_add_json(object->to, name);
    text_add_char(object->to, ':');
}

static void add_string(struct object *object, struct str name, struct str value)
{
    if (str_is_empty(value))
        return;
    add_name(object, name);
    text_add_json(object->to, value);
}

static void add_uint32(struct object *object, struct str name, uint32_t value)
{
    if (value == 0)
        return;
    add_name(object, name);
    text_add_uint(object->to, value);
}

static void add_uint64(struct object *object, struct str name, uint64_t value)
{
    if (value == 0)
        return;
    add_name(object, name);
    text_add_char(object->to, '"');
    text_add_uint(object->to, value);
    text_add_char(object->to, '"');
}

static void add_bool(struct object *object, struct str name, bool value)
{
    if (!value)
        return;
    add_name(object, name);
    text_add(object->to, STR("true"));
}

static void add_reply(struct object *parent, struct str name, const struct reply *reply);

static void add_work(struct object *parent, const struct work_report *work)
{
    add_name(parent, STR("work"));
    struct object object = object_open(parent->to);
    add_uint32(&object, STR("fibonacciIndex"), work->fibonacci_index);
    add_uint64(&object, STR("fibonacci"), work->fibonacci);
    add_bool(&object, STR("odd"), work->is_odd);
    add_uint64(&object, STR("sleptUs"), work->slept_us);
    object_close(&object);
}

static void add_http(struct object *parent, const struct http_result *http)
{
    add_name(parent, STR("http"));
    struct object object = object_open(parent->to);
    add_uint32(&object, STR("status"), (uint32_t)http->code);
    add_string(&object, STR("reason"), http->reason);
    add_string(&object, STR("body"), http->body);
    add_bool(&object, STR("bodyCut"), http->is_body_cut);
    object_close(&object);
}

static void add_failure(struct object *parent, const struct failure *failure,
                        const struct reply *partial)
{
    add_name(parent, STR("failure"));
    struct object object = object_open(parent->to);
    add_uint32(&object, STR("code"), failure->status);
    add_string(&object, STR("status"), status_name(failure->status));
    add_string(&object, STR("message"), failure->message);
    add_string(&object, STR("hop"), failure->hop);
    if (partial)
        add_reply(&object, STR("partial"), partial);
    object_close(&object);
}

static void add_outcome(struct object *parent, const struct upstream_result *upstream)
{
    switch (upstream->outcome) {
    case UPSTREAM_HOP:
        add_reply(parent, STR("hop"), upstream->hop);
        break;
    case UPSTREAM_HTTP:
        add_http(parent, &upstream->http);
        break;
    case UPSTREAM_FAILURE:
        add_failure(parent, &upstream->failure, upstream->failure.partial);
        break;
    }
}

static void add_upstreams(struct object *parent, const struct reply *reply)
{
    if (reply->n_upstreams == 0)
        return;

    add_name(parent, STR("upstreams"));
    for (size_t i = 0; i < reply->n_upstreams; i++) {
        text_add_char(parent->to, i == 0 ? '[' : ',');
        struct object object = object_open(parent->to);
        add_string(&object, STR("uri"), reply->upstreams[i].uri);
        add_uint64(&object, STR("durationUs"), reply->upstreams[i].duration_us);
        add_outcome(&object, &reply->upstreams[i]);
        object_close(&object);
    }
    text_add_char(parent->to, ']');
}

static void add_reply_members(struct object *object, const struct reply *reply)
{
    add_string(object, STR("role"), reply->role);
    add_string(object, STR("version"), reply->version);
    add_string(object, STR("name"), reply->name);
    add_string(object, STR("instance"), reply->instance);
    add_uint64(object, STR("durationUs"), reply->duration_us);
    add_string(object, STR("traceId"), reply->trace_id);
    add_uint32(object, STR("attempt"), reply->attempt);
    add_uint32(object, STR("calls"), reply->calls);
    if (reply->work.is_done)
        add_work(object, &reply->work);
    add_upstreams(object, reply);
}

static void add_reply(struct object *parent, struct str name, const struct reply *reply)
{
    add_name(parent, name);
    struct object object = object_open(parent->to);
    add_reply_members(&object, reply);
    object_close(&object);
}

void render_json(const struct rendering *rendering, struct text *to)
{
    struct object object = object_open(to);

    add_reply_members(&object, rendering->reply);
    /* Without its partial tree: that is the document itself. */
    if (rendering->failure)
        add_failure(&object, rendering->failure, /* partial= */ NULL);
    add_string(&object, STR("warning"), rendering->warning);
    object_close(&object);
    text_add_char(to, '\n');
}
