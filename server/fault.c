#include "server/fault.h"

#include <errno.h>

#include "common/base/arena.h"
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/base/units.h"

enum { MAX_FIRST_ATTEMPTS = 1000 * 1000, MAX_WARNING_ITEM_BYTES = 40 };

static const int64_t MAX_DELAY_NS = (int64_t)FAULT_MAX_DELAY_S * NS_PER_S;

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

bool fault_name_is_valid(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_name_char(s.at[i]))
            return false;
    return s.len > 0;
}

static int target_parse(struct str s, struct fault_target *ret_target)
{
    struct fault_target target = {.role = s};

    if (str_split(s, '/', &target.role, &target.version) && !fault_name_is_valid(target.version))
        return -EINVAL;
    if (!fault_name_is_valid(target.role))
        return -EINVAL;

    *ret_target = target;
    return 0;
}

/* Takes the target, when there is one, off the front of `item`. */
static int target_cut(struct str *item, struct fault_target *ret_target)
{
    struct str who, what;

    if (!str_split(*item, '=', &who, &what)) {
        *ret_target = (struct fault_target){0};
        return 0;
    }

    int r = target_parse(who, ret_target);
    if (r == 0)
        *item = what;
    return r;
}

/*
 * Takes the next option off `rest`, which is absent once there is none. Unlike
 * str_cut this sees the empty option at the end of "0.5:", which is an error.
 */
static bool option_cut(struct str *rest, struct str *ret_option)
{
    if (!rest->at)
        return false;

    struct str after = {0};
    *ret_option = *rest;
    (void)str_split(*rest, ':', ret_option, &after);
    *rest = after;
    return true;
}

static int probability_parse(struct str s, double *ret_probability)
{
    double probability;

    if (str_to_decimal(s, &probability) < 0 || probability > 1)
        return -EINVAL;

    *ret_probability = probability;
    return 0;
}

static int status_from_number(uint64_t number, struct fault_status *ret_status)
{
    if (number > STATUS_OK && number < STATUS_COUNT) {
        enum status status = (enum status)number;
        *ret_status = (struct fault_status){status, status_to_http(status)};
        return 0;
    }
    if (number >= 400 && number <= 599) {
        int code = (int)number;
        *ret_status = (struct fault_status){status_from_http(code), code};
        return 0;
    }
    return -EINVAL;
}

static int status_parse(struct str s, struct fault_status *ret_status)
{
    uint64_t    number;
    enum status status;

    if (str_to_uint64(s, &number) == 0)
        return status_from_number(number, ret_status);
    if (status_from_name(s, &status) < 0)
        return -EINVAL;
    return status_from_number(status, ret_status);
}

static int first_attempts_parse(struct str s, uint32_t *ret_attempts)
{
    uint64_t attempts;

    if (str_to_uint64(s, &attempts) < 0 || attempts < 1 || attempts > MAX_FIRST_ATTEMPTS)
        return -EINVAL;

    *ret_attempts = (uint32_t)attempts;
    return 0;
}

static int fail_what_parse(struct str what, struct fail_item *item)
{
    const struct str first = STR("first-");

    if (!str_starts_with(what, first))
        return probability_parse(what, &item->probability);

    struct str attempts = {what.at + first.len, what.len - first.len};
    return first_attempts_parse(attempts, &item->first_attempts);
}

/* `item->status` is OK until an option has said otherwise. */
static int fail_option_parse(struct str option, struct fail_item *item)
{
    if (str_equal(option, STR("trailers"))) {
        if (item->headers_first)
            return -EINVAL;
        item->headers_first = true;
        return 0;
    }
    if (item->status.status != STATUS_OK)
        return -EINVAL;
    return status_parse(option, &item->status);
}

static int fail_item_parse(struct str s, struct fail_item *ret_item)
{
    struct fail_item item = {0};
    struct str       option;

    if (target_cut(&s, &item.target) < 0)
        return -EINVAL;
    if (!option_cut(&s, &option) || fail_what_parse(option, &item) < 0)
        return -EINVAL;
    while (option_cut(&s, &option))
        if (fail_option_parse(option, &item) < 0)
            return -EINVAL;
    if (item.status.status == STATUS_OK)
        (void)status_from_number(STATUS_INTERNAL, &item.status);

    *ret_item = item;
    return 0;
}

/* A duration too long for us to count is still a duration: it is cut like any long one. */
static int delay_what_parse(struct str what, int64_t *ret_delay_ns)
{
    int64_t delay_ns = MAX_DELAY_NS;
    int     r = duration_parse(what, &delay_ns);

    if (r < 0 && r != -ERANGE)
        return r;

    *ret_delay_ns = delay_ns < MAX_DELAY_NS ? delay_ns : MAX_DELAY_NS;
    return 0;
}

static int delay_item_parse(struct str s, struct delay_item *ret_item)
{
    struct delay_item item = {.probability = 1};
    struct str        option;

    if (target_cut(&s, &item.target) < 0)
        return -EINVAL;
    if (!option_cut(&s, &option) || delay_what_parse(option, &item.delay_ns) < 0)
        return -EINVAL;
    if (option_cut(&s, &option) && probability_parse(option, &item.probability) < 0)
        return -EINVAL;
    if (option_cut(&s, &option))
        return -EINVAL;

    *ret_item = item;
    return 0;
}

static int plan_add_fail(struct fault_plan *plan, struct str item)
{
    if (plan->n_fails == ARRAY_LENGTH(plan->fails))
        return -E2BIG;

    int r = fail_item_parse(item, &plan->fails[plan->n_fails]);
    if (r == 0)
        plan->n_fails++;
    return r;
}

static int plan_add_delay(struct fault_plan *plan, struct str item)
{
    if (plan->n_delays == ARRAY_LENGTH(plan->delays))
        return -E2BIG;

    int r = delay_item_parse(item, &plan->delays[plan->n_delays]);
    if (r == 0)
        plan->n_delays++;
    return r;
}

void fault_plan_add_bad(struct fault_plan *plan, struct str item)
{
    if (plan->n_bad < ARRAY_LENGTH(plan->bad))
        plan->bad[plan->n_bad] = item;
    plan->n_bad++;
}

typedef int plan_add_fn(struct fault_plan *plan, struct str item);

static void plan_add_items(struct fault_plan *plan, struct str value, plan_add_fn *add)
{
    struct str item;

    while (str_cut(&value, ';', &item)) {
        item = str_trim(item);
        if (!str_is_empty(item) && add(plan, item) < 0)
            fault_plan_add_bad(plan, item);
    }
}

void fault_plan_parse(struct str fail, struct str delay, struct fault_plan *ret_plan)
{
    /* The counts alone: most requests ask for nothing, and the arrays are kilobytes. */
    ret_plan->n_fails = 0;
    ret_plan->n_delays = 0;
    ret_plan->n_bad = 0;

    plan_add_items(ret_plan, fail, plan_add_fail);
    plan_add_items(ret_plan, delay, plan_add_delay);
}

/* Closer is greater. */
enum aim { AIM_ELSEWHERE, AIM_ANY, AIM_ROLE, AIM_ROLE_AND_VERSION };

static enum aim target_aim(const struct fault_target *target, struct str role, struct str version)
{
    if (str_is_empty(target->role))
        return AIM_ANY;
    if (!str_equal(target->role, role))
        return AIM_ELSEWHERE;
    if (str_is_empty(target->version))
        return AIM_ROLE;
    return str_equal(target->version, version) ? AIM_ROLE_AND_VERSION : AIM_ELSEWHERE;
}

/* Of items that aim equally close the last one counts. */
static bool is_as_close(const struct fault_target *target, struct str role, struct str version,
                        enum aim *closest)
{
    enum aim aim = target_aim(target, role, version);
    if (aim < *closest)
        return false;

    *closest = aim;
    return true;
}

const struct fail_item *fault_plan_fail_for(const struct fault_plan *plan, struct str role,
                                            struct str version)
{
    const struct fail_item *closest = NULL;
    enum aim                closest_aim = AIM_ANY;

    for (size_t i = 0; i < plan->n_fails; i++) {
        if (is_as_close(&plan->fails[i].target, role, version, &closest_aim))
            closest = &plan->fails[i];
    }
    return closest;
}

const struct delay_item *fault_plan_delay_for(const struct fault_plan *plan, struct str role,
                                              struct str version)
{
    const struct delay_item *closest = NULL;
    enum aim                 closest_aim = AIM_ANY;

    for (size_t i = 0; i < plan->n_delays; i++) {
        if (is_as_close(&plan->delays[i].target, role, version, &closest_aim))
            closest = &plan->delays[i];
    }
    return closest;
}

bool fail_item_strikes(const struct fail_item *item, uint32_t attempt, double draw)
{
    if (item->first_attempts > 0)
        return attempt <= item->first_attempts;
    return draw < item->probability;
}

bool delay_item_strikes(const struct delay_item *item, double draw)
{
    return draw < item->probability;
}

/* Fit for a header value: RFC 9110, 5.5. */
static void warning_add_item(struct text *warning, struct str item)
{
    size_t shown = item.len < MAX_WARNING_ITEM_BYTES ? item.len : MAX_WARNING_ITEM_BYTES;

    text_add_char(warning, '"');
    for (size_t i = 0; i < shown; i++) {
        bool is_visible = item.at[i] >= ' ' && item.at[i] <= '~';
        text_add(warning, is_visible ? (struct str){&item.at[i], 1} : STR("?"));
    }
    if (shown < item.len)
        text_add(warning, STR("..."));
    text_add_char(warning, '"');
}

struct str fault_plan_warning(const struct fault_plan *plan, struct arena *arena)
{
    if (plan->n_bad == 0)
        return (struct str){0};

    struct text warning = text_in_arena(arena, 128);
    size_t named = plan->n_bad < ARRAY_LENGTH(plan->bad) ? plan->n_bad : ARRAY_LENGTH(plan->bad);

    text_add(&warning, STR("ignored: "));
    for (size_t i = 0; i < named; i++) {
        if (i > 0)
            text_add(&warning, STR(", "));
        warning_add_item(&warning, plan->bad[i]);
    }
    if (named < plan->n_bad)
        text_add_format(&warning, " and %zu more", plan->n_bad - named);
    return text_view(&warning);
}
