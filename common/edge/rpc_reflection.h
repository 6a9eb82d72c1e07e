#pragma once

/*
 * Rpc reflection: tells grpcurl and its kind what a server serves, as
 * grpc.reflection.v1 and v1alpha, from the descriptor set that protoc wrote.
 *
 * Threads: made before the server starts, read-only afterwards.
 */

#include "common/base/cleanup.h"
#include "common/edge/rpc_server.h"

struct rpc_reflection;

/*
 * `descriptor_set` is a serialized google.protobuf.FileDescriptorSet with all
 * imports; it and the names in `services` (ended by NULL) outlive the object.
 * 0, -EBADMSG or -ENOMEM.
 */
int  rpc_reflection_new(struct rpc_reflection **ret_reflection, struct str descriptor_set,
                        const char *const services[]);
void rpc_reflection_free(struct rpc_reflection *reflection);
DEFINE_CLEANUP(struct rpc_reflection *, rpc_reflection_free)

void rpc_reflection_add_to(struct rpc_reflection *reflection, struct rpc_server *server);
