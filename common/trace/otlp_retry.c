#include "common/trace/otlp_retry.h"

#include <errno.h>
#include <time.h>

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/trace/otlp.h"

static const int64_t max_wait_ns = 3600 * (int64_t)NS_PER_S;
static const int64_t first_backoff_ns = 250 * (int64_t)NS_PER_MS;
static const int64_t max_backoff_ns = 5 * (int64_t)NS_PER_S;

static struct otlp_verdict taken(struct str response)
{
    struct otlp_verdict verdict = {.answer = OTLP_TAKEN};
    struct str          message;

    /* A success that cannot be read is a success. */
    (void)otlp_read_partial_success(response, &verdict.rejected_spans, &message);
    return verdict;
}

static struct otlp_verdict later(int64_t wait_ns)
{
    return (struct otlp_verdict){.answer = OTLP_LATER,
                                 .wait_ns = wait_ns < max_wait_ns ? wait_ns : max_wait_ns};
}

/* Whoever only says RESOURCE_EXHAUSTED will not take the same bytes later. */
struct otlp_verdict otlp_judge_grpc(enum status status, struct str details, struct str response)
{
    int64_t wait_ns = 0;
    bool    has_retry_info = rpc_status_retry_delay(details, &wait_ns) == 0;

    switch (status) {
    case STATUS_OK:
        return taken(response);
    case STATUS_UNAVAILABLE:
        return has_retry_info ? later(wait_ns) : (struct otlp_verdict){.answer = OTLP_UNREACHABLE};
    case STATUS_CANCELLED:
    case STATUS_DEADLINE_EXCEEDED:
    case STATUS_ABORTED:
    case STATUS_OUT_OF_RANGE:
    case STATUS_DATA_LOSS:
        return later(wait_ns);
    case STATUS_RESOURCE_EXHAUSTED:
        if (has_retry_info)
            return later(wait_ns);
        break;
    default:
        break;
    }
    return (struct otlp_verdict){.answer = OTLP_REFUSED};
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

struct otlp_verdict otlp_judge_http(const struct otlp_http_answer *answer, int64_t now_ns)
{
    if (answer->status == STATUS_DEADLINE_EXCEEDED)
        return later(0);
    if (answer->status != STATUS_OK)
        return (struct otlp_verdict){.answer = OTLP_UNREACHABLE};
    if (answer->code >= 200 && answer->code < 300)
        return taken(answer->body);

    switch (answer->code) {
    case 429:
    case 502:
    case 503:
    case 504:
        return later(retry_after_ns(answer->retry_after, now_ns));
    default:
        return (struct otlp_verdict){.answer = OTLP_REFUSED};
    }
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
