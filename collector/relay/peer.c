#include "collector/relay/peer.h"

#include "common/trace/otlp_retry.h"

enum {
    ABSENT_MAX_DOUBLINGS = 3,    /* so that somebody who comes is found within a second */
    LEAST_GUESS_BYTES = 1 << 14, /* no receiver is that narrow: something else is wrong */
    TRUST_AFTER_CALLS = 64,
};

struct peer peer(unsigned max_calls, size_t max_request_bytes)
{
    return (struct peer){.max_calls = max_calls,
                         .window = max_calls,
                         .most_bytes = max_request_bytes,
                         .limit_bytes = max_request_bytes};
}

bool peer_is_failing(const struct peer *peer)
{
    return peer->failures > 0;
}

bool peer_may_start(const struct peer *peer, unsigned n_calls, int64_t now_ns)
{
    return n_calls < peer->window && now_ns >= peer->not_before_ns;
}

/* What the destination said itself is not put to the test again. */
void peer_took(struct peer *peer)
{
    if (!peer->is_limit_guessed || ++peer->n_taken < TRUST_AFTER_CALLS)
        return;

    peer->n_taken = 0;
    peer->limit_bytes *= 2;
    if (peer->limit_bytes >= peer->most_bytes) {
        peer->limit_bytes = peer->most_bytes;
        peer->is_limit_guessed = false;
    }
}

bool peer_answered(struct peer *peer, int64_t started_ns)
{
    bool was_failing = peer_is_failing(peer);

    if (was_failing && started_ns < peer->failed_ns)
        return false;

    peer->failures = 0;
    peer->window = peer->window * 2 < peer->max_calls ? peer->window * 2 : peer->max_calls;
    return was_failing;
}

static int64_t backoff_ns(const struct peer *peer, const struct peer_failure *failure)
{
    unsigned failures = peer->failures;

    if (failure->is_absent && failures > ABSENT_MAX_DOUBLINGS)
        failures = ABSENT_MAX_DOUBLINGS;
    return otlp_backoff_ns(failures, failure->random);
}

bool peer_failed(struct peer *peer, const struct peer_failure *failure)
{
    bool was_failing = peer_is_failing(peer);

    if (!was_failing || failure->started_ns >= peer->failed_ns) {
        peer->failures++;
        peer->failed_ns = failure->now_ns;
    }

    int64_t wait_ns = backoff_ns(peer, failure);
    if (wait_ns < failure->wait_ns)
        wait_ns = failure->wait_ns;
    if (peer->not_before_ns < failure->now_ns + wait_ns)
        peer->not_before_ns = failure->now_ns + wait_ns;
    peer->window = 1;
    return !was_failing;
}

bool peer_refused_size(struct peer *peer, size_t n_bytes, size_t max_bytes)
{
    bool is_told = max_bytes > 0 && max_bytes < n_bytes;

    if (!is_told && n_bytes / 2 < LEAST_GUESS_BYTES)
        return false;

    size_t limit_bytes = is_told ? max_bytes : n_bytes / 2;
    if (limit_bytes < peer->limit_bytes) {
        peer->limit_bytes = limit_bytes;
        peer->is_limit_guessed = !is_told;
        peer->n_taken = 0;
    }
    return true;
}
