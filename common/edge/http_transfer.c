#include "common/edge/http_transfer.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>

#include "common/base/arena.h"
#include "common/base/clock.h"

enum {
    MAX_LINES_BYTES = 256 * 1024, /* of the header, above all */
    /* Longer ones are given back to the system after use. */
    MAX_KEPT_BODY_BYTES = 64 * 1024,
    /* Below the time after which servers commonly close an idle connection, and above a pause. */
    MAX_IDLE_CONNECTION_S = 30,
    /* Names in a cluster change what they stand for. */
    DNS_CACHE_S = 10,
};

/* The rest of a body that is too long is taken and dropped, so that the connection can be kept. */
static size_t keep_body(char *piece, size_t one, size_t n, void *context)
{
    struct http_transfer *transfer = context;
    size_t                room = transfer->call.max_body_bytes - transfer->body.len;
    (void)one;

    if (n > room)
        transfer->is_body_cut = true;
    text_add(&transfer->body, (struct str){piece, n < room ? n : room});
    return n;
}

static CURL *new_easy(struct http_transfer *transfer)
{
    CURL *easy = curl_easy_init();
    if (!easy)
        return NULL;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "tracehop");
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, keep_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, (long)DNS_CACHE_S);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)MAX_IDLE_CONNECTION_S);
    /* Else curl waits for getaddrinfo when a transfer is removed that is still resolving. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    return easy;
}

void http_transfer_free(struct http_transfer *transfer)
{
    curl_easy_cleanup(transfer->easy);
    arena_free(transfer->arena);
    text_done(&transfer->body);
}

/* RFC 9110, 5.6.2: a name is a token. */
static bool is_legal(const struct field *field)
{
    static const char separators[] = "\"(),/:;<=>?@[\\]{}";

    for (size_t i = 0; i < field->name.len; i++) {
        unsigned char c = (unsigned char)field->name.at[i];
        if (c <= ' ' || c >= 0x7f || strchr(separators, c))
            return false;
    }
    return field->name.len > 0 && metadata_is_value(field->value);
}

struct line_list {
    struct arena       *arena;
    struct curl_slist  *first;
    struct curl_slist **last;
    bool                is_short; /* of memory */
};

static void add_line(struct line_list *lines, struct str line)
{
    struct curl_slist *node = arena_alloc(lines->arena, sizeof(*node));
    if (!node || !line.at) {
        lines->is_short = true;
        return;
    }

    *node = (struct curl_slist){.data = (char *)(uintptr_t)line.at};
    *lines->last = node;
    lines->last = &node->next;
}

/* CURLOPT_HTTPHEADER: "name;" sends an empty value, "name:" takes a header away. */
static void add_field(struct line_list *lines, const struct field *field)
{
    if (field->value.len > 0)
        add_line(lines, arena_format(lines->arena, "%.*s: %.*s", STR_ARGS(field->name),
                                     STR_ARGS(field->value)));
    else
        add_line(lines, arena_format(lines->arena, "%.*s;", STR_ARGS(field->name)));
}

/* What curl would add by itself: a pause before a long body, and a type that is not true. */
static void take_away_defaults(struct line_list *lines, const struct metadata *headers)
{
    add_line(lines, STR("Expect:"));
    if (!headers || !metadata_find(headers, STR("content-type")).at)
        add_line(lines, STR("Content-Type:"));
}

static int set_header(struct http_transfer *transfer)
{
    const struct metadata *headers = transfer->call.headers;
    struct line_list       lines = {.arena = transfer->arena, .last = &lines.first};

    for (size_t i = 0; headers && i < headers->count; i++)
        if (is_legal(&headers->fields[i]))
            add_field(&lines, &headers->fields[i]);
    take_away_defaults(&lines, headers);
    curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, lines.first);
    return lines.is_short ? -ENOMEM : 0;
}

/* CURLOPT_CONNECT_TO: an empty host and an empty port stand for any. */
static int set_target(struct http_transfer *transfer)
{
    struct str       connect_to = transfer->call.connect_to;
    struct line_list lines = {.arena = transfer->arena, .last = &lines.first};

    if (!str_is_empty(connect_to))
        add_line(&lines, arena_format(lines.arena, "::%.*s", STR_ARGS(connect_to)));
    curl_easy_setopt(transfer->easy, CURLOPT_CONNECT_TO, lines.first);
    return lines.is_short ? -ENOMEM : 0;
}

static void set_method(const struct http_transfer *transfer)
{
    const struct http_call *call = &transfer->call;

    if (str_equal(call->method, STR("POST"))) {
        curl_easy_setopt(transfer->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
        curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS, call->body.at ? call->body.at : "");
    } else {
        assert(str_equal(call->method, STR("GET")));
        curl_easy_setopt(transfer->easy, CURLOPT_HTTPGET, 1L);
    }
}

/* To curl, 0 is no limit; rounded up, for 0 ms left is still a limit. */
static long timeout_ms(int64_t deadline_ns, int64_t now_ns)
{
    if (deadline_ns == NEVER_NS)
        return 0;
    int64_t left_ms = (deadline_ns - now_ns) / NS_PER_MS + 1;
    return left_ms > 1 ? (long)left_ms : 1;
}

int http_transfer_prepare(struct http_transfer *transfer, int64_t now_ns)
{
    const struct http_call *call = &transfer->call;

    if (!transfer->easy)
        transfer->easy = new_easy(transfer);
    if (!transfer->easy)
        return -ENOMEM;
    if (!transfer->body.is_heap)
        transfer->body = text_on_heap(0);
    transfer->arena = arena_new(MAX_LINES_BYTES);
    if (!transfer->arena)
        return -ENOMEM;

    transfer->error[0] = '\0';
    transfer->is_body_cut = false;
    set_method(transfer);
    if (curl_easy_setopt(transfer->easy, CURLOPT_URL, call->url.at) != CURLE_OK)
        return -ENOMEM;
    curl_easy_setopt(transfer->easy, CURLOPT_TIMEOUT_MS, timeout_ms(call->deadline_ns, now_ns));
    int r = set_target(transfer);
    return r < 0 ? r : set_header(transfer);
}

static void reset(struct http_transfer *transfer)
{
    arena_free(transfer->arena);
    transfer->arena = NULL;

    transfer->body.len = 0;
    transfer->body.is_cut = false;
    if (transfer->body.capacity > MAX_KEPT_BODY_BYTES)
        text_done(&transfer->body);
}

static void tell(struct http_transfer *transfer, const struct http_outcome *outcome)
{
    transfer->call.done(outcome, transfer->call.context);
    reset(transfer);
}

static struct str header_value(CURL *easy, const char *name)
{
    enum { LAST_REQUEST = -1 };
    struct curl_header *header;

    if (curl_easy_header(easy, name, 0, CURLH_HEADER, LAST_REQUEST, &header) != CURLHE_OK)
        return (struct str){0};
    return str_from(header->value);
}

static void tell_answer(struct http_transfer *transfer)
{
    long code = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &code);
    tell(transfer, &(struct http_outcome){
                       .status = STATUS_OK,
                       .code = (int)code,
                       .content_type = header_value(transfer->easy, "content-type"),
                       .retry_after = header_value(transfer->easy, "retry-after"),
                       .body = text_view(&transfer->body),
                       .is_body_cut = transfer->is_body_cut || transfer->body.is_cut,
                   });
}

void http_transfer_fail(struct http_transfer *transfer, enum status status, struct str message)
{
    tell(transfer, &(struct http_outcome){.status = status, .message = message});
}

void http_transfer_finish(struct http_transfer *transfer, CURLcode how)
{
    if (how == CURLE_OK) {
        tell_answer(transfer);
        return;
    }

    http_transfer_fail(
        transfer, how == CURLE_OPERATION_TIMEDOUT ? STATUS_DEADLINE_EXCEEDED : STATUS_UNAVAILABLE,
        str_from(transfer->error[0] ? transfer->error : curl_easy_strerror(how)));
}
