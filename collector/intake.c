#include "collector/intake.h"

#include "collector/recent/recent.h"
#include "collector/spans/skim.h"
#include "common/base/cleanup.h"

struct str receiver_name(enum receiver receiver)
{
    static const struct str names[RECEIVER_COUNT] = {
        [RECEIVER_OTLP_GRPC] = STR_INIT("otlp_grpc"),
        [RECEIVER_OTLP_HTTP] = STR_INIT("otlp_http"),
        [RECEIVER_ZIPKIN] = STR_INIT("zipkin"),
    };
    return names[receiver];
}

static void init_series(struct metrics_series *ret_series[RECEIVER_COUNT],
                        struct metrics_family *family)
{
    for (unsigned receiver = 0; receiver < RECEIVER_COUNT; receiver++) {
        struct str name = receiver_name((enum receiver)receiver);
        ret_series[receiver] = metrics_series(family, &name);
    }
}

static struct metrics_family *by_receiver(struct metrics *metrics, enum metrics_kind kind,
                                          const char *name, const char *help)
{
    return metrics_family(metrics, kind, name, help, (const char *const[]){"receiver", NULL});
}

static void init_metrics(struct intake *intake, struct metrics *metrics)
{
    init_series(intake->requests,
                by_receiver(metrics, METRICS_COUNTER, "tracehop_collector_received_requests",
                            "Requests that were kept and acknowledged."));
    init_series(intake->spans,
                by_receiver(metrics, METRICS_COUNTER, "tracehop_collector_received_spans",
                            "Spans in requests that were kept and acknowledged."));
    init_series(intake->bytes,
                by_receiver(metrics, METRICS_COUNTER, "tracehop_collector_received_bytes",
                            "Bytes of those requests, as OTLP, not compressed."));
    init_series(intake->bad_spans,
                by_receiver(metrics, METRICS_COUNTER, "tracehop_collector_bad_spans",
                            "Malformed spans that were left out of requests taken otherwise."));
    init_series(intake->durations, by_receiver(metrics, METRICS_HISTOGRAM,
                                               "tracehop_collector_acknowledge_duration_seconds",
                                               "From the arrival of a request until it was kept."));
    intake->refused_requests =
        metrics_family(metrics, METRICS_COUNTER, "tracehop_collector_refused_requests",
                       "Requests that were not taken, by the reason that their senders were told.",
                       (const char *const[]){"receiver", "reason", NULL});
}

void intake_init(struct intake *intake, struct journal *journal, struct recent *recent,
                 size_t max_request_bytes, struct metrics *metrics)
{
    *intake = (struct intake){.journal = journal,
                              .recent = recent,
                              .max_request_bytes = max_request_bytes,
                              .in_hand = {.max_bytes = max_request_bytes + max_request_bytes / 8}};
    init_metrics(intake, metrics);
}

void intake_count_refusal(struct intake *intake, enum receiver receiver,
                          const struct refusal *refusal)
{
    struct str labels[] = {receiver_name(receiver), refusal->reason};

    metrics_add(metrics_series(intake->refused_requests, labels), 1);
}

void intake_count_bad_spans(struct intake *intake, enum receiver receiver, uint64_t n_spans)
{
    metrics_add(intake->bad_spans[receiver], n_spans);
}

static void refuse(struct intake_request *request, struct refusal refusal)
{
    intake_count_refusal(request->intake, request->receiver, &refusal);
    request->done(request, &refusal);
}

static void keep(struct intake_request *request)
{
    struct intake *intake = request->intake;
    enum receiver  receiver = request->receiver;

    metrics_add(intake->requests[receiver], 1);
    metrics_add(intake->spans[receiver], request->entry.n_spans);
    metrics_add(intake->bytes[receiver], request->spans.len);
    metrics_observe_ns(intake->durations[receiver],
                       clock_monotonic_ns() - request->arrival.monotonic_ns, (struct str){0});
    if (intake->recent && request->entry.n_spans > 0)
        recent_offer(intake->recent, request->spans, request->entry.n_spans);
    request->done(request, NULL);
}

/* On the journal's thread. */
static void entry_done(struct journal_entry *entry, int result)
{
    struct intake_request *request = container_of(entry, struct intake_request, entry);

    if (result == 0)
        keep(request);
    else
        refuse(request, refusal_not_kept(result));
}

static void append(struct intake_request *request)
{
    request->entry.done = entry_done;
    request->entry.payload = request->spans;
    request->entry.time_ns = request->arrival.realtime_ns;

    int r = journal_append(request->intake->journal, &request->entry);
    if (r < 0)
        refuse(request, refusal_not_kept(r));
}

/* An empty request is a success, and nothing to keep (OTLP specification, "Full Success"). */
void intake_take(struct intake *intake, struct intake_request *request)
{
    const char *reason;

    request->intake = intake;
    if (request->spans.len > intake->max_request_bytes)
        refuse(request, refusal_too_large());
    else if (skim_request(request->spans, &request->entry.n_spans, &reason) < 0)
        refuse(request, refusal_malformed(str_from(reason)));
    else if (request->entry.n_spans == 0 || !intake->journal)
        keep(request);
    else
        append(request);
}
