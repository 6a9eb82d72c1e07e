#pragma once

/*
 * Receiver otlp grpc: opentelemetry.proto.collector.trace.v1.TraceService/Export.
 *
 * Threads: the server's workers; an answer goes out on the worker that has the call.
 */

struct intake;
struct rpc_server;

/* Before the server starts; it must take gzip. */
void receiver_otlp_grpc_add_to(struct rpc_server *server, struct intake *intake);
