#include "common/base/settings_private.h"

#include <errno.h>

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/units.h"
#include "common/base/uri.h"

/* A colon in an address without brackets could be anywhere: "::1:80". */
static bool split_listen(struct str text, struct str *ret_host, struct str *ret_port)
{
    if (str_starts_with(text, STR("["))) {
        struct str after;
        text = (struct str){text.at + 1, text.len - 1};
        if (!str_split(text, ']', ret_host, &after) || !str_starts_with(after, STR(":")))
            return false;
        *ret_port = (struct str){after.at + 1, after.len - 1};
        return uri_is_ipv6_address(*ret_host);
    }

    if (!str_split(text, ':', ret_host, ret_port))
        return false;
    if (str_is_empty(*ret_host))
        *ret_host = STR("0.0.0.0");
    return uri_is_host(*ret_host);
}

int listen_address_parse(struct str text, struct listen_address *ret_address)
{
    struct str host, port_text;
    uint64_t   port;

    if (!split_listen(text, &host, &port_text))
        return -EINVAL;
    if (str_to_uint64(port_text, &port) < 0 || port > UINT16_MAX)
        return -EINVAL;
    *ret_address = (struct listen_address){.text = text, .host = host, .port = (uint16_t)port};
    return 0;
}

typedef int store_fn(struct setting_slot *slot);

static int store_text(struct setting_slot *slot)
{
    *(struct str *)slot->at = slot->text;
    return 0;
}

static int store_choice(struct setting_slot *slot)
{
    struct str rest = str_from(slot->setting->choices), choice;

    for (int i = 0; str_cut(&rest, '|', &choice); i++)
        if (str_equal_ignore_case(choice, slot->text)) {
            *(int *)slot->at = i;
            return 0;
        }
    return -EINVAL;
}

static int store_switch(struct setting_slot *slot)
{
    bool is_on = str_equal_ignore_case(slot->text, STR("true"));

    if (!is_on && !str_equal_ignore_case(slot->text, STR("false")))
        return -EINVAL;
    *(bool *)slot->at = is_on;
    return 0;
}

static int store_integer(struct setting_slot *slot)
{
    uint64_t value;
    int      r = str_to_uint64(slot->text, &value);
    if (r < 0)
        return r;

    *(uint64_t *)slot->at = value;
    slot->number = (double)value;
    return 0;
}

static int store_decimal(struct setting_slot *slot)
{
    int r = str_to_decimal(slot->text, &slot->number);
    if (r < 0)
        return r;

    *(double *)slot->at = slot->number;
    return 0;
}

static int store_duration(struct setting_slot *slot)
{
    int64_t ns;
    int     r = duration_parse(slot->text, &ns);
    if (r < 0)
        return r;

    *(int64_t *)slot->at = ns;
    slot->number = (double)ns;
    return 0;
}

static int store_millis(struct setting_slot *slot)
{
    uint64_t ms;
    int      r = str_to_uint64(slot->text, &ms);
    if (r < 0)
        return r;
    if (ms > INT64_MAX / NS_PER_MS)
        return -ERANGE;

    *(int64_t *)slot->at = (int64_t)ms * NS_PER_MS;
    slot->number = (double)ms * NS_PER_MS;
    return 0;
}

static int store_bytes(struct setting_slot *slot)
{
    uint64_t bytes;
    int      r = bytes_parse(slot->text, &bytes);
    if (r < 0)
        return r;

    *(uint64_t *)slot->at = bytes;
    slot->number = (double)bytes;
    return 0;
}

static int store_listen(struct setting_slot *slot)
{
    struct listen_address address;
    int                   r = listen_address_parse(slot->text, &address);
    if (r < 0)
        return r;

    if (str_starts_with(address.text, STR(":"))) {
        address.text =
            arena_format(slot->arena, "%.*s%.*s", STR_ARGS(address.host), STR_ARGS(address.text));
        if (!address.text.at)
            return -ENOMEM;
    }
    *(struct listen_address *)slot->at = address;
    return 0;
}

static store_fn *const stores[] = {
    [SETTING_TEXT] = store_text,       [SETTING_CHOICE] = store_choice,
    [SETTING_SWITCH] = store_switch,   [SETTING_INTEGER] = store_integer,
    [SETTING_DECIMAL] = store_decimal, [SETTING_DURATION] = store_duration,
    [SETTING_MILLIS] = store_millis,   [SETTING_BYTES] = store_bytes,
    [SETTING_LISTEN] = store_listen,
};

int setting_store(struct setting_slot *slot)
{
    return stores[slot->setting->kind](slot);
}

static void add_choices(struct text *text, const struct setting *setting)
{
    struct str rest = str_from(setting->choices), choice;
    bool       is_first = true;

    text_add(text, STR("one of "));
    for (; str_cut(&rest, '|', &choice); is_first = false) {
        text_add(text, is_first ? STR("") : STR(", "));
        text_add(text, choice);
    }
}

void setting_add_form(struct text *text, const struct setting *setting)
{
    static const char *const forms[] = {
        [SETTING_TEXT] = "a text",
        [SETTING_SWITCH] = "true or false",
        [SETTING_INTEGER] = "a whole number",
        [SETTING_DECIMAL] = "a number, such as 0.5",
        [SETTING_DURATION] = "a duration (a number and one of ns, us, ms, s, m, h)",
        [SETTING_MILLIS] = "a whole number of milliseconds",
        [SETTING_BYTES] = "a size (a whole number and one of B, KiB, MiB, GiB)",
        [SETTING_LISTEN] = "an address to listen on (HOST:PORT, [IPV6]:PORT or :PORT)",
    };

    if (setting->kind == SETTING_CHOICE)
        add_choices(text, setting);
    else
        text_add(text, str_from(forms[setting->kind]));
}

void setting_add_number(struct text *text, const struct setting *setting, double number)
{
    switch (setting->kind) {
    case SETTING_DURATION:
        text_add_duration(text, (int64_t)number);
        break;
    case SETTING_MILLIS:
        text_add_uint(text, (uint64_t)(number / NS_PER_MS));
        break;
    case SETTING_BYTES:
        text_add_bytes(text, (uint64_t)number);
        break;
    default:
        text_add_format(text, "%.15g", number);
        break;
    }
}
