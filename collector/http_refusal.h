#pragma once

/*
 * Http refusal: a refusal as an HTTP answer: Retry-After where it may be sent again, and the body
 * in the type of the request: a google.rpc.Status for OTLP, a line of text for everybody else.
 *
 * Threads: any that owes the answer.
 */

#include "collector/http_export.h"

/* "application/x-protobuf", "application/json", "text/plain; charset=utf-8". */
struct str http_media_type(enum media media);

void http_refusal_respond(struct http_request *request, const struct refusal *refusal,
                          enum media media);

/* Counts it too; the form is that of the request, but text for Zipkin. */
void http_refusal_count_and_respond(struct http_request *request, struct intake *intake,
                                    enum receiver receiver, struct refusal refusal);

/* What the http server refuses by itself: 413, 414, 431, 503. */
struct refusal refusal_of_edge(int http_code);
