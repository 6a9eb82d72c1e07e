#pragma once

/*
 * Rpc health: grpc.health.v1.Health, Check and Watch. One switch for the whole
 * program; each service that was named answers the same, as does "".
 *
 * Threads: set from any; the rest before the server starts, free after it.
 */

#include <stdbool.h>

#include "common/base/cleanup.h"
#include "common/edge/rpc_server.h"

struct rpc_health;

/*
 * `services` (constants, ended by NULL) are the names that are known. Starts as not
 * serving. NULL when memory is short.
 */
struct rpc_health *rpc_health_new(const char *const services[]);
void               rpc_health_free(struct rpc_health *health);
DEFINE_CLEANUP(struct rpc_health *, rpc_health_free)

void rpc_health_add_to(struct rpc_health *health, struct rpc_server *server);

/* Tells every watcher. */
void rpc_health_set(struct rpc_health *health, bool is_serving);

/* Ends every Watch, so that a draining server need not wait for them. */
void rpc_health_end_watches(struct rpc_health *health);
