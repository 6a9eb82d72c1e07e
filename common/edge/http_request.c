#include "common/edge/http_request.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>

#include <microhttpd.h>

#include "common/base/arena.h"
#include "common/base/budget.h"
#include "common/base/status.h"

enum {
    MAX_HEADERS = 100,
    /* So much more than allowed is read and dropped, so that the sender gets to see the 413. */
    MAX_DROPPED_BYTES = 1024 * 1024,
};

/* What this thread's handler is at. */
static _Thread_local const struct http_request *current_request;

/* RFC 9112, 3.2: "/path?query", or the same after scheme and authority. */
static struct str origin_form(struct str target)
{
    struct str scheme, rest;

    if (str_starts_with(target, STR("/")) || !str_split(target, ':', &scheme, &rest) ||
        !str_starts_with(rest, STR("//")))
        return target;

    const char *end = target.at + target.len;
    const char *authority = rest.at + 2;
    const char *path = memchr(authority, '/', (size_t)(end - authority));
    return path ? (struct str){path, (size_t)(end - path)} : STR("/");
}

struct http_request *http_request_new(struct http_loop *loop, struct budget *bodies,
                                      struct MHD_Connection *connection, const char *uri,
                                      size_t arena_bytes)
{
    cleanup_with(arena_free_at) struct arena *arena = arena_new(arena_bytes);
    if (!arena)
        return NULL;

    struct http_request *request = arena_zalloc(arena, sizeof(*request));
    struct str           target = arena_copy(arena, str_from(uri));
    if (!request || !target.at)
        return NULL;

    request->loop = loop;
    request->bodies = bodies;
    request->connection = connection;
    request->arrival = clock_instant();
    request->path = origin_form(target);
    (void)str_split(request->path, '?', &request->path, &request->query);
    request->arena = take(arena);
    return request;
}

void http_request_free(struct http_request *request)
{
    if (request->answer)
        MHD_destroy_response(request->answer);
    if (request->bodies)
        budget_release(request->bodies, request->body_bytes);
    arena_free(request->arena);
}

static enum MHD_Result collect_header(void *context, enum MHD_ValueKind kind, const char *name,
                                      size_t name_bytes, const char *value, size_t value_bytes)
{
    struct http_request *request = context;
    struct str           lower = arena_lower(request->arena, (struct str){name, name_bytes});
    (void)kind;

    if (!lower.at || request->headers.count == MAX_HEADERS ||
        metadata_add(&request->headers, request->arena, lower,
                     (struct str){value ? value : "", value_bytes}) < 0) {
        request->refusal_code = MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE;
        return MHD_NO;
    }
    return MHD_YES;
}

static void collect_headers(struct http_request *request, size_t max_header_bytes)
{
    const union MHD_ConnectionInfo *size =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

    if (size && size->header_size > max_header_bytes)
        request->refusal_code = MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE;
    else
        (void)MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, collect_header,
                                          request);
}

/*
 * Decides by the announced length. False when the body should not even be read:
 * because it is much too long, or because its sender waits for a word first.
 */
static bool expect_body(struct http_request *request, size_t max_body_bytes)
{
    uint64_t announced;

    request->body_capacity = max_body_bytes;
    if (str_to_uint64(metadata_find(&request->headers, STR("content-length")), &announced) < 0)
        return true;

    if (announced <= max_body_bytes) {
        request->body_capacity = announced;
        return true;
    }
    request->refusal_code = MHD_HTTP_CONTENT_TOO_LARGE;
    return announced - max_body_bytes <= MAX_DROPPED_BYTES &&
           !metadata_find(&request->headers, STR("expect")).at;
}

bool http_request_begin(struct http_request *request, const char *method,
                        const struct http_server_options *options)
{
    request->stage = HTTP_RECEIVING;
    request->method = str_from(method);
    collect_headers(request, options->max_header_bytes);
    return request->refusal_code == 0 && expect_body(request, options->max_body_bytes);
}

/* 0, or the code to refuse it with. */
static int keep_piece(struct http_request *request, const char *piece, size_t size)
{
    if (size > request->body_capacity - request->body_bytes)
        return MHD_HTTP_CONTENT_TOO_LARGE;

    /* All of it at once, for memory that is never touched costs nothing. */
    if (!request->body)
        request->body = arena_alloc(request->arena, request->body_capacity);
    if (!request->body || (request->bodies && !budget_claim(request->bodies, size)))
        return MHD_HTTP_SERVICE_UNAVAILABLE;

    memcpy(request->body + request->body_bytes, piece, size);
    request->body_bytes += size;
    return 0;
}

bool http_request_receive(struct http_request *request, const char *piece, size_t size)
{
    if (request->refusal_code == 0)
        request->refusal_code = keep_piece(request, piece, size);
    if (request->refusal_code == 0)
        return true;

    request->dropped_bytes += size;
    return request->dropped_bytes <= request->body_capacity + MAX_DROPPED_BYTES;
}

static void give_to_handler(struct http_request *request, const struct http_server_options *options)
{
    request->stage = HTTP_HANDLING;
    current_request = request;
    if (request->refusal_code == 0)
        options->handle(request, options->context);
    else
        options->refuse(request, request->refusal_code, options->context);
    current_request = NULL;
}

bool http_request_handle(struct http_request *request, const struct http_server_options *options)
{
    give_to_handler(request, options);

    if (request->is_deferred)
        return false;
    assert(request->stage == HTTP_ANSWERED); /* a handler answers or defers */
    return true;
}

void http_request_defer(struct http_request *request)
{
    assert(request == current_request);
    assert(request->stage == HTTP_HANDLING && !request->is_deferred);

    request->is_deferred = true;
    MHD_suspend_connection(request->connection);
}

static void add_header(struct MHD_Response *answer, struct arena *arena, struct str name,
                       struct str value)
{
    struct str name_text = arena_copy(arena, name), value_text = arena_copy(arena, value);

    if (name_text.at && value_text.at && strlen(value_text.at) == value.len)
        (void)MHD_add_response_header(answer, name_text.at, value_text.at);
}

static struct MHD_Response *make_answer(struct arena *arena, const struct http_response *response)
{
    struct MHD_Response *answer = MHD_create_response_from_buffer(
        response->body.len, (void *)(uintptr_t)response->body.at,
        response->is_constant ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_COPY);
    if (!answer)
        return NULL;

    add_header(answer, arena, STR(MHD_HTTP_HEADER_CONTENT_TYPE), response->content_type);
    for (size_t i = 0; response->headers && i < response->headers->count; i++)
        add_header(answer, arena, response->headers->fields[i].name,
                   response->headers->fields[i].value);
    return answer;
}

static void set_answer(struct http_request *request, const struct http_response *response)
{
    assert(response->code >= 200 && response->code <= 599);

    request->answer = make_answer(request->arena, response);
    request->answer_code = response->code;
    request->stage = HTTP_ANSWERED;
}

void http_respond(struct http_request *request, const struct http_response *response)
{
    assert(request->stage == HTTP_HANDLING);
    assert(request->is_deferred || request == current_request);

    set_answer(request, response);
    if (request->is_deferred)
        http_loop_resume(request->loop, request->connection);
}

static struct http_response text_response(struct http_request *request, int code, struct str line)
{
    struct str body = arena_format(request->arena, "%.*s\n", STR_ARGS(line));

    return (struct http_response){
        .code = code,
        .content_type = STR("text/plain; charset=utf-8"),
        .body = body.at ? body : line,
        .is_constant = body.at != NULL,
    };
}

void http_respond_text(struct http_request *request, int code, struct str line)
{
    struct http_response response = text_response(request, code, line);
    http_respond(request, &response);
}

void http_respond_not_allowed(struct http_request *request, struct str allow)
{
    struct field    field = {STR(MHD_HTTP_HEADER_ALLOW), allow};
    struct metadata headers = {.fields = &field, .count = 1, .capacity = 1};

    struct http_response response = text_response(request, MHD_HTTP_METHOD_NOT_ALLOWED,
                                                  http_reason(MHD_HTTP_METHOD_NOT_ALLOWED));
    response.headers = &headers;
    http_respond(request, &response);
}

void http_request_refuse(struct http_request *request, int code,
                         const struct http_server_options *options)
{
    request->refusal_code = code;
    if (options->refuse) {
        give_to_handler(request, options);
        assert(request->stage == HTTP_ANSWERED && !request->is_deferred);
        return;
    }

    struct http_response response = text_response(request, code, http_reason(code));
    set_answer(request, &response);
}

bool http_request_send(struct http_request *request, bool closes_connection)
{
    if (!request->answer)
        return false;

    if (closes_connection)
        (void)MHD_add_response_header(request->answer, MHD_HTTP_HEADER_CONNECTION, "close");
    return MHD_queue_response(request->connection, (unsigned)request->answer_code,
                              request->answer) == MHD_YES;
}

struct arena *http_request_arena(struct http_request *request)
{
    return request->arena;
}

struct str http_request_method(const struct http_request *request)
{
    return request->method;
}

struct str http_request_path(const struct http_request *request)
{
    return request->path;
}

struct str http_request_query(const struct http_request *request)
{
    return request->query;
}

const struct metadata *http_request_headers(const struct http_request *request)
{
    return &request->headers;
}

struct str http_request_body(const struct http_request *request)
{
    return (struct str){request->body, request->body_bytes};
}

struct instant http_request_arrival(const struct http_request *request)
{
    return request->arrival;
}

bool http_request_is_read(const struct http_request *request)
{
    return str_equal(request->method, STR("GET")) || str_equal(request->method, STR("HEAD"));
}

static struct str format_ipv4(struct arena *arena, struct in_addr address, in_port_t port)
{
    char text[INET_ADDRSTRLEN];

    (void)inet_ntop(AF_INET, &address, text, sizeof(text));
    return arena_format(arena, "%s:%u", text, (unsigned)ntohs(port));
}

static struct str format_ipv6(struct arena *arena, const struct sockaddr_in6 *peer)
{
    char           text[INET6_ADDRSTRLEN];
    struct in_addr mapped;

    /* An IPv4 peer of a socket that takes both. */
    if (IN6_IS_ADDR_V4MAPPED(&peer->sin6_addr)) {
        memcpy(&mapped, &peer->sin6_addr.s6_addr[12], sizeof(mapped));
        return format_ipv4(arena, mapped, peer->sin6_port);
    }
    (void)inet_ntop(AF_INET6, &peer->sin6_addr, text, sizeof(text));
    return arena_format(arena, "[%s]:%u", text, (unsigned)ntohs(peer->sin6_port));
}

struct str http_request_peer(struct http_request *request)
{
    const void *peer =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)
            ->client_addr;
    const struct sockaddr_in *ipv4 = peer;

    return ipv4->sin_family == AF_INET6
               ? format_ipv6(request->arena, peer)
               : format_ipv4(request->arena, ipv4->sin_addr, ipv4->sin_port);
}
