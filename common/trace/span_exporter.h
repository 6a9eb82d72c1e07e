#pragma once

/*
 * Span exporter: takes ended spans in batches from a queue to a collector, over
 * OTLP/gRPC or OTLP/HTTP, in the background. A dead or
 * slow collector costs a request nothing: spans that find no room are counted.
 *
 * Every span ends in one counter: tracehop_spans_exported_total, or
 * tracehop_spans_dropped_total{reason="queue_full|refused|timeout|unreachable|shutdown"}.
 *
 * Rules: OpenTelemetry specification, trace/sdk.md "Batching processor" and
 * protocol/exporter.md; OTLP specification, "Failures".
 *
 * Threads: offer from any; the rest from one.
 */

#include "common/base/metrics.h"
#include "common/base/str.h"
#include "common/base/uri.h"
#include "common/trace/otlp.h"

struct rpc_worker;
struct span_exporter;

/* What somebody should hear of. */
enum span_exporter_event {
    SPAN_EXPORTER_FAILS,   /* the collector does not take spans at the moment */
    SPAN_EXPORTER_WORKS,   /* it answers again */
    SPAN_EXPORTER_REFUSES, /* it refused some for good; as often as that happens */
};

struct span_exporter_options {
    /*
     * Where it runs, besides other things: it does not block. Borrowed; starts after
     * span_exporter_new, and runs until span_exporter_stop has returned. Not a worker
     * of its own: a second one waiting inside gRPC would take turns in polling for
     * all sockets, and cost the first one a switch of threads for each event.
     */
    struct rpc_worker *worker;
    enum otlp_protocol protocol;
    struct uri endpoint; /* http://host:4317, or http://host:4318 with the path to post to */
    struct str resource; /* otlp_encode_resource; borrowed */
    struct str scope_name, scope_version;
    size_t     max_queue_spans;   /* OTEL_BSP_MAX_QUEUE_SIZE */
    size_t     max_batch_spans;   /* OTEL_BSP_MAX_EXPORT_BATCH_SIZE */
    int64_t    schedule_delay_ns; /* OTEL_BSP_SCHEDULE_DELAY */
    int64_t    export_timeout_ns; /* OTEL_BSP_EXPORT_TIMEOUT: for one batch, tries included */

    /* Runs on the worker, and must not block. `why` is the answer's otlp_verdict.text. May be NULL.
     */
    void (*event)(enum span_exporter_event event, const char *why, void *context);
    void *context;
};

/* 0, -ENOMEM or -EINVAL (an endpoint that the protocol cannot use). */
int span_exporter_new(struct span_exporter              **ret_exporter,
                      const struct span_exporter_options *options, struct metrics *metrics);

/* Takes a span as otlp_encode_span wrote it; copies it. Never blocks. */
void span_exporter_offer(struct span_exporter *exporter, struct str span);

/*
 * Sends what waits until `deadline_ns`, counts the rest as dropped (shutdown), ends the
 * worker. Blocks. Spans that are offered later are counted so too.
 */
void span_exporter_stop(struct span_exporter *exporter, int64_t deadline_ns);

/* After stop. NULL is fine. */
void span_exporter_free(struct span_exporter *exporter);
DEFINE_CLEANUP(struct span_exporter *, span_exporter_free)
