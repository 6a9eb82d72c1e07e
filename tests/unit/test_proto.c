#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <tracehop/v1/hop.pb-c.h>

#include "common/edge/proto.h"

static const struct wire_limits limits = {.max_depth = 32, .max_fields = 1000};

static int set_up(void **state)
{
    *state = arena_new(65536);
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    arena_free(*state);
    return 0;
}

/* A reply over the failure of a hop that had called a URL. */
static struct str pack_tree(struct arena *arena)
{
    Tracehop__V1__HttpResult http = TRACEHOP__V1__HTTP_RESULT__INIT;
    http.status = 404;
    http.reason = "Not Found";

    Tracehop__V1__UpstreamResult called = TRACEHOP__V1__UPSTREAM_RESULT__INIT;
    called.uri = "http://clock/";
    called.outcome_case = TRACEHOP__V1__UPSTREAM_RESULT__OUTCOME_HTTP;
    called.http = &http;
    Tracehop__V1__UpstreamResult *backend_upstreams[] = {&called, &called};

    Tracehop__V1__CallReply backend = TRACEHOP__V1__CALL_REPLY__INIT;
    backend.role = "backend";
    backend.n_upstreams = 2;
    backend.upstreams = backend_upstreams;

    Tracehop__V1__Failure failure = TRACEHOP__V1__FAILURE__INIT;
    failure.code = 14;
    failure.partial = &backend;

    Tracehop__V1__UpstreamResult failed = TRACEHOP__V1__UPSTREAM_RESULT__INIT;
    failed.outcome_case = TRACEHOP__V1__UPSTREAM_RESULT__OUTCOME_FAILURE;
    failed.failure = &failure;
    Tracehop__V1__UpstreamResult *upstreams[] = {&failed};

    Tracehop__V1__CallReply reply = TRACEHOP__V1__CALL_REPLY__INIT;
    reply.role = "frontend";
    reply.duration_us = UINT64_MAX;
    reply.n_upstreams = 1;
    reply.upstreams = upstreams;
    return proto_pack(&reply.base, arena);
}

static const Tracehop__V1__CallReply *unpack(struct str bytes, struct wire_limits within,
                                             struct arena *arena)
{
    return proto_unpack(&tracehop__v1__call_reply__descriptor, bytes, within, arena);
}

static void what_is_packed_is_unpacked(void **state)
{
    struct arena                  *arena = *state;
    const Tracehop__V1__CallReply *reply = unpack(pack_tree(arena), limits, arena);

    assert_non_null(reply);
    assert_string_equal(reply->role, "frontend");
    assert_true(reply->duration_us == UINT64_MAX);
    assert_int_equal(reply->n_upstreams, 1);

    const Tracehop__V1__CallReply *backend = reply->upstreams[0]->failure->partial;
    assert_string_equal(backend->role, "backend");
    assert_int_equal(backend->n_upstreams, 2);
    assert_int_equal(backend->upstreams[1]->http->status, 404);
    assert_string_equal(backend->upstreams[1]->http->reason, "Not Found");
}

static void an_empty_message_has_a_place(void **state)
{
    Tracehop__V1__CallRequest request = TRACEHOP__V1__CALL_REQUEST__INIT;
    struct str                packed = proto_pack(&request.base, *state);

    assert_non_null(packed.at);
    assert_int_equal(packed.len, 0);
    assert_non_null(proto_unpack(&tracehop__v1__call_request__descriptor, packed, limits, *state));
}

static void what_is_no_message_is_refused(void **state)
{
    static const struct str cases[] = {
        STR_INIT("\x0a"),             /* ends after the tag */
        STR_INIT("\x0a\x05role"),     /* ends within the field */
        STR_INIT("\x28\xff\xff\xff"), /* ends within a varint */
        STR_INIT("\x00\x01"),         /* field 0 */
        STR_INIT("\x0b\x0c"),         /* a group */
        STR_INIT("\x4a\x02\x1a\x05"), /* bad in a nested message */
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        if (unpack(cases[i], limits, *state))
            fail_msg("case %zu was taken for a message", i);
}

static void a_message_beyond_the_limits_is_refused(void **state)
{
    struct str bytes = pack_tree(*state);

    assert_null(unpack(bytes, (struct wire_limits){.max_depth = 3, .max_fields = 1000}, *state));
    assert_null(unpack(bytes, (struct wire_limits){.max_depth = 32, .max_fields = 5}, *state));
    assert_non_null(unpack(bytes, limits, *state));
}

/* Every allocation that protobuf-c makes fails once. */
static void an_arena_that_is_too_small_is_no_message(void **state)
{
    struct str bytes = pack_tree(*state);
    size_t     budget_bytes = 0;

    for (bool fits = false; !fits; budget_bytes += 8) {
        struct arena *arena = arena_new(budget_bytes);
        assert_non_null(arena);
        fits = unpack(bytes, limits, arena) != NULL;
        assert_true(arena_used_bytes(arena) <= budget_bytes);
        arena_free(arena);
    }
    assert_true(budget_bytes > bytes.len);
}

static void nothing_is_packed_into_a_full_arena(void **state)
{
    struct arena *arena = arena_new(16);
    (void)state;

    assert_non_null(arena);
    assert_null(pack_tree(arena).at);
    arena_free(arena);
}

#define in_arena(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_arena(what_is_packed_is_unpacked),
        in_arena(an_empty_message_has_a_place),
        in_arena(what_is_no_message_is_refused),
        in_arena(a_message_beyond_the_limits_is_refused),
        in_arena(an_arena_that_is_too_small_is_no_message),
        cmocka_unit_test(nothing_is_packed_into_a_full_arena),
    };
    return cmocka_run_group_tests_name("proto", tests, NULL, NULL);
}
