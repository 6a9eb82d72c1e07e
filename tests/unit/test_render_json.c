#include "server/render.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/expect.h"
#include "tests/unit/sample_reply.h"

DEFINE_CLEANUP(json_t *, json_decref)

static json_t *parse(struct str document)
{
    json_error_t error;
    json_t      *parsed = json_loadb(document.at, document.len, JSON_ALLOW_NUL, &error);
    if (!parsed)
        fail_msg("%s at byte %d of %.*s", error.text, error.position, STR_ARGS(document));
    return parsed;
}

static json_t *render_and_parse(const struct rendering *rendering)
{
    static char buffer[16 * 1024];
    struct text text = text_in_buffer(buffer, sizeof(buffer));

    render_json(rendering, &text);
    assert_false(text.is_cut);
    return parse(text_view(&text));
}

/* `expected` is JSON with ' for ". */
static void assert_rendered(const struct rendering *rendering, const char *expected)
{
    char quoted[4096];
    snprintf(quoted, sizeof(quoted), "%s", expected);
    for (char *at = quoted; *at; at++)
        if (*at == '\'')
            *at = '"';

    cleanup_with(json_decref_at) json_t *saw = render_and_parse(rendering);
    cleanup_with(json_decref_at) json_t *wanted = parse(str_from(quoted));
    if (!json_equal(saw, wanted)) {
        char *dump = json_dumps(saw, JSON_INDENT(2) | JSON_SORT_KEYS);
        print_error("%s\n", dump);
        free(dump);
        fail_msg("expected %s", quoted);
    }
}

static void a_chain_is_the_tree_of_the_proto(void **state)
{
    (void)state;
    assert_rendered(
        &(struct rendering){.reply = &sample_chain},
        "{'role':'frontend','version':'prod','name':'frontend-prod','durationUs':'172000',"
        " 'traceId':'463ac35c9f6413ad48485a3953bb6124','attempt':1,"
        " 'upstreams':[{'uri':'grpc://middleware:9090','durationUs':'155000','hop':"
        "  {'role':'middleware','version':'canary','name':'middleware-canary',"
        "   'durationUs':'154000','attempt':1,"
        "   'upstreams':[{'uri':'grpc://backend:9090','durationUs':'143000','hop':"
        "    {'role':'backend','version':'prod','name':'backend-prod',"
        "     'instance':'backend-prod-6d4cf56db6-xk2lp','durationUs':'142499',"
        "     'traceId':'463ac35c9f6413ad48485a3953bb6124','attempt':2,"
        "     'work':{'fibonacciIndex':10,'fibonacci':'55','odd':true,'sleptUs':'12345'},"
        "     'upstreams':[{'uri':'http://clock:8080/time','durationUs':'15000','http':"
        "      {'status':200,'reason':'OK','body':'{\\'time\\':\\'12:43:09 AM\\'}\\n'}}]"
        "    }}]}}]}");
}

static void each_outcome_has_its_own_member(void **state)
{
    (void)state;
    assert_rendered(
        &(struct rendering){.reply = &sample_fan},
        "{'role':'middleware','version':'prod','name':'middleware-prod','durationUs':'5000',"
        " 'attempt':3,'upstreams':["
        "  {'uri':'grpc://backend:9090','durationUs':'2000','failure':"
        "   {'code':14,'status':'UNAVAILABLE','message':'rolled','hop':'clock-prod','partial':"
        "    {'role':'backend','version':'prod','name':'backend-prod','durationUs':'1000',"
        "     'attempt':1,'upstreams':[{'uri':'grpc://clock:9090','durationUs':'900','failure':"
        "      {'code':14,'status':'UNAVAILABLE','message':'rolled','hop':'clock-prod'}}]}}},"
        "  {'uri':'grpc://nobody:9090','durationUs':'3000','failure':"
        "   {'code':4,'status':'DEADLINE_EXCEEDED'}},"
        "  {'uri':'http://time.example/','durationUs':'4000','http':"
        "   {'status':404,'reason':'Not Found','body':'no such page','bodyCut':true}}]}");
}

static void default_values_are_left_out(void **state)
{
    (void)state;
    struct reply           nothing = {0};
    struct upstream_result upstream = {.outcome = UPSTREAM_HOP, .hop = &nothing};
    const struct reply idle = {.work = {.is_done = true}, .upstreams = &upstream, .n_upstreams = 1};

    assert_rendered(&(struct rendering){.reply = &nothing}, "{}");
    assert_rendered(&(struct rendering){.reply = &idle}, "{'work':{},'upstreams':[{'hop':{}}]}");
}

static void large_numbers_lose_no_digit(void **state)
{
    (void)state;
    struct reply reply = {.duration_us = UINT64_MAX,
                          .attempt = UINT32_MAX,
                          .work = {.is_done = true, .fibonacci = UINT64_MAX - 1}};

    assert_rendered(&(struct rendering){.reply = &reply},
                    "{'durationUs':'18446744073709551615','attempt':4294967295,"
                    " 'work':{'fibonacci':'18446744073709551614'}}");
}

static void failure_and_warning_are_members_of_their_own(void **state)
{
    (void)state;
    struct reply   reply = {.name = STR("backend-prod")};
    struct failure failure = {STATUS_RESOURCE_EXHAUSTED, STR("rolled"), STR("clock-prod"), &reply};

    assert_rendered(&(struct rendering){.reply = &reply,
                                        .failure = &failure,
                                        .trace_url = STR("http://jaeger/"),
                                        .warning = STR("ignored: \"2\"")},
                    "{'name':'backend-prod','failure':{'code':8,'status':'RESOURCE_EXHAUSTED',"
                    " 'message':'rolled','hop':'clock-prod'},'warning':'ignored: \\'2\\''}");
}

static void hostile_texts_stay_texts(void **state)
{
    (void)state;
    struct upstream_result upstream = {
        .uri = STR("\",\"hop\":{\"x\":\""),
        .outcome = UPSTREAM_HTTP,
        .http = {.code = 200, .body = STR("</script>\xFF\0\x1F\\\"\xE2\x80\xA8")},
    };
    struct reply reply = {.name = STR("a\"b\\c\n"), .upstreams = &upstream, .n_upstreams = 1};

    cleanup_with(json_decref_at) json_t *saw =
        render_and_parse(&(struct rendering){.reply = &reply});
    const char *name, *uri, *body;
    size_t      body_len;
    int         code;
    assert_int_equal(json_unpack(saw, "{s:s, s:[{s:s, s:{s:i, s:s%}!}!]!}", "name", &name,
                                 "upstreams", "uri", &uri, "http", "status", &code, "body", &body,
                                 &body_len),
                     0);
    const struct str expected_body = STR("</script>\xEF\xBF\xBD\0\x1F\\\"\xE2\x80\xA8");
    assert_int_equal(code, 200);
    assert_string_equal(name, "a\"b\\c\n");
    assert_string_equal(uri, "\",\"hop\":{\"x\":\"");
    assert_true(str_equal((struct str){body, body_len}, expected_body));
}

static void a_document_is_one_line(void **state)
{
    (void)state;
    char        buffer[4096];
    struct text text = text_in_buffer(buffer, sizeof(buffer));

    render_json(&(struct rendering){.reply = &sample_chain}, &text);
    assert_ptr_equal(memchr(buffer, '\n', text.len), buffer + text.len - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_is_the_tree_of_the_proto),
        cmocka_unit_test(each_outcome_has_its_own_member),
        cmocka_unit_test(default_values_are_left_out),
        cmocka_unit_test(large_numbers_lose_no_digit),
        cmocka_unit_test(failure_and_warning_are_members_of_their_own),
        cmocka_unit_test(hostile_texts_stay_texts),
        cmocka_unit_test(a_document_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
