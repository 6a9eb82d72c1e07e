#include "collector/refusal.h"

#include <errno.h>

#include "tests/unit/expect.h"

#include "common/trace/otlp_retry.h"

/* What a client of ours makes of a refusal over gRPC, and over HTTP. */
static struct otlp_verdict judge_grpc(struct refusal refusal)
{
    char buffer[REFUSAL_MAX_BYTES];

    return otlp_judge_grpc(&(struct otlp_grpc_answer){.status = refusal.status,
                                                      .message = refusal.message,
                                                      .details = refusal_encode(&refusal, buffer)});
}

static void what_may_be_sent_again_is_told_with_a_delay(void **state)
{
    const struct refusal refusals[] = {
        refusal_busy(),
        refusal_short_of_memory(),
        refusal_not_kept(-EAGAIN),
        refusal_not_kept(-ENOSPC),
        refusal_not_kept(-EIO),
        refusal_not_kept(-ESHUTDOWN),
        refusal_of_body(-EAGAIN),
        refusal_of_body(-ENOMEM),
    };
    (void)state;

    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        struct otlp_verdict verdict = judge_grpc(refusals[i]);
        assert_int_equal(refusals[i].status, STATUS_UNAVAILABLE);
        assert_int_equal(refusals[i].http_code, 503);
        assert_int_equal(verdict.answer, OTLP_LATER);
        assert_true(verdict.wait_ns > 0);
    }
}

static void what_is_malformed_is_final(void **state)
{
    struct refusal refusal = refusal_malformed(STR("span: trace_id of 3 bytes"));
    (void)state;

    assert_int_equal(refusal.status, STATUS_INVALID_ARGUMENT);
    assert_int_equal(refusal.http_code, 400);
    assert_int_equal(judge_grpc(refusal).answer, OTLP_REFUSED);
    assert_int_equal(refusal_of_body(-EBADMSG).http_code, 400);
}

static void what_is_too_large_is_final_and_not_overload(void **state)
{
    struct refusal refusal = refusal_too_large();
    (void)state;

    assert_int_equal(refusal.status, STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(refusal.http_code, 413);
    assert_int_equal(refusal.retry_after_s, 0);
    assert_int_equal(refusal_of_body(-E2BIG).http_code, 413);
}

static void a_full_disk_is_told_apart_from_a_broken_one(void **state)
{
    (void)state;

    expect_str(refusal_not_kept(-ENOSPC).reason, STR("disk_full"));
    expect_str(refusal_not_kept(-EDQUOT).reason, STR("disk_full"));
    expect_str(refusal_not_kept(-EIO).reason, STR("disk_error"));
}

static void the_json_form_says_the_same(void **state)
{
    char           buffer[512];
    struct text    text = text_in_buffer(buffer, sizeof(buffer));
    struct refusal refusal = refusal_busy();
    (void)state;

    refusal.message = STR("say \"when\"");
    refusal_render(&refusal, &text);
    expect_str(text_view(&text),
               STR("{\"code\":14,\"message\":\"say \\\"when\\\"\",\"details\":[{\"@type\":"
                   "\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"1s\"}]}"));
}

static void a_long_message_is_cut_between_characters(void **state)
{
    char message[2000], buffer[REFUSAL_MAX_BYTES];
    (void)state;

    for (size_t i = 0; i < sizeof(message); i++)
        message[i] = i % 2 == 0 ? '\xc3' : '\xa4';
    message[0] = 'x'; /* the characters lie across even offsets */
    message[1] = 'y';
    struct refusal refusal = refusal_malformed((struct str){message + 1, sizeof(message) - 1});
    struct str     encoded = refusal_encode(&refusal, buffer);
    assert_non_null(encoded.at);
    assert_true(encoded.len < 600);
    assert_true(str_is_utf8((struct str){encoded.at + 5, encoded.len - 5}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_be_sent_again_is_told_with_a_delay),
        cmocka_unit_test(what_is_malformed_is_final),
        cmocka_unit_test(what_is_too_large_is_final_and_not_overload),
        cmocka_unit_test(a_full_disk_is_told_apart_from_a_broken_one),
        cmocka_unit_test(the_json_form_says_the_same),
        cmocka_unit_test(a_long_message_is_cut_between_characters),
    };
    return cmocka_run_group_tests_name("refusal", tests, NULL, NULL);
}
