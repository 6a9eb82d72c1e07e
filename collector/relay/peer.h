#pragma once

/*
 * Peer: what is known of a destination from how its calls ended: how many calls it gets at once,
 * when the next may start, and how large a request it takes. Pure.
 *
 * After a failure one call at a time is tried, each after a longer wait; after an answer the
 * number doubles with each that follows. Calls that began before the last failure say nothing
 * new about it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer {
    unsigned max_calls;
    unsigned window;   /* how many calls at once, at the moment */
    unsigned failures; /* in a row */
    int64_t  failed_ns;
    int64_t  not_before_ns;

    size_t   most_bytes;
    size_t   limit_bytes; /* of a request */
    bool     is_limit_guessed;
    unsigned n_taken; /* since the limit was guessed */
};

struct peer peer(unsigned max_calls, size_t max_request_bytes);

bool peer_is_failing(const struct peer *peer);

/* Whether another call may start, besides `n_calls` in flight. */
bool peer_may_start(const struct peer *peer, unsigned n_calls, int64_t now_ns);

/* A call that was started then was answered. True when that ends a series of failures. */
bool peer_answered(struct peer *peer, int64_t started_ns);

/* A request was taken: a guess about its size may have been too low. */
void peer_took(struct peer *peer);

struct peer_failure {
    int64_t  started_ns, now_ns;
    int64_t  wait_ns;   /* what the destination asked for */
    bool     is_absent; /* nobody is there: to ask often is cheap */
    uint64_t random;
};

/* True when it begins a series. */
bool peer_failed(struct peer *peer, const struct peer_failure *failure);

/*
 * A request of `n_bytes` was too large; the destination named `max_bytes` as its limit, or 0.
 * False when this cannot be believed: the limit stays, and smaller requests would not help.
 */
bool peer_refused_size(struct peer *peer, size_t n_bytes, size_t max_bytes);
