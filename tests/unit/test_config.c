#include "server/config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/environment.h"

struct fixture {
    struct arena        *arena;
    struct server_config config;
    char                 error[512];
};

static int set_up(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){.arena = arena_new(1 << 20)};
    environment = NULL;
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    arena_free(fixture->arena);
    return 0;
}

static int read_config(struct fixture *fixture, const char *const pairs[])
{
    char *argv[] = {(char *)"tracehop-server", NULL};

    environment = pairs;
    return server_config_read(1, argv, lookup, fixture->arena, &fixture->config, fixture->error,
                              sizeof(fixture->error));
}

static void assert_str(struct str s, const char *expected)
{
    if (!str_equal(s, str_from(expected)))
        fail_msg("\"%.*s\" is not \"%s\"", STR_ARGS(s), expected);
}

static struct str resource(const struct server_config *config, const char *key)
{
    for (size_t i = 0; i < config->n_resource; i++) {
        if (str_equal(config->resource[i].key, str_from(key)))
            return config->resource[i].str;
    }
    return (struct str){0};
}

static void without_settings_a_hop_is_the_last_one(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(read_config(fixture, NULL), SETTINGS_READY);
    assert_str(fixture->config.name, "hop-prod");
    assert_int_equal(fixture->config.n_upstreams, 0);
    assert_int_equal(fixture->config.settings.http_listen.port, 8080);
    assert_int_equal(fixture->config.settings.grpc_listen.port, 9090);
    assert_int_equal(fixture->config.settings.admin_listen.port, 9464);
    assert_true(fixture->config.exports_spans);
    assert_str(fixture->config.otlp_endpoint.text, "http://localhost:4318/v1/traces");
}

static void upstreams_may_be_several_and_have_several_addresses(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(
        read_config(fixture, (const char *const[]){"UPSTREAM_URI",
                                                   "grpc://a:1|b:2, http://clock:8080/time", NULL}),
        SETTINGS_READY);
    assert_int_equal(fixture->config.n_upstreams, 2);
    assert_int_equal(fixture->config.upstreams[0].n_addresses, 2);
    assert_str(fixture->config.upstreams[0].addresses[1].host, "b");
    assert_str(fixture->config.upstreams[1].addresses[0].path, "/time");
}

static void a_proxy_is_an_address_and_nobody_s_by_default(void **state)
{
    struct fixture *fixture = *state;

    read_config(fixture, NULL);
    assert_null(fixture->config.outbound_proxy);
    assert_int_equal(
        read_config(fixture, (const char *const[]){"OUTBOUND_PROXY", "[::1]:15001", "UPSTREAM_URI",
                                                   "grpc://a:1,grpc://b:2", NULL}),
        SETTINGS_READY);
    assert_str(fixture->config.outbound_proxy->host, "::1");
    assert_int_equal(fixture->config.outbound_proxy->port, 15001);
}

static void a_given_name_is_shown_instead_of_role_and_version(void **state)
{
    struct fixture *fixture = *state;

    read_config(fixture, (const char *const[]){"ROLE", "backend", "VERSION", "canary", NULL});
    assert_str(fixture->config.name, "backend-canary");
    read_config(fixture, (const char *const[]){"ROLE", "backend", "SERVICE_NAME", "Bob", NULL});
    assert_str(fixture->config.name, "Bob");
    assert_str(resource(&fixture->config, "service.name"), "backend");
}

static void the_service_name_setting_beats_the_resource_attributes(void **state)
{
    struct fixture *fixture = *state;

    read_config(fixture, (const char *const[]){"OTEL_RESOURCE_ATTRIBUTES",
                                               "service.name=low, k8s.pod.name = pod-1 ",
                                               "OTEL_SERVICE_NAME", "high", NULL});
    assert_str(resource(&fixture->config, "service.name"), "high");
    assert_str(resource(&fixture->config, "k8s.pod.name"), "pod-1");
    assert_str(resource(&fixture->config, "service.version"), "prod");
}

static void an_otlp_endpoint_gets_its_path_only_over_http(void **state)
{
    struct fixture *fixture = *state;

    read_config(fixture,
                (const char *const[]){"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/x/", NULL});
    assert_str(fixture->config.otlp_endpoint.path, "/x/v1/traces");
    read_config(fixture, (const char *const[]){"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317",
                                               "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", NULL});
    assert_int_equal(fixture->config.otlp_endpoint.port, 4317);
}

static void one_seed_gives_each_role_its_own_dice(void **state)
{
    struct fixture *fixture = *state;

    read_config(fixture, (const char *const[]){"FAULT_SEED", "7", "ROLE", "a", NULL});
    uint64_t a = fixture->config.fault_seed;
    read_config(fixture, (const char *const[]){"FAULT_SEED", "7", "ROLE", "b", NULL});
    assert_true(fixture->config.fault_seed != a);
    read_config(fixture, (const char *const[]){"FAULT_SEED", "7", "ROLE", "a", NULL});
    assert_true(fixture->config.fault_seed == a);
}

static void a_disabled_sdk_copies_trace_headers_and_exports_nothing(void **state)
{
    struct fixture *fixture = *state;

    read_config(fixture, (const char *const[]){"OTEL_SDK_DISABLED", "true", NULL});
    assert_true(fixture->config.forward.copies_trace_context);
    assert_false(fixture->config.exports_spans);
}

static void what_is_wrong_is_refused_by_name_and_value(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *pairs[5];
        const char *said[2];
    } cases[] = {
        {{"ROLE", "a b"}, {"ROLE", "a b"}},
        {{"ROLE", "a/b"}, {"ROLE", "a/b"}},
        {{"VERSION", "v=1"}, {"VERSION", "v=1"}},
        {{"HTTP_LISTEN", "nowhere"}, {"HTTP_LISTEN", "nowhere"}},
        {{"GRPC_LISTEN", "0.0.0.0:99999"}, {"GRPC_LISTEN", "99999"}},
        {{"UPSTREAM_URI", "backend:9090"}, {"UPSTREAM_URI", "backend:9090"}},
        {{"UPSTREAM_URI", "ftp://a:1"}, {"UPSTREAM_URI", "ftp://a:1"}},
        {{"UPSTREAM_URI", "grpc://a:1,,grpc://b:1"}, {"UPSTREAM_URI", ""}},
        {{"UPSTREAM_URI", "grpcs://a:1"}, {"UPSTREAM_URI", "grpcs"}},
        {{"UPSTREAM_URI", "http://a:1|b:2"}, {"UPSTREAM_URI", "several addresses"}},
        {{"OUTBOUND_PROXY", "15001"}, {"OUTBOUND_PROXY", "15001"}},
        {{"OUTBOUND_PROXY", "grpc://a:1"}, {"OUTBOUND_PROXY", "grpc://a:1"}},
        {{"OUTBOUND_PROXY", "p:1", "UPSTREAM_URI", "http://c,grpc://a:1|b:2"},
         {"OUTBOUND_PROXY", "grpc://a:1|b:2"}},
        {{"UPSTREAM_ORDER", "random"}, {"UPSTREAM_ORDER", "random"}},
        {{"UPSTREAM_TIMEOUT", "10"}, {"UPSTREAM_TIMEOUT", "10"}},
        {{"UPSTREAM_TIMEOUT", "-1s"}, {"UPSTREAM_TIMEOUT", "-1s"}},
        {{"ON_UPSTREAM_FAILURE", "ignore"}, {"ON_UPSTREAM_FAILURE", "ignore"}},
        {{"FORWARD_HEADERS", "authorization"}, {"FORWARD_HEADERS", "authorization"}},
        {{"FORWARD_HEADERS", "x-ok, bad name"}, {"FORWARD_HEADERS", "bad name"}},
        {{"WORK", "sleep"}, {"WORK", "sleep"}},
        {{"WORK_FIBONACCI_MAX", "94"}, {"WORK_FIBONACCI_MAX", "94"}},
        {{"FAULT_SEED", "seven"}, {"FAULT_SEED", "seven"}},
        {{"LOG_LEVEL", "loud"}, {"LOG_LEVEL", "loud"}},
        {{"OTEL_PROPAGATORS", "b3,jaeger"}, {"OTEL_PROPAGATORS", "jaeger"}},
        {{"OTEL_TRACES_SAMPLER", "sometimes"}, {"OTEL_TRACES_SAMPLER", "sometimes"}},
        {{"OTEL_TRACES_SAMPLER", "traceidratio", "OTEL_TRACES_SAMPLER_ARG", "1.5"},
         {"OTEL_TRACES_SAMPLER_ARG", "1.5"}},
        {{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"},
         {"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"}},
        {{"OTEL_EXPORTER_OTLP_ENDPOINT", "grpc://c:4317"},
         {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"}},
        {{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"},
         {"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"}},
        {{"OTEL_BSP_MAX_QUEUE_SIZE", "100", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "101"},
         {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100"}},
        {{"OTEL_RESOURCE_ATTRIBUTES", "novalue"}, {"OTEL_RESOURCE_ATTRIBUTES", "novalue"}},
        {{"OTEL_SDK_DISABLED", "maybe"}, {"OTEL_SDK_DISABLED", "maybe"}},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        fixture->error[0] = '\0';
        if (read_config(fixture, cases[i].pairs) != -EINVAL)
            fail_msg("%s=%s was accepted", cases[i].pairs[0], cases[i].pairs[1]);
        if (!strstr(fixture->error, cases[i].said[0]) || !strstr(fixture->error, cases[i].said[1]))
            fail_msg("%s=%s: the message does not say so: %s", cases[i].pairs[0], cases[i].pairs[1],
                     fixture->error);
        if (strchr(fixture->error, '\n'))
            fail_msg("more than one line: %s", fixture->error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_settings_a_hop_is_the_last_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(upstreams_may_be_several_and_have_several_addresses, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_proxy_is_an_address_and_nobody_s_by_default, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_given_name_is_shown_instead_of_role_and_version, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_service_name_setting_beats_the_resource_attributes,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_otlp_endpoint_gets_its_path_only_over_http, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_seed_gives_each_role_its_own_dice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_disabled_sdk_copies_trace_headers_and_exports_nothing,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_refused_by_name_and_value, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
