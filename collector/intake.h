#pragma once

/*
 * Intake: where the requests of all receivers come together. A request that passes the skim goes
 * to the journal; once it is kept its sender is told, and only then do others look at it: the
 * relay, and the recent traces.
 *
 * Without destinations there is no journal, and a request is kept when it was offered to the
 * recent traces.
 *
 * Threads: take from any.
 */

#include <stdint.h>

#include "collector/journal/journal.h"
#include "collector/refusal.h"
#include "common/base/budget.h"
#include "common/base/clock.h"
#include "common/base/metrics.h"

struct intake;
struct recent;

enum receiver { RECEIVER_OTLP_GRPC, RECEIVER_OTLP_HTTP, RECEIVER_ZIPKIN, RECEIVER_COUNT };

struct str receiver_name(enum receiver receiver);

/* Embed it, with the first four set. */
struct intake_request {
    /*
     * Runs once: inside intake_take, or later on the journal's thread, where it must not block.
     * `refusal` is NULL when the request is kept. The bytes are the caller's again.
     */
    void (*done)(struct intake_request *request, const struct refusal *refusal);
    enum receiver  receiver;
    struct instant arrival;
    struct str     spans; /* an ExportTraceServiceRequest */

    /* The intake's. */
    struct intake       *intake;
    struct journal_entry entry;
};

void intake_take(struct intake *intake, struct intake_request *request);

/* A request that never gets as far. Counts it. */
void intake_count_refusal(struct intake *intake, enum receiver receiver,
                          const struct refusal *refusal);

/* Spans that were left out of a request that is taken otherwise. Counts them. */
void intake_count_bad_spans(struct intake *intake, enum receiver receiver, uint64_t n_spans);

struct intake {
    struct journal *journal; /* NULL: no destinations */
    struct recent  *recent;  /* NULL: none wanted */
    size_t          max_request_bytes;
    struct budget   in_hand; /* of HTTP bodies and inflated ones: a request, and an eighth more */

    struct metrics_family *refused_requests;
    struct metrics_series *requests[RECEIVER_COUNT];
    struct metrics_series *spans[RECEIVER_COUNT];
    struct metrics_series *bytes[RECEIVER_COUNT];
    struct metrics_series *bad_spans[RECEIVER_COUNT];
    struct metrics_series *durations[RECEIVER_COUNT];
};

void intake_init(struct intake *intake, struct journal *journal, struct recent *recent,
                 size_t max_request_bytes, struct metrics *metrics);
