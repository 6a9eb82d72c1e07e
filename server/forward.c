#include "server/forward.h"

#include <errno.h>

#include "common/base/arena.h"
#include "common/base/cleanup.h"
#include "common/trace/trace_context.h"

static const struct str built_in[] = {
    STR_INIT("x-request-id"), STR_INIT("x-ot-span-context"),
    STR_INIT("x-dev-user"),   STR_INIT("fail"),
    STR_INIT("delay"),        STR_INIT("baggage"),
};

/* Ours to say to the next hop, not the caller's. */
static const struct str forbidden[] = {
    STR_INIT("authorization"), STR_INIT("connection"),
    STR_INIT("cookie"),        STR_INIT("expect"),
    STR_INIT("host"),          STR_INIT("http2-settings"),
    STR_INIT("keep-alive"),    STR_INIT("te"),
    STR_INIT("trailer"),       STR_INIT("transfer-encoding"),
    STR_INIT("upgrade"),       STR_INIT("user-agent"),
};

static const struct str forbidden_prefixes[] = {
    STR_INIT("accept"), STR_INIT("content-"),    STR_INIT("grpc-"),
    STR_INIT("proxy-"), STR_INIT("x-tracehop-"), STR_INIT("x-envoy-"),
};

static bool is_one_of(struct str name, const struct str names[], size_t n_names)
{
    for (size_t i = 0; i < n_names; i++)
        if (str_equal(name, names[i]))
            return true;
    return false;
}

static bool is_built_in(struct str name)
{
    return is_one_of(name, built_in, ARRAY_LENGTH(built_in));
}

static bool is_forbidden(struct str name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(forbidden_prefixes); i++)
        if (str_starts_with(name, forbidden_prefixes[i]))
            return true;

    /* gRPC carries a "-bin" value as bytes and HTTP as text: it cannot go on byte for byte. */
    return is_one_of(name, forbidden, ARRAY_LENGTH(forbidden)) ||
           str_ends_with(name, STR("-bin")) || trace_context_owns_header(name);
}

/* What both HTTP and gRPC take as a name; gRPC is the stricter one. */
static bool is_header_name(struct str lower)
{
    for (size_t i = 0; i < lower.len; i++) {
        char c = lower.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
            return false;
    }
    return lower.len > 0;
}

static int list_add(struct forward_list *list, struct str name, struct arena *arena)
{
    struct str lower = arena_lower(arena, name);
    if (!lower.at)
        return -ENOMEM;

    if (!is_header_name(lower) || is_forbidden(lower))
        return -EINVAL;
    if (forward_allows(list, lower))
        return 0;
    if (list->n_extra == FORWARD_MAX_EXTRA)
        return -EINVAL;

    list->extra[list->n_extra++] = lower;
    return 0;
}

int forward_list_parse(struct str text, struct arena *arena, struct forward_list *ret_list,
                       struct str *ret_bad)
{
    struct forward_list list = {0};
    struct str          name;

    while (str_cut(&text, ',', &name)) {
        name = str_trim(name);
        if (str_is_empty(name))
            continue;
        int r = list_add(&list, name, arena);
        if (r < 0) {
            *ret_bad = name;
            return r;
        }
    }
    *ret_list = list;
    return 0;
}

bool forward_allows(const struct forward_list *list, struct str name)
{
    return is_built_in(name) || is_one_of(name, list->extra, list->n_extra) ||
           (list->copies_trace_context && trace_context_owns_header(name));
}

int forward_headers(const struct forward_list *list, const struct metadata *from,
                    struct metadata *to, struct arena *arena)
{
    for (size_t i = 0; i < from->count; i++) {
        const struct field *field = &from->fields[i];
        if (!forward_allows(list, field->name))
            continue;
        int r = metadata_add(to, arena, field->name, field->value);
        if (r < 0)
            return r;
    }
    return 0;
}
