#pragma once

/*
 * Http server: HTTP/1.1 in front of a handler, on libmicrohttpd's epoll pool.
 * The handler gets a whole request and owes it one http_respond, inside the
 * handler or later, from any one thread. Until then the connection is suspended;
 * after it the request is gone.
 *
 * Oversized headers are answered 431 and oversized bodies 413, before the handler.
 *
 * Threads: new, drain and free from one; the handler runs on the pool's threads.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/metadata.h"
#include "common/base/settings.h"

struct arena;
struct http_request;
struct http_server;

typedef void http_handler_fn(struct http_request *request, void *context);

struct http_server_options {
    struct listen_address address;
    const char           *thread_name; /* at most 13 bytes */
    unsigned              threads;
    unsigned              max_connections;
    unsigned              idle_timeout_s; /* also for a peer that sends slowly */
    size_t                max_header_bytes;
    size_t                max_body_bytes;
    size_t                arena_bytes; /* what one request may allocate, its body included */
    http_handler_fn      *handle;
    void                 *context; /* of the handler */
};

/* Listens and serves. 0 and the port, or -errno (-EADDRINUSE: somebody else listens there). */
int http_server_new(struct http_server **ret_server, const struct http_server_options *options,
                    uint16_t *ret_port);

/*
 * Takes no new connection, and waits until every request in hand is answered or
 * `deadline_ns` passes. Returns how many are still unanswered.
 */
unsigned http_server_drain(struct http_server *server, int64_t deadline_ns);

/* Every request must have been answered: libmicrohttpd aborts on a suspended connection. NULL is fine. */
void http_server_free(struct http_server *server);
DEFINE_CLEANUP(struct http_server *, http_server_free)

/* Everything that belongs to the request; freed with it. */
struct arena *http_request_arena(struct http_request *request);

struct str             http_request_method(const struct http_request *request);
struct str             http_request_path(const struct http_request *request);
struct str             http_request_query(const struct http_request *request); /* after the ?, undecoded */
const struct metadata *http_request_headers(const struct http_request *request);
struct str             http_request_body(const struct http_request *request);
struct instant         http_request_arrival(const struct http_request *request);

/* "127.0.0.1:41234" */
struct str http_request_peer(struct http_request *request);

struct http_response {
    int                    code;
    struct str             content_type;
    struct str             body;    /* copied, unless it lives in the request's arena or is_constant */
    bool                   is_constant; /* the body outlives the server */
    const struct metadata *headers; /* besides Content-Type and Content-Length; or NULL; copied */
};

/* Answers. To HEAD the body is left out and its length told. */
void http_respond(struct http_request *request, const struct http_response *response);

/* Answers with a line of text: an error, or an "ok". */
void http_respond_text(struct http_request *request, int code, struct str line);

/* 405 with Allow (a constant such as "GET, HEAD"). */
void http_respond_not_allowed(struct http_request *request, struct str allow);

/* Whether the method is GET or HEAD. */
bool http_request_is_read(const struct http_request *request);
