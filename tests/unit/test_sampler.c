#include "common/trace/sampler.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "common/base/cleanup.h"

static struct sampler sampler_of(const char *name, const char *argument)
{
    struct sampler sampler;
    if (sampler_parse(str_from(name), str_from(argument), &sampler) < 0)
        fail_msg("no sampler: %s %s", name, argument);
    return sampler;
}

static void samplers_are_parsed(void **state)
{
    (void)state;
    static const struct {
        const char    *name, *argument;
        struct sampler expected;
    } cases[] = {
        {"always_on", "", {SAMPLER_ALWAYS_ON, 1, false}},
        {"always_off", "", {SAMPLER_ALWAYS_OFF, 1, false}},
        {"traceidratio", "0.25", {SAMPLER_RATIO, 0.25, false}},
        {"traceidratio", "", {SAMPLER_RATIO, 1, false}},
        {"traceidratio", "0", {SAMPLER_RATIO, 0, false}},
        {"traceidratio", "1.0", {SAMPLER_RATIO, 1, false}},
        {"parentbased_always_on", "", {SAMPLER_ALWAYS_ON, 1, true}},
        {"parentbased_always_off", "", {SAMPLER_ALWAYS_OFF, 1, true}},
        {"parentbased_traceidratio", "0.01", {SAMPLER_RATIO, 0.01, true}},
        {"ParentBased_Always_On", "", {SAMPLER_ALWAYS_ON, 1, true}},
        {"always_on", "no argument of this one", {SAMPLER_ALWAYS_ON, 1, false}},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct sampler seen = sampler_of(cases[i].name, cases[i].argument);
        if (seen.root != cases[i].expected.root || seen.ratio != cases[i].expected.ratio ||
            seen.follows_parent != cases[i].expected.follows_parent)
            fail_msg("%s %s: saw %d %g %d", cases[i].name, cases[i].argument, seen.root, seen.ratio,
                     seen.follows_parent);
    }
}

static void unknown_names_and_ratios_beyond_the_range_are_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"sometimes", ""},
        {"jaeger_remote", ""},
        {"traceidratio", "1.01"},
        {"traceidratio", "-0.1"},
        {"traceidratio", "half"},
        {"parentbased_traceidratio", "2"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct sampler sampler;
        if (sampler_parse(str_from(cases[i][0]), str_from(cases[i][1]), &sampler) != -EINVAL)
            fail_msg("\"%s\" \"%s\" was taken", cases[i][0], cases[i][1]);
    }
}

static void the_decision_follows_the_table(void **state)
{
    (void)state;
    static const struct {
        const char   *sampler, *ratio;
        enum sampling parent, expected;
    } cases[] = {
        {"always_on", "", SAMPLING_DEFERRED, SAMPLING_ACCEPTED},
        {"always_on", "", SAMPLING_DENIED, SAMPLING_ACCEPTED},
        {"always_off", "", SAMPLING_DEFERRED, SAMPLING_DENIED},
        {"always_off", "", SAMPLING_ACCEPTED, SAMPLING_DENIED},
        {"traceidratio", "0", SAMPLING_ACCEPTED, SAMPLING_DENIED},
        {"traceidratio", "1", SAMPLING_DENIED, SAMPLING_ACCEPTED},
        {"parentbased_always_on", "", SAMPLING_DEFERRED, SAMPLING_ACCEPTED},
        {"parentbased_always_on", "", SAMPLING_ACCEPTED, SAMPLING_ACCEPTED},
        {"parentbased_always_on", "", SAMPLING_DENIED, SAMPLING_DENIED},
        {"parentbased_always_off", "", SAMPLING_DEFERRED, SAMPLING_DENIED},
        {"parentbased_always_off", "", SAMPLING_ACCEPTED, SAMPLING_ACCEPTED},
        {"parentbased_traceidratio", "0", SAMPLING_DEFERRED, SAMPLING_DENIED},
        {"parentbased_traceidratio", "0", SAMPLING_ACCEPTED, SAMPLING_ACCEPTED},
        {"parentbased_traceidratio", "1", SAMPLING_DENIED, SAMPLING_DENIED},
        {"always_off", "", SAMPLING_DEBUG, SAMPLING_DEBUG},
        {"traceidratio", "0", SAMPLING_DEBUG, SAMPLING_DEBUG},
        {"parentbased_always_off", "", SAMPLING_DEBUG, SAMPLING_DEBUG},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct sampler       sampler = sampler_of(cases[i].sampler, cases[i].ratio);
        struct trace_context context = {
            .has_ids = true, .trace_id = trace_id_new(), .sampling = cases[i].parent};
        enum sampling seen = sampler_decide(&sampler, &context);
        if (seen != cases[i].expected)
            fail_msg("%s %s after %d: expected %d, saw %d", cases[i].sampler, cases[i].ratio,
                     cases[i].parent, cases[i].expected, seen);
    }
}

static enum sampling decide(const char *ratio, const char *trace_id)
{
    struct sampler       sampler = sampler_of("traceidratio", ratio);
    struct trace_context context = {.has_ids = true};
    assert_int_equal(trace_id_parse(str_from(trace_id), &context.trace_id), 0);
    return sampler_decide(&sampler, &context);
}

static void the_last_56_bits_of_the_id_decide(void **state)
{
    (void)state;
    static const struct {
        const char   *ratio, *trace_id;
        enum sampling expected;
    } cases[] = {
        {"0.5", "ffffffffffffffffff7fffffffffffff", SAMPLING_DENIED},
        {"0.5", "00000000000000000080000000000000", SAMPLING_ACCEPTED},
        {"0.25", "000000000000000000bfffffffffffff", SAMPLING_DENIED},
        {"0.25", "000000000000000000c0000000000000", SAMPLING_ACCEPTED},
        {"0", "ffffffffffffffffffffffffffffffff", SAMPLING_DENIED},
        {"1", "00000000000000010000000000000000", SAMPLING_ACCEPTED},
        {"0.25", "00c0000000000000", SAMPLING_ACCEPTED},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        if (decide(cases[i].ratio, cases[i].trace_id) != cases[i].expected)
            fail_msg("%s of %s", cases[i].ratio, cases[i].trace_id);
}

static void about_the_ratio_of_new_ids_is_recorded(void **state)
{
    (void)state;
    enum { TRACES = 100000 };
    struct sampler sampler = sampler_of("traceidratio", "0.1");
    int            recorded = 0;

    for (int i = 0; i < TRACES; i++) {
        struct trace_context context = {.has_ids = true, .trace_id = trace_id_new()};
        recorded += sampler_decide(&sampler, &context) == SAMPLING_ACCEPTED;
    }
    /* Ten standard deviations of 95 to either side. */
    if (recorded < 9050 || recorded > 10950)
        fail_msg("%d of %d", recorded, TRACES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samplers_are_parsed),
        cmocka_unit_test(unknown_names_and_ratios_beyond_the_range_are_refused),
        cmocka_unit_test(the_decision_follows_the_table),
        cmocka_unit_test(the_last_56_bits_of_the_id_decide),
        cmocka_unit_test(about_the_ratio_of_new_ids_is_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
