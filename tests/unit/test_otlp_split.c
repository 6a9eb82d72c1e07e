#include "collector/spans/otlp_split.h"

#include "collector/spans/skim.h"
#include "common/base/cleanup.h"
#include "common/edge/proto.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"
#include "tests/unit/sample_spans.h"

typedef Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceRequest ExportRequest;
typedef Opentelemetry__Proto__Trace__V1__ResourceSpans                        ResourceSpans;
typedef Opentelemetry__Proto__Trace__V1__ScopeSpans                           ScopeSpans;

enum { MAX_PIECES = 4096 };

static struct pieces {
    struct otlp_piece all[MAX_PIECES];
    size_t            n;
    uint32_t          n_too_large;
} pieces;

static uint32_t skimmed(struct str request)
{
    uint32_t    n_spans = 0;
    const char *reason;

    if (skim_request(request, &n_spans, &reason) != 0)
        fail_msg("the skim refuses: %s", reason);
    return n_spans;
}

/* False at the end. Whatever the request, a piece keeps these rules. */
static bool next_piece(struct otlp_split *split, size_t size)
{
    char *buffer = arena_alloc(samples, size);
    assert_non_null(buffer);

    struct otlp_piece *piece = &pieces.all[pieces.n];
    bool               is_piece = otlp_split_next(split, buffer, size, piece);
    pieces.n_too_large = split->n_too_large;
    if (!is_piece)
        return false;

    assert_in_range(piece->request.len, 1, size);
    assert_int_equal(skimmed(piece->request), piece->n_spans);
    assert_true(++pieces.n < MAX_PIECES);
    return true;
}

static void split_into(struct str request, size_t size)
{
    struct otlp_split split = otlp_split(request);

    pieces.n = 0;
    while (next_piece(&split, size))
        ;
}

#define expect_pieces(...)                         \
    expect_pieces_are((struct str[]){__VA_ARGS__}, \
                      sizeof((struct str[]){__VA_ARGS__}) / sizeof(struct str))

static void expect_pieces_are(const struct str expected[], size_t n)
{
    assert_int_equal(pieces.n, n);
    for (size_t i = 0; i < n; i++)
        expect_str(pieces.all[i].request, expected[i]);
}

static struct str padded_span(size_t n_bytes)
{
    char *name = arena_zalloc(samples, n_bytes);
    assert_non_null(name);
    return SPAN(field_bytes(SPAN_NAME, (struct str){name, n_bytes}));
}

static void nothing_gives_no_piece(void **state)
{
    (void)state;
    split_into(STR(""), 100);
    assert_int_equal(pieces.n, 0);
    split_into((struct str){0}, 100);
    assert_int_equal(pieces.n, 0);
}

static void a_request_that_fits_is_one_piece(void **state)
{
    (void)state;
    struct str one = RESOURCE_SPANS(sample_resource(STR("web")), SCOPE_SPANS(padded_span(10)));
    struct str request = JOIN(one, field_varint(100, 1), RESOURCE_SPANS(STR("")), one);

    split_into(request, request.len);
    expect_pieces(request);
    assert_int_equal(pieces.all[0].n_spans, 2);
}

static void resource_spans_are_kept_whole_when_they_fit(void **state)
{
    (void)state;
    struct str one = RESOURCE_SPANS(SCOPE_SPANS(padded_span(10), padded_span(10)));
    struct str request = JOIN(one, one, one, one, one);

    split_into(request, 2 * one.len);
    expect_pieces(JOIN(one, one), JOIN(one, one), one);
    assert_int_equal(pieces.n_too_large, 0);
}

static void scope_spans_are_kept_whole_when_they_fit(void **state)
{
    (void)state;
    struct str resource = sample_resource(STR("web"));
    struct str one = SCOPE_SPANS(sample_scope(STR("x")), padded_span(100), padded_span(100));
    struct str two = SCOPE_SPANS(sample_scope(STR("y")), padded_span(100), padded_span(100));
    struct str piece = RESOURCE_SPANS(resource, one);

    split_into(RESOURCE_SPANS(resource, one, two), piece.len);
    expect_pieces(piece, RESOURCE_SPANS(resource, two));
}

static void what_is_cut_is_filled_up_to_the_last_byte(void **state)
{
    (void)state;
    struct str span = padded_span(20);
    struct str request = RESOURCE_SPANS(SCOPE_SPANS(span, span, span, span));
    struct str three = RESOURCE_SPANS(SCOPE_SPANS(span, span, span));

    split_into(request, three.len);
    expect_pieces(three, RESOURCE_SPANS(SCOPE_SPANS(span)));
    split_into(request, three.len - 1);
    expect_pieces(RESOURCE_SPANS(SCOPE_SPANS(span, span)), RESOURCE_SPANS(SCOPE_SPANS(span, span)));
}

static void a_piece_is_filled_across_envelopes(void **state)
{
    (void)state;
    struct str span = padded_span(20);
    struct str one = RESOURCE_SPANS(SCOPE_SPANS(span)),
               two = RESOURCE_SPANS(SCOPE_SPANS(span, span));

    split_into(JOIN(one, two), 2 * one.len);
    expect_pieces(JOIN(one, one), one);
}

static void each_part_repeats_what_its_envelopes_say(void **state)
{
    (void)state;
    struct str span = padded_span(200);
    struct str before = JOIN(field_varint(100, 1), sample_scope(STR("x")));
    struct str behind = field_bytes(SCOPE_SPANS_SCHEMA_URL, STR("scope/1"));
    struct str resource = JOIN(sample_resource(STR("web")), field_varint(100, 2));
    struct str url = field_bytes(RESOURCE_SPANS_SCHEMA_URL, STR("resource/1"));
    struct str part = RESOURCE_SPANS(resource, url, SCOPE_SPANS(before, behind, span));

    split_into(RESOURCE_SPANS(resource, SCOPE_SPANS(before, span, span, behind), url), part.len);
    expect_pieces(part, part);
}

static void unknown_fields_of_the_request_itself_come_once(void **state)
{
    (void)state;
    struct str unknown = field_bytes(100, STR("?"));
    struct str one = RESOURCE_SPANS(SCOPE_SPANS(padded_span(20)));

    split_into(JOIN(one, unknown, one), one.len + unknown.len);
    expect_pieces(JOIN(one, unknown), one);
    split_into(JOIN(one, unknown, one), one.len);
    expect_pieces(one, unknown, one);
    split_into(JOIN(one, field_bytes(100, one), one), one.len);
    expect_pieces(one, one);
}

static void what_fits_into_no_piece_is_counted(void **state)
{
    (void)state;
    struct str small = padded_span(20), large = padded_span(21);
    struct str piece = RESOURCE_SPANS(SCOPE_SPANS(small));

    split_into(RESOURCE_SPANS(SCOPE_SPANS(large, small, large, small, large)), piece.len);
    expect_pieces(piece, piece);
    assert_int_equal(pieces.n_too_large, 3);

    split_into(RESOURCE_SPANS(SCOPE_SPANS(large), SCOPE_SPANS(large)), 1);
    assert_int_equal(pieces.n, 0);
    assert_int_equal(pieces.n_too_large, 2);
}

static void envelopes_without_spans_never_hold_up_spans(void **state)
{
    (void)state;
    struct str large = field_bytes(RESOURCE_SPANS_RESOURCE, padded_span(500));
    struct str empty = SCOPE_SPANS(STR("")), full = SCOPE_SPANS(padded_span(20));
    struct str one = RESOURCE_SPANS(full);

    split_into(JOIN(RESOURCE_SPANS(large), one, RESOURCE_SPANS(large, empty)), one.len);
    expect_pieces(one);
    assert_int_equal(pieces.n_too_large, 0);
}

/* Else a small request could become a large number of large pieces. */
static void an_envelope_that_fills_more_than_a_quarter_is_not_cut(void **state)
{
    (void)state;
    struct str name = {arena_zalloc(samples, 300), 300};
    struct str span = padded_span(400);
    struct str whole = RESOURCE_SPANS(sample_resource(name), SCOPE_SPANS(span));
    struct str large = RESOURCE_SPANS(sample_resource(name), SCOPE_SPANS(span, span, span));

    split_into(JOIN(whole, large, whole), 1000);
    expect_pieces(whole, whole);
    assert_int_equal(pieces.n_too_large, 3);

    split_into(large, 4 * (sample_resource(name).len + 6));
    assert_int_equal(pieces.n, 2);
    assert_int_equal(pieces.n_too_large, 0);
}

/* Else each piece would have to look through all of the request. */
static void an_envelope_whose_own_fields_are_strewn_about_is_not_cut(void **state)
{
    (void)state;
    struct str span = padded_span(20), parts[2 * OTLP_MAX_RUNS + 2];

    for (size_t i = 0; i < ARRAY_LENGTH(parts); i += 2) {
        parts[i] = JOIN(field_varint(100, i), field_varint(101, i));
        parts[i + 1] = span;
    }

    struct str most = RESOURCE_SPANS(SCOPE_SPANS(join(parts, ARRAY_LENGTH(parts) - 2)));
    split_into(most, most.len - 1);
    assert_int_equal(pieces.n, 2);
    assert_int_equal(pieces.n_too_large, 0);

    struct str more = RESOURCE_SPANS(SCOPE_SPANS(join(parts, ARRAY_LENGTH(parts))));
    split_into(more, more.len);
    expect_pieces(more);
    split_into(more, more.len - 1);
    assert_int_equal(pieces.n, 0);
    assert_int_equal(pieces.n_too_large, OTLP_MAX_RUNS + 1);
}

static void the_size_may_change_from_piece_to_piece(void **state)
{
    (void)state;
    struct str span = padded_span(100);
    struct str resource = sample_resource(STR("web")), scope = sample_scope(STR("x"));
    struct str scope_spans = SCOPE_SPANS(scope, span, span, span, span, span);
    struct str one = RESOURCE_SPANS(resource, SCOPE_SPANS(scope, span));
    struct str two = RESOURCE_SPANS(resource, SCOPE_SPANS(scope, span, span));

    pieces.n = 0;
    struct otlp_split split =
        otlp_split(JOIN(RESOURCE_SPANS(resource, scope_spans, SCOPE_SPANS(span)), two));
    assert_true(next_piece(&split, two.len));
    assert_true(next_piece(&split, one.len));

    /* Too small for anything: what is left of the ten is counted, and nothing twice. */
    assert_false(next_piece(&split, 20));
    expect_pieces(two, one);
    assert_int_equal(pieces.n_too_large, 8 - 3);
}

/* Of a seed, the same numbers each time. */
static uint64_t seed;

static unsigned below(unsigned limit)
{
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)(seed >> 33) % limit;
}

/* Neither none nor NUL, for protobuf-c would pack less than that. */
static struct str some_bytes(unsigned limit)
{
    size_t n = 1 + below(limit);
    char  *bytes = arena_alloc(samples, n);

    assert_non_null(bytes);
    return (struct str){memset(bytes, 'x', n), n};
}

static struct str nothing_or(struct str field)
{
    return below(3) == 0 ? STR("") : field;
}

static unsigned least_children;

static struct str random_children(uint32_t number, struct str (*child)(void))
{
    struct str children = STR("");

    for (unsigned n = least_children + below(4); n > 0; n--)
        children = JOIN(children, field_bytes(number, child()), nothing_or(field_varint(200, n)));
    return children;
}

static struct str random_span(void)
{
    return nothing_or(field_bytes(SPAN_NAME, some_bytes(below(8) == 0 ? 400 : 40)));
}

static struct str random_scope_spans(void)
{
    struct str scope =
        nothing_or(field_bytes(SCOPE_SPANS_SCOPE, field_bytes(SCOPE_NAME, some_bytes(30))));
    struct str url = nothing_or(field_bytes(SCOPE_SPANS_SCHEMA_URL, some_bytes(20)));
    struct str spans = random_children(SCOPE_SPANS_SPANS, random_span);

    return below(2) == 0 ? JOIN(scope, spans, url) : JOIN(spans, url, scope);
}

static struct str random_resource_spans(void)
{
    struct str resource = nothing_or(sample_resource(some_bytes(50)));
    struct str scope_spans = random_children(RESOURCE_SPANS_SCOPE_SPANS, random_scope_spans);

    return below(2) == 0 ? JOIN(resource, scope_spans) : JOIN(scope_spans, resource);
}

/* A span as protobuf-c sees it, and its envelopes without their children. */
struct flat_span {
    struct str resource_spans, scope_spans, span;
};

struct flat {
    struct flat_span spans[MAX_PIECES];
    size_t           n;
};

static void flatten_scope_spans(struct flat *flat, struct str resource_spans,
                                ScopeSpans *scope_spans)
{
    size_t n_spans = scope_spans->n_spans;
    scope_spans->n_spans = 0;
    struct str own = proto_pack(&scope_spans->base, samples);

    for (size_t i = 0; i < n_spans; i++) {
        assert_true(flat->n < MAX_PIECES);
        flat->spans[flat->n++] = (struct flat_span){
            resource_spans, own, proto_pack(&scope_spans->spans[i]->base, samples)};
    }
}

static void flatten(struct flat *flat, struct str request)
{
    static const struct wire_limits limits = {.max_depth = 1000, .max_fields = 100 * 1000};
    ExportRequest                  *unpacked = proto_unpack(
                         &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor,
                         request, limits, samples);
    assert_non_null(unpacked);

    for (size_t i = 0; i < unpacked->n_resource_spans; i++) {
        ResourceSpans *resource_spans = unpacked->resource_spans[i];
        size_t         n_scope_spans = resource_spans->n_scope_spans;
        resource_spans->n_scope_spans = 0;
        struct str own = proto_pack(&resource_spans->base, samples);
        for (size_t j = 0; j < n_scope_spans; j++)
            flatten_scope_spans(flat, own, resource_spans->scope_spans[j]);
    }
}

static bool is_same(const struct flat_span *a, const struct flat_span *b)
{
    return str_equal(a->span, b->span) && str_equal(a->scope_spans, b->scope_spans) &&
           str_equal(a->resource_spans, b->resource_spans);
}

/* What a piece with this span alone would take; more than there is when it may not be cut out. */
static size_t alone_bytes(const struct flat_span *span, size_t size)
{
    if (span->resource_spans.len + 6 > size / 4 || span->scope_spans.len + 6 > size / 4)
        return SIZE_MAX / 2;
    return RESOURCE_SPANS(span->resource_spans, SCOPE_SPANS(span->scope_spans, SPAN(span->span)))
        .len;
}

/* In their order, but for those that are too large. */
static void expect_same_spans(const struct flat *all, const struct flat *sent, size_t size)
{
    size_t n_found = 0;

    for (size_t i = 0; i < all->n; i++) {
        if (n_found < sent->n && is_same(&all->spans[i], &sent->spans[n_found]))
            n_found++;
        else if (alone_bytes(&all->spans[i], size) <= size)
            fail_msg("span %zu of %zu is missing", i, all->n);
    }
    assert_int_equal(n_found, sent->n);
    assert_int_equal(n_found + pieces.n_too_large, all->n);
}

/*
 * The first span of a piece would not have fitted into the one before. For requests without
 * empty envelopes, for which it may have made way.
 */
static void expect_full(const struct flat *sent, size_t size)
{
    size_t first = 0;

    for (size_t i = 0; i + 1 < pieces.n; i++) {
        first += pieces.all[i].n_spans;
        if (pieces.all[i + 1].n_spans > 0)
            assert_true(pieces.all[i].request.len + alone_bytes(&sent->spans[first], size) > size);
    }
}

static void the_pieces_hold_what_the_request_held(void **state)
{
    (void)state;
    static struct flat all, sent;

    for (unsigned i = 1; i <= 20; i++) {
        seed = i;
        least_children = i % 2;
        struct str request = random_children(EXPORT_RESOURCE_SPANS, random_resource_spans);

        for (size_t size = 1; size <= request.len + 1; size += 1 + size / 16) {
            split_into(request, size);
            all.n = sent.n = 0;
            flatten(&all, request);
            for (size_t j = 0; j < pieces.n; j++)
                flatten(&sent, pieces.all[j].request);
            expect_same_spans(&all, &sent, size);
            if (least_children > 0)
                expect_full(&sent, size);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, new_samples, free_samples)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_gives_no_piece),
        TEST(a_request_that_fits_is_one_piece),
        TEST(resource_spans_are_kept_whole_when_they_fit),
        TEST(scope_spans_are_kept_whole_when_they_fit),
        TEST(what_is_cut_is_filled_up_to_the_last_byte),
        TEST(a_piece_is_filled_across_envelopes),
        TEST(each_part_repeats_what_its_envelopes_say),
        TEST(unknown_fields_of_the_request_itself_come_once),
        TEST(what_fits_into_no_piece_is_counted),
        TEST(envelopes_without_spans_never_hold_up_spans),
        TEST(an_envelope_that_fills_more_than_a_quarter_is_not_cut),
        TEST(an_envelope_whose_own_fields_are_strewn_about_is_not_cut),
        TEST(the_size_may_change_from_piece_to_piece),
        TEST(the_pieces_hold_what_the_request_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
