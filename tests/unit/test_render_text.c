#include "server/render.h"

#include <stdio.h>

#include "tests/unit/expect.h"
#include "tests/unit/sample_reply.h"

static void assert_rendered(const struct rendering *rendering, const char *expected)
{
    char        buffer[4096];
    struct text text = text_in_buffer(buffer, sizeof(buffer));

    render_text(rendering, &text);
    if (text.is_cut || !str_equal(text_view(&text), str_from(expected)))
        fail_msg("expected:\n%ssaw:\n%.*s", expected, STR_ARGS(text_view(&text)));
}

static void a_chain_is_printed_in_the_classic_form(void **state)
{
    (void)state;
    assert_rendered(&(struct rendering){.reply = &sample_chain},
                    "frontend-prod - 0.172secs\n"
                    "grpc://middleware:9090 -> middleware-canary - 0.154secs\n"
                    "grpc://backend:9090 -> backend-prod - 0.142secs\n"
                    "http://clock:8080/time -> {\"time\":\"12:43:09 AM\"}\n");
}

static void in_detail_each_hop_tells_its_attempt_and_the_last_line_the_calls(void **state)
{
    (void)state;
    struct reply chain = sample_chain;
    chain.attempt = 3;
    chain.calls = 9;

    assert_rendered(&(struct rendering){.reply = &chain, .is_detailed = true},
                    "frontend-prod - 0.172secs, attempt 3\n"
                    "grpc://middleware:9090 -> middleware-canary - 0.154secs, attempt 1\n"
                    "grpc://backend:9090 -> backend-prod - 0.142secs, attempt 2\n"
                    "http://clock:8080/time -> {\"time\":\"12:43:09 AM\"}\n"
                    "9 calls for one request\n");
}

static void in_detail_a_failure_shows_as_much(void **state)
{
    (void)state;
    struct reply   fan = sample_fan;
    struct failure failure = {STATUS_UNAVAILABLE, STR("rolled"), STR("clock-prod"), &fan};
    fan.calls = 5;

    assert_rendered(&(struct rendering){.reply = &fan, .failure = &failure, .is_detailed = true},
                    "middleware-prod - 0.005secs, attempt 3\n"
                    "  grpc://backend:9090 -> UNAVAILABLE: rolled\n"
                    "  backend-prod - 0.001secs, attempt 1\n"
                    "    grpc://clock:9090 -> UNAVAILABLE: rolled\n"
                    "  grpc://nobody:9090 -> DEADLINE_EXCEEDED\n"
                    "  http://time.example/ -> 404 Not Found\n"
                    "5 calls for one request\n"
                    "failed: UNAVAILABLE: rolled (at clock-prod)\n");
}

static void in_detail_one_call_is_one_and_an_attempt_that_nobody_told_is_not_shown(void **state)
{
    (void)state;
    assert_rendered(&(struct rendering){.reply = &(struct reply){.name = STR("a"), .calls = 1},
                                        .is_detailed = true},
                    "a - 0.000secs\n"
                    "1 call for one request\n");
}

static void a_fan_and_what_is_below_it_is_indented(void **state)
{
    (void)state;
    assert_rendered(&(struct rendering){.reply = &sample_fan},
                    "middleware-prod - 0.005secs\n"
                    "  grpc://backend:9090 -> UNAVAILABLE: rolled\n"
                    "  backend-prod - 0.001secs\n"
                    "    grpc://clock:9090 -> UNAVAILABLE: rolled\n"
                    "  grpc://nobody:9090 -> DEADLINE_EXCEEDED\n"
                    "  http://time.example/ -> 404 Not Found\n");
}

static void a_chain_above_a_fan_is_not_indented(void **state)
{
    (void)state;
    struct upstream_result two[] = {
        {.uri = STR("grpc://a"), .outcome = UPSTREAM_HOP, .hop = &sample_middleware},
        {.uri = STR("http://b/"), .outcome = UPSTREAM_HTTP, .http = {.code = 599}},
    };
    struct reply           fork = {.name = STR("fork"), .upstreams = two, .n_upstreams = 2};
    struct upstream_result one = {.uri = STR("grpc://f"), .outcome = UPSTREAM_HOP, .hop = &fork};
    struct reply           top = {.name = STR("top"), .upstreams = &one, .n_upstreams = 1};

    assert_rendered(&(struct rendering){.reply = &top},
                    "top - 0.000secs\n"
                    "grpc://f -> fork - 0.000secs\n"
                    "  grpc://a -> middleware-canary - 0.154secs\n"
                    "    grpc://backend:9090 -> backend-prod - 0.142secs\n"
                    "      http://clock:8080/time -> {\"time\":\"12:43:09 AM\"}\n"
                    "  http://b/ -> 599\n");
}

static void a_failure_and_a_warning_come_last(void **state)
{
    (void)state;
    struct failure failure = {STATUS_UNAVAILABLE, STR("rolled"), STR("clock-prod"),
                              &sample_failed_backend};

    assert_rendered(&(struct rendering){.reply = &sample_failed_backend,
                                        .failure = &failure,
                                        .warning = STR("ignored: \"2\"")},
                    "backend-prod - 0.001secs\n"
                    "grpc://clock:9090 -> UNAVAILABLE: rolled\n"
                    "failed: UNAVAILABLE: rolled (at clock-prod)\n"
                    "warning: ignored: \"2\"\n");
}

static void a_failure_of_nobody_in_particular_names_nobody(void **state)
{
    (void)state;
    struct reply   reply = {.name = STR("backend-prod")};
    struct failure failure = {.status = STATUS_INTERNAL};

    assert_rendered(&(struct rendering){.reply = &reply, .failure = &failure},
                    "backend-prod - 0.000secs\n"
                    "failed: INTERNAL\n");
}

static void durations_are_rounded_to_the_millisecond(void **state)
{
    (void)state;
    static const struct {
        uint64_t    duration_us;
        const char *expected;
    } cases[] = {
        {0, " - 0.000secs\n"},
        {499, " - 0.000secs\n"},
        {500, " - 0.001secs\n"},
        {999499, " - 0.999secs\n"},
        {999500, " - 1.000secs\n"},
        {61002000, " - 61.002secs\n"},
        {UINT64_MAX, " - 18446744073709.552secs\n"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct reply reply = {.duration_us = cases[i].duration_us};
        assert_rendered(&(struct rendering){.reply = &reply}, cases[i].expected);
    }
}

static void a_body_is_one_line_and_only_of_an_ok_answer(void **state)
{
    (void)state;
    static const struct {
        struct http_result http;
        const char        *expected;
    } cases[] = {
        {{200, STR_INIT("OK"), STR_INIT("\r\n{\n\t\"a\": 1\n}\r\n"), false}, "{  \"a\": 1 }"},
        {{200, STR_INIT("OK"), STR_INIT("begin"), true}, "begin..."},
        {{200, STR_INIT("OK"), STR_INIT(""), false}, "200 OK"},
        {{200, STR_INIT("OK"), STR_INIT(" \n\0"), false}, "200 OK"},
        {{204, STR_INIT("No Content"), STR_INIT(""), false}, "204 No Content"},
        {{500, STR_INIT("Internal Server Error"), STR_INIT("oh"), false},
         "500 Internal Server Error"},
        {{799, STR_INIT(""), STR_INIT(""), false}, "799"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct upstream_result upstream = {.outcome = UPSTREAM_HTTP, .http = cases[i].http};
        struct reply           reply = {.upstreams = &upstream, .n_upstreams = 1};
        char                   expected[256];
        snprintf(expected, sizeof(expected), " - 0.000secs\n -> %s\n", cases[i].expected);
        assert_rendered(&(struct rendering){.reply = &reply}, expected);
    }
}

/* ESC, DEL, CSI as UTF-8 and as one byte, a line's end, a NUL. */
#define HOSTILE "a\x1B[31m\x7F\xC2\x9B\x9B\r\n\0z"
#define TAMED "a [31m  \xEF\xBF\xBD   z"

static void no_text_commands_the_terminal(void **state)
{
    (void)state;
    struct upstream_result upstreams[] = {
        {.uri = STR(HOSTILE),
         .outcome = UPSTREAM_HTTP,
         .http = {.code = 200, .body = STR(HOSTILE)}},
        {.outcome = UPSTREAM_HTTP, .http = {.code = 404, .reason = STR(HOSTILE)}},
        {.outcome = UPSTREAM_FAILURE,
         .failure = {.status = STATUS_INTERNAL, .message = STR(HOSTILE)}},
    };
    struct reply   reply = {.name = STR(HOSTILE), .upstreams = upstreams, .n_upstreams = 3};
    struct failure failure = {STATUS_INTERNAL, STR(HOSTILE), STR(HOSTILE), NULL};

    assert_rendered(
        &(struct rendering){.reply = &reply, .failure = &failure, .warning = STR(HOSTILE)},
        TAMED " - 0.000secs\n"
              "  " TAMED " -> " TAMED "\n"
              "   -> 404 " TAMED "\n"
              "   -> INTERNAL: " TAMED "\n"
              "failed: INTERNAL: " TAMED " (at " TAMED ")\n"
              "warning: " TAMED "\n");
}

static void other_languages_stay_as_they_are(void **state)
{
    (void)state;
    struct reply reply = {.name = STR("f\xC3\xBCr-\xE4\xBD\xA0-\xF0\x9F\x90\x9F")};

    assert_rendered(&(struct rendering){.reply = &reply},
                    "f\xC3\xBCr-\xE4\xBD\xA0-\xF0\x9F\x90\x9F - 0.000secs\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_is_printed_in_the_classic_form),
        cmocka_unit_test(in_detail_each_hop_tells_its_attempt_and_the_last_line_the_calls),
        cmocka_unit_test(in_detail_a_failure_shows_as_much),
        cmocka_unit_test(in_detail_one_call_is_one_and_an_attempt_that_nobody_told_is_not_shown),
        cmocka_unit_test(a_fan_and_what_is_below_it_is_indented),
        cmocka_unit_test(a_chain_above_a_fan_is_not_indented),
        cmocka_unit_test(a_failure_and_a_warning_come_last),
        cmocka_unit_test(a_failure_of_nobody_in_particular_names_nobody),
        cmocka_unit_test(durations_are_rounded_to_the_millisecond),
        cmocka_unit_test(a_body_is_one_line_and_only_of_an_ok_answer),
        cmocka_unit_test(no_text_commands_the_terminal),
        cmocka_unit_test(other_languages_stay_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
