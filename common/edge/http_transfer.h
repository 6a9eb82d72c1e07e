#pragma once

/*
 * Http transfer: one request on one of curl's easy handles, which is kept for
 * the next; for this folder only.
 *
 * Threads: the client's own.
 */

#include <stdbool.h>

#include <curl/curl.h>

#include "common/base/text.h"
#include "common/edge/http_client.h"

/* Zeroed to begin with. */
struct http_transfer {
    CURL            *easy;  /* CURLOPT_PRIVATE is the transfer */
    struct http_call call;  /* set by the owner */
    struct arena    *arena; /* for the lists that curl borrows */
    struct text      body;
    bool             is_body_cut;
    char             error[CURL_ERROR_SIZE];
};

void http_transfer_free(struct http_transfer *transfer);

/* Makes `easy` ready to go. 0 or -ENOMEM. */
int http_transfer_prepare(struct http_transfer *transfer, int64_t now_ns);

/* Tells the caller how it went, and is ready for the next. */
void http_transfer_finish(struct http_transfer *transfer, CURLcode how);

/* The same, when curl had no part in it. */
void http_transfer_fail(struct http_transfer *transfer, enum status status, struct str message);
