#include "server/fault.h"

#include <math.h>
#include <stdio.h>

#include "common/base/arena.h"
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/base/text.h"
#include "tests/unit/expect.h"

static struct fault_plan plan_of(const char *fail, const char *delay)
{
    struct fault_plan plan;
    fault_plan_parse(str_from(fail), str_from(delay), &plan);
    return plan;
}

static void each_good_fail_item_is_understood(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *role, *version;
        double      probability;
        uint32_t    first_attempts;
        enum status status;
        int         http_code;
        bool        headers_first;
    } cases[] = {
        {"0", "", "", 0, 0, STATUS_INTERNAL, 500, false},
        {"1", "", "", 1, 0, STATUS_INTERNAL, 500, false},
        {"0.3", "", "", 0.3, 0, STATUS_INTERNAL, 500, false},
        {".5", "", "", 0.5, 0, STATUS_INTERNAL, 500, false},
        {"1.000", "", "", 1, 0, STATUS_INTERNAL, 500, false},
        {" \t0.25\t ", "", "", 0.25, 0, STATUS_INTERNAL, 500, false},
        {";; 0.3 ;", "", "", 0.3, 0, STATUS_INTERNAL, 500, false},
        {"backend=0.5", "backend", "", 0.5, 0, STATUS_INTERNAL, 500, false},
        {"middleware/canary=1", "middleware", "canary", 1, 0, STATUS_INTERNAL, 500, false},
        {"A_b.c-9/v1.2-rc_3=1", "A_b.c-9", "v1.2-rc_3", 1, 0, STATUS_INTERNAL, 500, false},
        {"first-1", "", "", 0, 1, STATUS_INTERNAL, 500, false},
        {"first-1000000", "", "", 0, 1000000, STATUS_INTERNAL, 500, false},
        {"backend=first-2", "backend", "", 0, 2, STATUS_INTERNAL, 500, false},
        {"backend=0.5:unavailable", "backend", "", 0.5, 0, STATUS_UNAVAILABLE, 503, false},
        {"0.2:503", "", "", 0.2, 0, STATUS_UNAVAILABLE, 503, false},
        {"0.2:14", "", "", 0.2, 0, STATUS_UNAVAILABLE, 503, false},
        {"0.2:1", "", "", 0.2, 0, STATUS_CANCELLED, 499, false},
        {"0.2:16", "", "", 0.2, 0, STATUS_UNAUTHENTICATED, 401, false},
        {"0.2:Resource-Exhausted", "", "", 0.2, 0, STATUS_RESOURCE_EXHAUSTED, 429, false},
        {"0.2:DEADLINE_EXCEEDED", "", "", 0.2, 0, STATUS_DEADLINE_EXCEEDED, 504, false},
        {"0.2:400", "", "", 0.2, 0, STATUS_INVALID_ARGUMENT, 400, false},
        {"0.2:418", "", "", 0.2, 0, STATUS_INVALID_ARGUMENT, 418, false},
        {"0.2:599", "", "", 0.2, 0, STATUS_INTERNAL, 599, false},
        {"backend=1:trailers", "backend", "", 1, 0, STATUS_INTERNAL, 500, true},
        {"1:trailers:aborted", "", "", 1, 0, STATUS_ABORTED, 409, true},
        {"first-3:429:trailers", "", "", 0, 3, STATUS_RESOURCE_EXHAUSTED, 429, true},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct fault_plan       plan = plan_of(cases[i].value, NULL);
        const struct fail_item *item = &plan.fails[0];

        if (plan.n_fails != 1 || plan.n_bad != 0 || plan.n_delays != 0)
            fail_msg("\"%s\" gave %zu items, %zu bad", cases[i].value, plan.n_fails, plan.n_bad);
        expect_str(item->target.role, str_from(cases[i].role));
        expect_str(item->target.version, str_from(cases[i].version));
        if (item->first_attempts != cases[i].first_attempts ||
            item->probability != cases[i].probability || item->status.status != cases[i].status ||
            item->status.http_code != cases[i].http_code ||
            item->headers_first != cases[i].headers_first)
            fail_msg("\"%s\" gave first-%u, probability %g, status %u, HTTP %d, trailers %d",
                     cases[i].value, item->first_attempts, item->probability,
                     (unsigned)item->status.status, item->status.http_code, item->headers_first);
    }
}

static void each_good_delay_item_is_understood(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *role, *version;
        int64_t     delay_ns;
        double      probability;
    } cases[] = {
        {"0s", "", "", 0, 1},
        {"100ms", "", "", 100 * (int64_t)NS_PER_MS, 1},
        {"1.5s", "", "", 1500 * (int64_t)NS_PER_MS, 1},
        {"2s:0.1", "", "", 2 * (int64_t)NS_PER_S, 0.1},
        {"backend=100ms", "backend", "", 100 * (int64_t)NS_PER_MS, 1},
        {"backend/canary=3us:0", "backend", "canary", 3 * (int64_t)NS_PER_US, 0},
        {"  7ns ; ", "", "", 7, 1},
        {"30s", "", "", 30 * (int64_t)NS_PER_S, 1},
        {"31s", "", "", 30 * (int64_t)NS_PER_S, 1},
        {"1h:1", "", "", 30 * (int64_t)NS_PER_S, 1},
        {"99999999999999999999h", "", "", 30 * (int64_t)NS_PER_S, 1},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct fault_plan        plan = plan_of(NULL, cases[i].value);
        const struct delay_item *item = &plan.delays[0];

        if (plan.n_delays != 1 || plan.n_bad != 0 || plan.n_fails != 0)
            fail_msg("\"%s\" gave %zu items, %zu bad", cases[i].value, plan.n_delays, plan.n_bad);
        expect_str(item->target.role, str_from(cases[i].role));
        expect_str(item->target.version, str_from(cases[i].version));
        if (item->delay_ns != cases[i].delay_ns || item->probability != cases[i].probability)
            fail_msg("\"%s\" gave %lld ns, probability %g", cases[i].value,
                     (long long)item->delay_ns, item->probability);
    }
}

static const char *const malformed_fails[] = {
    "-1",
    "-0.1",
    "+1",
    "1.1",
    "2",
    "1.",
    ".",
    "0.5.5",
    "1e-3",
    "0x1",
    "nan",
    "inf",
    "0,3",
    "30%",
    "true",
    "half",
    "0. 5",
    "0.5 unavailable",
    "0.3, 0.5",
    "=",
    "=0.5",
    "backend",
    "backend=",
    "backend= 0.5",
    "backend =0.5",
    "back end=0.5",
    "backend=0.5=0.5",
    "backend/=1",
    "/canary=1",
    "backend/prod/canary=1",
    "b\xC3\xA4hm=1",
    "backend*=1",
    "backend:1",
    "first-",
    "first-0",
    "first--1",
    "first-1.5",
    "first-1000001",
    "first-99999999999999999999",
    "first2",
    "First-2",
    "0.5:",
    ":",
    ":503",
    "0.5::trailers",
    "0.5:0",
    "0.5:ok",
    "0.5:17",
    "0.5:200",
    "0.5:399",
    "0.5:600",
    "0.5:-14",
    "0.5:4294967310",
    "0.5:99999999999999999999",
    "0.5:unavailble",
    "0.5: unavailable",
    "0.5:un available",
    "0.5:unavailable:unavailable",
    "0.5:503:internal",
    "0.5:trailers:trailers",
    "0.5:TRAILERS",
    "0.5:trailer",
    "0.5:100ms",
    "100ms",
    "0.5\n",
    "\x01",
    "\xFF\xFE",
};

static const char *const malformed_delays[] = {
    "1",        "0",           "ms",         "100",         "-1s",     "+1s",   "1 s",
    "1sec",     "1S",          "1s:",        "1s:2",        "1s:1.1",  "1s:-1", "1s:x",
    "1s::1",    "1s:0.5:0.5",  "1s:503",     "1s:trailers", "first-2", "0.5",   "=1s",
    "backend=", "backend/=1s", "backend 1s", "1s,2s",       "1e3ms",   "infs",
};

/* Every one between two good neighbours, so that what it harms would show. */
static void a_malformed_fail_item_is_set_aside_alone(void **state)
{
    (void)state;

    for (size_t i = 0; i < ARRAY_LENGTH(malformed_fails); i++) {
        char value[128];
        snprintf(value, sizeof(value), "0.1;%s;backend=1", malformed_fails[i]);
        struct fault_plan plan = plan_of(value, "1s");

        if (plan.n_bad != 1 || plan.n_fails != 2 || plan.n_delays != 1)
            fail_msg("\"%s\" gave %zu fails, %zu delays, %zu bad", value, plan.n_fails,
                     plan.n_delays, plan.n_bad);
        expect_str(plan.bad[0], str_from(malformed_fails[i]));
    }
}

static void a_malformed_delay_item_is_set_aside_alone(void **state)
{
    (void)state;

    for (size_t i = 0; i < ARRAY_LENGTH(malformed_delays); i++) {
        char value[128];
        snprintf(value, sizeof(value), "1s;%s;backend=2s", malformed_delays[i]);
        struct fault_plan plan = plan_of("1", value);

        if (plan.n_bad != 1 || plan.n_delays != 2 || plan.n_fails != 1)
            fail_msg("\"%s\" gave %zu fails, %zu delays, %zu bad", value, plan.n_fails,
                     plan.n_delays, plan.n_bad);
        expect_str(plan.bad[0], str_from(malformed_delays[i]));
    }
}

static void a_nul_byte_in_an_item_makes_it_malformed(void **state)
{
    (void)state;
    struct fault_plan plan;

    fault_plan_parse(STR("0.5\0;1"), STR("1s\0"), &plan);
    assert_int_equal(plan.n_fails, 1);
    assert_int_equal(plan.n_delays, 0);
    assert_int_equal(plan.n_bad, 2);
}

static void absent_and_empty_values_ask_for_nothing(void **state)
{
    (void)state;
    static const char *const values[] = {NULL, "", " ", ";", " ; ;\t"};

    for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
        struct fault_plan plan = plan_of(values[i], values[i]);
        assert_int_equal(plan.n_fails + plan.n_delays + plan.n_bad, 0);
        assert_null(fault_plan_fail_for(&plan, STR("backend"), STR("prod")));
        assert_null(fault_plan_delay_for(&plan, STR("backend"), STR("prod")));
    }
}

static void items_beyond_the_limit_count_as_bad(void **state)
{
    (void)state;
    enum { ITEMS = FAULT_MAX_ITEMS + 5 };
    char        fail_buffer[3 * ITEMS], delay_buffer[3 * ITEMS];
    struct text fail = text_in_buffer(fail_buffer, sizeof(fail_buffer));
    struct text delay = text_in_buffer(delay_buffer, sizeof(delay_buffer));

    for (int i = 0; i < ITEMS; i++) {
        text_add(&fail, STR("1;"));
        text_add(&delay, STR("1s;"));
    }
    struct fault_plan plan;
    fault_plan_parse(text_view(&fail), text_view(&delay), &plan);
    assert_int_equal(plan.n_fails, FAULT_MAX_ITEMS);
    assert_int_equal(plan.n_delays, FAULT_MAX_ITEMS);
    assert_int_equal(plan.n_bad, 10);
}

static void the_most_closely_aimed_fail_item_wins(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        double      for_backend_canary; /* -1: none */
    } cases[] = {
        {"0.1", 0.1},
        {"0.1;backend=0.2", 0.2},
        {"backend=0.2;0.1", 0.2},
        {"backend/canary=0.3;backend=0.2;0.1", 0.3},
        {"0.1;backend=0.2;backend/canary=0.3", 0.3},
        {"backend/canary=0.3;0.1", 0.3},
        {"backend/prod=0.4;0.1", 0.1},
        {"backend/prod=0.4;backend=0.2", 0.2},
        {"backend/prod=0.4", -1},
        {"frontend=0.5", -1},
        {"frontend=0.5;0.1", 0.1},
        {"0.1;0.6", 0.6},
        {"backend=0.2;backend=0.7;0.1", 0.7},
        {"backend/canary=0.3;backend/canary=0.8", 0.8},
        {"backend=0;0.1", 0},
        {"backend=0.2:oops;0.1", 0.1},
        {"Backend=0.2", -1},
        {"backen=0.2;backendd=0.3", -1},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct fault_plan       plan = plan_of(cases[i].value, NULL);
        const struct fail_item *item = fault_plan_fail_for(&plan, STR("backend"), STR("canary"));
        double                  saw = item ? item->probability : -1;
        if (saw != cases[i].for_backend_canary)
            fail_msg("\"%s\" gave %g", cases[i].value, saw);
    }
}

static void the_most_closely_aimed_delay_item_wins(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int64_t     for_backend_canary_ns; /* -1: none */
    } cases[] = {
        {"1ns", 1},
        {"backend=2ns;1ns", 2},
        {"backend/canary=3ns;backend=2ns;1ns", 3},
        {"backend/prod=4ns;1ns", 1},
        {"backend/prod=4ns", -1},
        {"1ns;5ns", 5},
        {"backend=2ns;backend=6ns", 6},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct fault_plan        plan = plan_of(NULL, cases[i].value);
        const struct delay_item *item = fault_plan_delay_for(&plan, STR("backend"), STR("canary"));
        int64_t                  saw = item ? item->delay_ns : -1;
        if (saw != cases[i].for_backend_canary_ns)
            fail_msg("\"%s\" gave %lld ns", cases[i].value, (long long)saw);
    }
}

static void only_names_that_an_item_can_aim_at_are_valid(void **state)
{
    (void)state;
    static const struct str valid[] = {STR_INIT("a"), STR_INIT("A-b_c.9")};
    static const struct str invalid[] = {STR_INIT(""),    STR_INIT("a b"),     STR_INIT("a/b"),
                                         STR_INIT("a=b"), STR_INIT("a;b"),     STR_INIT("a:b"),
                                         STR_INIT("a\0"), STR_INIT("\xC3\xA4")};

    for (size_t i = 0; i < ARRAY_LENGTH(valid); i++)
        if (!fault_name_is_valid(valid[i]))
            fail_msg("\"%.*s\" is not valid", STR_ARGS(valid[i]));
    for (size_t i = 0; i < ARRAY_LENGTH(invalid); i++)
        if (fault_name_is_valid(invalid[i]))
            fail_msg("\"%.*s\" is valid", STR_ARGS(invalid[i]));
}

/* The draws nearest to both ends of [0, 1). */
static const double smallest_draw = 0;
static const double largest_draw = 1 - 0x1.0p-53;

static void probability_zero_never_strikes_and_one_always(void **state)
{
    (void)state;
    struct fault_plan plan = plan_of("0;1", "1s:0;1s:1");

    assert_false(fail_item_strikes(&plan.fails[0], 1, smallest_draw));
    assert_true(fail_item_strikes(&plan.fails[1], 1, largest_draw));
    assert_false(delay_item_strikes(&plan.delays[0], smallest_draw));
    assert_true(delay_item_strikes(&plan.delays[1], largest_draw));
}

static void first_n_strikes_the_first_n_attempts_whatever_the_draw(void **state)
{
    (void)state;
    struct fault_plan plan = plan_of("first-2", NULL);

    for (uint32_t attempt = 1; attempt <= 4; attempt++) {
        assert_int_equal(fail_item_strikes(&plan.fails[0], attempt, smallest_draw), attempt <= 2);
        assert_int_equal(fail_item_strikes(&plan.fails[0], attempt, largest_draw), attempt <= 2);
    }
    assert_false(fail_item_strikes(&plan.fails[0], UINT32_MAX, smallest_draw));
}

static void rolls_strike_as_often_as_asked(void **state)
{
    (void)state;
    enum { ROLLS = 100 * 1000, MAX_SIGMAS = 3 };
    static const char *const probabilities[] = {"0.1", "0.3", "0.5", "0.6", "0.9"};

    for (size_t i = 0; i < ARRAY_LENGTH(probabilities); i++) {
        struct fault_plan       plan = plan_of(probabilities[i], NULL);
        const struct fail_item *item = &plan.fails[0];
        unsigned                struck = 0;
        for (uint64_t roll = 0; roll < ROLLS; roll++)
            struck += fail_item_strikes(item, 1, random_unit(random_mix(roll)));

        double sigma = sqrt(ROLLS * item->probability * (1 - item->probability));
        double off = fabs(struck - ROLLS * item->probability) / sigma;
        if (off > MAX_SIGMAS)
            fail_msg("%s struck %u of %d times: %.1f sigma off", probabilities[i], struck, ROLLS,
                     off);
    }
}

static void the_warning_names_the_first_ignored_items(void **state)
{
    (void)state;
    static const struct {
        const char *fail, *delay, *warning;
    } cases[] = {
        {"0.5", "1s", ""},
        {"2", NULL, "ignored: \"2\""},
        {"2", "x", "ignored: \"2\", \"x\""},
        {"a;b;c;d;e;f", "1", "ignored: \"a\", \"b\", \"c\", \"d\" and 3 more"},
        {"\x1B[31m\x7F \r\n\xC3\xA4", NULL, "ignored: \"?[31m? ????\""},
        {"x1234567890123456789012345678901234567890", NULL,
         "ignored: \"x123456789012345678901234567890123456789...\""},
    };
    cleanup_with(arena_free_at) struct arena *arena = arena_new(4096);

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct fault_plan plan = plan_of(cases[i].fail, cases[i].delay);
        expect_str(fault_plan_warning(&plan, arena), str_from(cases[i].warning));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_good_fail_item_is_understood),
        cmocka_unit_test(each_good_delay_item_is_understood),
        cmocka_unit_test(a_malformed_fail_item_is_set_aside_alone),
        cmocka_unit_test(a_malformed_delay_item_is_set_aside_alone),
        cmocka_unit_test(a_nul_byte_in_an_item_makes_it_malformed),
        cmocka_unit_test(absent_and_empty_values_ask_for_nothing),
        cmocka_unit_test(items_beyond_the_limit_count_as_bad),
        cmocka_unit_test(the_most_closely_aimed_fail_item_wins),
        cmocka_unit_test(the_most_closely_aimed_delay_item_wins),
        cmocka_unit_test(only_names_that_an_item_can_aim_at_are_valid),
        cmocka_unit_test(probability_zero_never_strikes_and_one_always),
        cmocka_unit_test(first_n_strikes_the_first_n_attempts_whatever_the_draw),
        cmocka_unit_test(rolls_strike_as_often_as_asked),
        cmocka_unit_test(the_warning_names_the_first_ignored_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
