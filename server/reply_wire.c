#include "server/reply_wire.h"

#include <errno.h>
#include <limits.h>

#include "common/base/text.h"
#include "common/base/wire.h"

/*
 * Read and written without the generated types: those need every text copied
 * and NUL-terminated, and a guard beforehand that would take the body of a
 * foreign page, a text like any other here, for messages nested too deep.
 * The tests hold the numbers below against the generated code.
 */

/* tracehop/v1/hop.proto */
enum {
    REPLY_ROLE = 1,
    REPLY_VERSION,
    REPLY_NAME,
    REPLY_INSTANCE,
    REPLY_DURATION_US,
    REPLY_TRACE_ID,
    REPLY_ATTEMPT,
    REPLY_WORK,
    REPLY_UPSTREAMS,
    REPLY_CALLS,
};
enum { WORK_FIBONACCI_INDEX = 1, WORK_FIBONACCI, WORK_ODD, WORK_SLEPT_US };
enum { UPSTREAM_URI = 1, UPSTREAM_DURATION_US, OUTCOME_HOP, OUTCOME_HTTP, OUTCOME_FAILURE };
enum { HTTP_STATUS = 1, HTTP_REASON, HTTP_BODY, HTTP_BODY_CUT };
enum { FAILURE_CODE = 1, FAILURE_STATUS, FAILURE_MESSAGE, FAILURE_HOP, FAILURE_PARTIAL };

/* google/rpc/status.proto and google/protobuf/any.proto */
enum { DETAILS_CODE = 1, DETAILS_MESSAGE, DETAILS_DETAILS };
enum { ANY_TYPE_URL = 1, ANY_VALUE };

static const struct str failure_type_url = STR_INIT("type.googleapis.com/tracehop.v1.Failure");

/*
 * More than a message takes besides its texts: none has more than ten fields that
 * do not repeat, each with a tag of one byte and a number or length of at most ten.
 */
enum { MESSAGE_BYTES = 110 };

/* Each byte that is no UTF-8 becomes U+FFFD, three bytes. */
static size_t text_bound(struct str text)
{
    return str_is_utf8(text) ? text.len : 3 * text.len;
}

static size_t reply_bound(const struct reply *reply);

static size_t failure_bound(const struct failure *failure)
{
    return MESSAGE_BYTES + status_name(failure->status).len + text_bound(failure->message) +
           text_bound(failure->hop) + (failure->partial ? reply_bound(failure->partial) : 0);
}

static size_t outcome_bound(const struct upstream_result *upstream)
{
    switch (upstream->outcome) {
    case UPSTREAM_HOP:
        return reply_bound(upstream->hop);
    case UPSTREAM_HTTP:
        return MESSAGE_BYTES + text_bound(upstream->http.reason) + text_bound(upstream->http.body);
    case UPSTREAM_FAILURE:
        return failure_bound(&upstream->failure);
    }
    return 0;
}

static size_t reply_bound(const struct reply *reply)
{
    size_t bound = MESSAGE_BYTES + MESSAGE_BYTES; /* its own and its work's */

    bound += text_bound(reply->role) + text_bound(reply->version) + text_bound(reply->name) +
             text_bound(reply->instance) + text_bound(reply->trace_id);
    for (size_t i = 0; i < reply->n_upstreams; i++)
        bound += MESSAGE_BYTES + text_bound(reply->upstreams[i].uri) +
                 outcome_bound(&reply->upstreams[i]);
    return bound;
}

struct encoder {
    struct wire_writer writer; /* fills from the end: fields are put in reverse order */
    struct arena      *arena;
};

/* `at` is NULL when the arena is used up. */
static struct str mended(struct str text, struct arena *arena)
{
    struct text utf8 = text_in_arena(arena, 3 * text.len);
    text_add_utf8(&utf8, text);
    return utf8.is_cut ? (struct str){0} : text_view(&utf8);
}

static void put_text(struct encoder *encoder, uint32_t number, struct str text)
{
    if (str_is_empty(text))
        return;
    if (!str_is_utf8(text))
        text = mended(text, encoder->arena);
    if (!text.at)
        encoder->writer.is_full = true;
    wire_put_bytes(&encoder->writer, number, text);
}

/* proto3 leaves zeros out. */
static void put_number(struct encoder *encoder, uint32_t number, uint64_t value)
{
    if (value != 0)
        wire_put_varint(&encoder->writer, number, value);
}

static void put_reply(struct encoder *encoder, const struct reply *reply);

static void put_work(struct encoder *encoder, const struct work_report *work)
{
    put_number(encoder, WORK_SLEPT_US, work->slept_us);
    put_number(encoder, WORK_ODD, work->is_odd);
    put_number(encoder, WORK_FIBONACCI, work->fibonacci);
    put_number(encoder, WORK_FIBONACCI_INDEX, work->fibonacci_index);
}

static void put_http(struct encoder *encoder, const struct http_result *http)
{
    put_number(encoder, HTTP_BODY_CUT, http->is_body_cut);
    put_text(encoder, HTTP_BODY, http->body);
    put_text(encoder, HTTP_REASON, http->reason);
    put_number(encoder, HTTP_STATUS, (uint32_t)http->code);
}

static void put_failure(struct encoder *encoder, const struct failure *failure)
{
    if (failure->partial) {
        const uint8_t *end = encoder->writer.at;
        put_reply(encoder, failure->partial);
        wire_close(&encoder->writer, FAILURE_PARTIAL, end);
    }
    put_text(encoder, FAILURE_HOP, failure->hop);
    put_text(encoder, FAILURE_MESSAGE, failure->message);
    put_text(encoder, FAILURE_STATUS, status_name(failure->status));
    put_number(encoder, FAILURE_CODE, failure->status);
}

static void put_outcome(struct encoder *encoder, const struct upstream_result *upstream)
{
    const uint8_t *end = encoder->writer.at;

    switch (upstream->outcome) {
    case UPSTREAM_HOP:
        put_reply(encoder, upstream->hop);
        wire_close(&encoder->writer, OUTCOME_HOP, end);
        break;
    case UPSTREAM_HTTP:
        put_http(encoder, &upstream->http);
        wire_close(&encoder->writer, OUTCOME_HTTP, end);
        break;
    case UPSTREAM_FAILURE:
        put_failure(encoder, &upstream->failure);
        wire_close(&encoder->writer, OUTCOME_FAILURE, end);
        break;
    }
}

static void put_upstream(struct encoder *encoder, const struct upstream_result *upstream)
{
    const uint8_t *end = encoder->writer.at;

    put_outcome(encoder, upstream);
    put_number(encoder, UPSTREAM_DURATION_US, upstream->duration_us);
    put_text(encoder, UPSTREAM_URI, upstream->uri);
    wire_close(&encoder->writer, REPLY_UPSTREAMS, end);
}

static void put_reply(struct encoder *encoder, const struct reply *reply)
{
    put_number(encoder, REPLY_CALLS, reply->calls);
    for (size_t i = reply->n_upstreams; i > 0; i--)
        put_upstream(encoder, &reply->upstreams[i - 1]);
    if (reply->work.is_done) {
        const uint8_t *end = encoder->writer.at;
        put_work(encoder, &reply->work);
        wire_close(&encoder->writer, REPLY_WORK, end);
    }
    put_number(encoder, REPLY_ATTEMPT, reply->attempt);
    put_text(encoder, REPLY_TRACE_ID, reply->trace_id);
    put_number(encoder, REPLY_DURATION_US, reply->duration_us);
    put_text(encoder, REPLY_INSTANCE, reply->instance);
    put_text(encoder, REPLY_NAME, reply->name);
    put_text(encoder, REPLY_VERSION, reply->version);
    put_text(encoder, REPLY_ROLE, reply->role);
}

/* Without memory the writer is full from the start. */
static struct encoder encoder_of(size_t bound, struct arena *arena)
{
    void          *buffer = arena_alloc(arena, bound);
    struct encoder encoder = {
        .writer = wire_writer(buffer, buffer ? bound : 0),
        .arena = arena,
    };
    encoder.writer.is_full = !buffer;
    return encoder;
}

static struct str encoded(const struct encoder *encoder)
{
    return encoder->writer.is_full ? (struct str){0} : wire_written(&encoder->writer);
}

struct str reply_encode(const struct reply *reply, struct arena *arena)
{
    struct encoder encoder = encoder_of(reply_bound(reply), arena);
    put_reply(&encoder, reply);
    return encoded(&encoder);
}

static struct str details_encode(const struct failure *failure, struct arena *arena)
{
    size_t bound = MESSAGE_BYTES + MESSAGE_BYTES + failure_type_url.len +
                   text_bound(failure->message) + failure_bound(failure);
    struct encoder encoder = encoder_of(bound, arena);
    const uint8_t *end = encoder.writer.at;

    put_failure(&encoder, failure);
    wire_close(&encoder.writer, ANY_VALUE, end);
    wire_put_bytes(&encoder.writer, ANY_TYPE_URL, failure_type_url);
    wire_close(&encoder.writer, DETAILS_DETAILS, end);
    put_text(&encoder, DETAILS_MESSAGE, failure->message);
    put_number(&encoder, DETAILS_CODE, failure->status);
    return encoded(&encoder);
}

static bool fits(struct str details, size_t max_bytes)
{
    return details.at && details.len <= max_bytes;
}

struct str failure_encode_details(const struct failure *failure, size_t max_bytes,
                                  struct arena *arena)
{
    struct failure shorter = *failure;
    struct reply   root;
    struct str     details = details_encode(failure, arena);

    if (!fits(details, max_bytes) && failure->partial) {
        root = *failure->partial;
        root.n_upstreams = 0;
        shorter.partial = &root;
        details = details_encode(&shorter, arena);
    }
    if (!fits(details, max_bytes) && failure->partial) {
        shorter.partial = NULL;
        details = details_encode(&shorter, arena);
    }
    return fits(details, max_bytes) ? details : (struct str){0};
}

/* What a decoder may still use up. All of them return 0, -EBADMSG, -ELOOP or -ENOMEM. */
struct decoder {
    unsigned      hops_left;
    struct arena *arena;
};

static int decode_reply(struct str bytes, struct decoder decoder, struct reply **ret_reply);

static int decode_text(struct str bytes, struct decoder decoder, struct str *ret_text)
{
    struct str text = str_is_utf8(bytes) ? bytes : mended(bytes, decoder.arena);
    if (!text.at)
        return -ENOMEM;

    *ret_text = text;
    return 0;
}

/* How reading a message ended, when `r` is how reading its fields did. */
static int decode_end(const struct wire_cursor *cursor, int r)
{
    return r == 0 && cursor->is_bad ? -EBADMSG : r;
}

static int decode_work(struct str bytes, struct work_report *ret_work)
{
    struct work_report work = {.is_done = true};
    struct wire_cursor cursor = wire_cursor(bytes);
    struct wire_field  field;

    while (wire_next(&cursor, &field)) {
        if (field.type != WIRE_VARINT)
            continue;
        switch (field.number) {
        case WORK_FIBONACCI_INDEX:
            work.fibonacci_index = (uint32_t)field.value;
            break;
        case WORK_FIBONACCI:
            work.fibonacci = field.value;
            break;
        case WORK_ODD:
            work.is_odd = field.value != 0;
            break;
        case WORK_SLEPT_US:
            work.slept_us = field.value;
            break;
        }
    }
    int r = decode_end(&cursor, 0);
    if (r == 0)
        *ret_work = work;
    return r;
}

static int decode_http(struct str bytes, struct decoder decoder, struct http_result *ret_http)
{
    struct http_result http = {0};
    struct wire_cursor cursor = wire_cursor(bytes);
    struct wire_field  field;
    int                r = 0;

    while (r == 0 && wire_next(&cursor, &field)) {
        if (field.type == WIRE_VARINT && field.number == HTTP_STATUS)
            http.code = field.value <= INT_MAX ? (int)field.value : INT_MAX;
        else if (field.type == WIRE_VARINT && field.number == HTTP_BODY_CUT)
            http.is_body_cut = field.value != 0;
        else if (field.type == WIRE_BYTES && field.number == HTTP_REASON)
            r = decode_text(field.bytes, decoder, &http.reason);
        else if (field.type == WIRE_BYTES && field.number == HTTP_BODY)
            r = decode_text(field.bytes, decoder, &http.body);
    }
    r = decode_end(&cursor, r);
    if (r == 0)
        *ret_http = http;
    return r;
}

/* A failure that says it is none is one that we do not understand. */
static enum status decode_status(uint64_t code)
{
    return code > STATUS_OK && code < STATUS_COUNT ? (enum status)code : STATUS_UNKNOWN;
}

static int decode_failure(struct str bytes, struct decoder decoder, struct failure *ret_failure)
{
    struct failure     failure = {.status = STATUS_UNKNOWN};
    struct wire_cursor cursor = wire_cursor(bytes);
    struct wire_field  field;
    int                r = 0;

    while (r == 0 && wire_next(&cursor, &field)) {
        if (field.type == WIRE_VARINT && field.number == FAILURE_CODE)
            failure.status = decode_status(field.value);
        else if (field.type == WIRE_BYTES && field.number == FAILURE_MESSAGE)
            r = decode_text(field.bytes, decoder, &failure.message);
        else if (field.type == WIRE_BYTES && field.number == FAILURE_HOP)
            r = decode_text(field.bytes, decoder, &failure.hop);
        else if (field.type == WIRE_BYTES && field.number == FAILURE_PARTIAL)
            r = decode_reply(field.bytes, decoder, &failure.partial);
    }
    r = decode_end(&cursor, r);
    if (r == 0)
        *ret_failure = failure;
    return r;
}

static int decode_upstream_bytes(const struct wire_field *field, struct decoder decoder,
                                 struct upstream_result *upstream)
{
    switch (field->number) {
    case UPSTREAM_URI:
        return decode_text(field->bytes, decoder, &upstream->uri);
    case OUTCOME_HOP:
        upstream->outcome = UPSTREAM_HOP;
        return decode_reply(field->bytes, decoder, &upstream->hop);
    case OUTCOME_HTTP:
        upstream->outcome = UPSTREAM_HTTP;
        return decode_http(field->bytes, decoder, &upstream->http);
    case OUTCOME_FAILURE:
        upstream->outcome = UPSTREAM_FAILURE;
        return decode_failure(field->bytes, decoder, &upstream->failure);
    default:
        return 0;
    }
}

static int decode_upstream(struct str bytes, struct decoder decoder,
                           struct upstream_result *ret_upstream)
{
    struct upstream_result upstream = {
        .outcome = UPSTREAM_FAILURE,
        .failure = {.status = STATUS_UNKNOWN, .message = STR("an outcome of a kind unknown here")},
    };
    struct wire_cursor cursor = wire_cursor(bytes);
    struct wire_field  field;
    int                r = 0;

    while (r == 0 && wire_next(&cursor, &field)) {
        if (field.type == WIRE_VARINT && field.number == UPSTREAM_DURATION_US)
            upstream.duration_us = field.value;
        else if (field.type == WIRE_BYTES)
            r = decode_upstream_bytes(&field, decoder, &upstream);
    }
    r = decode_end(&cursor, r);
    if (r == 0)
        *ret_upstream = upstream;
    return r;
}

/* Counted where the first one was found, which is behind almost all others: `rest` is short. */
static int upstreams_new(struct wire_cursor rest, struct arena *arena,
                         struct upstream_result **ret_upstreams)
{
    struct wire_field field;
    size_t            n_upstreams = 1;

    while (wire_next(&rest, &field))
        n_upstreams += field.type == WIRE_BYTES && field.number == REPLY_UPSTREAMS;
    struct upstream_result *upstreams = arena_alloc(arena, n_upstreams * sizeof(*upstreams));
    if (!upstreams)
        return -ENOMEM;

    *ret_upstreams = upstreams;
    return 0;
}

static int decode_reply_upstream(struct str bytes, const struct wire_cursor *rest,
                                 struct decoder decoder, struct reply *reply)
{
    if (!reply->upstreams) {
        int r = upstreams_new(*rest, decoder.arena, &reply->upstreams);
        if (r < 0)
            return r;
    }
    return decode_upstream(bytes, decoder, &reply->upstreams[reply->n_upstreams++]);
}

static void decode_reply_number(const struct wire_field *field, struct reply *reply)
{
    if (field->number == REPLY_DURATION_US)
        reply->duration_us = field->value;
    else if (field->number == REPLY_ATTEMPT)
        reply->attempt = (uint32_t)field->value;
    else if (field->number == REPLY_CALLS)
        reply->calls = field->value < UINT32_MAX ? (uint32_t)field->value : UINT32_MAX;
}

static int decode_reply_bytes(const struct wire_field *field, const struct wire_cursor *rest,
                              struct decoder decoder, struct reply *reply)
{
    switch (field->number) {
    case REPLY_ROLE:
        return decode_text(field->bytes, decoder, &reply->role);
    case REPLY_VERSION:
        return decode_text(field->bytes, decoder, &reply->version);
    case REPLY_NAME:
        return decode_text(field->bytes, decoder, &reply->name);
    case REPLY_INSTANCE:
        return decode_text(field->bytes, decoder, &reply->instance);
    case REPLY_TRACE_ID:
        return decode_text(field->bytes, decoder, &reply->trace_id);
    case REPLY_WORK:
        return decode_work(field->bytes, &reply->work);
    case REPLY_UPSTREAMS:
        return decode_reply_upstream(field->bytes, rest, decoder, reply);
    default:
        return 0;
    }
}

static int decode_reply(struct str bytes, struct decoder decoder, struct reply **ret_reply)
{
    if (decoder.hops_left-- == 0)
        return -ELOOP;

    struct reply *reply = arena_zalloc(decoder.arena, sizeof(*reply));
    if (!reply)
        return -ENOMEM;

    struct wire_cursor cursor = wire_cursor(bytes);
    struct wire_field  field;
    int                r = 0;
    while (r == 0 && wire_next(&cursor, &field)) {
        if (field.type == WIRE_VARINT)
            decode_reply_number(&field, reply);
        else if (field.type == WIRE_BYTES)
            r = decode_reply_bytes(&field, &cursor, decoder, reply);
    }
    r = decode_end(&cursor, r);
    if (r == 0)
        *ret_reply = reply;
    return r;
}

struct reply *reply_decode(struct str bytes, struct arena *arena)
{
    struct decoder decoder = {.hops_left = REPLY_MAX_DEPTH, .arena = arena};
    struct reply  *reply = NULL;

    bytes = arena_copy(arena, bytes); /* once, and all texts are views into the copy */
    return bytes.at && decode_reply(bytes, decoder, &reply) == 0 ? reply : NULL;
}

/* The value of an Any that holds a Failure; absent for any other. */
static struct str any_failure(struct str any)
{
    struct wire_cursor cursor = wire_cursor(any);
    struct wire_field  field;
    struct str         type_url = {0};
    struct str         value = {0};

    while (wire_next(&cursor, &field)) {
        if (field.type == WIRE_BYTES && field.number == ANY_TYPE_URL)
            type_url = field.bytes;
        else if (field.type == WIRE_BYTES && field.number == ANY_VALUE)
            value = field.bytes;
    }
    return !cursor.is_bad && str_equal(type_url, failure_type_url) ? value : (struct str){0};
}

/* The first Failure among the details; absent when there is none. */
static struct str details_failure(struct str details)
{
    struct wire_cursor cursor = wire_cursor(details);
    struct wire_field  field;
    struct str         found = {0};

    while (!found.at && wire_next(&cursor, &field))
        if (field.type == WIRE_BYTES && field.number == DETAILS_DETAILS)
            found = any_failure(field.bytes);
    return found;
}

void failure_decode_details(struct str details, struct arena *arena, struct failure *failure)
{
    struct decoder decoder = {.hops_left = REPLY_MAX_DEPTH, .arena = arena};
    struct failure told = {0};

    struct str found = details_failure(details);
    struct str bytes = found.at ? arena_copy(arena, found) : found;
    if (!bytes.at || decode_failure(bytes, decoder, &told) < 0)
        return;

    failure->hop = told.hop;
    failure->partial = told.partial;
}
