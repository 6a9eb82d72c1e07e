#pragma once

/*
 * Http server: HTTP/1.1 in front of a handler, on threads that each run libmicrohttpd.
 * The handler gets a whole request and owes it one http_respond: before it
 * returns, or, after http_request_defer, at any time and from any one thread.
 * After it the request is gone.
 *
 * The handler never sees headers that are too long or too many (414, 431), nor
 * too long a body (413), nor one too many (503). Who takes too long to send a request is cut off.
 *
 * Threads: new, drain and free from one; the handler runs on the server's.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/metadata.h"
#include "common/base/settings.h"

struct arena;
struct budget;
struct http_request;
struct http_server;

typedef void http_handler_fn(struct http_request *request, void *context);

/*
 * Answers, before it returns, a request that the handler never sees: 413, 414, 431, 503. What has
 * come of it may be incomplete.
 */
typedef void http_refuser_fn(struct http_request *request, int code, void *context);

struct http_server_options {
    struct listen_address address;
    const char           *thread_name; /* at most 13 bytes */
    unsigned              threads;
    unsigned              max_connections;
    unsigned         idle_timeout_s; /* between requests, for sending one, for taking its answer */
    size_t           max_header_bytes; /* at least 4 KiB */
    size_t           max_body_bytes;
    struct budget   *bodies; /* of all requests in hand; beyond it 503; NULL: no limit; borrowed */
    size_t           arena_bytes; /* what one request may allocate, its body included */
    http_handler_fn *handle;
    http_refuser_fn *refuse;  /* NULL: refusals are a line of text */
    void            *context; /* of the two */
};

/* Listens and serves. 0 and the port, or -errno (-EADDRINUSE: somebody else listens there). */
int http_server_new(struct http_server **ret_server, const struct http_server_options *options,
                    uint16_t *ret_port);

/*
 * Takes no new connection, and waits until every request in hand is answered or
 * `deadline_ns` passes. Returns how many are still unanswered.
 */
unsigned http_server_drain(struct http_server *server, int64_t deadline_ns);

/*
 * Every request must have been answered: libmicrohttpd aborts on a suspended
 * connection. NULL is fine.
 */
void http_server_free(struct http_server *server);
DEFINE_CLEANUP(struct http_server *, http_server_free)

/* Everything that belongs to the request; freed with it. */
struct arena *http_request_arena(struct http_request *request);

struct str http_request_method(const struct http_request *request);
struct str http_request_path(const struct http_request *request);
struct str http_request_query(const struct http_request *request); /* after the ?, undecoded */
const struct metadata *http_request_headers(const struct http_request *request);
struct str             http_request_body(const struct http_request *request);
struct instant         http_request_arrival(const struct http_request *request);

/* "127.0.0.1:41234" */
struct str http_request_peer(struct http_request *request);

/*
 * Keeps the connection waiting for an http_respond that comes after the handler
 * returns. Only inside the handler, before another thread learns of the request:
 * to resume a connection that is not suspended yet is undefined.
 */
void http_request_defer(struct http_request *request);

struct http_response {
    int        code; /* 200 to 599 */
    struct str content_type;
    struct str body;                /* copied, unless is_constant */
    bool       is_constant;         /* the body outlives the request: a constant, or in its arena */
    const struct metadata *headers; /* besides Content-Type and Content-Length, or NULL; copied;
                                       what cannot stand in a header is left out */
};

/* Answers, once. To HEAD the body is left out and its length told. */
void http_respond(struct http_request *request, const struct http_response *response);

/* Answers with a line of text: an error, or an "ok". */
void http_respond_text(struct http_request *request, int code, struct str line);

/* 405 with Allow (a constant such as "GET, HEAD"). */
void http_respond_not_allowed(struct http_request *request, struct str allow);

/* Whether the method is GET or HEAD. */
bool http_request_is_read(const struct http_request *request);
