#include "collector/relay/relay_metrics.h"

#include <errno.h>

static const struct {
    struct str outcome;
    struct str reason;
} outcomes[RELAY_COUNTS] = {
    [RELAY_DELIVERED] = {STR_INIT("delivered"), STR_INIT("")},
    [RELAY_REJECTED_REFUSED] = {STR_INIT("rejected"), STR_INIT("refused")},
    [RELAY_REJECTED_PARTIAL] = {STR_INIT("rejected"), STR_INIT("partial_success")},
    [RELAY_REJECTED_TOO_LARGE] = {STR_INIT("rejected"), STR_INIT("too_large")},
    [RELAY_EXPIRED_SIZE] = {STR_INIT("expired"), STR_INIT("size")},
    [RELAY_EXPIRED_AGE] = {STR_INIT("expired"), STR_INIT("age")},
    [RELAY_LOST_DAMAGED] = {STR_INIT("lost"), STR_INIT("damaged")},
};

static const struct str answers[OTLP_ANSWERS] = {
    [OTLP_TAKEN] = STR_INIT("taken"),
    [OTLP_REFUSED] = STR_INIT("refused"),
    [OTLP_TOO_LARGE] = STR_INIT("too_large"),
    [OTLP_LATER] = STR_INIT("later"),
    [OTLP_UNREACHABLE] = STR_INIT("unreachable"),
};

struct str relay_count_reason(enum relay_count count)
{
    return outcomes[count].reason;
}

static const char *const destination_label[] = {"destination", NULL};

static struct metrics_family *counter(struct metrics *metrics, const char *name, const char *help,
                                      const char *const labels[])
{
    return metrics_family(metrics, METRICS_COUNTER, name, help, labels);
}

static struct metrics_family *gauge(struct metrics *metrics, const char *name, const char *help)
{
    return metrics_family(metrics, METRICS_GAUGE, name, help, destination_label);
}

static bool is_complete(const struct relay_metrics *metrics)
{
    return metrics->spans && metrics->calls && metrics->call_duration && metrics->retries &&
           metrics->sent_bytes && metrics->queued_spans && metrics->queued_bytes &&
           metrics->calls_in_flight && metrics->batch_limit && metrics->is_backing_off &&
           metrics->cursor_failures;
}

int relay_metrics_init(struct relay_metrics *relay_metrics, struct metrics *metrics)
{
    *relay_metrics = (struct relay_metrics){
        .spans = counter(metrics, "tracehop_collector_relay_spans",
                         "Spans that left the queue of a destination, by what became of them.",
                         (const char *const[]){"destination", "outcome", "reason", NULL}),
        .calls = counter(
            metrics, "tracehop_collector_relay_calls",
            "Calls to a destination that have ended, by what its answer means for the spans.",
            (const char *const[]){"destination", "answer", NULL}),
        .call_duration =
            metrics_family(metrics, METRICS_HISTOGRAM, "tracehop_collector_relay_call_seconds",
                           "How long calls to a destination took.", destination_label),
        .retries = counter(metrics, "tracehop_collector_relay_retries",
                           "Calls that repeat one which had no answer, or the answer to try later.",
                           destination_label),
        .sent_bytes =
            counter(metrics, "tracehop_collector_relay_sent_bytes",
                    "Bytes of the requests to a destination, retries included.", destination_label),
        .queued_spans = gauge(metrics, "tracehop_collector_queued_spans",
                              "Spans that a destination has yet to be given, or to answer for."),
        .queued_bytes = gauge(metrics, "tracehop_collector_queued_bytes",
                              "Bytes of the journal from a destination's cursor to the end."),
        .calls_in_flight = gauge(metrics, "tracehop_collector_relay_calls_in_flight",
                                 "Calls to a destination that have not ended."),
        .batch_limit = gauge(metrics, "tracehop_collector_relay_batch_limit_bytes",
                             "The largest request that a destination is sent; lowered when it says "
                             "what it takes."),
        .is_backing_off = gauge(metrics, "tracehop_collector_relay_backing_off",
                                "1 while a destination does not take spans and is tried again "
                                "and again, 0 while all is well."),
        .cursor_failures = counter(
            metrics, "tracehop_collector_relay_cursor_failures",
            "Times that a destination's cursor could not be saved: spans may be sent twice.",
            destination_label),
    };

    return is_complete(relay_metrics) ? 0 : -ENOMEM;
}

struct destination_metrics destination_metrics(const struct relay_metrics *relay_metrics,
                                               struct str                  name)
{
    struct destination_metrics series = {
        .call_duration = metrics_series(relay_metrics->call_duration, &name),
        .retries = metrics_series(relay_metrics->retries, &name),
        .sent_bytes = metrics_series(relay_metrics->sent_bytes, &name),
        .queued_spans = metrics_series(relay_metrics->queued_spans, &name),
        .queued_bytes = metrics_series(relay_metrics->queued_bytes, &name),
        .calls_in_flight = metrics_series(relay_metrics->calls_in_flight, &name),
        .batch_limit = metrics_series(relay_metrics->batch_limit, &name),
        .is_backing_off = metrics_series(relay_metrics->is_backing_off, &name),
        .cursor_failures = metrics_series(relay_metrics->cursor_failures, &name),
    };

    for (int i = 0; i < RELAY_COUNTS; i++)
        series.spans[i] =
            metrics_series(relay_metrics->spans,
                           (const struct str[]){name, outcomes[i].outcome, outcomes[i].reason});
    for (int i = 0; i < OTLP_ANSWERS; i++)
        series.calls[i] =
            metrics_series(relay_metrics->calls, (const struct str[]){name, answers[i]});
    return series;
}

void destination_metrics_show(const struct destination_metrics *metrics,
                              const struct relay_books         *books)
{
    metrics_set(metrics->queued_spans, (int64_t)books->queued);
    metrics_set(metrics->queued_bytes, (int64_t)books->queued_bytes);
    metrics_set(metrics->calls_in_flight, (int64_t)books->in_flight_calls);
    metrics_set(metrics->batch_limit, (int64_t)books->batch_limit_bytes);
    metrics_set(metrics->is_backing_off, books->is_backing_off);
}
