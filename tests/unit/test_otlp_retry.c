#include "common/trace/otlp_retry.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/clock.h"

static const int64_t second = NS_PER_S;

/* google.rpc.Status with the detail RetryInfo, whose delay is 5 s. */
#define RETRY_IN_5_S STR_INIT("\x1a\x1e\x0a\x16x/google.rpc.RetryInfo\x12\x04\x0a\x02\x08\x05")

static void assert_verdict(const char *what, struct otlp_verdict saw, struct otlp_verdict expected)
{
    if (saw.answer != expected.answer || saw.wait_ns != expected.wait_ns ||
        saw.rejected_spans != expected.rejected_spans)
        fail_msg("%s: expected %d, %" PRId64 " ns, %" PRIu64 " rejected; saw %d, %" PRId64
                 " ns, %" PRIu64,
                 what, expected.answer, expected.wait_ns, expected.rejected_spans, saw.answer,
                 saw.wait_ns, saw.rejected_spans);
}

static void each_grpc_status_has_its_meaning(void **state)
{
    (void)state;
    static const enum otlp_answer expected[STATUS_COUNT] = {
        [STATUS_OK] = OTLP_TAKEN,
        [STATUS_CANCELLED] = OTLP_LATER,
        [STATUS_UNKNOWN] = OTLP_REFUSED,
        [STATUS_INVALID_ARGUMENT] = OTLP_REFUSED,
        [STATUS_DEADLINE_EXCEEDED] = OTLP_LATER,
        [STATUS_NOT_FOUND] = OTLP_REFUSED,
        [STATUS_ALREADY_EXISTS] = OTLP_REFUSED,
        [STATUS_PERMISSION_DENIED] = OTLP_REFUSED,
        [STATUS_RESOURCE_EXHAUSTED] = OTLP_REFUSED,
        [STATUS_FAILED_PRECONDITION] = OTLP_REFUSED,
        [STATUS_ABORTED] = OTLP_LATER,
        [STATUS_OUT_OF_RANGE] = OTLP_LATER,
        [STATUS_UNIMPLEMENTED] = OTLP_REFUSED,
        [STATUS_INTERNAL] = OTLP_REFUSED,
        [STATUS_UNAVAILABLE] = OTLP_UNREACHABLE,
        [STATUS_DATA_LOSS] = OTLP_LATER,
        [STATUS_UNAUTHENTICATED] = OTLP_REFUSED,
    };

    for (int status = 0; status < STATUS_COUNT; status++)
        assert_verdict(status_name((enum status)status).at,
                       otlp_judge_grpc((enum status)status, (struct str){0}, (struct str){0}),
                       (struct otlp_verdict){.answer = expected[status]});
}

static void retry_info_says_when_and_makes_exhaustion_pass(void **state)
{
    (void)state;
    static const struct str details = RETRY_IN_5_S;
    static const struct {
        enum status         status;
        struct otlp_verdict expected;
    } cases[] = {
        {STATUS_UNAVAILABLE, {.answer = OTLP_LATER, .wait_ns = 5 * (int64_t)NS_PER_S}},
        {STATUS_RESOURCE_EXHAUSTED, {.answer = OTLP_LATER, .wait_ns = 5 * (int64_t)NS_PER_S}},
        {STATUS_ABORTED, {.answer = OTLP_LATER, .wait_ns = 5 * (int64_t)NS_PER_S}},
        {STATUS_INVALID_ARGUMENT, {.answer = OTLP_REFUSED}},
        {STATUS_OK, {.answer = OTLP_TAKEN}},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_verdict(status_name(cases[i].status).at,
                       otlp_judge_grpc(cases[i].status, details, (struct str){0}),
                       cases[i].expected);
}

static void malformed_retry_info_is_none(void **state)
{
    (void)state;
    assert_verdict("cut short",
                   otlp_judge_grpc(STATUS_RESOURCE_EXHAUSTED, STR("\x1a\x1e\x0a"), (struct str){0}),
                   (struct otlp_verdict){.answer = OTLP_REFUSED});
}

static void a_partial_success_is_taken_but_for_some(void **state)
{
    (void)state;
    struct otlp_http_answer ok = {.code = 200, .body = STR("\x0a\x02\x08\x03")};

    assert_verdict("gRPC", otlp_judge_grpc(STATUS_OK, (struct str){0}, STR("\x0a\x02\x08\x03")),
                   (struct otlp_verdict){.answer = OTLP_TAKEN, .rejected_spans = 3});
    assert_verdict("HTTP", otlp_judge_http(&ok, 0),
                   (struct otlp_verdict){.answer = OTLP_TAKEN, .rejected_spans = 3});
}

static void a_success_that_cannot_be_read_is_a_success(void **state)
{
    (void)state;
    struct otlp_http_answer ok = {.code = 200, .body = STR("<html>")};

    assert_verdict("gRPC", otlp_judge_grpc(STATUS_OK, (struct str){0}, STR("\x0a\xff")),
                   (struct otlp_verdict){.answer = OTLP_TAKEN});
    assert_verdict("HTTP", otlp_judge_http(&ok, 0), (struct otlp_verdict){.answer = OTLP_TAKEN});
}

static void each_http_code_has_its_meaning(void **state)
{
    (void)state;
    static const struct {
        int              code;
        enum otlp_answer expected;
    } cases[] = {
        {200, OTLP_TAKEN},   {202, OTLP_TAKEN},   {204, OTLP_TAKEN},   {301, OTLP_REFUSED},
        {400, OTLP_REFUSED}, {401, OTLP_REFUSED}, {403, OTLP_REFUSED}, {404, OTLP_REFUSED},
        {408, OTLP_REFUSED}, {413, OTLP_REFUSED}, {429, OTLP_LATER},   {500, OTLP_REFUSED},
        {501, OTLP_REFUSED}, {502, OTLP_LATER},   {503, OTLP_LATER},   {504, OTLP_LATER},
        {505, OTLP_REFUSED},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct otlp_http_answer answer = {.code = cases[i].code};
        if (otlp_judge_http(&answer, 0).answer != cases[i].expected)
            fail_msg("%d: saw %d", cases[i].code, otlp_judge_http(&answer, 0).answer);
    }
}

static void no_http_answer_is_to_be_tried_again(void **state)
{
    (void)state;
    static const struct {
        enum status      status;
        enum otlp_answer expected;
    } cases[] = {
        {STATUS_UNAVAILABLE, OTLP_UNREACHABLE},        {STATUS_CANCELLED, OTLP_UNREACHABLE},
        {STATUS_RESOURCE_EXHAUSTED, OTLP_UNREACHABLE}, {STATUS_INTERNAL, OTLP_UNREACHABLE},
        {STATUS_DEADLINE_EXCEEDED, OTLP_LATER},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_verdict(status_name(cases[i].status).at,
                       otlp_judge_http(&(struct otlp_http_answer){.status = cases[i].status}, 0),
                       (struct otlp_verdict){.answer = cases[i].expected});
}

static void retry_after_is_seconds_or_a_date(void **state)
{
    (void)state;
    /* Sun, 06 Nov 1994 08:49:37 GMT, and a half. */
    const int64_t now_ns = 784111777 * second + second / 2;
    const struct {
        const char *value;
        int64_t     wait_ns;
    } cases[] = {
        {NULL, 0},
        {"", 0},
        {"0", 0},
        {"120", 120 * second},
        {"3601", 3600 * second},
        {"18446744073709551615", 3600 * second},
        {"99999999999999999999999", 3600 * second},
        {"-5", 0},
        {"1.5", 0},
        {"soon", 0},
        {"Sun, 06 Nov 1994 08:50:37 GMT", 60 * second - second / 2},
        {"Sunday, 06-Nov-94 08:50:37 GMT", 60 * second - second / 2},
        {"Sun Nov  6 08:50:37 1994", 60 * second - second / 2},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 0},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Fri, 31 Dec 9999 23:59:59 GMT", 3600 * second},
        {"Sun, 06 Nov 1994 08:50:37 CET", 0},
        {"Sun, 06 Nov 1994 08:50:37 GMT, or so", 0},
        {"Sun, 06 Nov 1994 08:50:37 GMT and a text that is longer than any date that there is", 0},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct otlp_http_answer answer = {.code = 503, .retry_after = str_from(cases[i].value)};
        assert_verdict(cases[i].value ? cases[i].value : "absent", otlp_judge_http(&answer, now_ns),
                       (struct otlp_verdict){.answer = OTLP_LATER, .wait_ns = cases[i].wait_ns});
    }
}

static void the_backoff_doubles_up_to_a_limit(void **state)
{
    (void)state;
    static const struct {
        unsigned failures;
        int64_t  longest_ms;
    } cases[] = {{1, 250},  {2, 500},  {3, 1000},         {4, 2000},
                 {5, 4000}, {6, 5000}, {UINT32_MAX, 5000}};

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        int64_t longest_ns = cases[i].longest_ms * NS_PER_MS;
        int64_t least = otlp_backoff_ns(cases[i].failures, 0);
        int64_t most = otlp_backoff_ns(cases[i].failures, UINT64_MAX);
        if (least != longest_ns / 2 || most < longest_ns - 2 || most > longest_ns)
            fail_msg("%u: from %" PRId64 " to %" PRId64, cases[i].failures, least, most);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_grpc_status_has_its_meaning),
        cmocka_unit_test(retry_info_says_when_and_makes_exhaustion_pass),
        cmocka_unit_test(malformed_retry_info_is_none),
        cmocka_unit_test(a_partial_success_is_taken_but_for_some),
        cmocka_unit_test(a_success_that_cannot_be_read_is_a_success),
        cmocka_unit_test(each_http_code_has_its_meaning),
        cmocka_unit_test(no_http_answer_is_to_be_tried_again),
        cmocka_unit_test(retry_after_is_seconds_or_a_date),
        cmocka_unit_test(the_backoff_doubles_up_to_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
