#include "tests/mock/script.h"

#include <errno.h>
#include <stdio.h>

#include "common/base/cleanup.h"
#include "common/base/random.h"
#include "common/base/units.h"

static const struct {
    struct str         name;
    enum script_action action;
} actions[] = {
    {STR_INIT("status"), SCRIPT_STATUS}, {STR_INIT("partial"), SCRIPT_PARTIAL},
    {STR_INIT("limit"), SCRIPT_LIMIT},   {STR_INIT("poison"), SCRIPT_POISON},
    {STR_INIT("hang"), SCRIPT_HANG},     {STR_INIT("delay"), SCRIPT_DELAY},
};

static int parse_action(struct str name, enum script_action *ret_action)
{
    for (size_t i = 0; i < ARRAY_LENGTH(actions); i++) {
        if (str_equal(name, actions[i].name)) {
            *ret_action = actions[i].action;
            return 0;
        }
    }
    return -EINVAL;
}

static int parse_codes(struct str *rest, struct script_rule *rule)
{
    struct str grpc, http;
    uint64_t   code;

    if (!str_cut(rest, ' ', &grpc) || !str_cut(rest, ' ', &http) ||
        status_from_name(grpc, &rule->status) < 0 || str_to_uint64(http, &code) < 0 || code > 599)
        return -EINVAL;

    rule->http_code = (int)code;
    return 0;
}

/* What follows the name of the action. */
static int parse_amount(struct str *rest, struct script_rule *rule)
{
    struct str word = {0};
    int64_t    duration_ns;
    int        r;

    switch (rule->action) {
    case SCRIPT_STATUS:
        return parse_codes(rest, rule);
    case SCRIPT_POISON:
    case SCRIPT_HANG:
        return 0;
    case SCRIPT_DELAY:
        str_cut(rest, ' ', &word);
        r = duration_parse(word, &duration_ns);
        rule->amount = r < 0 ? 0 : (uint64_t)duration_ns;
        return r;
    case SCRIPT_PARTIAL:
    case SCRIPT_LIMIT:
        str_cut(rest, ' ', &word);
        return str_to_uint64(word, &rule->amount);
    }
    return -EINVAL;
}

static int parse_option(struct str word, struct script_rule *rule)
{
    struct str name = word, value = STR("");

    str_split(word, '=', &name, &value);
    if (str_equal(name, STR("times")))
        return str_to_uint64(value, &rule->times_left);
    if (str_equal(name, STR("chance")))
        return str_to_decimal(value, &rule->chance);
    if (str_equal(name, STR("keeps"))) {
        rule->keeps = true;
        return 0;
    }
    if (!str_equal(name, STR("after")) && !str_equal(name, STR("after-date")))
        return -EINVAL;
    rule->says_date = str_equal(name, STR("after-date"));
    return duration_parse(value, &rule->retry_after_ns);
}

static int parse_rule(struct str line, struct script_rule *ret_rule)
{
    struct str word;
    int        r;

    *ret_rule = (struct script_rule){.retry_after_ns = -1, .times_left = UINT64_MAX, .chance = 1};
    if (!str_cut(&line, ' ', &word) || parse_action(word, &ret_rule->action) < 0)
        return -EINVAL;

    r = parse_amount(&line, ret_rule);
    while (r == 0 && str_cut(&line, ' ', &word))
        r = parse_option(word, ret_rule);
    return r;
}

int script_parse(struct str text, struct script *ret_script)
{
    struct script script = {0};
    struct str    line;

    while (str_cut(&text, '\n', &line)) {
        if (str_is_empty(line))
            continue;
        if (script.n_rules == SCRIPT_MAX_RULES ||
            parse_rule(line, &script.rules[script.n_rules]) < 0)
            return -EINVAL;
        script.n_rules++;
    }
    *ret_script = script;
    return 0;
}

static bool rule_applies(struct script_rule *rule, const struct script_request *request)
{
    if (rule->times_left == 0 ||
        (rule->action == SCRIPT_LIMIT && request->n_bytes <= rule->amount) ||
        (rule->action == SCRIPT_POISON && !request->has_poison) ||
        random_unit(random_id()) >= rule->chance)
        return false;

    rule->times_left--;
    return true;
}

static void refuse(struct script_verdict *verdict, enum status status, int http_code)
{
    verdict->takes = false;
    verdict->status = status;
    verdict->http_code = http_code;
}

static void obey(const struct script_rule *rule, const struct script_request *request,
                 struct script_verdict *verdict)
{
    char  *message = verdict->message;
    size_t size = sizeof(verdict->message);

    switch (rule->action) {
    case SCRIPT_STATUS:
        refuse(verdict, rule->status, rule->http_code);
        verdict->takes = rule->keeps;
        verdict->retry_after_ns = rule->retry_after_ns;
        verdict->says_date = rule->says_date;
        snprintf(message, size, "as the script says");
        break;
    case SCRIPT_PARTIAL:
        verdict->rejected = rule->amount;
        snprintf(message, size, "%ju spans are not wanted", (uintmax_t)rule->amount);
        break;
    case SCRIPT_LIMIT:
        refuse(verdict, STATUS_RESOURCE_EXHAUSTED, 413);
        snprintf(message, size, "grpc: received message larger than max (%zu vs. %ju)",
                 request->n_bytes, (uintmax_t)rule->amount);
        break;
    case SCRIPT_POISON:
        refuse(verdict, STATUS_INVALID_ARGUMENT, 400);
        snprintf(message, size, "poison");
        break;
    case SCRIPT_HANG:
        refuse(verdict, STATUS_UNAVAILABLE, 503);
        verdict->hangs = true;
        break;
    case SCRIPT_DELAY:
        verdict->delay_ns += (int64_t)rule->amount;
        break;
    }
}

struct script_verdict script_judge(struct script *script, const struct script_request *request)
{
    struct script_verdict verdict = {
        .takes = true, .status = STATUS_OK, .http_code = 200, .retry_after_ns = -1};
    bool is_decided = false;

    for (size_t i = 0; i < script->n_rules && !is_decided; i++) {
        struct script_rule *rule = &script->rules[i];
        if (!rule_applies(rule, request))
            continue;

        obey(rule, request, &verdict);
        is_decided = rule->action != SCRIPT_DELAY;
    }
    return verdict;
}
