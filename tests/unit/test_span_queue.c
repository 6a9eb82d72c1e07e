#include "common/trace/span_queue.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct str take_all(struct span_queue *queue, size_t max_spans, char *buffer, size_t size,
                           size_t *ret_spans)
{
    size_t bytes;
    *ret_spans = span_queue_take(queue, max_spans, buffer, size, &bytes);
    return (struct str){buffer, bytes};
}

static void assert_taken(struct span_queue *queue, size_t max_spans, size_t size,
                         size_t expected_spans, struct str expected)
{
    char       buffer[64];
    size_t     spans;
    struct str taken = take_all(queue, max_spans, buffer, size, &spans);

    if (spans != expected_spans || !str_equal(taken, expected))
        fail_msg("expected %zu \"%.*s\", saw %zu \"%.*s\"", expected_spans, STR_ARGS(expected),
                 spans, STR_ARGS(taken));
}

static void spans_come_out_in_order_strung_together(void **state)
{
    (void)state;
    cleanup_with(span_queue_free_at) struct span_queue *queue = span_queue_new(4, 64);

    assert_int_equal(span_queue_offer(queue, STR("one ")), 1);
    assert_int_equal(span_queue_offer(queue, STR("two ")), 2);
    assert_int_equal(span_queue_length(queue), 2);
    assert_taken(queue, 10, 64, 2, STR("one two "));
    assert_int_equal(span_queue_length(queue), 0);
}

static void an_empty_queue_gives_nothing(void **state)
{
    (void)state;
    cleanup_with(span_queue_free_at) struct span_queue *queue = span_queue_new(4, 64);
    assert_taken(queue, 10, 64, 0, STR(""));
}

static void no_more_spans_are_taken_than_asked_for(void **state)
{
    (void)state;
    cleanup_with(span_queue_free_at) struct span_queue *queue = span_queue_new(4, 64);

    span_queue_offer(queue, STR("a"));
    span_queue_offer(queue, STR("b"));
    span_queue_offer(queue, STR("c"));
    assert_taken(queue, 2, 64, 2, STR("ab"));
    assert_taken(queue, 2, 64, 1, STR("c"));
}

static void a_span_that_does_not_fit_the_buffer_stays(void **state)
{
    (void)state;
    cleanup_with(span_queue_free_at) struct span_queue *queue = span_queue_new(4, 64);

    span_queue_offer(queue, STR("four"));
    span_queue_offer(queue, STR("seventy"));
    assert_taken(queue, 4, 10, 1, STR("four"));
    assert_taken(queue, 4, 10, 1, STR("seventy"));
}

static void a_full_queue_refuses_the_span(void **state)
{
    (void)state;
    cleanup_with(span_queue_free_at) struct span_queue *queue = span_queue_new(2, 64);

    span_queue_offer(queue, STR("a"));
    span_queue_offer(queue, STR("b"));
    assert_int_equal(span_queue_offer(queue, STR("c")), -EAGAIN);
    assert_taken(queue, 1, 64, 1, STR("a"));
    assert_int_equal(span_queue_offer(queue, STR("d")), 2);
    assert_taken(queue, 4, 64, 2, STR("bd"));
}

static void bytes_are_bounded_too(void **state)
{
    (void)state;
    cleanup_with(span_queue_free_at) struct span_queue *queue = span_queue_new(8, 10);

    assert_int_equal(span_queue_offer(queue, STR("sixsix")), 1);
    assert_int_equal(span_queue_offer(queue, STR("fives")), -EAGAIN);
    assert_int_equal(span_queue_offer(queue, STR("four")), 2);
    assert_int_equal(span_queue_offer(queue, STR("1")), -EAGAIN);
    assert_taken(queue, 4, 64, 2, STR("sixsixfour"));
    assert_int_equal(span_queue_offer(queue, STR("elevenbytes")), -EAGAIN);
}

static void a_closed_queue_only_gives(void **state)
{
    (void)state;
    cleanup_with(span_queue_free_at) struct span_queue *queue = span_queue_new(2, 64);

    span_queue_offer(queue, STR("a"));
    span_queue_close(queue);
    assert_int_equal(span_queue_offer(queue, STR("b")), -ESHUTDOWN);
    assert_taken(queue, 4, 64, 1, STR("a"));
    assert_int_equal(span_queue_offer(queue, STR("b")), -ESHUTDOWN);
}

/* Lengths that share no factor with the ring's, so that every way to wrap comes by. */
static void what_wraps_around_comes_out_whole(void **state)
{
    (void)state;
    static const char                                   letters[] = "abcdefghijklm";
    cleanup_with(span_queue_free_at) struct span_queue *queue = span_queue_new(3, 29);

    span_queue_offer(queue, STR("x"));
    for (size_t i = 0; i < 200; i++) {
        struct str span = {letters, 1 + i % 13};

        if (span_queue_offer(queue, span) < 0)
            fail_msg("span %zu found no room", i);
        assert_taken(queue, 1, 64, 1, i == 0 ? STR("x") : (struct str){letters, 1 + (i - 1) % 13});
    }
}

enum { PRODUCERS = 4, SPANS_EACH = 20000, SPANS = PRODUCERS * SPANS_EACH };

struct producer {
    struct span_queue *queue;
    char               letter;
    pthread_t          thread;
};

/* A span is its letter, as often as its first byte says. */
static void *produce(void *context)
{
    struct producer *producer = context;

    for (unsigned i = 0; i < SPANS_EACH; i++) {
        char   span[32];
        size_t len = 2 + i % 30;

        memset(span, producer->letter, sizeof(span));
        span[0] = (char)len;
        while (span_queue_offer(producer->queue, (struct str){span, len}) == -EAGAIN)
            sched_yield();
    }
    return NULL;
}

static size_t count_whole_spans(struct str taken)
{
    size_t n = 0;

    for (size_t at = 0; at < taken.len; n++) {
        size_t len = (size_t)taken.at[at];
        for (size_t i = 2; i < len; i++)
            assert_int_equal(taken.at[at + i], taken.at[at + 1]);
        at += len;
    }
    return n;
}

static void spans_of_many_threads_stay_whole(void **state)
{
    (void)state;
    cleanup_with(span_queue_free_at) struct span_queue *queue = span_queue_new(100, 1500);
    struct producer                                     producers[PRODUCERS];

    for (int i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){.queue = queue, .letter = (char)('a' + i)};
        assert_int_equal(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
    }

    size_t total = 0;
    while (total < SPANS) {
        char       buffer[1000];
        size_t     spans;
        struct str taken = take_all(queue, 64, buffer, sizeof(buffer), &spans);
        assert_int_equal(count_whole_spans(taken), spans);
        total += spans;
    }

    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(producers[i].thread, NULL);
    assert_int_equal(total, SPANS);
    assert_int_equal(span_queue_length(queue), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_come_out_in_order_strung_together),
        cmocka_unit_test(an_empty_queue_gives_nothing),
        cmocka_unit_test(no_more_spans_are_taken_than_asked_for),
        cmocka_unit_test(a_span_that_does_not_fit_the_buffer_stays),
        cmocka_unit_test(a_full_queue_refuses_the_span),
        cmocka_unit_test(bytes_are_bounded_too),
        cmocka_unit_test(a_closed_queue_only_gives),
        cmocka_unit_test(what_wraps_around_comes_out_whole),
        cmocka_unit_test(spans_of_many_threads_stay_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
