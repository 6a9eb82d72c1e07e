#include "common/base/arena.h"
#include "server/exchange_private.h"

static void end_work(struct exchange *exchange)
{
    struct tracer *tracer = exchange->request.hop->tracer;
    int64_t        now_ns = clock_monotonic_ns();
    int64_t slept_ns = exchange_realtime_ns(exchange, now_ns) - exchange->work->sleep.start_ns;

    exchange->result.reply.work.slept_us = (uint64_t)(slept_ns / NS_PER_US);
    tracer_end(tracer, &exchange->work->sleep, exchange_realtime_ns(exchange, now_ns));
    tracer_end(tracer, &exchange->work->all, exchange_realtime_ns(exchange, now_ns));
    exchange_call_upstreams(exchange);
}

static void compute(struct exchange *exchange, uint32_t index)
{
    struct tracer      *tracer = exchange->request.hop->tracer;
    struct work_report *report = &exchange->result.reply.work;
    struct span         span;

    tracer_begin_child(tracer, &span, SPAN_INTERNAL, STR("Fibonacci Calculation"),
                       &exchange->work->all, exchange_realtime_ns(exchange, clock_monotonic_ns()));
    *report = (struct work_report){
        .is_done = true, .fibonacci_index = index, .fibonacci = fibonacci(index)};
    report->is_odd = report->fibonacci % 2 == 1;
    metrics_add(exchange->request.hop->metrics.fibonacci_calls, 1);
    span_set_int(&span, STR("tracehop.fibonacci.index"), index);
    tracer_end(tracer, &span, exchange_realtime_ns(exchange, clock_monotonic_ns()));
    span_set_bool(&exchange->work->all, STR("tracehop.fibonacci.odd"), report->is_odd);
}

void exchange_work(struct exchange *exchange)
{
    struct hop                   *hop = exchange->request.hop;
    const struct server_settings *settings = &hop->config->settings;
    double                        index_draw = hop_draw(hop);
    double                        sleep_draw = hop_draw(hop);
    struct work_plan              plan = work_plan((uint32_t)settings->work_fibonacci_max,
                                                   settings->work_sleep_max_ns, index_draw, sleep_draw);

    exchange->work = arena_alloc(exchange->request.arena, sizeof(*exchange->work));
    if (!exchange->work) {
        exchange_fail_short_of_memory(exchange);
        exchange_end(exchange);
        return;
    }
    tracer_begin_child(hop->tracer, &exchange->work->all, SPAN_INTERNAL,
                       STR("Fibonacci Odd Or Even"), &exchange->span,
                       exchange_realtime_ns(exchange, clock_monotonic_ns()));
    compute(exchange, plan.fibonacci_index);
    tracer_begin_child(hop->tracer, &exchange->work->sleep, SPAN_INTERNAL, STR("Sleep"),
                       &exchange->work->all, exchange_realtime_ns(exchange, clock_monotonic_ns()));
    exchange_wait(exchange, plan.sleep_ns, end_work);
}
