#pragma once

/*
 * What the files of the exchange share: its state, and the steps that hand over
 * to each other (exchange.h shows their order). For them only.
 */

#include "common/edge/rpc_call.h"
#include "server/exchange.h"

/* The spans of WORK=fibonacci, which outlast the sleep. */
struct work_spans {
    struct span all, sleep;
};

struct exchange {
    struct exchange_request request;
    struct rpc_worker      *worker;
    struct hop_worker      *uncalled_on; /* whose list it is on; NULL: none */
    struct exchange        *next, *previous;
    struct str              mark; /* what all tries of this call have in common; may be empty */
    struct span             span;
    struct chain_decision   decision;
    struct exchange_result  result;
    struct failure          failure;
    char                    trace_id[TRACE_ID_HEX_LENGTH];

    struct metadata       forwarded;
    struct upstream_call *calls;
    size_t                n_calls;
    size_t                n_started, n_ended;
    struct work_spans    *work;

    struct rpc_timer timer;
    void (*after_wait)(struct exchange *exchange);
    bool is_cancel_watched;
    bool is_cancelled;
};

static inline int64_t exchange_realtime_ns(const struct exchange *exchange, int64_t monotonic_ns)
{
    return instant_realtime_ns(exchange->request.arrival, monotonic_ns);
}

static inline enum failure_policy exchange_policy(const struct exchange *exchange)
{
    return (enum failure_policy)exchange->request.hop->config->settings.on_upstream_failure;
}

/* The last step: reports, and calls `done`. The exchange is gone afterwards. */
void exchange_end(struct exchange *exchange);

/* Notes that the hop fails, with an upstream's failure or one of its own; it still has to end. */
void exchange_fail(struct exchange *exchange, const struct failure *failure);
void exchange_fail_here(struct exchange *exchange, enum status status, struct str message);
void exchange_fail_cancelled(struct exchange *exchange);
void exchange_fail_short_of_memory(struct exchange *exchange);

/* Whether there is any point in going on; if not, the exchange has failed. */
bool exchange_goes_on(struct exchange *exchange);

/*
 * Goes on with `next` after `wait_ns`, at the deadline, or when the caller is
 * gone. Comes last in a step: the exchange may end inside.
 */
void exchange_wait(struct exchange *exchange, int64_t wait_ns,
                   void (*next)(struct exchange *exchange));

/* Makes the caller's leaving cancel the exchange. Comes last in a step, as above. */
void exchange_watch_for_cancel(struct exchange *exchange);

/* The steps of exchange_work.c and exchange_calls.c. */
void exchange_work(struct exchange *exchange);
void exchange_call_upstreams(struct exchange *exchange);
void exchange_cancel_calls(struct exchange *exchange);
