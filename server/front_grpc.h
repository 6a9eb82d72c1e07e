#pragma once

/*
 * Front gRPC: tracehop.v1.Hop/Call, answered with a typed tree, or with a status
 * whose details carry the tree as far as it got.
 *
 * Threads: the server's workers.
 */

#include "common/edge/rpc_server.h"
#include "server/hop.h"

void front_grpc_add_to(struct rpc_server *server, struct hop *hop);
