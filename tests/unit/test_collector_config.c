#include "collector/config.h"

#include <errno.h>

#include "tests/unit/environment.h"
#include "tests/unit/expect.h"

#include "common/base/arena.h"

struct fixture {
    struct arena           *arena;
    struct collector_config config;
    char                    error[512];
};

static int set_up(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){.arena = arena_new(1 << 20)};
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
    char *argv[] = {(char *)"tracehop-collector", NULL};

    environment = pairs;
    return collector_config_read(1, argv, lookup, fixture->arena, &fixture->config, fixture->error,
                                 sizeof(fixture->error));
}

static void without_settings_it_listens_where_everybody_looks_and_relays_nowhere(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(read_config(fixture, NULL), SETTINGS_READY);
    assert_int_equal(fixture->config.settings.otlp_grpc_listen.port, 4317);
    assert_int_equal(fixture->config.settings.otlp_http_listen.port, 4318);
    assert_int_equal(fixture->config.settings.zipkin_listen.port, 9411);
    assert_int_equal(fixture->config.settings.admin_listen.port, 9465);
    assert_int_equal(fixture->config.settings.journal_max_bytes, 1 << 30);
    assert_int_equal(fixture->config.settings.max_request_bytes, 64 << 20);
    assert_int_equal(fixture->config.settings.durability, JOURNAL_SYNC);
    assert_int_equal(fixture->config.n_destinations, 0);
}

static void destinations_are_told_apart_by_their_scheme(void **state)
{
    struct fixture                 *fixture = *state;
    const struct relay_destination *destinations = fixture->config.destinations;

    assert_int_equal(
        read_config(fixture, (const char *const[]){"RELAY_TO",
                                                   "grpc://jaeger:4317, http://tempo:4318", NULL}),
        SETTINGS_READY);
    assert_int_equal(fixture->config.n_destinations, 2);
    assert_int_equal(destinations[0].protocol, OTLP_GRPC);
    expect_str(destinations[0].name, STR("grpc://jaeger:4317"));
    assert_int_equal(destinations[1].protocol, OTLP_HTTP_PROTOBUF);
    expect_str(destinations[1].name, STR("http://tempo:4318"));
}

static void without_a_path_an_http_destination_is_posted_to_where_otlp_says(void **state)
{
    static const struct {
        const char *relay_to;
        struct str  posted_to;
    } rows[] = {
        {"http://tempo:4318", STR_INIT("http://tempo:4318/v1/traces")},
        {"http://tempo:4318/", STR_INIT("http://tempo:4318/v1/traces")},
        {"http://tempo:4318/otlp/v1/traces", STR_INIT("http://tempo:4318/otlp/v1/traces")},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        read_config(fixture, (const char *const[]){"RELAY_TO", rows[i].relay_to, NULL});
        expect_str(fixture->config.destinations[0].endpoint.text, rows[i].posted_to);
    }
}

static void what_cannot_be_is_told_with_its_name_and_value(void **state)
{
    static const struct {
        const char *pairs[5];
        const char *told;
    } rows[] = {
        {{"RELAY_TO", "jaeger:4317", NULL}, "RELAY_TO: \"jaeger:4317\""},
        {{"RELAY_TO", "grpc://a:1,", NULL}, NULL},
        {{"RELAY_TO", "grpcs://a:1", NULL}, "not supported yet"},
        {{"RELAY_TO", "grpc://a:1,http://b:2,grpc://a:1", NULL}, "\"grpc://a:1\" comes twice"},
        {{"DURABILITY", "fsync", NULL}, "DURABILITY"},
        {{"JOURNAL_MAX_BYTES", "1KiB", NULL}, "JOURNAL_MAX_BYTES"},
        {{"JOURNAL_MAX_BYTES", "8MiB", "MAX_REQUEST_BYTES", "9MiB", NULL},
         "is more than JOURNAL_MAX_BYTES"},
        {{"MAX_REQUEST_BYTES", "-1", NULL}, "MAX_REQUEST_BYTES"},
        {{"JOURNAL_MAX_AGE", "soon", NULL}, "JOURNAL_MAX_AGE"},
        {{"RECENT_TRACES", "many", NULL}, "RECENT_TRACES"},
        {{"ZIPKIN_LISTEN", "9411", NULL}, "ZIPKIN_LISTEN"},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        int r = read_config(fixture, rows[i].pairs);
        if (!rows[i].told) {
            assert_true(r >= 0);
            continue;
        }
        assert_int_equal(r, -EINVAL);
        if (!strstr(fixture->error, rows[i].told))
            fail_msg("saw \"%s\", expected \"%s\" in it", fixture->error, rows[i].told);
    }
}

static void there_may_be_so_many_destinations_and_no_more(void **state)
{
    struct fixture *fixture = *state;
    char            list[1024] = "";

    for (int i = 0; i < RELAY_MAX_DESTINATIONS + 1; i++) {
        int r = read_config(fixture, (const char *const[]){"RELAY_TO", list, NULL});
        assert_int_equal(r, SETTINGS_READY);
        assert_int_equal(fixture->config.n_destinations, i);
        size_t used = strlen(list);
        (void)snprintf(list + used, sizeof(list) - used, "%sgrpc://h%d:1", i > 0 ? "," : "", i);
    }
    assert_int_equal(read_config(fixture, (const char *const[]){"RELAY_TO", list, NULL}), -EINVAL);
}

#define configured(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        configured(without_settings_it_listens_where_everybody_looks_and_relays_nowhere),
        configured(destinations_are_told_apart_by_their_scheme),
        configured(without_a_path_an_http_destination_is_posted_to_where_otlp_says),
        configured(what_cannot_be_is_told_with_its_name_and_value),
        configured(there_may_be_so_many_destinations_and_no_more),
    };
    return cmocka_run_group_tests_name("collector_config", tests, NULL, NULL);
}
