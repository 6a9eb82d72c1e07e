#include "collector/recent/recent.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "collector/recent/kept_trace.h"
#include "collector/recent/request_queue.h"
#include "common/base/clock.h"
#include "common/base/metrics.h"
#include "tests/unit/sample_spans.h"

static const size_t KiB = 1024;

static const struct recent_options roomy = {
    .max_traces = 100,
    .max_bytes = 1 << 20,
    .max_trace_bytes = 1 << 18,
    .max_queue_bytes = 1 << 20,
};

struct fixture {
    struct metrics *metrics;
    struct recent  *recent;
};

static void open_with(struct fixture *fixture, const struct recent_options *options)
{
    fixture->metrics = metrics_new();
    assert_non_null(fixture->metrics);
    assert_int_equal(recent_new(&fixture->recent, options, fixture->metrics), 0);
    assert_int_equal(recent_start(fixture->recent), 0);
}

static void finish(struct fixture *fixture)
{
    recent_stop(fixture->recent);
    recent_free(fixture->recent);
    metrics_free(fixture->metrics);
}

static void offer(struct fixture *fixture, struct str request, uint32_t n_spans)
{
    recent_offer(fixture->recent, request, n_spans);
    recent_settle(fixture->recent);
}

static struct trace_id id_of(uint8_t number)
{
    return (struct trace_id){.bytes = {[0] = 0xAA, [15] = number}};
}

/* A view of what stays: the id is copied to the samples. */
static struct str id_bytes(uint8_t number)
{
    struct trace_id id = id_of(number);
    return arena_copy(samples, (struct str){(const char *)id.bytes, sizeof(id.bytes)});
}

static struct str span_of(uint8_t trace, struct str name)
{
    return SPAN(field_bytes(SPAN_TRACE_ID, id_bytes(trace)),
                field_bytes(SPAN_SPAN_ID, STR("12345678")), field_bytes(SPAN_NAME, name));
}

static struct str request_of(struct str service, struct str span)
{
    return RESOURCE_SPANS(sample_resource(service), SCOPE_SPANS(sample_scope(STR("s")), span));
}

static void file(struct fixture *fixture, uint8_t trace, struct str name)
{
    offer(fixture, request_of(STR("shop"), span_of(trace, name)), 1);
}

static bool is_kept(struct fixture *fixture, uint8_t trace)
{
    struct trace_id       id = id_of(trace);
    struct trace_snapshot snapshot = {0};
    bool                  is_found = recent_find(fixture->recent, &id, &snapshot);

    trace_snapshot_done(&snapshot);
    return is_found;
}

static struct trace_snapshot find(struct fixture *fixture, uint8_t trace)
{
    struct trace_id       id = id_of(trace);
    struct trace_snapshot snapshot;

    assert_true(recent_find(fixture->recent, &id, &snapshot));
    return snapshot;
}

static size_t count_spans(struct fixture *fixture, uint8_t trace)
{
    struct trace_snapshot snapshot = find(fixture, trace);
    size_t                count = snapshot.spans.count;

    trace_snapshot_done(&snapshot);
    return count;
}

static void expect_metric(struct fixture *fixture, struct str line)
{
    struct text page = text_in_arena(samples, 64 * KiB);
    metrics_render(fixture->metrics, METRICS_PROMETHEUS, &page);
    if (!memmem(page.at, page.len, line.at, line.len))
        fail_msg("no \"%.*s\" in:\n%.*s", STR_ARGS(line), STR_ARGS(text_view(&page)));
}

static void spans_are_filed_by_trace(void **state)
{
    struct fixture *fixture = *state;

    file(fixture, 1, STR("a"));
    file(fixture, 2, STR("b"));
    file(fixture, 1, STR("c"));
    assert_int_equal(count_spans(fixture, 1), 2);
    assert_int_equal(count_spans(fixture, 2), 1);
    assert_false(is_kept(fixture, 3));
}

static void what_is_kept_is_a_copy(void **state)
{
    struct fixture *fixture = *state;
    struct str      request = request_of(
             STR("shop"), SPAN(field_bytes(SPAN_TRACE_ID, id_bytes(1)),
                               field_bytes(SPAN_NAME, STR("checkout")), field_varint(SPAN_KIND, 2),
                               field_fixed64(SPAN_START_TIME, 10), field_fixed64(SPAN_END_TIME, 30)));

    offer(fixture, request, 1);
    memset((char *)(uintptr_t)request.at, 0, request.len);

    struct trace_snapshot   snapshot = find(fixture, 1);
    const struct kept_span *span = snapshot.spans.first;
    expect_str(span->name, STR("checkout"));
    expect_str(span->context->service_name, STR("shop"));
    assert_int_equal(span->kind, 2);
    assert_int_equal(span->start_ns, 10);
    assert_int_equal(span->end_ns, 30);
    trace_snapshot_done(&snapshot);
}

static void the_same_span_is_filed_once(void **state)
{
    struct fixture *fixture = *state;
    struct str      request = request_of(STR("shop"), span_of(1, STR("a")));

    offer(fixture, JOIN(request, request), 2);
    offer(fixture, request, 1);
    assert_int_equal(count_spans(fixture, 1), 1);
}

static void an_id_may_be_shared_by_different_spans(void **state)
{
    struct fixture *fixture = *state;

    file(fixture, 1, STR("client side"));
    file(fixture, 1, STR("server side"));
    assert_int_equal(count_spans(fixture, 1), 2);
}

static void what_spans_share_is_kept_once(void **state)
{
    struct fixture *fixture = *state;

    file(fixture, 1, STR("a"));
    file(fixture, 1, STR("b"));
    offer(fixture, request_of(STR("other"), span_of(1, STR("c"))), 1);

    struct trace_snapshot   snapshot = find(fixture, 1);
    struct kept_spans       rest = snapshot.spans;
    const struct kept_span *a = kept_spans_next(&rest);
    const struct kept_span *b = kept_spans_next(&rest);
    const struct kept_span *c = kept_spans_next(&rest);
    assert_ptr_equal(a->context, b->context);
    assert_ptr_not_equal(a->context, c->context);
    assert_ptr_not_equal(a->context->parts.resource, c->context->parts.resource);
    assert_ptr_equal(a->context->parts.scope, c->context->parts.scope);
    assert_null(kept_spans_next(&rest));
    trace_snapshot_done(&snapshot);
}

static void bytes_that_mean_something_else_are_no_duplicate(void **state)
{
    struct fixture *fixture = *state;
    struct str      bytes = field_bytes(SPAN_TRACE_ID, id_bytes(1));

    offer(fixture,
          RESOURCE_SPANS(field_bytes(RESOURCE_SPANS_RESOURCE, bytes),
                         SCOPE_SPANS(field_bytes(SCOPE_SPANS_SCOPE, bytes), SPAN(bytes))),
          1);
    assert_int_equal(count_spans(fixture, 1), 1);

    struct trace_snapshot       snapshot = find(fixture, 1);
    const struct context_parts *parts = &snapshot.spans.first->context->parts;
    assert_ptr_not_equal(parts->resource, parts->scope);
    trace_snapshot_done(&snapshot);
}

static void a_span_like_a_resource_is_filed(void **state)
{
    struct fixture *fixture = *state;
    struct str      bytes = field_bytes(SPAN_TRACE_ID, id_bytes(1));

    offer(fixture,
          RESOURCE_SPANS(field_bytes(RESOURCE_SPANS_RESOURCE, bytes),
                         SCOPE_SPANS(span_of(1, STR("first")))),
          1);
    offer(fixture, RESOURCE_SPANS(SCOPE_SPANS(SPAN(bytes))), 1);
    assert_int_equal(count_spans(fixture, 1), 2);
}

static void spans_without_a_trace_id_are_counted(void **state)
{
    struct fixture *fixture = *state;

    offer(fixture, REQUEST_OF(field_bytes(SPAN_NAME, STR("lost"))), 1);
    offer(fixture, REQUEST_OF(field_bytes(SPAN_TRACE_ID, STR("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"))),
          1);
    expect_metric(fixture,
                  STR("tracehop_collector_recent_skipped_spans_total{reason=\"no_trace_id\"} 2\n"));
    expect_metric(fixture, STR("tracehop_collector_recent_traces 0\n"));
}

static void the_figures_are_shown(void **state)
{
    struct fixture *fixture = *state;

    file(fixture, 1, STR("a"));
    file(fixture, 1, STR("b"));
    file(fixture, 2, STR("c"));
    expect_metric(fixture, STR("tracehop_collector_recent_traces 2\n"));
    expect_metric(fixture, STR("tracehop_collector_recent_spans 3\n"));
    expect_metric(fixture, STR("tracehop_collector_recent_evicted_traces_total 0\n"));
}

static void the_trace_that_is_quiet_longest_goes_first(void **state)
{
    (void)state;
    struct recent_options options = roomy;
    struct fixture        fixture;

    options.max_traces = 2;
    open_with(&fixture, &options);
    file(&fixture, 1, STR("a"));
    file(&fixture, 2, STR("b"));
    file(&fixture, 1, STR("a again"));
    file(&fixture, 3, STR("c"));

    assert_true(is_kept(&fixture, 1));
    assert_false(is_kept(&fixture, 2));
    assert_true(is_kept(&fixture, 3));
    expect_metric(&fixture, STR("tracehop_collector_recent_evicted_traces_total 1\n"));
    expect_metric(&fixture, STR("tracehop_collector_recent_spans 3\n"));
    finish(&fixture);
}

static struct str long_name(uint8_t fill, size_t length)
{
    char *name = arena_alloc(samples, length);
    assert_non_null(name);
    memset(name, 'a' + fill % 26, length);
    return (struct str){name, length};
}

static void traces_are_bounded_in_bytes(void **state)
{
    (void)state;
    struct recent_options options = roomy;
    struct fixture        fixture;

    options.max_bytes = options.max_trace_bytes = 64 * KiB;
    open_with(&fixture, &options);
    for (uint8_t i = 1; i <= 20; i++)
        file(&fixture, i, long_name(i, 10 * KiB));

    struct trace_list list;
    assert_int_equal(recent_list(fixture.recent, &list), 0);
    assert_in_range(list.count, 5, 6);
    for (size_t i = 0; i < list.count; i++)
        assert_int_equal(list.traces[i].trace->id.bytes[15], 20 - i);
    trace_list_done(&list);
    finish(&fixture);
}

static void a_trace_that_is_full_takes_no_more(void **state)
{
    (void)state;
    struct recent_options options = roomy;
    struct fixture        fixture;

    options.max_trace_bytes = 32 * KiB;
    open_with(&fixture, &options);
    for (uint8_t i = 0; i < 5; i++)
        file(&fixture, 1, long_name(i, 10 * KiB));
    file(&fixture, 2, STR("another trace"));

    assert_in_range(count_spans(&fixture, 1), 2, 3);
    assert_true(is_kept(&fixture, 2));
    expect_metric(&fixture,
                  STR("tracehop_collector_recent_skipped_spans_total{reason=\"trace_full\"} "));
    expect_metric(&fixture, STR("tracehop_collector_recent_evicted_traces_total 0\n"));
    finish(&fixture);
}

static void a_span_that_never_fits_leaves_no_empty_trace(void **state)
{
    (void)state;
    struct recent_options options = roomy;
    struct fixture        fixture;

    options.max_trace_bytes = 4 * KiB;
    open_with(&fixture, &options);
    file(&fixture, 1, long_name(0, 10 * KiB));
    assert_false(is_kept(&fixture, 1));
    expect_metric(&fixture, STR("tracehop_collector_recent_traces 0\n"));
    expect_metric(&fixture, STR("tracehop_collector_recent_bytes 0\n"));
    finish(&fixture);
}

static void the_last_active_trace_is_listed_first(void **state)
{
    struct fixture   *fixture = *state;
    struct trace_list list;

    file(fixture, 1, STR("a"));
    file(fixture, 2, STR("b"));
    file(fixture, 1, STR("c"));
    assert_int_equal(recent_list(fixture->recent, &list), 0);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.traces[0].trace->id.bytes[15], 1);
    assert_int_equal(list.traces[1].trace->id.bytes[15], 2);
    trace_list_done(&list);
}

static void a_snapshot_does_not_change(void **state)
{
    struct fixture *fixture = *state;

    file(fixture, 1, STR("before"));
    struct trace_snapshot snapshot = find(fixture, 1);
    file(fixture, 1, STR("after"));

    struct kept_spans rest = snapshot.spans;
    expect_str(kept_spans_next(&rest)->name, STR("before"));
    assert_null(kept_spans_next(&rest));
    trace_snapshot_done(&snapshot);
    assert_int_equal(count_spans(fixture, 1), 2);
}

static void a_snapshot_outlives_its_trace(void **state)
{
    (void)state;
    struct recent_options options = roomy;
    struct fixture        fixture;

    options.max_traces = 1;
    open_with(&fixture, &options);
    file(&fixture, 1, STR("first"));
    struct trace_snapshot snapshot = find(&fixture, 1);
    file(&fixture, 2, STR("second"));

    assert_false(is_kept(&fixture, 1));
    expect_str(snapshot.spans.first->name, STR("first"));
    trace_snapshot_done(&snapshot);
    finish(&fixture);
}

/* Without its thread nothing is ever taken from the queue. */
static void a_full_queue_skips_and_counts(void **state)
{
    (void)state;
    struct recent_options options = roomy;
    struct fixture        fixture = {.metrics = metrics_new()};
    struct str            request = request_of(STR("shop"), span_of(1, long_name(0, 700)));

    options.max_queue_bytes = 2 * KiB;
    assert_int_equal(recent_new(&fixture.recent, &options, fixture.metrics), 0);
    for (int i = 0; i < 5; i++)
        recent_offer(fixture.recent, request, 7);
    expect_metric(&fixture,
                  STR("tracehop_collector_recent_skipped_spans_total{reason=\"queue_full\"} 21\n"));
    recent_free(fixture.recent);
    metrics_free(fixture.metrics);
}

/* A second has begun with the first of them, and has not ended before the last. */
static void what_comes_too_fast_is_skipped_and_counted(void **state)
{
    (void)state;
    struct recent_options options = roomy;
    struct fixture        fixture = {.metrics = metrics_new()};
    struct str            request = request_of(STR("shop"), span_of(1, STR("quick")));

    options.max_bytes_per_s = 2 * request.len;
    assert_int_equal(recent_new(&fixture.recent, &options, fixture.metrics), 0);
    for (int i = 0; i < 5; i++)
        recent_offer(fixture.recent, request, 7);
    expect_metric(&fixture,
                  STR("tracehop_collector_recent_skipped_spans_total{reason=\"too_fast\"} 21\n"));
    recent_free(fixture.recent);
    metrics_free(fixture.metrics);
}

static void a_request_larger_than_the_queue_is_skipped(void **state)
{
    (void)state;
    struct recent_options options = roomy;
    struct fixture        fixture;

    options.max_queue_bytes = 2 * KiB;
    open_with(&fixture, &options);
    offer(&fixture, request_of(STR("shop"), span_of(1, long_name(0, 3 * KiB))), 1);
    file(&fixture, 2, STR("small"));
    assert_false(is_kept(&fixture, 1));
    assert_true(is_kept(&fixture, 2));
    finish(&fixture);
}

static void the_queue_has_room_again_when_it_is_emptied(void **state)
{
    (void)state;
    struct recent_options options = roomy;
    struct fixture        fixture;

    options.max_queue_bytes = KiB;
    open_with(&fixture, &options);
    for (uint8_t i = 1; i <= 50; i++) {
        file(&fixture, i, long_name(i, 600));
        assert_true(is_kept(&fixture, i));
    }
    finish(&fixture);
}

static void what_is_not_a_request_does_no_harm(void **state)
{
    struct fixture *fixture = *state;

    offer(fixture, STR("\xff\xff\xff"), 1);
    offer(fixture, STR(""), 0);
    file(fixture, 1, STR("a"));
    assert_true(is_kept(fixture, 1));
}

static void the_queue_keeps_the_order(void **state)
{
    (void)state;
    cleanup_with(request_queue_free_at) struct request_queue *queue = request_queue_new(KiB);
    static const char *const                                  requests[] = {"one", "two", "three"};
    struct str                                                taken;

    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++)
        assert_int_equal(request_queue_offer(queue, str_from(requests[i])), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
        assert_true(request_queue_take(queue, &taken));
        expect_str(taken, str_from(requests[i]));
        request_queue_done(queue);
    }
}

static struct str text_of(char letter, size_t length)
{
    char *text = arena_alloc(samples, length);
    assert_non_null(text);
    memset(text, letter, length);
    return (struct str){text, length};
}

/* Requests of many lengths go round the ring many times, with up to three in it. */
static void requests_stay_whole_all_around_the_ring(void **state)
{
    (void)state;
    cleanup_with(request_queue_free_at) struct request_queue *queue = request_queue_new(KiB);
    struct str                                                taken;
    unsigned                                                  n_taken = 0;

    for (unsigned i = 0; i < 1000; i++) {
        struct str request = text_of((char)('a' + i % 26), i * 37 % 300);
        while (i - n_taken == 3 || request_queue_offer(queue, request) < 0) {
            assert_true(request_queue_take(queue, &taken));
            expect_str(taken, text_of((char)('a' + n_taken % 26), n_taken * 37 % 300));
            request_queue_done(queue);
            n_taken++;
        }
    }
    assert_true(n_taken >= 997);
}

static void an_empty_queue_takes_all_that_it_can_hold(void **state)
{
    (void)state;
    cleanup_with(request_queue_free_at) struct request_queue *queue = request_queue_new(KiB);
    struct str                                                taken;

    assert_int_equal(request_queue_offer(queue, text_of('x', KiB - 7)), -EAGAIN);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(request_queue_offer(queue, text_of('x', 100)), 0);
        assert_true(request_queue_take(queue, &taken));
        request_queue_done(queue);
        assert_int_equal(request_queue_offer(queue, text_of('y', KiB - 8)), 0);
        assert_int_equal(request_queue_offer(queue, STR("")), -EAGAIN);
        assert_true(request_queue_take(queue, &taken));
        expect_str(taken, text_of('y', KiB - 8));
        request_queue_done(queue);
    }
}

static void what_is_being_read_is_not_overwritten(void **state)
{
    (void)state;
    cleanup_with(request_queue_free_at) struct request_queue *queue = request_queue_new(KiB);
    struct str                                                taken;

    assert_int_equal(request_queue_offer(queue, text_of('x', 600)), 0);
    assert_true(request_queue_take(queue, &taken));
    assert_int_equal(request_queue_offer(queue, text_of('y', 600)), -EAGAIN);
    expect_str(taken, text_of('x', 600));
    request_queue_done(queue);
    assert_int_equal(request_queue_offer(queue, text_of('y', 600)), 0);
}

/* 308 bytes are left at the end, and 408 at the start. */
static void what_waits_is_not_overwritten_from_the_start(void **state)
{
    (void)state;
    cleanup_with(request_queue_free_at) struct request_queue *queue = request_queue_new(KiB);
    struct str                                                taken;

    assert_int_equal(request_queue_offer(queue, text_of('x', 400)), 0);
    assert_int_equal(request_queue_offer(queue, text_of('y', 300)), 0);
    assert_true(request_queue_take(queue, &taken));
    request_queue_done(queue);

    assert_int_equal(request_queue_offer(queue, text_of('z', 401)), -EAGAIN);
    assert_int_equal(request_queue_offer(queue, text_of('z', 400)), 0);
    assert_true(request_queue_take(queue, &taken));
    expect_str(taken, text_of('y', 300));
    request_queue_done(queue);
    assert_true(request_queue_take(queue, &taken));
    expect_str(taken, text_of('z', 400));
    request_queue_done(queue);
}

static void a_closed_queue_takes_and_gives_nothing(void **state)
{
    (void)state;
    cleanup_with(request_queue_free_at) struct request_queue *queue = request_queue_new(KiB);
    struct str                                                taken;

    assert_int_equal(request_queue_offer(queue, STR("waiting")), 0);
    request_queue_close(queue);
    assert_int_equal(request_queue_offer(queue, STR("late")), -ESHUTDOWN);
    assert_false(request_queue_take(queue, &taken));
    assert_false(request_queue_take(queue, &taken));
    request_queue_settle(queue);
}

struct taker {
    struct request_queue *queue;
    _Atomic unsigned      n_taken;
};

static void *take_all(void *context)
{
    struct taker *taker = context;
    struct str    taken;

    while (request_queue_take(taker->queue, &taken)) {
        request_queue_done(taker->queue);
        atomic_fetch_add(&taker->n_taken, 1);
    }
    return NULL;
}

static void wait_until_taken(const struct taker *taker, unsigned n_requests)
{
    int64_t deadline_ns = clock_monotonic_ns() + 20 * (int64_t)NS_PER_S;

    while (atomic_load(&taker->n_taken) < n_requests) {
        if (clock_monotonic_ns() > deadline_ns)
            fail_msg("request %u is never taken", n_requests);
        sched_yield();
    }
}

static void spend_time(unsigned turns)
{
    for (volatile unsigned i = 0; i < turns; i++)
        ;
}

/* The pauses between offers let some of them meet the taker as it finds nothing and goes to sleep.
 */
static void who_falls_asleep_while_something_is_offered_is_woken(void **state)
{
    (void)state;
    enum { ROUNDS = 60000, AT_ONCE = 4, LONGEST_PAUSE = 1000 };
    static struct taker taker;
    pthread_t           thread;

    taker = (struct taker){.queue = request_queue_new(64 * KiB)};
    assert_non_null(taker.queue);
    assert_int_equal(pthread_create(&thread, NULL, take_all, &taker), 0);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        for (unsigned i = 0; i < AT_ONCE; i++) {
            assert_int_equal(request_queue_offer(taker.queue, STR("request")), 0);
            spend_time(round * 7 % LONGEST_PAUSE);
        }
        wait_until_taken(&taker, round * AT_ONCE);
    }
    request_queue_close(taker.queue);
    pthread_join(thread, NULL);
    request_queue_free(taker.queue);
}

enum { OFFERERS = 4, OFFERS = 2000, ALL_OFFERS = OFFERERS * OFFERS };

struct offerer {
    struct fixture *fixture;
    struct str      requests[OFFERS];
    pthread_t       thread;
};

static void *offer_all(void *context)
{
    struct offerer *offerer = context;

    for (size_t i = 0; i < OFFERS; i++)
        recent_offer(offerer->fixture->recent, offerer->requests[i], 1);
    return NULL;
}

static void name_requests(struct offerer *offerer, uint8_t trace)
{
    for (unsigned i = 0; i < OFFERS; i++)
        offerer->requests[i] =
            request_of(STR("shop"), span_of(trace, arena_format(samples, "%u of %u", i, trace)));
}

/* Every span is read while others are added, as queries do. */
static void read_everything(struct fixture *fixture)
{
    struct trace_list       list;
    const struct kept_span *span;

    assert_int_equal(recent_list(fixture->recent, &list), 0);
    for (size_t i = 0; i < list.count; i++) {
        struct kept_spans rest = list.traces[i].spans;
        while ((span = kept_spans_next(&rest)))
            expect_str(span->context->service_name, STR("shop"));
    }
    trace_list_done(&list);
}

static void many_may_offer_while_others_read(void **state)
{
    (void)state;
    static struct offerer offerers[OFFERERS];
    struct recent_options options = roomy;
    struct fixture        fixture;
    size_t                n_spans = 0;

    options.max_bytes = options.max_trace_bytes = options.max_queue_bytes = 8192 * KiB;
    open_with(&fixture, &options);
    for (unsigned i = 0; i < OFFERERS; i++) {
        offerers[i].fixture = &fixture;
        name_requests(&offerers[i], (uint8_t)i);
    }
    for (size_t i = 0; i < OFFERERS; i++)
        assert_int_equal(pthread_create(&offerers[i].thread, NULL, offer_all, &offerers[i]), 0);
    for (int i = 0; i < 50; i++)
        read_everything(&fixture);
    for (size_t i = 0; i < OFFERERS; i++)
        pthread_join(offerers[i].thread, NULL);

    recent_settle(fixture.recent);
    for (unsigned i = 0; i < OFFERERS; i++)
        n_spans += count_spans(&fixture, (uint8_t)i);
    assert_int_equal(n_spans, ALL_OFFERS);
    finish(&fixture);
}

/* The thread of this process that has the name; 0 when there is none. */
static pid_t find_thread(const char *name)
{
    DIR           *tasks = opendir("/proc/self/task");
    struct dirent *task;
    pid_t          found = 0;

    assert_non_null(tasks);
    while ((task = readdir(tasks))) {
        char path[300], comm[32] = "";

        (void)snprintf(path, sizeof(path), "/proc/self/task/%s/comm", task->d_name);
        FILE *comm_file = fopen(path, "r");
        if (!comm_file)
            continue;
        if (fgets(comm, sizeof(comm), comm_file) && strncmp(comm, name, strlen(name)) == 0)
            found = (pid_t)strtol(task->d_name, NULL, 10);
        (void)fclose(comm_file);
    }
    (void)closedir(tasks);
    return found;
}

static void its_thread_steps_back_and_no_other(void **state)
{
    struct fixture *fixture = *state;

    file(fixture, 1, STR("a"));
    pid_t thread = find_thread("recent");
    assert_int_not_equal(thread, 0);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)thread), 19);
    assert_int_equal(getpriority(PRIO_PROCESS, 0), 0);
}

static int set_up(void **state)
{
    static struct fixture fixture;

    open_with(&fixture, &roomy);
    *state = &fixture;
    return new_samples(state);
}

static int tear_down(void **state)
{
    finish(*state);
    return free_samples(state);
}

#define sampled(test) cmocka_unit_test_setup_teardown(test, new_samples, free_samples)
#define running(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        running(spans_are_filed_by_trace),
        running(what_is_kept_is_a_copy),
        running(the_same_span_is_filed_once),
        running(an_id_may_be_shared_by_different_spans),
        running(what_spans_share_is_kept_once),
        running(bytes_that_mean_something_else_are_no_duplicate),
        running(a_span_like_a_resource_is_filed),
        running(spans_without_a_trace_id_are_counted),
        running(the_figures_are_shown),
        sampled(the_trace_that_is_quiet_longest_goes_first),
        sampled(traces_are_bounded_in_bytes),
        sampled(a_trace_that_is_full_takes_no_more),
        sampled(a_span_that_never_fits_leaves_no_empty_trace),
        running(the_last_active_trace_is_listed_first),
        running(a_snapshot_does_not_change),
        sampled(a_snapshot_outlives_its_trace),
        sampled(a_full_queue_skips_and_counts),
        sampled(what_comes_too_fast_is_skipped_and_counted),
        sampled(a_request_larger_than_the_queue_is_skipped),
        sampled(the_queue_has_room_again_when_it_is_emptied),
        running(what_is_not_a_request_does_no_harm),
        cmocka_unit_test(the_queue_keeps_the_order),
        sampled(requests_stay_whole_all_around_the_ring),
        sampled(an_empty_queue_takes_all_that_it_can_hold),
        sampled(what_is_being_read_is_not_overwritten),
        sampled(what_waits_is_not_overwritten_from_the_start),
        cmocka_unit_test(a_closed_queue_takes_and_gives_nothing),
        cmocka_unit_test(who_falls_asleep_while_something_is_offered_is_woken),
        sampled(many_may_offer_while_others_read),
        running(its_thread_steps_back_and_no_other),
    };
    return cmocka_run_group_tests_name("recent", tests, NULL, NULL);
}
