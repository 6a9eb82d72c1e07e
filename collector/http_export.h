#pragma once

/*
 * Http export: a request with spans that came over HTTP, from its headers to its answer; what the
 * receivers of OTLP/HTTP and Zipkin have in common.
 *
 * Threads: begin and read on the server's; the answer from the journal's too.
 */

#include "collector/body.h"
#include "collector/intake.h"
#include "common/edge/http_server.h"

enum media { MEDIA_PROTOBUF, MEDIA_JSON, MEDIA_OTHER };

struct http_export;

/* Answers: `refusal` is NULL when the request is kept. The export is gone afterwards. */
typedef void http_export_answer_fn(struct http_request *request, enum media media,
                                   const struct refusal *refusal);

/* Lives in the request's arena. */
struct http_export {
    struct http_request   *http;
    enum media             media; /* of the request, and of an answer that has a body */
    http_export_answer_fn *answer;
    struct body            body;
    struct intake         *intake;
    struct intake_request  request;
};

/* By Content-Type; `when_absent` when there is none. */
enum media http_media(const struct http_request *request, enum media when_absent);

/*
 * Reads the body of a POST, by Content-Encoding. The export, or NULL: then the request is
 * refused and answered.
 */
struct http_export *http_export_begin(struct http_request *request, struct intake *intake,
                                      enum receiver receiver, enum media media,
                                      http_export_answer_fn *answer);

/* Each ends the export: with spans as OTLP that live as long as it does, or with a refusal. */
void http_export_take(struct http_export *export, struct str spans);
void http_export_refuse(struct http_export *export, struct refusal refusal);
