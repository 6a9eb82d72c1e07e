#include "common/trace/otlp_retry.h"

#include <ctype.h>
#include <errno.h>
#include <time.h>

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/base/text.h"
#include "common/trace/otlp.h"

static const int64_t max_wait_ns = 3600 * (int64_t)NS_PER_S;
static const int64_t first_backoff_ns = 250 * (int64_t)NS_PER_MS;
static const int64_t max_backoff_ns = 5 * (int64_t)NS_PER_S;

/* Field numbers: proto/google/rpc. */
enum { RPC_STATUS_MESSAGE = 2 };

/* Of the numbers in a text about a limit, no smaller one is it. */
enum { LEAST_LIMIT_BYTES = 1024 };

static struct otlp_verdict later(int64_t wait_ns)
{
    return (struct otlp_verdict){.answer = OTLP_LATER,
                                 .wait_ns = wait_ns < max_wait_ns ? wait_ns : max_wait_ns};
}

static bool contains(struct str s, struct str part)
{
    return s.len > 0 && memmem(s.at, s.len, part.at, part.len);
}

/*
 * How gRPC for Go and for C, for Java, and for Rust (tonic) say it. tonic says it with
 * OUT_OF_RANGE, which would have the same bytes sent for ever.
 */
static bool says_too_large(struct str message)
{
    return contains(message, STR("larger than max")) ||
           contains(message, STR("message exceeds maximum size")) ||
           contains(message, STR("message length too large"));
}

/*
 * "(5242880 vs. 4194304)", "maximum size 4194304: 5242880", "found 5242880 bytes, the limit is:
 * 4194304 bytes": the limit is the smallest number. 0 when there is none.
 */
static size_t read_limit(struct str message)
{
    uint64_t limit = 0;

    for (size_t i = 0; i < message.len;) {
        struct str digits = {.at = message.at + i};
        uint64_t   number;

        while (i + digits.len < message.len && isdigit((unsigned char)digits.at[digits.len]))
            digits.len++;
        if (str_to_uint64(digits, &number) == 0 && number >= LEAST_LIMIT_BYTES &&
            (limit == 0 || number < limit))
            limit = number;
        i += digits.len + 1;
    }
    return (size_t)limit;
}

static struct otlp_verdict too_large(struct str message)
{
    return (struct otlp_verdict){
        .answer = OTLP_TOO_LARGE,
        .max_bytes = says_too_large(message) ? read_limit(message) : 0,
    };
}

static bool is_datas_fault(enum status status)
{
    return status != STATUS_UNIMPLEMENTED && status != STATUS_PERMISSION_DENIED &&
           status != STATUS_UNAUTHENTICATED && status != STATUS_NOT_FOUND;
}

/* What gRPC for C, and curl, say when there was no connection that spans could have gone over. */
static bool was_never_connected(struct str message)
{
    static const struct str signs[] = {
        STR_INIT("failed to connect"),     STR_INIT("connections to all backends failing"),
        STR_INIT("DNS resolution failed"), STR_INIT("Failed to connect"),
        STR_INIT("Couldn't connect"),      STR_INIT("Could not resolve"),
    };

    for (size_t i = 0; i < ARRAY_LENGTH(signs); i++)
        if (contains(message, signs[i]))
            return true;
    return false;
}

/*
 * A stream that was cut off has no status of the receiver's; the library makes one up, also such
 * as stand for a refusal (UNKNOWN, INTERNAL, RESOURCE_EXHAUSTED).
 */
static bool was_cut_off(struct str message)
{
    return contains(message, STR("RST_STREAM")) || contains(message, STR("Stream removed"));
}

static struct otlp_verdict judge_grpc_failure(const struct otlp_grpc_answer *answer)
{
    int64_t             wait_ns = 0;
    bool                has_retry_info = rpc_status_retry_delay(answer->details, &wait_ns) == 0;
    struct otlp_verdict verdict = later(wait_ns);

    if (was_cut_off(answer->message)) {
        verdict.may_be_taken = true;
        return verdict;
    }

    switch (answer->status) {
    case STATUS_UNAVAILABLE:
        if (!has_retry_info)
            verdict.answer = OTLP_UNREACHABLE;
        verdict.may_be_taken = !has_retry_info && !was_never_connected(answer->message);
        return verdict;
    case STATUS_OUT_OF_RANGE:
        return says_too_large(answer->message) ? too_large(answer->message) : verdict;
    case STATUS_RESOURCE_EXHAUSTED:
        /* Whoever only says this will not take the same bytes later. */
        return has_retry_info ? verdict : too_large(answer->message);
    case STATUS_CANCELLED:
    case STATUS_DEADLINE_EXCEEDED:
        verdict.may_be_taken = true;
        return verdict;
    case STATUS_ABORTED:
    case STATUS_DATA_LOSS:
        return verdict;
    default:
        return (struct otlp_verdict){.answer = OTLP_REFUSED,
                                     .is_datas_fault = is_datas_fault(answer->status)};
    }
}

/* NUL-terminated, and one line of UTF-8, whatever the receiver says. */
static void write_text(struct otlp_verdict *verdict, struct str what, struct str message)
{
    struct text text = text_in_buffer(verdict->text, sizeof(verdict->text) - 1);

    text_add(&text, what);
    if (!str_is_empty(message)) {
        text_add(&text, STR(": "));
        text_add_utf8(&text, message);
    }
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.at[i] < ' ')
            text.at[i] = ' ';
    verdict->text[str_utf8_prefix(text_view(&text))] = '\0';
}

static struct otlp_verdict taken(struct str response)
{
    struct otlp_verdict verdict = {.answer = OTLP_TAKEN};
    struct str          message = {0};

    /* A success that cannot be read is a success. */
    (void)otlp_read_partial_success(response, &verdict.rejected_spans, &message);
    if (verdict.rejected_spans > 0)
        write_text(&verdict, STR("partial success"), message);
    return verdict;
}

struct otlp_verdict otlp_judge_grpc(const struct otlp_grpc_answer *answer)
{
    if (answer->status == STATUS_OK)
        return taken(answer->response);

    struct otlp_verdict verdict = judge_grpc_failure(answer);
    write_text(&verdict, status_name(answer->status), answer->message);
    return verdict;
}

/* RFC 9110, section 5.6.7: the form in use, and two that must still be read. */
static bool parse_http_date(struct str s, int64_t *ret_seconds)
{
    static const char *const formats[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                          "%a %b %d %H:%M:%S %Y"};
    char                     text[64];

    if (str_is_empty(s) || s.len >= sizeof(text))
        return false;
    memcpy(text, s.at, s.len);
    text[s.len] = '\0';

    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++) {
        struct tm   date = {0};
        const char *end = strptime(text, formats[i], &date);
        if (end && *end == '\0') {
            *ret_seconds = timegm(&date);
            return true;
        }
    }
    return false;
}

static int64_t date_ns(struct str value, int64_t now_ns)
{
    int64_t date, ns;

    if (!parse_http_date(value, &date))
        return 0;
    if (__builtin_mul_overflow(date, (int64_t)NS_PER_S, &ns))
        return max_wait_ns;
    return ns > now_ns ? ns - now_ns : 0;
}

/* Seconds or a date; 0 when it is neither, or past. */
static int64_t retry_after_ns(struct str value, int64_t now_ns)
{
    uint64_t seconds;
    int      r = str_to_uint64(value, &seconds);

    if (r == -EINVAL)
        return date_ns(value, now_ns);
    if (r == -ERANGE || seconds > (uint64_t)(max_wait_ns / NS_PER_S))
        return max_wait_ns;
    return (int64_t)seconds * NS_PER_S;
}

static struct otlp_verdict judge_http_silence(const struct otlp_http_answer *answer)
{
    bool is_slow = answer->status == STATUS_DEADLINE_EXCEEDED;

    return (struct otlp_verdict){.answer = is_slow ? OTLP_LATER : OTLP_UNREACHABLE,
                                 .may_be_taken = !was_never_connected(answer->message)};
}

static struct otlp_verdict judge_http_failure(const struct otlp_http_answer *answer, int64_t now_ns)
{
    switch (answer->code) {
    case 429:
    case 502:
    case 503:
    case 504:
        return later(retry_after_ns(answer->retry_after, now_ns));
    case 413:
        return too_large(answer->body);
    case 400:
    case 422:
    case 500:
        return (struct otlp_verdict){.answer = OTLP_REFUSED, .is_datas_fault = true};
    default:
        return (struct otlp_verdict){.answer = OTLP_REFUSED};
    }
}

/* The message in a google.rpc.Status; absent when the body is something else. */
static struct str body_message(struct str body)
{
    struct wire_cursor cursor = wire_cursor(body);
    struct wire_field  field;
    struct str         message = {0};

    while (wire_next(&cursor, &field))
        if (field.number == RPC_STATUS_MESSAGE && field.type == WIRE_BYTES)
            message = field.bytes;
    return cursor.is_bad ? (struct str){0} : message;
}

static void write_http_text(struct otlp_verdict *verdict, const struct otlp_http_answer *answer)
{
    char        buffer[64];
    struct text what = text_in_buffer(buffer, sizeof(buffer));

    text_add(&what, STR("HTTP "));
    text_add_int(&what, answer->code);
    text_add_char(&what, ' ');
    text_add(&what, http_reason(answer->code));
    write_text(verdict, str_trim(text_view(&what)), body_message(answer->body));
}

struct otlp_verdict otlp_judge_http(const struct otlp_http_answer *answer, int64_t now_ns)
{
    struct otlp_verdict verdict;

    if (answer->status != STATUS_OK) {
        verdict = judge_http_silence(answer);
        write_text(&verdict, status_name(answer->status), answer->message);
    } else if (answer->code >= 200 && answer->code < 300) {
        verdict = taken(answer->body);
    } else {
        verdict = judge_http_failure(answer, now_ns);
        write_http_text(&verdict, answer);
    }
    return verdict;
}

int64_t otlp_backoff_ns(unsigned failures, uint64_t random)
{
    int64_t longest_ns = first_backoff_ns;

    for (unsigned i = 1; i < failures && longest_ns < max_backoff_ns; i++)
        longest_ns *= 2;
    if (longest_ns > max_backoff_ns)
        longest_ns = max_backoff_ns;

    int64_t half_ns = longest_ns / 2;
    return half_ns + (int64_t)(random_unit(random) * (double)half_ns);
}
