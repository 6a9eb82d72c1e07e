#include "server/wall_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base/clock.h"

static void assert_time(int64_t seconds, const char *expected)
{
    char        buffer[256];
    struct text text = text_in_buffer(buffer, sizeof(buffer) - 1);

    wall_clock_render(seconds * NS_PER_S + 163 * (int64_t)NS_PER_MS, &text);
    buffer[text.len] = '\0';
    assert_string_equal(buffer, expected);
}

static void the_time_is_told_in_the_classic_form(void **state)
{
    (void)state;

    assert_time(1515026589, "{\"time\":\"12:43:09 AM\",\"milliseconds_since_epoch\":1515026589163,"
                            "\"date\":\"01-04-2018\"}");
}

static void noon_is_pm_and_the_hour_after_is_one(void **state)
{
    (void)state;

    assert_time(1515067200, "{\"time\":\"12:00:00 PM\",\"milliseconds_since_epoch\":1515067200163,"
                            "\"date\":\"01-04-2018\"}");
    assert_time(1515070800, "{\"time\":\"01:00:00 PM\",\"milliseconds_since_epoch\":1515070800163,"
                            "\"date\":\"01-04-2018\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_time_is_told_in_the_classic_form),
        cmocka_unit_test(noon_is_pm_and_the_hour_after_is_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
