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

static struct otlp_verdict judge(enum status status, struct str details, struct str response)
{
    return otlp_judge_grpc(
        &(struct otlp_grpc_answer){.status = status, .details = details, .response = response});
}

static struct otlp_verdict judge_message(enum status status, struct str message)
{
    return otlp_judge_grpc(&(struct otlp_grpc_answer){.status = status, .message = message});
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
        [STATUS_RESOURCE_EXHAUSTED] = OTLP_TOO_LARGE,
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
                       judge((enum status)status, (struct str){0}, (struct str){0}),
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
                       judge(cases[i].status, details, (struct str){0}), cases[i].expected);
}

static void malformed_retry_info_is_none(void **state)
{
    (void)state;
    assert_verdict("cut short",
                   judge(STATUS_RESOURCE_EXHAUSTED, STR("\x1a\x1e\x0a"), (struct str){0}),
                   (struct otlp_verdict){.answer = OTLP_TOO_LARGE});
}

static void a_partial_success_is_taken_but_for_some(void **state)
{
    (void)state;
    struct otlp_http_answer ok = {.code = 200, .body = STR("\x0a\x02\x08\x03")};

    assert_verdict("gRPC", judge(STATUS_OK, (struct str){0}, STR("\x0a\x02\x08\x03")),
                   (struct otlp_verdict){.answer = OTLP_TAKEN, .rejected_spans = 3});
    assert_verdict("HTTP", otlp_judge_http(&ok, 0),
                   (struct otlp_verdict){.answer = OTLP_TAKEN, .rejected_spans = 3});
}

static void a_success_that_cannot_be_read_is_a_success(void **state)
{
    (void)state;
    struct otlp_http_answer ok = {.code = 200, .body = STR("<html>")};

    assert_verdict("gRPC", judge(STATUS_OK, (struct str){0}, STR("\x0a\xff")),
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
        {200, OTLP_TAKEN},   {202, OTLP_TAKEN},   {204, OTLP_TAKEN},     {301, OTLP_REFUSED},
        {400, OTLP_REFUSED}, {401, OTLP_REFUSED}, {403, OTLP_REFUSED},   {404, OTLP_REFUSED},
        {408, OTLP_REFUSED}, {422, OTLP_REFUSED}, {413, OTLP_TOO_LARGE}, {429, OTLP_LATER},
        {500, OTLP_REFUSED}, {501, OTLP_REFUSED}, {502, OTLP_LATER},     {503, OTLP_LATER},
        {504, OTLP_LATER},   {505, OTLP_REFUSED},
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

static void a_message_that_is_too_large_tells_the_limit(void **state)
{
    (void)state;
    static const struct {
        enum status status;
        struct str  message;
        size_t      max_bytes;
    } cases[] = {
        {STATUS_RESOURCE_EXHAUSTED,
         STR_INIT("grpc: received message larger than max (5242880 vs. 4194304)"), 4194304},
        {STATUS_RESOURCE_EXHAUSTED, STR_INIT("Received message larger than max (70000 vs. 65536)"),
         65536},
        {STATUS_RESOURCE_EXHAUSTED,
         STR_INIT("grpc: received message after decompression larger than max 4194304"), 4194304},
        {STATUS_RESOURCE_EXHAUSTED, STR_INIT("gRPC message exceeds maximum size 4194304: 5242880"),
         4194304},
        {STATUS_OUT_OF_RANGE,
         STR_INIT("Error, decoded message length too large: found 5242880 bytes, the limit is: "
                  "4194304 bytes"),
         4194304},
        {STATUS_RESOURCE_EXHAUSTED, STR_INIT("Received message larger than max (5 vs. 4)"), 0},
        {STATUS_RESOURCE_EXHAUSTED,
         STR_INIT("larger than max 99999999999999999999999 and what not"), 0},
        {STATUS_RESOURCE_EXHAUSTED, STR_INIT("quota of 5000 spans"), 0},
        {STATUS_RESOURCE_EXHAUSTED, {0}, 0},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct otlp_verdict verdict = judge_message(cases[i].status, cases[i].message);
        assert_int_equal(verdict.answer, OTLP_TOO_LARGE);
        assert_int_equal(verdict.max_bytes, cases[i].max_bytes);
    }
    assert_int_equal(judge_message(STATUS_OUT_OF_RANGE, STR("beyond the end")).answer, OTLP_LATER);
}

static void a_refusal_says_whether_the_data_can_be_at_fault(void **state)
{
    (void)state;
    static const enum status of_the_data[] = {STATUS_INVALID_ARGUMENT, STATUS_INTERNAL,
                                              STATUS_UNKNOWN, STATUS_FAILED_PRECONDITION,
                                              STATUS_ALREADY_EXISTS};
    static const enum status of_the_sender[] = {STATUS_UNIMPLEMENTED, STATUS_PERMISSION_DENIED,
                                                STATUS_UNAUTHENTICATED, STATUS_NOT_FOUND};
    static const int         codes_of_the_data[] = {400, 422, 500};
    static const int         codes_of_the_sender[] = {301, 401, 403, 404, 405, 415, 501};

    for (size_t i = 0; i < ARRAY_LENGTH(of_the_data); i++)
        assert_true(judge_message(of_the_data[i], STR("")).is_datas_fault);
    for (size_t i = 0; i < ARRAY_LENGTH(of_the_sender); i++)
        assert_false(judge_message(of_the_sender[i], STR("")).is_datas_fault);
    for (size_t i = 0; i < ARRAY_LENGTH(codes_of_the_data); i++)
        assert_true(otlp_judge_http(&(struct otlp_http_answer){.code = codes_of_the_data[i]}, 0)
                        .is_datas_fault);
    for (size_t i = 0; i < ARRAY_LENGTH(codes_of_the_sender); i++)
        assert_false(otlp_judge_http(&(struct otlp_http_answer){.code = codes_of_the_sender[i]}, 0)
                         .is_datas_fault);
}

static void silence_leaves_open_whether_spans_were_taken(void **state)
{
    (void)state;
    assert_true(judge_message(STATUS_DEADLINE_EXCEEDED, STR("")).may_be_taken);
    assert_true(judge_message(STATUS_CANCELLED, STR("")).may_be_taken);
    assert_true(judge_message(STATUS_UNAVAILABLE, STR("Socket closed")).may_be_taken);
    assert_false(
        judge_message(STATUS_UNAVAILABLE, STR("failed to connect to all addresses")).may_be_taken);
    assert_false(judge(STATUS_UNAVAILABLE, (struct str)RETRY_IN_5_S, (struct str){0}).may_be_taken);
    assert_false(judge_message(STATUS_ABORTED, STR("")).may_be_taken);
    assert_false(otlp_judge_http(&(struct otlp_http_answer){.code = 503}, 0).may_be_taken);
    assert_true(otlp_judge_http(&(struct otlp_http_answer){.status = STATUS_UNAVAILABLE,
                                                           .message = STR("Recv failure")},
                                0)
                    .may_be_taken);
}

static void a_stream_that_was_cut_off_is_no_refusal(void **state)
{
    (void)state;
    static const struct {
        enum status status;
        struct str  message;
    } cases[] = {
        {STATUS_UNKNOWN, STR_INIT("Stream removed")},
        {STATUS_INTERNAL, STR_INIT("Received RST_STREAM with error code 2")},
        {STATUS_RESOURCE_EXHAUSTED, STR_INIT("Received RST_STREAM with error code 11")},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct otlp_verdict verdict = judge_message(cases[i].status, cases[i].message);
        assert_int_equal(verdict.answer, OTLP_LATER);
        assert_true(verdict.may_be_taken);
    }
}

static void a_failure_is_told_in_one_line(void **state)
{
    (void)state;
    char long_text[400];
    memset(long_text, 'x', sizeof(long_text));
    struct otlp_verdict too_long =
        judge_message(STATUS_INTERNAL, (struct str){long_text, sizeof(long_text)});

    assert_string_equal(judge(STATUS_OK, (struct str){0}, STR("")).text, "");
    assert_string_equal(judge(STATUS_OK, (struct str){0}, STR("\x0a\x06\x08\x03\x12\x02no")).text,
                        "partial success: no");
    assert_string_equal(judge_message(STATUS_UNAVAILABLE, STR("a\nb\xff")).text,
                        "UNAVAILABLE: a b\xef\xbf\xbd");
    assert_int_equal(strlen(too_long.text), OTLP_VERDICT_TEXT_BYTES - 1);
    assert_string_equal(otlp_judge_http(&(struct otlp_http_answer){.code = 503}, 0).text,
                        "HTTP 503 Service Unavailable");
    assert_string_equal(otlp_judge_http(&(struct otlp_http_answer){.code = 400,
                                                                   .body = STR("\x12\x03"
                                                                               "bad")},
                                        0)
                            .text,
                        "HTTP 400 Bad Request: bad");
    assert_string_equal(
        otlp_judge_http(
            &(struct otlp_http_answer){.status = STATUS_UNAVAILABLE, .message = STR("no route")}, 0)
            .text,
        "UNAVAILABLE: no route");
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
        cmocka_unit_test(a_message_that_is_too_large_tells_the_limit),
        cmocka_unit_test(a_refusal_says_whether_the_data_can_be_at_fault),
        cmocka_unit_test(silence_leaves_open_whether_spans_were_taken),
        cmocka_unit_test(a_stream_that_was_cut_off_is_no_refusal),
        cmocka_unit_test(a_failure_is_told_in_one_line),
        cmocka_unit_test(retry_after_is_seconds_or_a_date),
        cmocka_unit_test(the_backoff_doubles_up_to_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
