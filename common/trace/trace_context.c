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

enum { MAX_FORMS = 3 };

/* The header forms to look at, in order. */
struct form_list {
    extract_fn *forms[MAX_FORMS];
    size_t      count;
};

static struct form_list forms_of(const struct propagators *propagators)
{
    struct form_list list = {.count = 0};
    bool             has_b3 = false;

    for (size_t i = 0; i < propagators->count; i++) {
        switch (propagators->order[i]) {
        case PROPAGATOR_B3:
        case PROPAGATOR_B3_MULTI:
            if (!has_b3) {
                list.forms[list.count++] = b3_single_extract;
                list.forms[list.count++] = b3_multi_extract;
            }
            has_b3 = true;
            break;
        case PROPAGATOR_TRACECONTEXT:
            list.forms[list.count++] = traceparent_extract;
            break;
        case PROPAGATOR_BAGGAGE:
        case PROPAGATOR_COUNT:
            break;
        }
    }
    return list;
}

/* A `sent` of zero is nobody's: then no context counts as untouched. */
static bool is_untouched(const struct trace_context *context, struct span_id sent)
{
    return context->has_ids && span_id_equal(&context->span_id, &sent);
}

/*
 * A later form of the same trace, which a proxy has rewritten: its span is the
 * parent and its decision holds. What it cannot say stays: debug, a width, a state.
 */
static void follow_proxy(struct trace_context *context, const struct trace_context *rewritten)
{
    bool is_debug = context->sampling == SAMPLING_DEBUG && rewritten->sampling == SAMPLING_ACCEPTED;

    context->span_id = rewritten->span_id;
    context->is_64_bit |= rewritten->is_64_bit;
    if (rewritten->sampling != SAMPLING_DEFERRED && !is_debug)
        context->sampling = rewritten->sampling;
    if (!str_is_empty(rewritten->trace_state))
        context->trace_state = rewritten->trace_state;
}

static bool is_rewritten(const struct trace_context *context, struct span_id sent,
                         const struct trace_context *untouched)
{
    return context->has_ids && !span_id_equal(&context->span_id, &sent) &&
           trace_id_equal(&context->trace_id, &untouched->trace_id);
}

struct trace_extraction trace_context_extract(const struct metadata    *headers,
                                              const struct propagators *propagators,
                                              struct span_id            sent)
{
    struct trace_extraction extraction = {.malformed = 0};
    struct form_list        list = forms_of(propagators);
    bool                    is_found = false;

    for (size_t i = 0; i < list.count; i++) {
        struct trace_context context;
        int                  r = list.forms[i](headers, &context);
        extraction.malformed += r < 0;
        if (r <= 0)
            continue;

        if (!is_found) {
            extraction.context = context;
            is_found = true;
        } else if (is_rewritten(&context, sent, &extraction.context)) {
            follow_proxy(&extraction.context, &context);
        }
        if (!is_untouched(&extraction.context, sent))
            break;
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
