#include "server/accept.h"

#include <errno.h>

/* Greater is closer: RFC 9110, 12.5.1, on precedence. */
enum closeness {
    CLOSENESS_NONE,
    CLOSENESS_ANY,
    CLOSENESS_TYPE,
    CLOSENESS_SUBTYPE,
    CLOSENESS_CHARSET
};

enum { FULL_QUALITY = 1000 };

struct media_range {
    struct str type, subtype;
    bool       has_charset; /* ours: UTF-8 */
    bool       is_foreign;  /* has a parameter that no form of ours has */
    int        quality;     /* thousandths */
};

struct media_type {
    struct str type, subtype;
    struct str content_type;
};

static const struct media_type forms[FORM_COUNT] = {
    [FORM_TEXT] = {STR_INIT("text"), STR_INIT("plain"), STR_INIT("text/plain; charset=utf-8")},
    [FORM_JSON] = {STR_INIT("application"), STR_INIT("json"), STR_INIT("application/json")},
    [FORM_HTML] = {STR_INIT("text"), STR_INIT("html"), STR_INIT("text/html; charset=utf-8")},
};

static void skip(struct str *rest, size_t n)
{
    rest->at += n;
    rest->len -= n;
}

static void skip_blanks(struct str *rest)
{
    while (rest->len > 0 && (rest->at[0] == ' ' || rest->at[0] == '\t'))
        skip(rest, 1);
}

static bool take_char(struct str *rest, char c)
{
    if (rest->len == 0 || rest->at[0] != c)
        return false;
    skip(rest, 1);
    return true;
}

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static int take_token(struct str *rest, struct str *ret_token)
{
    struct str token = {rest->at, 0};

    while (token.len < rest->len && is_token_char(rest->at[token.len]))
        token.len++;
    if (token.len == 0)
        return -EINVAL;

    skip(rest, token.len);
    *ret_token = token;
    return 0;
}

/* What is between the quotes, with its backslashes. */
static int take_quoted(struct str *rest, struct str *ret_content)
{
    for (size_t i = 0; i < rest->len; i++) {
        if (rest->at[i] == '"') {
            *ret_content = (struct str){rest->at, i};
            skip(rest, i + 1);
            return 0;
        }
        if (rest->at[i] == '\\')
            i++;
    }
    return -EINVAL;
}

/* qvalue: RFC 9110, 12.4.2. */
static int quality_parse(struct str s, int *ret_quality)
{
    int quality = 0;
    int unit = FULL_QUALITY;

    if (s.len < 1 || s.len > strlen("0.000") || (s.len > 1 && s.at[1] != '.'))
        return -EINVAL;

    for (size_t i = 0; i < s.len; i++) {
        if (i == 1)
            continue; /* the point */
        if (s.at[i] < '0' || s.at[i] > '9')
            return -EINVAL;
        quality += (s.at[i] - '0') * unit;
        unit /= 10;
    }
    if (quality > FULL_QUALITY)
        return -EINVAL;

    *ret_quality = quality;
    return 0;
}

static int apply_parameter(struct media_range *range, struct str name, struct str value)
{
    if (str_equal_ignore_case(name, STR("q")))
        return quality_parse(value, &range->quality);

    if (str_equal_ignore_case(name, STR("charset")) && str_equal_ignore_case(value, STR("utf-8")))
        range->has_charset = true;
    else
        range->is_foreign = true;
    return 0;
}

static int take_parameter(struct str *rest, struct media_range *range)
{
    struct str name, value;

    if (take_token(rest, &name) < 0 || !take_char(rest, '='))
        return -EINVAL;

    int r = take_char(rest, '"') ? take_quoted(rest, &value) : take_token(rest, &value);
    return r < 0 ? r : apply_parameter(range, name, value);
}

static bool is_wildcard(struct str s)
{
    return str_equal(s, STR("*"));
}

static int take_media_range(struct str *rest, struct media_range *ret_range)
{
    struct media_range range = {.quality = FULL_QUALITY};

    if (take_token(rest, &range.type) < 0 || !take_char(rest, '/') ||
        take_token(rest, &range.subtype) < 0)
        return -EINVAL;
    if (is_wildcard(range.type) && !is_wildcard(range.subtype))
        return -EINVAL;

    for (skip_blanks(rest); take_char(rest, ';'); skip_blanks(rest)) {
        skip_blanks(rest);
        bool is_empty = rest->len == 0 || rest->at[0] == ';' || rest->at[0] == ',';
        if (!is_empty && take_parameter(rest, &range) < 0)
            return -EINVAL;
    }

    *ret_range = range;
    return 0;
}

static enum closeness range_closeness(const struct media_range *range,
                                      const struct media_type  *form)
{
    if (range->is_foreign)
        return CLOSENESS_NONE;
    if (is_wildcard(range->type))
        return CLOSENESS_ANY;
    if (!str_equal_ignore_case(range->type, form->type))
        return CLOSENESS_NONE;
    if (is_wildcard(range->subtype))
        return CLOSENESS_TYPE;
    if (!str_equal_ignore_case(range->subtype, form->subtype))
        return CLOSENESS_NONE;
    return range->has_charset ? CLOSENESS_CHARSET : CLOSENESS_SUBTYPE;
}

/* How much a form is liked: what the closest range says of it. */
struct liking {
    enum closeness closeness;
    int            quality;
};

static void likings_update(struct liking likings[FORM_COUNT], const struct media_range *range)
{
    for (int form = 0; form < FORM_COUNT; form++) {
        struct liking *liking = &likings[form];
        enum closeness closeness = range_closeness(range, &forms[form]);
        if (closeness == CLOSENESS_NONE)
            continue;
        if (closeness > liking->closeness ||
            (closeness == liking->closeness && range->quality > liking->quality))
            *liking = (struct liking){closeness, range->quality};
    }
}

static int likings_parse(struct str accept, struct liking likings[FORM_COUNT])
{
    for (;;) {
        skip_blanks(&accept);
        if (take_char(&accept, ','))
            continue;
        if (accept.len == 0)
            return 0;

        struct media_range range;
        if (take_media_range(&accept, &range) < 0 || (accept.len > 0 && accept.at[0] != ','))
            return -EINVAL;
        likings_update(likings, &range);
    }
}

static bool is_liked_better(struct liking a, struct liking b)
{
    return a.quality > b.quality || (a.quality == b.quality && a.closeness > b.closeness);
}

enum form accept_negotiate(struct str accept)
{
    struct liking likings[FORM_COUNT] = {0};
    enum form     best = FORM_TEXT;

    if (likings_parse(accept, likings) < 0)
        return FORM_TEXT;

    for (enum form form = FORM_TEXT; form < FORM_COUNT; form++)
        if (is_liked_better(likings[form], likings[best]))
            best = form;
    return likings[best].quality > 0 ? best : FORM_TEXT;
}

struct str form_content_type(enum form form)
{
    return forms[form].content_type;
}
