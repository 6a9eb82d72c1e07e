#pragma once

/*
 * Status: how a call ended, in gRPC's codes, with the faithful translation to
 * and from HTTP that both fronts use.
 */

#include "common/base/str.h"

/* The numbers are those of the gRPC protocol (doc/statuscodes.md). */
enum status {
    STATUS_OK = 0,
    STATUS_CANCELLED = 1,
    STATUS_UNKNOWN = 2,
    STATUS_INVALID_ARGUMENT = 3,
    STATUS_DEADLINE_EXCEEDED = 4,
    STATUS_NOT_FOUND = 5,
    STATUS_ALREADY_EXISTS = 6,
    STATUS_PERMISSION_DENIED = 7,
    STATUS_RESOURCE_EXHAUSTED = 8,
    STATUS_FAILED_PRECONDITION = 9,
    STATUS_ABORTED = 10,
    STATUS_OUT_OF_RANGE = 11,
    STATUS_UNIMPLEMENTED = 12,
    STATUS_INTERNAL = 13,
    STATUS_UNAVAILABLE = 14,
    STATUS_DATA_LOSS = 15,
    STATUS_UNAUTHENTICATED = 16,
    STATUS_COUNT
};

/* "UNAVAILABLE"; "UNKNOWN" for a number that is no code. */
struct str status_name(enum status status);

/* Any case, words joined by `_` or `-`. 0 or -EINVAL. */
int status_from_name(struct str name, enum status *ret_status);

/* 200, 499, 500, ...: what an HTTP front answers for this status. */
int status_to_http(enum status status);

/* The status that says best what an HTTP code says; 1xx to 3xx are OK. */
enum status status_from_http(int http_code);

/* "Not Found"; "" for a code without a registered name (RFC 9110 and its registry). */
struct str http_reason(int http_code);
