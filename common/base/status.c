#include "common/base/status.h"

#include <errno.h>

#include "common/base/cleanup.h"

static const struct {
    struct str name;
    int        http_code;
} statuses[STATUS_COUNT] = {
    [STATUS_OK] = {STR_INIT("OK"), 200},
    [STATUS_CANCELLED] = {STR_INIT("CANCELLED"), 499},
    [STATUS_UNKNOWN] = {STR_INIT("UNKNOWN"), 500},
    [STATUS_INVALID_ARGUMENT] = {STR_INIT("INVALID_ARGUMENT"), 400},
    [STATUS_DEADLINE_EXCEEDED] = {STR_INIT("DEADLINE_EXCEEDED"), 504},
    [STATUS_NOT_FOUND] = {STR_INIT("NOT_FOUND"), 404},
    [STATUS_ALREADY_EXISTS] = {STR_INIT("ALREADY_EXISTS"), 409},
    [STATUS_PERMISSION_DENIED] = {STR_INIT("PERMISSION_DENIED"), 403},
    [STATUS_RESOURCE_EXHAUSTED] = {STR_INIT("RESOURCE_EXHAUSTED"), 429},
    [STATUS_FAILED_PRECONDITION] = {STR_INIT("FAILED_PRECONDITION"), 400},
    [STATUS_ABORTED] = {STR_INIT("ABORTED"), 409},
    [STATUS_OUT_OF_RANGE] = {STR_INIT("OUT_OF_RANGE"), 400},
    [STATUS_UNIMPLEMENTED] = {STR_INIT("UNIMPLEMENTED"), 501},
    [STATUS_INTERNAL] = {STR_INIT("INTERNAL"), 500},
    [STATUS_UNAVAILABLE] = {STR_INIT("UNAVAILABLE"), 503},
    [STATUS_DATA_LOSS] = {STR_INIT("DATA_LOSS"), 500},
    [STATUS_UNAUTHENTICATED] = {STR_INIT("UNAUTHENTICATED"), 401},
};

/* The enum is unsigned; a number from a peer may be anything. */
static enum status known(enum status status)
{
    return (unsigned)status < STATUS_COUNT ? status : STATUS_UNKNOWN;
}

struct str status_name(enum status status)
{
    return statuses[known(status)].name;
}

static char fold(char c)
{
    if (c >= 'a' && c <= 'z')
        return (char)(c - 'a' + 'A');
    if (c == '-')
        return '_';
    return c;
}

static bool is_named(struct str name, struct str written)
{
    if (name.len != written.len)
        return false;

    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] != fold(written.at[i]))
            return false;
    return true;
}

int status_from_name(struct str name, enum status *ret_status)
{
    for (int i = 0; i < STATUS_COUNT; i++)
        if (is_named(statuses[i].name, name)) {
            *ret_status = (enum status)i;
            return 0;
        }
    return -EINVAL;
}

int status_to_http(enum status status)
{
    return statuses[known(status)].http_code;
}

enum status status_from_http(int http_code)
{
    switch (http_code) {
    case 401:
        return STATUS_UNAUTHENTICATED;
    case 403:
        return STATUS_PERMISSION_DENIED;
    case 404:
    case 410:
        return STATUS_NOT_FOUND;
    case 408:
    case 504:
        return STATUS_DEADLINE_EXCEEDED;
    case 409:
        return STATUS_ABORTED;
    case 412:
    case 428:
        return STATUS_FAILED_PRECONDITION;
    case 413:
    case 429:
    case 431:
        return STATUS_RESOURCE_EXHAUSTED;
    case 416:
        return STATUS_OUT_OF_RANGE;
    case 405:
    case 501:
        return STATUS_UNIMPLEMENTED;
    case 499:
        return STATUS_CANCELLED;
    case 502:
    case 503:
        return STATUS_UNAVAILABLE;
    default:
        break;
    }

    if (http_code >= 100 && http_code < 400)
        return STATUS_OK;
    if (http_code >= 400 && http_code < 500)
        return STATUS_INVALID_ARGUMENT;
    return http_code >= 500 && http_code < 600 ? STATUS_INTERNAL : STATUS_UNKNOWN;
}

static const struct {
    int        code;
    struct str reason;
} reasons[] = {
    {100, STR_INIT("Continue")},
    {101, STR_INIT("Switching Protocols")},
    {102, STR_INIT("Processing")},
    {103, STR_INIT("Early Hints")},
    {200, STR_INIT("OK")},
    {201, STR_INIT("Created")},
    {202, STR_INIT("Accepted")},
    {203, STR_INIT("Non-Authoritative Information")},
    {204, STR_INIT("No Content")},
    {205, STR_INIT("Reset Content")},
    {206, STR_INIT("Partial Content")},
    {207, STR_INIT("Multi-Status")},
    {208, STR_INIT("Already Reported")},
    {226, STR_INIT("IM Used")},
    {300, STR_INIT("Multiple Choices")},
    {301, STR_INIT("Moved Permanently")},
    {302, STR_INIT("Found")},
    {303, STR_INIT("See Other")},
    {304, STR_INIT("Not Modified")},
    {305, STR_INIT("Use Proxy")},
    {307, STR_INIT("Temporary Redirect")},
    {308, STR_INIT("Permanent Redirect")},
    {400, STR_INIT("Bad Request")},
    {401, STR_INIT("Unauthorized")},
    {402, STR_INIT("Payment Required")},
    {403, STR_INIT("Forbidden")},
    {404, STR_INIT("Not Found")},
    {405, STR_INIT("Method Not Allowed")},
    {406, STR_INIT("Not Acceptable")},
    {407, STR_INIT("Proxy Authentication Required")},
    {408, STR_INIT("Request Timeout")},
    {409, STR_INIT("Conflict")},
    {410, STR_INIT("Gone")},
    {411, STR_INIT("Length Required")},
    {412, STR_INIT("Precondition Failed")},
    {413, STR_INIT("Content Too Large")},
    {414, STR_INIT("URI Too Long")},
    {415, STR_INIT("Unsupported Media Type")},
    {416, STR_INIT("Range Not Satisfiable")},
    {417, STR_INIT("Expectation Failed")},
    {421, STR_INIT("Misdirected Request")},
    {422, STR_INIT("Unprocessable Content")},
    {423, STR_INIT("Locked")},
    {424, STR_INIT("Failed Dependency")},
    {425, STR_INIT("Too Early")},
    {426, STR_INIT("Upgrade Required")},
    {428, STR_INIT("Precondition Required")},
    {429, STR_INIT("Too Many Requests")},
    {431, STR_INIT("Request Header Fields Too Large")},
    {451, STR_INIT("Unavailable For Legal Reasons")},
    {500, STR_INIT("Internal Server Error")},
    {501, STR_INIT("Not Implemented")},
    {502, STR_INIT("Bad Gateway")},
    {503, STR_INIT("Service Unavailable")},
    {504, STR_INIT("Gateway Timeout")},
    {505, STR_INIT("HTTP Version Not Supported")},
    {506, STR_INIT("Variant Also Negotiates")},
    {507, STR_INIT("Insufficient Storage")},
    {508, STR_INIT("Loop Detected")},
    {510, STR_INIT("Not Extended")},
    {511, STR_INIT("Network Authentication Required")},
};

struct str http_reason(int http_code)
{
    for (size_t i = 0; i < ARRAY_LENGTH(reasons); i++)
        if (reasons[i].code == http_code)
            return reasons[i].reason;
    return STR("");
}
