#include "server/parameters.h"

#include <errno.h>

#include "common/base/arena.h"
#include "common/base/cleanup.h"
#include "common/base/query.h"

static const struct str names[PARAMETERS_MAX_HEADERS] = {
    STR_INIT("fail"),
    STR_INIT("delay"),
    STR_INIT("x-dev-user"),
};

/* Their values by the index of their names; of each the first that is not empty. */
static int read_values(struct str query, struct arena *arena, bool *ret_is_detailed,
                       struct str ret_values[static PARAMETERS_MAX_HEADERS])
{
    struct query_parameter parameter;
    int                    r;

    while ((r = query_next(&query, arena, &parameter)) > 0) {
        if (str_equal(parameter.name, STR("detail")))
            *ret_is_detailed = true;
        for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
            if (str_equal(parameter.name, names[i]) && str_is_empty(ret_values[i]))
                ret_values[i] = str_trim(parameter.value);
        }
    }
    return r;
}

static int ignore(struct parameters *parameters, struct str name, struct str value,
                  struct arena *arena)
{
    struct str item = arena_format(arena, "%.*s=%.*s", STR_ARGS(name), STR_ARGS(value));
    if (!item.at)
        return -ENOMEM;

    parameters->ignored[parameters->n_ignored++] = item;
    return 0;
}

static int stand_in(struct parameters *parameters, struct str name, struct str value,
                    struct arena *arena)
{
    if (str_is_empty(value) || metadata_find(&parameters->headers, name).at)
        return 0;
    if (!metadata_is_value(value))
        return ignore(parameters, name, value, arena);
    return metadata_add(&parameters->headers, arena, name, value);
}

int parameters_read(struct str query, const struct metadata *headers, struct arena *arena,
                    struct parameters *ret_parameters)
{
    struct str        values[PARAMETERS_MAX_HEADERS] = {{0}};
    struct parameters parameters = {.headers = *headers};

    /* Full, so that the first field to be added moves the list away from the request's own. */
    parameters.headers.capacity = headers->count;
    int r = read_values(query, arena, &parameters.is_detailed, values);
    for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(names); i++)
        r = stand_in(&parameters, names[i], values[i], arena);
    if (r == 0)
        *ret_parameters = parameters;
    return r;
}
