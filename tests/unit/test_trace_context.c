#include "common/trace/trace_context.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/arena.h"
#include "common/base/cleanup.h"

#define TRACE "463ac35c9f6413ad48485a3953bb6124"
#define LOW_TRACE "48485a3953bb6124"
#define SPAN "a2fb4a1d1a96d312"
#define PARENT "0020000000000001"
#define W3C_TRACE "0af7651916cd43dd8448eb211c80319c"
#define W3C_SPAN "b7ad6b7169203331"
#define ZERO_TRACE "00000000000000000000000000000000"
#define ZERO_SPAN "0000000000000000"

enum { MAX_HEADERS = 8, ARENA_BYTES = 64 * 1024 };

/* "name: value" lines, as many as are set. */
struct headers {
    const char *lines[MAX_HEADERS];
};

static struct metadata read_headers(const struct headers *headers, struct arena *arena)
{
    struct metadata metadata = {0};

    for (size_t i = 0; i < MAX_HEADERS && headers->lines[i]; i++) {
        struct str name, value;
        assert_true(str_split(str_from(headers->lines[i]), ':', &name, &value));
        assert_int_equal(metadata_add(&metadata, arena, name, str_trim(value)), 0);
    }
    return metadata;
}

static struct propagators propagators_of(const char *names)
{
    struct propagators propagators;
    struct str         bad;
    if (propagators_parse(str_from(names), &propagators, &bad) < 0)
        fail_msg("%s: no such propagator", names);
    return propagators;
}

static struct arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = arena_new(ARENA_BYTES);
    return arena ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

/* `sent`: the caller's span; empty: it is not known. */
static struct trace_extraction extract_sent(const char *propagators, struct headers headers,
                                            const char *sent)
{
    struct propagators order = propagators_of(propagators);
    struct metadata    metadata = read_headers(&headers, arena);
    struct span_id     id = {0};

    if (*sent)
        assert_int_equal(span_id_parse(str_from(sent), &id), 0);
    return trace_context_extract(&metadata, &order, id);
}

static struct trace_extraction extract(const char *propagators, struct headers headers)
{
    return extract_sent(propagators, headers, "");
}

/* "traceid-spanid-letter[ 64][ state]": a context in one line, for comparison. */
static const char *describe(const struct trace_context *context)
{
    static const char *const samplings[] = {"deferred", "denied", "accepted", "debug"};
    char                     trace[TRACE_ID_HEX_LENGTH], span[SPAN_ID_HEX_LENGTH];

    if (!context->has_ids)
        return samplings[context->sampling];

    struct str line = arena_format(
        arena, "%.*s %.*s %s%s%s%.*s", STR_ARGS(trace_id_format(&context->trace_id, trace)),
        STR_ARGS(span_id_format(&context->span_id, span)), samplings[context->sampling],
        context->is_64_bit ? " 64" : "", context->trace_state.len > 0 ? " " : "",
        STR_ARGS(context->trace_state));
    return line.at;
}

struct extraction_case {
    const char    *rule;
    struct headers headers;
    const char    *expected;
    unsigned       malformed;
};

static void assert_extractions(const char *propagators, const struct extraction_case cases[],
                               size_t n_cases)
{
    for (size_t i = 0; i < n_cases; i++) {
        struct trace_extraction extraction = extract(propagators, cases[i].headers);
        const char             *seen = describe(&extraction.context);

        if (strcmp(seen, cases[i].expected) != 0 || extraction.malformed != cases[i].malformed)
            fail_msg("%s: expected \"%s\" and %u malformed, saw \"%s\" and %u", cases[i].rule,
                     cases[i].expected, cases[i].malformed, seen, extraction.malformed);
    }
}

static void the_single_b3_header_is_read(void **state)
{
    (void)state;
    static const struct extraction_case cases[] = {
        {"no header", {{NULL}}, "deferred", 0},
        {"deny alone", {{"b3: 0"}}, "denied", 0},
        {"accept alone", {{"b3: 1"}}, "accepted", 0},
        {"debug alone", {{"b3: d"}}, "debug", 0},
        {"length 33",
         {{"b3: " LOW_TRACE "-" SPAN}},
         ZERO_SPAN LOW_TRACE " " SPAN " deferred 64",
         0},
        {"length 35",
         {{"b3: " LOW_TRACE "-" SPAN "-0"}},
         ZERO_SPAN LOW_TRACE " " SPAN " denied 64",
         0},
        {"length 49", {{"b3: " TRACE "-" SPAN}}, TRACE " " SPAN " deferred", 0},
        {"length 51, deny", {{"b3: " TRACE "-" SPAN "-0"}}, TRACE " " SPAN " denied", 0},
        {"length 51, accept", {{"b3: " TRACE "-" SPAN "-1"}}, TRACE " " SPAN " accepted", 0},
        {"length 51, debug", {{"b3: " TRACE "-" SPAN "-d"}}, TRACE " " SPAN " debug", 0},
        {"length 52",
         {{"b3: " LOW_TRACE "-" SPAN "-1-" PARENT}},
         ZERO_SPAN LOW_TRACE " " SPAN " accepted 64",
         0},
        {"length 68", {{"b3: " TRACE "-" SPAN "-1-" PARENT}}, TRACE " " SPAN " accepted", 0},
        {"a parent of zeros",
         {{"b3: " TRACE "-" SPAN "-1-" ZERO_SPAN}},
         TRACE " " SPAN " accepted",
         0},
        {"upper case",
         {{"b3: 463AC35C9F6413AD48485A3953BB6124-A2FB4A1D1A96D312-1"}},
         TRACE " " SPAN " accepted",
         0},
    };

    assert_extractions("b3", cases, ARRAY_LENGTH(cases));
    assert_extractions("b3multi", cases, ARRAY_LENGTH(cases));
}

static void a_malformed_single_b3_header_is_counted(void **state)
{
    (void)state;
    static const char *const values[] = {
        "",
        "-",
        "2",
        "D",
        "true",
        "00",
        "0-",
        TRACE,
        TRACE "-",
        "-" SPAN,
        TRACE SPAN,
        TRACE "-" SPAN "-",
        TRACE "-" SPAN "-2",
        TRACE "-" SPAN "-D",
        TRACE "-" SPAN "-01",
        TRACE "-" SPAN "1",
        TRACE "-" SPAN "-1-",
        TRACE "-" SPAN "-1-" PARENT "0",
        TRACE "-" SPAN "-1-002000000000000",
        TRACE "-" SPAN "-1-002000000000000g",
        TRACE "-" SPAN "-1_" PARENT,
        TRACE "-" SPAN "-" PARENT,
        TRACE "-" SPAN "-1-" PARENT "-1",
        ZERO_TRACE "-" SPAN "-1",
        ZERO_SPAN "-" SPAN "-1",
        TRACE "-" ZERO_SPAN "-1",
        "463ac35c9f6413ad-" SPAN "1-1",
        "463ac35c9f6413ad4848-" SPAN "-1",
        "463ac35c9f6413ad48485a3953bb612g-" SPAN "-1",
        TRACE "-a2fb4a1d1a96d31g-1",
        TRACE "-a2fb4a1d1a96d31-1",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
        struct str              line = arena_format(arena, "b3: %s", values[i]);
        struct trace_extraction extraction = extract("b3", (struct headers){{line.at}});

        if (extraction.malformed != 1 || strcmp(describe(&extraction.context), "deferred") != 0)
            fail_msg("\"%s\": saw \"%s\" and %u malformed", values[i],
                     describe(&extraction.context), extraction.malformed);
    }
}

static void the_b3_headers_are_read(void **state)
{
    (void)state;
    static const struct extraction_case cases[] = {
        {"ids alone defer",
         {{"x-b3-traceid: " TRACE, "x-b3-spanid: " SPAN}},
         TRACE " " SPAN " deferred",
         0},
        {"64-bit trace id",
         {{"x-b3-traceid: " LOW_TRACE, "x-b3-spanid: " SPAN}},
         ZERO_SPAN LOW_TRACE " " SPAN " deferred 64",
         0},
        {"accept",
         {{"x-b3-traceid: " TRACE, "x-b3-spanid: " SPAN, "x-b3-sampled: 1"}},
         TRACE " " SPAN " accepted",
         0},
        {"deny keeps ids",
         {{"x-b3-traceid: " TRACE, "x-b3-spanid: " SPAN, "x-b3-sampled: 0"}},
         TRACE " " SPAN " denied",
         0},
        {"true",
         {{"x-b3-traceid: " TRACE, "x-b3-spanid: " SPAN, "x-b3-sampled: true"}},
         TRACE " " SPAN " accepted",
         0},
        {"False",
         {{"x-b3-traceid: " TRACE, "x-b3-spanid: " SPAN, "x-b3-sampled: False"}},
         TRACE " " SPAN " denied",
         0},
        {"debug",
         {{"x-b3-traceid: " TRACE, "x-b3-spanid: " SPAN, "x-b3-flags: 1"}},
         TRACE " " SPAN " debug",
         0},
        {"debug is past a deny",
         {{"x-b3-traceid: " TRACE, "x-b3-spanid: " SPAN, "x-b3-flags: 1", "x-b3-sampled: 0"}},
         TRACE " " SPAN " debug",
         0},
        {"other flags say nothing",
         {{"x-b3-traceid: " TRACE, "x-b3-spanid: " SPAN, "x-b3-flags: 2", "x-b3-sampled: 0"}},
         TRACE " " SPAN " denied",
         0},
        {"the parent does not matter",
         {{"x-b3-traceid: " TRACE, "x-b3-spanid: " SPAN, "x-b3-parentspanid: ?"}},
         TRACE " " SPAN " deferred",
         0},
        {"a decision alone", {{"x-b3-sampled: 0"}}, "denied", 0},
        {"debug alone", {{"x-b3-flags: 1"}}, "debug", 0},
        {"other flags alone are nothing", {{"x-b3-flags: 0"}}, "deferred", 0},
        {"a parent alone is nothing", {{"x-b3-parentspanid: " PARENT}}, "deferred", 0},
        {"the first value wins",
         {{"x-b3-traceid: " TRACE, "x-b3-traceid: " W3C_TRACE, "x-b3-spanid: " SPAN,
           "x-b3-spanid: " W3C_SPAN, "x-b3-sampled: 1", "x-b3-sampled: 0"}},
         TRACE " " SPAN " accepted",
         0},
        {"trace id without span id", {{"x-b3-traceid: " TRACE}}, "deferred", 1},
        {"span id without trace id", {{"x-b3-spanid: " SPAN}}, "deferred", 1},
        {"span id without trace id, but a decision",
         {{"x-b3-spanid: " SPAN, "x-b3-sampled: 0"}},
         "deferred",
         1},
        {"empty trace id", {{"x-b3-traceid:", "x-b3-spanid: " SPAN}}, "deferred", 1},
        {"both ids empty", {{"x-b3-traceid:", "x-b3-spanid:"}}, "deferred", 1},
        {"a dash", {{"x-b3-traceid: -", "x-b3-spanid: " SPAN}}, "deferred", 1},
        {"zero trace id", {{"x-b3-traceid: " ZERO_TRACE, "x-b3-spanid: " SPAN}}, "deferred", 1},
        {"zero span id", {{"x-b3-traceid: " TRACE, "x-b3-spanid: " ZERO_SPAN}}, "deferred", 1},
        {"trace id of 31",
         {{"x-b3-traceid: 463ac35c9f6413ad48485a3953bb612", "x-b3-spanid: " SPAN}},
         "deferred",
         1},
        {"no decision we know",
         {{"x-b3-traceid: " TRACE, "x-b3-spanid: " SPAN, "x-b3-sampled: yes"}},
         "deferred",
         1},
        {"empty decision",
         {{"x-b3-traceid: " TRACE, "x-b3-spanid: " SPAN, "x-b3-sampled:"}},
         "deferred",
         1},
    };

    assert_extractions("b3multi", cases, ARRAY_LENGTH(cases));
    assert_extractions("b3", cases, ARRAY_LENGTH(cases));
}

static void the_single_b3_header_comes_before_the_others(void **state)
{
    (void)state;
    static const struct extraction_case cases[] = {
        {"ids of the single header, and no other",
         {{"x-b3-traceid: " W3C_TRACE, "x-b3-spanid: " W3C_SPAN, "x-b3-sampled: 0",
           "b3: " TRACE "-" SPAN "-1"}},
         TRACE " " SPAN " accepted",
         0},
        {"a decision alone too",
         {{"b3: 0", "x-b3-traceid: " TRACE, "x-b3-spanid: " SPAN, "x-b3-sampled: 1"}},
         "denied",
         0},
        {"a malformed one gives way",
         {{"b3: " TRACE "-?", "x-b3-traceid: " TRACE, "x-b3-spanid: " SPAN}},
         TRACE " " SPAN " deferred",
         1},
        {"both malformed", {{"b3: ?", "x-b3-traceid: " TRACE}}, "deferred", 2},
    };

    assert_extractions("b3", cases, ARRAY_LENGTH(cases));
    assert_extractions("b3multi", cases, ARRAY_LENGTH(cases));
    assert_extractions("b3,b3multi", cases, ARRAY_LENGTH(cases));
}

static void traceparent_is_read(void **state)
{
    (void)state;
    static const struct extraction_case cases[] = {
        {"no header", {{NULL}}, "deferred", 0},
        {"sampled",
         {{"traceparent: 00-" W3C_TRACE "-" W3C_SPAN "-01"}},
         W3C_TRACE " " W3C_SPAN " accepted",
         0},
        {"not sampled",
         {{"traceparent: 00-" W3C_TRACE "-" W3C_SPAN "-00"}},
         W3C_TRACE " " W3C_SPAN " denied",
         0},
        {"unknown flags, not sampled",
         {{"traceparent: 00-" W3C_TRACE "-" W3C_SPAN "-fe"}},
         W3C_TRACE " " W3C_SPAN " denied",
         0},
        {"unknown flags, sampled",
         {{"traceparent: 00-" W3C_TRACE "-" W3C_SPAN "-ab"}},
         W3C_TRACE " " W3C_SPAN " accepted",
         0},
        {"later version",
         {{"traceparent: cc-" W3C_TRACE "-" W3C_SPAN "-01"}},
         W3C_TRACE " " W3C_SPAN " accepted",
         0},
        {"later version with more",
         {{"traceparent: 01-" W3C_TRACE "-" W3C_SPAN "-01-What?"}},
         W3C_TRACE " " W3C_SPAN " accepted",
         0},
        {"trace state",
         {{"traceparent: 00-" W3C_TRACE "-" W3C_SPAN "-01", "tracestate: a=1,b@c=2"}},
         W3C_TRACE " " W3C_SPAN " accepted a=1,b@c=2",
         0},
        {"empty trace state",
         {{"traceparent: 00-" W3C_TRACE "-" W3C_SPAN "-01", "tracestate:"}},
         W3C_TRACE " " W3C_SPAN " accepted",
         0},
        {"trace state that is no text",
         {{"traceparent: 00-" W3C_TRACE "-" W3C_SPAN "-01", "tracestate: a=\x01"}},
         W3C_TRACE " " W3C_SPAN " accepted",
         0},
        {"trace state beyond ASCII",
         {{"traceparent: 00-" W3C_TRACE "-" W3C_SPAN "-01", "tracestate: a=\xc3\xa4"}},
         W3C_TRACE " " W3C_SPAN " accepted",
         0},
        {"oldest entries of trace state go",
         {{"traceparent: 00-" W3C_TRACE "-" W3C_SPAN "-01", "tracestate: a=1", "tracestate: b=2"}},
         W3C_TRACE " " W3C_SPAN " accepted a=1",
         0},
        {"trace state alone is nothing", {{"tracestate: a=1"}}, "deferred", 0},
        {"bad traceparent, so no trace state",
         {{"traceparent: 00-" ZERO_TRACE "-" W3C_SPAN "-01", "tracestate: a=1"}},
         "deferred",
         1},
        {"two of them",
         {{"traceparent: 00-" W3C_TRACE "-" W3C_SPAN "-01",
           "traceparent: 00-" TRACE "-" SPAN "-01"}},
         "deferred",
         1},
    };

    assert_extractions("tracecontext", cases, ARRAY_LENGTH(cases));
}

static void a_malformed_traceparent_is_counted(void **state)
{
    (void)state;
    static const char *const values[] = {
        "",
        "00",
        "ff-" W3C_TRACE "-" W3C_SPAN "-01",
        "0-" W3C_TRACE "-" W3C_SPAN "-01",
        "0g-" W3C_TRACE "-" W3C_SPAN "-01",
        "CC-" W3C_TRACE "-" W3C_SPAN "-01",
        "00-" W3C_TRACE "-" W3C_SPAN "-01-",
        "00-" W3C_TRACE "-" W3C_SPAN "-01-extra",
        "cc-" W3C_TRACE "-" W3C_SPAN "-01extra",
        "00-" W3C_TRACE "-" W3C_SPAN "-1",
        "00-" W3C_TRACE "-" W3C_SPAN "-0",
        "00-" W3C_TRACE "-" W3C_SPAN "-0G",
        "00-" W3C_TRACE "-" W3C_SPAN "-0A",
        "00-" W3C_TRACE "-" W3C_SPAN,
        "00_" W3C_TRACE "-" W3C_SPAN "-01",
        "00-" W3C_TRACE "_" W3C_SPAN "-01",
        "00-" W3C_TRACE "-" W3C_SPAN "_01",
        "00-" ZERO_TRACE "-" W3C_SPAN "-01",
        "00-" W3C_TRACE "-" ZERO_SPAN "-01",
        "00-0AF7651916CD43DD8448EB211C80319C-" W3C_SPAN "-01",
        "00-" W3C_TRACE "-B7AD6B7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319g-" W3C_SPAN "-01",
        "00-" LOW_TRACE "-" W3C_SPAN "-01",
        "00-" W3C_TRACE "-" W3C_SPAN "-01,00-" W3C_TRACE "-" W3C_SPAN "-01",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
        struct str              line = arena_format(arena, "traceparent: %s", values[i]);
        struct trace_extraction extraction = extract("tracecontext", (struct headers){{line.at}});

        if (extraction.malformed != 1 || strcmp(describe(&extraction.context), "deferred") != 0)
            fail_msg("\"%s\": saw \"%s\" and %u malformed", values[i],
                     describe(&extraction.context), extraction.malformed);
    }
}

static void a_trace_state_may_have_512_bytes(void **state)
{
    (void)state;
    char line[sizeof("tracestate: ") + 513] = "tracestate: ";

    memset(line + strlen("tracestate: "), 'a', 513);
    struct trace_extraction extraction =
        extract("tracecontext", (struct headers){{"traceparent: 00-" TRACE "-" SPAN "-01", line}});
    assert_int_equal(extraction.context.trace_state.len, 0);

    line[strlen(line) - 1] = '\0';
    extraction =
        extract("tracecontext", (struct headers){{"traceparent: 00-" TRACE "-" SPAN "-01", line}});
    assert_int_equal(extraction.context.trace_state.len, 512);
}

static void the_order_of_propagators_is_their_precedence(void **state)
{
    (void)state;
    static const struct {
        const char            *propagators;
        struct extraction_case extraction;
    } cases[] = {
        {"b3multi,tracecontext",
         {"B3 first, ids are not mixed",
          {{"traceparent: 00-" W3C_TRACE "-" W3C_SPAN "-01", "tracestate: a=1",
            "b3: " TRACE "-" SPAN "-0"}},
          TRACE " " SPAN " denied",
          0}},
        {"tracecontext,b3multi",
         {"W3C first",
          {{"traceparent: 00-" W3C_TRACE "-" W3C_SPAN "-01", "tracestate: a=1",
            "b3: " TRACE "-" SPAN "-0"}},
          W3C_TRACE " " W3C_SPAN " accepted a=1",
          0}},
        {"b3multi,tracecontext",
         {"no B3, so W3C",
          {{"traceparent: 00-" W3C_TRACE "-" W3C_SPAN "-01"}},
          W3C_TRACE " " W3C_SPAN " accepted",
          0}},
        {"b3multi,tracecontext",
         {"bad B3, so W3C",
          {{"b3: ?", "x-b3-traceid: ?", "traceparent: 00-" W3C_TRACE "-" W3C_SPAN "-01"}},
          W3C_TRACE " " W3C_SPAN " accepted",
          2}},
        {"tracecontext,b3",
         {"bad W3C, so B3",
          {{"traceparent: ?", "b3: " TRACE "-" SPAN}},
          TRACE " " SPAN " deferred",
          1}},
        {"b3,tracecontext",
         {"all bad", {{"traceparent: ?", "b3: ?", "x-b3-spanid: ?"}}, "deferred", 3}},
        {"b3,tracecontext",
         {"what comes later is not looked at",
          {{"traceparent: ?", "b3: " TRACE "-" SPAN}},
          TRACE " " SPAN " deferred",
          0}},
        {"tracecontext", {"B3 is not configured", {{"b3: " TRACE "-" SPAN}}, "deferred", 0}},
        {"b3",
         {"W3C is not configured",
          {{"traceparent: 00-" W3C_TRACE "-" W3C_SPAN "-01"}},
          "deferred",
          0}},
        {"baggage", {"baggage carries none", {{"baggage: a=1", "b3: 1"}}, "deferred", 0}},
        {"none", {"no propagator", {{"b3: 1"}}, "deferred", 0}},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_extractions(cases[i].propagators, &cases[i].extraction, 1);
}

static struct trace_context context_of(const char *b3_or_traceparent)
{
    struct trace_extraction extraction =
        extract("b3,tracecontext", (struct headers){{b3_or_traceparent, "tracestate: a=1"}});
    assert_int_equal(extraction.malformed, 0);
    return extraction.context;
}

#define SENT SPAN
#define NEWER "00000000000000aa"
#define NEWEST "00000000000000bb"
#define B3_LINE(trace, span, sampled) "b3: " trace "-" span "-" sampled
#define W3C_LINE(trace, span, flags) "traceparent: 00-" trace "-" span "-" flags
#define MULTI_LINES(trace, span, sampled) \
    "x-b3-traceid: " trace, "x-b3-spanid: " span, "x-b3-sampled: " sampled

static void a_form_that_a_proxy_rewrote_wins(void **state)
{
    (void)state;
    static const struct {
        const char    *rule, *propagators;
        struct headers headers;
        const char    *sent, *expected;
    } cases[] = {
        {"nothing touched: the first",
         "b3multi,tracecontext",
         {{MULTI_LINES(TRACE, SENT, "1"), W3C_LINE(TRACE, SENT, "01")}},
         SENT,
         TRACE " " SENT " accepted"},
        {"nothing touched: the first decides",
         "b3,tracecontext",
         {{B3_LINE(TRACE, SENT, "1"), W3C_LINE(TRACE, SENT, "00")}},
         SENT,
         TRACE " " SENT " accepted"},
        {"a decision alone is the first, and the last to be looked at",
         "b3,tracecontext",
         {{"b3: 0", W3C_LINE(ZERO_TRACE, NEWER, "01")}},
         "",
         "denied"},
        {"only the second rewritten",
         "b3multi,tracecontext",
         {{MULTI_LINES(TRACE, SENT, "1"), W3C_LINE(TRACE, NEWER, "01")}},
         SENT,
         TRACE " " NEWER " accepted"},
        {"only the first rewritten",
         "b3multi,tracecontext",
         {{MULTI_LINES(TRACE, NEWER, "1"), W3C_LINE(TRACE, SENT, "01")}},
         SENT,
         TRACE " " NEWER " accepted"},
        {"in the other order too",
         "tracecontext,b3multi",
         {{MULTI_LINES(TRACE, NEWER, "1"), W3C_LINE(TRACE, SENT, "01")}},
         SENT,
         TRACE " " NEWER " accepted"},
        {"both rewritten: the first",
         "b3multi,tracecontext",
         {{MULTI_LINES(TRACE, NEWER, "1"), W3C_LINE(TRACE, NEWEST, "01")}},
         SENT,
         TRACE " " NEWER " accepted"},
        {"of three, the one",
         "b3,tracecontext",
         {{B3_LINE(TRACE, SENT, "1"), MULTI_LINES(TRACE, SENT, "1"), W3C_LINE(TRACE, NEWER, "01")}},
         SENT,
         TRACE " " NEWER " accepted"},
        {"the one in the middle",
         "b3,tracecontext",
         {{B3_LINE(TRACE, SENT, "1"), MULTI_LINES(TRACE, NEWER, "1"), W3C_LINE(TRACE, SENT, "01")}},
         SENT,
         TRACE " " NEWER " accepted"},
        {"of two that were rewritten, the first",
         "b3,tracecontext",
         {{B3_LINE(TRACE, SENT, "1"), MULTI_LINES(TRACE, NEWER, "1"),
           W3C_LINE(TRACE, NEWEST, "01")}},
         SENT,
         TRACE " " NEWER " accepted"},
        {"nobody said what was sent",
         "b3multi,tracecontext",
         {{MULTI_LINES(TRACE, SENT, "1"), W3C_LINE(TRACE, NEWER, "01")}},
         "",
         TRACE " " SENT " accepted"},
        {"of another trace",
         "b3multi,tracecontext",
         {{MULTI_LINES(TRACE, SENT, "1"), W3C_LINE(W3C_TRACE, NEWER, "01")}},
         SENT,
         TRACE " " SENT " accepted"},
        {"of another trace, and one of this after it",
         "b3,tracecontext",
         {{B3_LINE(TRACE, SENT, "1"), MULTI_LINES(W3C_TRACE, NEWEST, "1"),
           W3C_LINE(TRACE, NEWER, "01")}},
         SENT,
         TRACE " " NEWER " accepted"},
        {"not configured",
         "b3multi",
         {{MULTI_LINES(TRACE, SENT, "1"), W3C_LINE(TRACE, NEWER, "01")}},
         SENT,
         TRACE " " SENT " accepted"},
        {"without ids there is nothing to compare",
         "b3,tracecontext",
         {{"b3: 0", W3C_LINE(TRACE, NEWER, "01")}},
         SENT,
         "denied"},
        {"the proxy's decision holds",
         "b3multi,tracecontext",
         {{MULTI_LINES(TRACE, SENT, "1"), W3C_LINE(TRACE, NEWER, "00")}},
         SENT,
         TRACE " " NEWER " denied"},
        {"unless it made none",
         "tracecontext,b3",
         {{"b3: " TRACE "-" NEWER, W3C_LINE(TRACE, SENT, "00")}},
         SENT,
         TRACE " " NEWER " denied"},
        {"debug stays",
         "b3,tracecontext",
         {{B3_LINE(TRACE, SENT, "d"), W3C_LINE(TRACE, NEWER, "01")}},
         SENT,
         TRACE " " NEWER " debug"},
        {"but not against a denial",
         "b3,tracecontext",
         {{B3_LINE(TRACE, SENT, "d"), W3C_LINE(TRACE, NEWER, "00")}},
         SENT,
         TRACE " " NEWER " denied"},
        {"64 bits stay 64",
         "b3,tracecontext",
         {{B3_LINE(LOW_TRACE, SENT, "1"), W3C_LINE(ZERO_SPAN LOW_TRACE, NEWER, "01")}},
         SENT,
         ZERO_SPAN LOW_TRACE " " NEWER " accepted 64"},
        {"in the other order too",
         "tracecontext,b3",
         {{B3_LINE(LOW_TRACE, NEWER, "1"), W3C_LINE(ZERO_SPAN LOW_TRACE, SENT, "01")}},
         SENT,
         ZERO_SPAN LOW_TRACE " " NEWER " accepted 64"},
        {"a state stays",
         "tracecontext,b3",
         {{B3_LINE(TRACE, NEWER, "1"), W3C_LINE(TRACE, SENT, "01"), "tracestate: a=b"}},
         SENT,
         TRACE " " NEWER " accepted a=b"},
        {"a state comes with its form",
         "b3,tracecontext",
         {{B3_LINE(TRACE, SENT, "1"), W3C_LINE(TRACE, NEWER, "01"), "tracestate: a=b"}},
         SENT,
         TRACE " " NEWER " accepted a=b"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct trace_extraction extraction =
            extract_sent(cases[i].propagators, cases[i].headers, cases[i].sent);
        const char *seen = describe(&extraction.context);

        if (strcmp(seen, cases[i].expected) != 0 || extraction.malformed != 0)
            fail_msg("%s: expected \"%s\", saw \"%s\" and %u malformed", cases[i].rule,
                     cases[i].expected, seen, extraction.malformed);
    }
}

static void a_malformed_form_rewrites_nothing_and_is_counted(void **state)
{
    (void)state;
    struct trace_extraction extraction = extract_sent(
        "b3,tracecontext",
        (struct headers){{B3_LINE(TRACE, SENT, "1"), W3C_LINE(ZERO_TRACE, NEWER, "01")}}, SENT);

    assert_string_equal(describe(&extraction.context), TRACE " " SENT " accepted");
    assert_int_equal(extraction.malformed, 1);
}

struct injection_case {
    const char *rule;
    const char *propagators;
    const char *context; /* as a header */
    const char *expected;
};

static void assert_injection(const struct injection_case *injection)
{
    struct propagators   propagators = propagators_of(injection->propagators);
    struct trace_context context = context_of(injection->context);
    struct metadata      headers = {0};

    assert_int_equal(trace_context_inject(&context, &propagators, &headers, arena), 0);

    char   seen[1024] = "";
    size_t len = 0;
    for (size_t i = 0; i < headers.count; i++) {
        assert_int_equal(headers.fields[i].value.at[headers.fields[i].value.len], '\0');
        len += (size_t)snprintf(seen + len, sizeof(seen) - len, "%s%s: %s", i > 0 ? "\n" : "",
                                headers.fields[i].name.at, headers.fields[i].value.at);
    }
    if (strcmp(seen, injection->expected) != 0)
        fail_msg("%s: expected\n%s\nsaw\n%s", injection->rule, injection->expected, seen);
}

static void each_configured_form_is_injected(void **state)
{
    (void)state;
    static const struct injection_case cases[] = {
        {"single, accepted", "b3", "b3: " TRACE "-" SPAN "-1", "b3: " TRACE "-" SPAN "-1"},
        {"single, denied", "b3", "b3: " TRACE "-" SPAN "-0", "b3: " TRACE "-" SPAN "-0"},
        {"single, debug", "b3", "b3: " TRACE "-" SPAN "-d", "b3: " TRACE "-" SPAN "-d"},
        {"single, deferred", "b3", "b3: " TRACE "-" SPAN, "b3: " TRACE "-" SPAN},
        {"single, no parent", "b3", "b3: " TRACE "-" SPAN "-1-" PARENT, "b3: " TRACE "-" SPAN "-1"},
        {"single, 64 bits", "b3", "b3: " LOW_TRACE "-" SPAN "-1", "b3: " LOW_TRACE "-" SPAN "-1"},
        {"single, deny alone", "b3", "b3: 0", "b3: 0"},
        {"single, debug alone", "b3", "b3: d", "b3: d"},
        {"multi, accepted", "b3multi", "b3: " TRACE "-" SPAN "-1",
         "x-b3-traceid: " TRACE "\nx-b3-spanid: " SPAN "\nx-b3-sampled: 1"},
        {"multi, denied, with ids", "b3multi", "b3: " TRACE "-" SPAN "-0",
         "x-b3-traceid: " TRACE "\nx-b3-spanid: " SPAN "\nx-b3-sampled: 0"},
        {"multi, debug, without sampled", "b3multi", "b3: " TRACE "-" SPAN "-d",
         "x-b3-traceid: " TRACE "\nx-b3-spanid: " SPAN "\nx-b3-flags: 1"},
        {"multi, deferred", "b3multi", "b3: " TRACE "-" SPAN,
         "x-b3-traceid: " TRACE "\nx-b3-spanid: " SPAN},
        {"multi, no parent", "b3multi", "b3: " TRACE "-" SPAN "-1-" PARENT,
         "x-b3-traceid: " TRACE "\nx-b3-spanid: " SPAN "\nx-b3-sampled: 1"},
        {"multi, 64 bits", "b3multi", "b3: " LOW_TRACE "-" SPAN "-1",
         "x-b3-traceid: " LOW_TRACE "\nx-b3-spanid: " SPAN "\nx-b3-sampled: 1"},
        {"multi, deny alone", "b3multi", "b3: 0", "x-b3-sampled: 0"},
        {"traceparent, accepted", "tracecontext", "b3: " TRACE "-" SPAN "-1",
         "traceparent: 00-" TRACE "-" SPAN "-01"},
        {"traceparent, debug", "tracecontext", "b3: " TRACE "-" SPAN "-d",
         "traceparent: 00-" TRACE "-" SPAN "-01"},
        {"traceparent, denied", "tracecontext", "b3: " TRACE "-" SPAN "-0",
         "traceparent: 00-" TRACE "-" SPAN "-00"},
        {"traceparent, 64 bits are padded", "tracecontext", "b3: " LOW_TRACE "-" SPAN "-1",
         "traceparent: 00-" ZERO_SPAN LOW_TRACE "-" SPAN "-01"},
        {"traceparent has no form for a decision alone", "tracecontext", "b3: 0", ""},
        {"traceparent, with the state it came with", "tracecontext",
         "traceparent: 00-" TRACE "-" SPAN "-01",
         "traceparent: 00-" TRACE "-" SPAN "-01\ntracestate: a=1"},
        {"traceparent is rewritten in our version", "tracecontext",
         "traceparent: cc-" TRACE "-" SPAN "-ff-more",
         "traceparent: 00-" TRACE "-" SPAN "-01\ntracestate: a=1"},
        {"B3 knows no state", "b3multi", "traceparent: 00-" TRACE "-" SPAN "-01",
         "x-b3-traceid: " TRACE "\nx-b3-spanid: " SPAN "\nx-b3-sampled: 1"},
        {"all, in order", "tracecontext,baggage,b3", "traceparent: 00-" TRACE "-" SPAN "-00",
         "traceparent: 00-" TRACE "-" SPAN "-00\ntracestate: a=1\nb3: " TRACE "-" SPAN "-0"},
        {"nothing to say", "b3,b3multi,tracecontext", "other: header", ""},
        {"nobody to say it", "none", "b3: " TRACE "-" SPAN "-1", ""},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_injection(&cases[i]);
}

static void injection_fails_when_the_arena_is_used_up(void **state)
{
    (void)state;
    struct trace_context context = context_of("traceparent: 00-" TRACE "-" SPAN "-01");
    struct propagators   propagators = propagators_of("b3multi,tracecontext");
    int                  r = -ENOMEM;

    for (size_t budget_bytes = 0; r == -ENOMEM; budget_bytes++) {
        cleanup_with(arena_free_at) struct arena *small = arena_new(budget_bytes);
        struct metadata                           headers = {0};

        assert_true(budget_bytes < 4096);
        r = trace_context_inject(&context, &propagators, &headers, small);
        if (r == 0)
            assert_int_equal(headers.count, 5);
    }
    assert_int_equal(r, 0);
}

static void propagators_are_parsed(void **state)
{
    (void)state;
    static const struct {
        const char        *text;
        struct propagators expected;
    } cases[] = {
        {"b3multi,tracecontext,baggage",
         {{PROPAGATOR_B3_MULTI, PROPAGATOR_TRACECONTEXT, PROPAGATOR_BAGGAGE}, 3}},
        {" b3 , TraceContext", {{PROPAGATOR_B3, PROPAGATOR_TRACECONTEXT}, 2}},
        {"b3,b3,tracecontext,b3", {{PROPAGATOR_B3, PROPAGATOR_TRACECONTEXT}, 2}},
        {"none", {{0}, 0}},
        {" None ", {{0}, 0}},
        {"", {{0}, 0}},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct propagators seen = propagators_of(cases[i].text);
        if (seen.count != cases[i].expected.count)
            fail_msg("\"%s\": %zu propagators", cases[i].text, seen.count);
        for (size_t j = 0; j < seen.count; j++)
            if (seen.order[j] != cases[i].expected.order[j])
                fail_msg("\"%s\": propagator %zu is %d", cases[i].text, j, seen.order[j]);
    }
}

static void an_unknown_propagator_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *bad;
    } cases[] = {
        {"jaeger", "jaeger"}, {"b3,xray,baggage", "xray"}, {"b3,none", "none"},
        {"none,b3", "none"},  {"b3,,baggage", ""},         {"b3 baggage", "b3 baggage"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct propagators propagators;
        struct str         bad = STR("?");
        if (propagators_parse(str_from(cases[i].text), &propagators, &bad) != -EINVAL ||
            !str_equal(bad, str_from(cases[i].bad)))
            fail_msg("\"%s\": \"%.*s\" is said to be bad", cases[i].text, STR_ARGS(bad));
    }
}

static void headers_of_trace_context_are_known(void **state)
{
    (void)state;
    static const char *const owned[] = {
        "b3",           "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid",
        "x-b3-sampled", "x-b3-flags",   "traceparent", "tracestate",
    };
    static const char *const others[] = {
        "", "b", "b3x", "x-b3-", "baggage", "x-request-id", "x-ot-span-context",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(owned); i++)
        if (!trace_context_owns_header(str_from(owned[i])))
            fail_msg("%s is not known", owned[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        if (trace_context_owns_header(str_from(others[i])))
            fail_msg("\"%s\" is none", others[i]);
}

#define test_with_arena(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_with_arena(the_single_b3_header_is_read),
        test_with_arena(a_malformed_single_b3_header_is_counted),
        test_with_arena(the_b3_headers_are_read),
        test_with_arena(the_single_b3_header_comes_before_the_others),
        test_with_arena(traceparent_is_read),
        test_with_arena(a_malformed_traceparent_is_counted),
        test_with_arena(a_trace_state_may_have_512_bytes),
        test_with_arena(the_order_of_propagators_is_their_precedence),
        test_with_arena(a_form_that_a_proxy_rewrote_wins),
        test_with_arena(a_malformed_form_rewrites_nothing_and_is_counted),
        test_with_arena(each_configured_form_is_injected),
        test_with_arena(injection_fails_when_the_arena_is_used_up),
        test_with_arena(propagators_are_parsed),
        test_with_arena(an_unknown_propagator_is_named),
        test_with_arena(headers_of_trace_context_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
