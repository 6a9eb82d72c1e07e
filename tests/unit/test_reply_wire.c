#include "server/reply_wire.h"

#include <google/rpc/status.pb-c.h>
#include <tracehop/v1/hop.pb-c.h>

#include "common/base/wire.h"
#include "tests/unit/expect.h"
#include "tests/unit/sample_reply.h"

enum { ARENA_BYTES = 1024 * 1024, PLENTY = 64 * 1024 };

static int set_up(void **state)
{
    *state = arena_new(ARENA_BYTES);
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    arena_free(*state);
    return 0;
}

static void assert_reply(const struct reply *actual, const struct reply *expected);

static void assert_failure(const struct failure *actual, const struct failure *expected)
{
    assert_int_equal(actual->status, expected->status);
    expect_str(actual->message, expected->message);
    expect_str(actual->hop, expected->hop);
    assert_int_equal(actual->partial != NULL, expected->partial != NULL);
    if (expected->partial)
        assert_reply(actual->partial, expected->partial);
}

static void assert_http(const struct http_result *actual, const struct http_result *expected)
{
    assert_int_equal(actual->code, expected->code);
    expect_str(actual->reason, expected->reason);
    expect_str(actual->body, expected->body);
    assert_int_equal(actual->is_body_cut, expected->is_body_cut);
}

static void assert_upstream(const struct upstream_result *actual,
                            const struct upstream_result *expected)
{
    expect_str(actual->uri, expected->uri);
    assert_int_equal(actual->duration_us, expected->duration_us);
    assert_int_equal(actual->outcome, expected->outcome);
    switch (expected->outcome) {
    case UPSTREAM_HOP:
        assert_reply(actual->hop, expected->hop);
        break;
    case UPSTREAM_HTTP:
        assert_http(&actual->http, &expected->http);
        break;
    case UPSTREAM_FAILURE:
        assert_failure(&actual->failure, &expected->failure);
        break;
    }
}

static void assert_reply(const struct reply *actual, const struct reply *expected)
{
    if (!actual) {
        fail_msg("no tree where \"%.*s\" was expected", STR_ARGS(expected->name));
        return; /* never: but the analyzer does not know cmocka */
    }
    expect_str(actual->role, expected->role);
    expect_str(actual->version, expected->version);
    expect_str(actual->name, expected->name);
    expect_str(actual->instance, expected->instance);
    expect_str(actual->trace_id, expected->trace_id);
    assert_int_equal(actual->duration_us, expected->duration_us);
    assert_int_equal(actual->attempt, expected->attempt);
    assert_int_equal(actual->calls, expected->calls);
    assert_int_equal(actual->work.is_done, expected->work.is_done);
    assert_int_equal(actual->work.fibonacci_index, expected->work.fibonacci_index);
    assert_int_equal(actual->work.fibonacci, expected->work.fibonacci);
    assert_int_equal(actual->work.is_odd, expected->work.is_odd);
    assert_int_equal(actual->work.slept_us, expected->work.slept_us);
    assert_int_equal(actual->n_upstreams, expected->n_upstreams);
    for (size_t i = 0; i < expected->n_upstreams; i++)
        assert_upstream(&actual->upstreams[i], &expected->upstreams[i]);
}

static const struct reply nothing = {0};
static const struct reply numbers = {
    .duration_us = UINT64_MAX,
    .attempt = UINT32_MAX,
    .calls = UINT32_MAX - 1,
    .work = {true, UINT32_MAX, UINT64_MAX, true, UINT64_MAX},
};
static const struct reply idle_work = {.work = {.is_done = true}};

static const struct reply *const trees[] = {&sample_chain, &sample_fan, &nothing, &numbers,
                                            &idle_work};

static void a_tree_survives_the_way_there_and_back(void **state)
{
    for (size_t i = 0; i < ARRAY_LENGTH(trees); i++) {
        struct str bytes = reply_encode(trees[i], *state);
        assert_non_null(bytes.at);
        assert_reply(reply_decode(bytes, *state), trees[i]);
    }
}

/* Whatever the generated code reads from our bytes and writes again is what we wrote. */
static void the_generated_code_agrees_on_every_byte(void **state)
{
    for (size_t i = 0; i < ARRAY_LENGTH(trees); i++) {
        struct str               bytes = reply_encode(trees[i], *state);
        Tracehop__V1__CallReply *message =
            tracehop__v1__call_reply__unpack(NULL, bytes.len, (const uint8_t *)bytes.at);
        assert_non_null(message);

        size_t   len = tracehop__v1__call_reply__get_packed_size(message);
        uint8_t *again = arena_alloc(*state, len);
        assert_int_equal(tracehop__v1__call_reply__pack(message, again), len);
        expect_str(((struct str){(const char *)again, len}), bytes);
        tracehop__v1__call_reply__free_unpacked(message, NULL);
    }
}

static void assert_text(const char *actual, struct str expected)
{
    expect_str(str_from(actual), expected);
}

static void the_generated_code_finds_every_value_in_its_field(void **state)
{
    struct str               bytes = reply_encode(&sample_chain, *state);
    Tracehop__V1__CallReply *frontend =
        tracehop__v1__call_reply__unpack(NULL, bytes.len, (const uint8_t *)bytes.at);
    assert_non_null(frontend);
    assert_int_equal(frontend->upstreams[0]->outcome_case,
                     TRACEHOP__V1__UPSTREAM_RESULT__OUTCOME_HOP);
    Tracehop__V1__CallReply      *middleware = frontend->upstreams[0]->hop;
    Tracehop__V1__CallReply      *backend = middleware->upstreams[0]->hop;
    Tracehop__V1__UpstreamResult *to_clock = backend->upstreams[0];

    assert_text(middleware->role, sample_middleware.role);
    assert_text(middleware->version, sample_middleware.version);
    assert_text(middleware->name, sample_middleware.name);
    assert_text(backend->instance, sample_backend.instance);
    assert_text(backend->trace_id, sample_backend.trace_id);
    assert_int_equal(backend->duration_us, sample_backend.duration_us);
    assert_int_equal(backend->attempt, sample_backend.attempt);
    assert_int_equal(backend->work->fibonacci_index, sample_backend.work.fibonacci_index);
    assert_int_equal(backend->work->fibonacci, sample_backend.work.fibonacci);
    assert_true(backend->work->odd);
    assert_int_equal(backend->work->slept_us, sample_backend.work.slept_us);
    assert_text(to_clock->uri, sample_clock[0].uri);
    assert_int_equal(to_clock->duration_us, sample_clock[0].duration_us);
    assert_int_equal(to_clock->outcome_case, TRACEHOP__V1__UPSTREAM_RESULT__OUTCOME_HTTP);
    assert_int_equal(to_clock->http->status, 200);
    assert_text(to_clock->http->reason, sample_clock[0].http.reason);
    assert_text(to_clock->http->body, sample_clock[0].http.body);
    tracehop__v1__call_reply__free_unpacked(frontend, NULL);
}

static void the_generated_code_finds_the_calls(void **state)
{
    struct str               bytes = reply_encode(&(struct reply){.calls = 84}, *state);
    Tracehop__V1__CallReply *reply =
        tracehop__v1__call_reply__unpack(NULL, bytes.len, (const uint8_t *)bytes.at);

    assert_non_null(reply);
    assert_int_equal(reply->calls, 84);
    tracehop__v1__call_reply__free_unpacked(reply, NULL);
}

static void the_generated_code_finds_failures_and_cut_bodies(void **state)
{
    struct str               bytes = reply_encode(&sample_fan, *state);
    Tracehop__V1__CallReply *fan =
        tracehop__v1__call_reply__unpack(NULL, bytes.len, (const uint8_t *)bytes.at);
    assert_non_null(fan);
    assert_int_equal(fan->n_upstreams, 3);
    assert_int_equal(fan->upstreams[0]->outcome_case,
                     TRACEHOP__V1__UPSTREAM_RESULT__OUTCOME_FAILURE);
    Tracehop__V1__Failure *failure = fan->upstreams[0]->failure;

    assert_int_equal(failure->code, STATUS_UNAVAILABLE);
    assert_text(failure->status, STR("UNAVAILABLE"));
    assert_text(failure->message, STR("rolled"));
    assert_text(failure->hop, STR("clock-prod"));
    assert_text(failure->partial->name, STR("backend-prod"));
    assert_null(fan->upstreams[1]->failure->partial);
    assert_true(fan->upstreams[2]->http->body_cut);
    tracehop__v1__call_reply__free_unpacked(fan, NULL);
}

static void a_tree_outlives_the_bytes_it_was_read_from(void **state)
{
    char bytes[] = "\x0A\x03old";
    char details[] = "\x1A\x30\x0A\x27type.googleapis.com/tracehop.v1.Failure\x12\x05\x22\x03old";
    struct failure failure = {.status = STATUS_ABORTED};

    struct reply *decoded = reply_decode((struct str){bytes, sizeof(bytes) - 1}, *state);
    failure_decode_details((struct str){details, sizeof(details) - 1}, *state, &failure);
    memset(bytes, 'x', sizeof(bytes));
    memset(details, 'x', sizeof(details));

    assert_non_null(decoded);
    expect_str(decoded->role, STR("old"));
    expect_str(failure.hop, STR("old"));
}

static void texts_are_made_utf8_on_the_way_out(void **state)
{
    struct reply reply = {.name = STR("caf\xE9"), .role = STR("a\0b")};

    struct reply *decoded = reply_decode(reply_encode(&reply, *state), *state);
    assert_non_null(decoded);
    expect_str(decoded->name, STR("caf\xEF\xBF\xBD"));
    expect_str(decoded->role, STR("a\0b"));
}

static void a_text_may_grow_when_it_is_made_utf8(void **state)
{
    char bytes[2000];
    memset(bytes, 0xFF, sizeof(bytes));
    struct reply reply = {.name = {bytes, sizeof(bytes)}};

    struct reply *decoded = reply_decode(reply_encode(&reply, *state), *state);
    assert_non_null(decoded);
    assert_int_equal(decoded->name.len, 3 * sizeof(bytes));
}

static void texts_are_made_utf8_on_the_way_in(void **state)
{
    struct reply *decoded = reply_decode(STR("\x0A\x03x\xFFy"), *state);
    assert_non_null(decoded);
    expect_str(decoded->role, STR("x\xEF\xBF\xBDy"));
}

/* Bodies are foreign: these read as thousands of fields, and as messages nested fifty deep. */
static void a_body_that_looks_like_protobuf_is_a_text_like_any_other(void **state)
{
    static char zeros[20000];
    char        nested[100];
    memset(zeros, '0', sizeof(zeros));
    for (size_t i = 0; i < sizeof(nested); i += 2) {
        nested[i] = 1 << 3 | WIRE_BYTES;
        nested[i + 1] = (char)(sizeof(nested) - i - 2);
    }

    struct str bodies[] = {{zeros, sizeof(zeros)}, {nested, sizeof(nested)}};
    for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++) {
        struct upstream_result upstream = {.outcome = UPSTREAM_HTTP, .http.body = bodies[i]};
        struct reply           reply = {.upstreams = &upstream, .n_upstreams = 1};

        assert_reply(reply_decode(reply_encode(&reply, *state), *state), &reply);
    }
}

/* A chain of `n_hops`, the last one below a failure. */
static struct reply *chain_of(unsigned n_hops, struct arena *arena)
{
    struct reply *below = arena_zalloc(arena, sizeof(*below));

    for (unsigned i = 1; i < n_hops; i++) {
        struct reply           *reply = arena_zalloc(arena, sizeof(*reply));
        struct upstream_result *upstream = arena_zalloc(arena, sizeof(*upstream));
        if (i == 1)
            *upstream = (struct upstream_result){.outcome = UPSTREAM_FAILURE,
                                                 .failure = {STATUS_INTERNAL, .partial = below}};
        else
            *upstream = (struct upstream_result){.outcome = UPSTREAM_HOP, .hop = below};
        *reply = (struct reply){.upstreams = upstream, .n_upstreams = 1};
        below = reply;
    }
    return below;
}

static void the_deepest_chain_is_read_and_a_deeper_one_refused(void **state)
{
    struct reply *deepest = chain_of(REPLY_MAX_DEPTH, *state);
    struct reply *deeper = chain_of(REPLY_MAX_DEPTH + 1, *state);

    assert_reply(reply_decode(reply_encode(deepest, *state), *state), deepest);
    assert_null(reply_decode(reply_encode(deeper, *state), *state));
}

static void a_cut_message_is_refused_or_read_as_far_as_it_goes(void **state)
{
    struct str bytes = reply_encode(&sample_fan, *state);
    unsigned   refused = 0;

    for (size_t len = 0; len < bytes.len; len++) {
        cleanup_with(arena_free_at) struct arena *arena = arena_new(ARENA_BYTES);
        refused += !reply_decode((struct str){bytes.at, len}, arena);
    }
    /* Only between two fields of the outermost message is a cut not seen. */
    if (refused < bytes.len - 9)
        fail_msg("%u of %zu cut messages were refused", refused, bytes.len);
}

static void what_is_no_protobuf_is_refused(void **state)
{
    static const struct str bad[] = {
        STR_INIT("\x00"),         STR_INIT("\x0B"),         STR_INIT("\x0A\x05x"),
        STR_INIT("\x42\x01\xFF"), STR_INIT("\x4A\x01\xFF"), STR_INIT("\x4A\x03\x1A\x01\xFF"),
        STR_INIT("hello"),
    };

    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        if (reply_decode(bad[i], *state))
            fail_msg("%zu was read", i);
}

static void unknown_fields_and_other_wire_types_are_skipped(void **state)
{
    /* Field 15 as bytes, field 1 (a text) as a number, field 5 (a number) as bytes, then role. */
    struct reply *decoded = reply_decode(STR("\x7A\x01x\x08\x07\x2A\x01y\x0A\x01r"), *state);

    assert_non_null(decoded);
    expect_str(decoded->role, STR("r"));
    assert_int_equal(decoded->duration_us, 0);
}

static void more_calls_than_fit_are_as_many_as_fit(void **state)
{
    struct reply *decoded = reply_decode(STR("\x50\x80\x80\x80\x80\x10"), *state);

    assert_non_null(decoded);
    assert_int_equal(decoded->calls, UINT32_MAX);
}

static void an_upstream_without_a_known_outcome_is_a_failure(void **state)
{
    struct reply *decoded = reply_decode(STR("\x4A\x03\x0A\x01u"), *state);

    assert_non_null(decoded);
    assert_int_equal(decoded->n_upstreams, 1);
    expect_str(decoded->upstreams[0].uri, STR("u"));
    assert_int_equal(decoded->upstreams[0].outcome, UPSTREAM_FAILURE);
    assert_int_equal(decoded->upstreams[0].failure.status, STATUS_UNKNOWN);
}

static void a_failure_with_a_code_that_is_none_is_unknown(void **state)
{
    static const struct str failures[] = {
        STR_INIT("\x4A\x02\x2A\x00"),
        STR_INIT("\x4A\x04\x2A\x02\x08\x00"),
        STR_INIT("\x4A\x04\x2A\x02\x08\x11"),
        STR_INIT("\x4A\x08\x2A\x06\x08\xFF\xFF\xFF\xFF\x0F"),
    };

    for (size_t i = 0; i < ARRAY_LENGTH(failures); i++) {
        struct reply *decoded = reply_decode(failures[i], *state);
        assert_non_null(decoded);
        assert_int_equal(decoded->upstreams[0].failure.status, STATUS_UNKNOWN);
    }
}

static void the_arena_bounds_what_a_peer_can_make_us_allocate(void **state)
{
    (void)state;
    enum { EMPTY_UPSTREAMS = 5000 };
    static char bytes[2 * EMPTY_UPSTREAMS];
    for (size_t i = 0; i < sizeof(bytes); i += 2)
        bytes[i] = 9 << 3 | WIRE_BYTES; /* and a length of 0 */
    cleanup_with(arena_free_at) struct arena *small = arena_new(sizeof(bytes));

    assert_non_null(small);
    assert_null(reply_decode((struct str){bytes, sizeof(bytes)}, small));
}

static void without_memory_nothing_is_encoded(void **state)
{
    (void)state;
    cleanup_with(arena_free_at) struct arena *small = arena_new(64);
    struct failure                            failure = {STATUS_INTERNAL, .hop = STR("backend")};

    assert_non_null(small);
    assert_null(reply_encode(&sample_chain, small).at);
    assert_null(failure_encode_details(&failure, PLENTY, small).at);
}

static const struct failure sample_failure = {
    .status = STATUS_UNAVAILABLE,
    .message = STR_INIT("rolled"),
    .hop = STR_INIT("backend-prod"),
    .partial = &sample_fan,
};

static void details_bring_the_failing_hop_and_the_partial_tree(void **state)
{
    struct str     details = failure_encode_details(&sample_failure, PLENTY, *state);
    struct failure failure = {.status = STATUS_UNAVAILABLE, .message = STR("rolled")};

    failure_decode_details(details, *state, &failure);
    assert_failure(&failure, &sample_failure);
}

static void details_are_a_google_rpc_status(void **state)
{
    struct str           details = failure_encode_details(&sample_failure, PLENTY, *state);
    Google__Rpc__Status *status =
        google__rpc__status__unpack(NULL, details.len, (const uint8_t *)details.at);

    assert_non_null(status);
    assert_int_equal(status->code, STATUS_UNAVAILABLE);
    assert_text(status->message, STR("rolled"));
    assert_int_equal(status->n_details, 1);
    assert_text(status->details[0]->type_url, STR("type.googleapis.com/tracehop.v1.Failure"));

    ProtobufCBinaryData    value = status->details[0]->value;
    Tracehop__V1__Failure *failure = tracehop__v1__failure__unpack(NULL, value.len, value.data);
    assert_non_null(failure);
    assert_text(failure->hop, STR("backend-prod"));
    assert_text(failure->partial->name, STR("middleware-prod"));
    tracehop__v1__failure__free_unpacked(failure, NULL);
    google__rpc__status__free_unpacked(status, NULL);
}

static void details_that_do_not_fit_leave_out_the_leaves_then_the_root_then_themselves(void **state)
{
    struct reply   root = sample_fan;
    struct failure rooted = sample_failure, alone = sample_failure;
    root.n_upstreams = 0;
    rooted.partial = &root;
    alone.partial = NULL;
    size_t whole = failure_encode_details(&sample_failure, PLENTY, *state).len;
    size_t less = failure_encode_details(&rooted, PLENTY, *state).len;
    size_t least = failure_encode_details(&alone, PLENTY, *state).len;
    assert_true(least < less && less < whole);

    assert_int_equal(failure_encode_details(&sample_failure, whole, *state).len, whole);
    assert_int_equal(failure_encode_details(&sample_failure, whole - 1, *state).len, less);
    assert_int_equal(failure_encode_details(&sample_failure, less, *state).len, less);
    assert_int_equal(failure_encode_details(&sample_failure, less - 1, *state).len, least);
    assert_int_equal(failure_encode_details(&sample_failure, least, *state).len, least);
    assert_null(failure_encode_details(&sample_failure, least - 1, *state).at);
}

static void what_a_failed_call_cost_survives_a_tree_that_does_not_fit(void **state)
{
    struct reply   root = sample_fan;
    struct failure failed = sample_failure, told = {.status = STATUS_UNAVAILABLE};
    root.calls = 84;
    failed.partial = &root;

    size_t whole = failure_encode_details(&failed, PLENTY, *state).len;
    failure_decode_details(failure_encode_details(&failed, whole - 1, *state), *state, &told);
    assert_non_null(told.partial);
    assert_int_equal(told.partial->calls, 84);
    assert_int_equal(told.partial->n_upstreams, 0);
}

static void details_of_others_change_nothing(void **state)
{
    static const struct str others[] = {
        STR_INIT(""),
        STR_INIT("\xFF"),
        /* A Status without details, with an Any of another type, with a Failure cut short. */
        STR_INIT("\x08\x0E\x12\x01m"),
        STR_INIT("\x1A\x08\x0A\x01t\x12\x03\x22\x01h"),
        STR_INIT("\x1A\x2D\x0A\x27type.googleapis.com/tracehop.v1.Failure\x12\x02\x22\x09"),
    };

    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        struct failure failure = {.status = STATUS_ABORTED, .hop = STR("before")};
        failure_decode_details(others[i], *state, &failure);
        failure_decode_details((struct str){0}, *state, &failure);
        assert_int_equal(failure.status, STATUS_ABORTED);
        expect_str(failure.hop, STR("before"));
        assert_null(failure.partial);
    }
}

static void ours_is_found_among_the_details_of_others(void **state)
{
    struct failure failure = {.status = STATUS_ABORTED};

    failure_decode_details(
        STR("\x1A\x03\x0A\x01t"
            "\x1A\x2E\x0A\x27type.googleapis.com/tracehop.v1.Failure\x12\x03\x22\x01h"),
        *state, &failure);
    expect_str(failure.hop, STR("h"));
}

#define with_arena(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_arena(a_tree_survives_the_way_there_and_back),
        with_arena(the_generated_code_agrees_on_every_byte),
        with_arena(the_generated_code_finds_every_value_in_its_field),
        with_arena(the_generated_code_finds_the_calls),
        with_arena(the_generated_code_finds_failures_and_cut_bodies),
        with_arena(a_tree_outlives_the_bytes_it_was_read_from),
        with_arena(texts_are_made_utf8_on_the_way_out),
        with_arena(a_text_may_grow_when_it_is_made_utf8),
        with_arena(texts_are_made_utf8_on_the_way_in),
        with_arena(a_body_that_looks_like_protobuf_is_a_text_like_any_other),
        with_arena(the_deepest_chain_is_read_and_a_deeper_one_refused),
        with_arena(a_cut_message_is_refused_or_read_as_far_as_it_goes),
        with_arena(what_is_no_protobuf_is_refused),
        with_arena(unknown_fields_and_other_wire_types_are_skipped),
        with_arena(more_calls_than_fit_are_as_many_as_fit),
        with_arena(an_upstream_without_a_known_outcome_is_a_failure),
        with_arena(a_failure_with_a_code_that_is_none_is_unknown),
        with_arena(the_arena_bounds_what_a_peer_can_make_us_allocate),
        with_arena(without_memory_nothing_is_encoded),
        with_arena(details_bring_the_failing_hop_and_the_partial_tree),
        with_arena(details_are_a_google_rpc_status),
        with_arena(details_that_do_not_fit_leave_out_the_leaves_then_the_root_then_themselves),
        with_arena(what_a_failed_call_cost_survives_a_tree_that_does_not_fit),
        with_arena(details_of_others_change_nothing),
        with_arena(ours_is_found_among_the_details_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
