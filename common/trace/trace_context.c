#include "common/trace/trace_context.h"

#include <errno.h>

#include "common/base/cleanup.h"
#include "common/trace/b3.h"
#include "common/trace/traceparent.h"

static const struct str propagator_names[PROPAGATOR_COUNT] = {
    [PROPAGATOR_B3] = STR_INIT("b3"),
    [PROPAGATOR_B3_MULTI] = STR_INIT("b3multi"),
    [PROPAGATOR_TRACECONTEXT] = STR_INIT("tracecontext"),
    [PROPAGATOR_BAGGAGE] = STR_INIT("baggage"),
};

static const struct str owned_headers[] = {
    STR_INIT("b3"),           STR_INIT("x-b3-traceid"), STR_INIT("x-b3-spanid"),
    STR_INIT("x-b3-sampled"), STR_INIT("x-b3-flags"),   STR_INIT("x-b3-parentspanid"),
    STR_INIT("traceparent"),  STR_INIT("tracestate"),
};

static bool find_propagator(struct str name, enum propagator *ret_propagator)
{
    for (int i = 0; i < PROPAGATOR_COUNT; i++)
        if (str_equal_ignore_case(name, propagator_names[i])) {
            *ret_propagator = (enum propagator)i;
            return true;
        }
    return false;
}

static bool has_propagator(const struct propagators *propagators, enum propagator propagator)
{
    for (size_t i = 0; i < propagators->count; i++)
        if (propagators->order[i] == propagator)
            return true;
    return false;
}

int propagators_parse(struct str text, struct propagators *ret_propagators, struct str *ret_bad)
{
    struct propagators propagators = {.count = 0};
    struct str         piece;

    if (str_equal_ignore_case(str_trim(text), STR("none")))
        text = STR("");

    while (str_cut(&text, ',', &piece)) {
        enum propagator propagator;
        if (!find_propagator(str_trim(piece), &propagator)) {
            *ret_bad = piece;
            return -EINVAL;
        }
        if (!has_propagator(&propagators, propagator))
            propagators.order[propagators.count++] = propagator;
    }
    *ret_propagators = propagators;
    return 0;
}

typedef int extract_fn(const struct metadata *headers, struct trace_context *ret_context);

/* False: go on with the next form. */
static bool extract_form(extract_fn *extract, const struct metadata *headers,
                         struct trace_extraction *extraction)
{
    int r = extract(headers, &extraction->context);
    if (r < 0)
        extraction->malformed++;
    return r > 0;
}

struct trace_extraction trace_context_extract(const struct metadata    *headers,
                                              const struct propagators *propagators)
{
    struct trace_extraction extraction = {.malformed = 0};
    bool                    is_b3_read = false;
    bool                    is_found = false;

    for (size_t i = 0; i < propagators->count && !is_found; i++) {
        switch (propagators->order[i]) {
        case PROPAGATOR_B3:
        case PROPAGATOR_B3_MULTI:
            is_found = !is_b3_read && (extract_form(b3_single_extract, headers, &extraction) ||
                                       extract_form(b3_multi_extract, headers, &extraction));
            is_b3_read = true;
            break;
        case PROPAGATOR_TRACECONTEXT:
            is_found = extract_form(traceparent_extract, headers, &extraction);
            break;
        case PROPAGATOR_BAGGAGE:
        case PROPAGATOR_COUNT:
            break;
        }
    }
    return extraction;
}

static int inject_form(const struct trace_context *context, enum propagator propagator,
                       struct metadata *headers, struct arena *arena)
{
    switch (propagator) {
    case PROPAGATOR_B3:
        return b3_single_inject(context, headers, arena);
    case PROPAGATOR_B3_MULTI:
        return b3_multi_inject(context, headers, arena);
    case PROPAGATOR_TRACECONTEXT:
        return traceparent_inject(context, headers, arena);
    case PROPAGATOR_BAGGAGE:
    case PROPAGATOR_COUNT:
        break;
    }
    return 0;
}

int trace_context_inject(const struct trace_context *context, const struct propagators *propagators,
                         struct metadata *headers, struct arena *arena)
{
    for (size_t i = 0; i < propagators->count; i++) {
        int r = inject_form(context, propagators->order[i], headers, arena);
        if (r < 0)
            return r;
    }
    return 0;
}

bool trace_context_owns_header(struct str name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(owned_headers); i++)
        if (str_equal(name, owned_headers[i]))
            return true;
    return false;
}
