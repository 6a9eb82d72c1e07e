#pragma once

/*
 * Relay log: what the collector's log says of its destinations.
 *
 * Threads: the relay's, or none any more.
 */

#include "collector/relay/relay.h"

/* For relay_options; needs no context. */
void relay_log_event(enum relay_event event, const struct relay_books *books, void *context);

/* After relay_stop: what was not delivered. */
void relay_log_left(struct relay *relay);
