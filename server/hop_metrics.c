#include "server/hop_metrics.h"

struct str front_name(enum front front)
{
    return front == FRONT_HTTP ? STR("http") : STR("grpc");
}

static struct call_metrics call_metrics(struct metrics_family *requests,
                                        struct metrics_family *durations, struct str peer)
{
    struct call_metrics metrics = {.duration = metrics_series(durations, &peer)};

    for (unsigned status = 0; status < STATUS_COUNT; status++)
        metrics.requests[status] =
            metrics_series(requests, (struct str[]){peer, status_name((enum status)status)});
    return metrics;
}

static void init_fronts(struct hop_metrics *hop, struct metrics *metrics)
{
    struct metrics_family *requests =
        metrics_family(metrics, METRICS_COUNTER, "tracehop_requests",
                       "Requests answered, by front and gRPC status.",
                       (const char *const[]){"front", "status", NULL});
    struct metrics_family *durations =
        metrics_family(metrics, METRICS_HISTOGRAM, "tracehop_request_duration_seconds",
                       "How long requests took, by front.", (const char *const[]){"front", NULL});

    for (unsigned front = 0; front < FRONT_COUNT; front++)
        hop->fronts[front] = call_metrics(requests, durations, front_name((enum front)front));
}

static void init_faults(struct hop_metrics *hop, struct metrics *metrics)
{
    struct metrics_family *faults = metrics_family(metrics, METRICS_COUNTER, "tracehop_faults",
                                                   "Failures and delays carried out on request.",
                                                   (const char *const[]){"kind", NULL});

    hop->fails = metrics_series(faults, (struct str[]){STR("fail")});
    hop->delays = metrics_series(faults, (struct str[]){STR("delay")});
    hop->ignored_faults =
        metrics_single(metrics, METRICS_COUNTER, "tracehop_fault_items_ignored",
                       "Items of fail and delay, and parameters, that could not be understood.");
}

static void init_attempts(struct hop_metrics *hop, struct metrics *metrics)
{
    static const char *const labels[] = {"1", "2", "3", "more"};
    struct metrics_family   *attempts =
        metrics_family(metrics, METRICS_COUNTER, "tracehop_attempts",
                       "Requests by how often their call had been tried here.",
                       (const char *const[]){"attempt", NULL});

    for (unsigned i = 0; i < ARRAY_LENGTH(labels); i++)
        hop->attempts[i] = metrics_series(attempts, (struct str[]){str_from(labels[i])});
}

void hop_metrics_init(struct hop_metrics *ret_metrics, struct metrics *metrics)
{
    init_fronts(ret_metrics, metrics);
    init_faults(ret_metrics, metrics);
    init_attempts(ret_metrics, metrics);
    ret_metrics->fibonacci_calls = metrics_single(
        metrics, METRICS_COUNTER, "tracehop_fibonacci_calls", "Fibonacci numbers computed.");
    ret_metrics->upstream_requests =
        metrics_family(metrics, METRICS_COUNTER, "tracehop_upstream_requests",
                       "Calls made to upstreams, by upstream and gRPC status.",
                       (const char *const[]){"upstream", "status", NULL});
    ret_metrics->upstream_durations = metrics_family(
        metrics, METRICS_HISTOGRAM, "tracehop_upstream_duration_seconds",
        "How long calls to upstreams took.", (const char *const[]){"upstream", NULL});
}

struct call_metrics hop_metrics_upstream(const struct hop_metrics *metrics, struct str uri)
{
    return call_metrics(metrics->upstream_requests, metrics->upstream_durations, uri);
}

void call_metrics_count(const struct call_metrics *metrics, enum status status, int64_t duration_ns,
                        struct str trace_id_hex)
{
    metrics_add(metrics->requests[status < STATUS_COUNT ? status : STATUS_UNKNOWN], 1);
    metrics_observe_ns(metrics->duration, duration_ns, trace_id_hex);
}

void hop_metrics_count_attempt(const struct hop_metrics *metrics, uint32_t attempt)
{
    unsigned last = ARRAY_LENGTH(metrics->attempts) - 1;

    metrics_add(metrics->attempts[attempt - 1 < last ? attempt - 1 : last], 1);
}
