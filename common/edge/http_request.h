#pragma once

/*
 * Http request: one request's way through the http server; for this folder only.
 * Everybody else knows a request from http_server.h.
 *
 * A request belongs to the loop that received it, but between http_request_defer
 * and http_respond it belongs to whoever owes the answer.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/edge/http_server.h"

struct MHD_Connection;
struct MHD_Response;
struct http_loop;

enum http_stage {
    HTTP_STARTED,   /* the request line is here */
    HTTP_RECEIVING, /* the headers too; the body is coming in */
    HTTP_HANDLING,  /* the handler has it */
    HTTP_ANSWERED,
};

struct http_request {
    struct arena          *arena; /* this struct lives in it */
    struct http_loop      *loop;
    struct budget         *bodies; /* NULL: no limit for all together */
    struct MHD_Connection *connection;
    enum http_stage        stage;
    bool                   is_deferred;
    struct instant         arrival;
    struct str             method, path, query;
    struct metadata        headers;

    char  *body;
    size_t body_bytes;
    size_t body_capacity; /* the announced length, or else the longest allowed */
    size_t dropped_bytes; /* of a body that is too long */

    int refusal_code; /* the edge answers this, the handler never sees it; 0: it does */

    struct MHD_Response *answer; /* NULL although it is answered: memory was short */
    int                  answer_code;
};

/* `uri` is what the request line says; copied. NULL when memory is short. */
struct http_request *http_request_new(struct http_loop *loop, struct budget *bodies,
                                      struct MHD_Connection *connection, const char *uri,
                                      size_t arena_bytes);
void                 http_request_free(struct http_request *request);

/* The headers are here. False: its refusal does not wait for the body. */
bool http_request_begin(struct http_request *request, const char *method,
                        const struct http_server_options *options);

/* A piece of the body. False: it is too long and does not end. */
bool http_request_receive(struct http_request *request, const char *piece, size_t size);

/* Answers `code` from the edge. */
void http_request_refuse(struct http_request *request, int code,
                         const struct http_server_options *options);

/* Runs the handler. False: it deferred the answer, and the request may be another thread's by now.
 */
bool http_request_handle(struct http_request *request, const struct http_server_options *options);

/* Hands the answer to libmicrohttpd. False when there is none. */
bool http_request_send(struct http_request *request, bool closes_connection);

/* In http_server.c: the loop takes back a request that was deferred, and may end it at once. */
void http_loop_resume(struct http_loop *loop, struct MHD_Connection *connection);
