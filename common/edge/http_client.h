#pragma once

/*
 * Http client: HTTP and HTTPS requests over curl, all on one thread of its own
 * (epoll and curl's socket interface). Connections are kept and reused.
 * No redirects, no proxies, no cookies.
 *
 * Threads: start and cancel from any; `done` runs on the client's thread and
 * must not block: hand the outcome on.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/metadata.h"
#include "common/base/status.h"

struct http_client;

struct http_client_options {
    const char *thread_name;     /* at most 15 bytes */
    unsigned    max_connections; /* in all */
    unsigned    max_queued;      /* requests waiting to be started; beyond it they fail at once */
};

int http_client_new(struct http_client **ret_client, const struct http_client_options *options);

/* Cancels what is in flight (each `done` runs), ends the thread. NULL is fine. */
void http_client_free(struct http_client *client);
DEFINE_CLEANUP(struct http_client *, http_client_free)

struct http_outcome {
    enum status status;  /* OK: an answer came, whatever its code; else why none came */
    struct str  message; /* of a failure: what curl says */
    int         code;
    struct str  content_type;
    struct str  retry_after; /* the header's value; absent when there is none */
    struct str  body;
    bool        is_body_cut; /* it was longer than the limit */
};

typedef void http_done_fn(const struct http_outcome *outcome, void *context);

struct http_call {
    struct str url;        /* NUL-terminated, as are all names and values below */
    struct str method;     /* "GET" or "POST" */
    struct str connect_to; /* "host:port" to connect to, whatever `url` says; empty: as it says */
    const struct metadata *headers; /* a value that cannot stand in a header is left out */
    struct str             body;    /* POST */
    int64_t                deadline_ns;
    size_t                 max_body_bytes; /* of the answer; the rest is read and dropped */
    http_done_fn          *done;           /* the outcome's views live until it returns */
    void                  *context;
};

/*
 * Starts a request and returns its number, never 0. Everything that `call` points
 * to stays the caller's and in place until `done`. `done` runs exactly once, also
 * when the request could not be started (RESOURCE_EXHAUSTED), never inside this call.
 */
uint64_t http_start(struct http_client *client, const struct http_call *call);

/* `done` still runs, with CANCELLED unless it was quicker. A number that has ended is ignored. */
void http_cancel(struct http_client *client, uint64_t number);
