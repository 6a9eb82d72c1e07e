#pragma once

/*
 * Rpc codec: gRPC's slices, buffers and clocks from and to ours. For this folder only.
 */

#include <grpc/grpc.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/metadata.h"
#include "common/base/settings.h"
#include "common/base/str.h"

struct arena;

/* A view of the slice's bytes: small ones lie in the slice itself, so it must stay in place. */
struct str rpc_slice_view(const grpc_slice *slice);

/* A slice with a copy: the transport may hold on to it longer than the call lives. */
grpc_slice rpc_slice_copy(struct str s);

/* The buffer's bytes, one after the other, in `arena`; `at` is NULL when it is used up. */
struct str rpc_buffer_read(grpc_byte_buffer *buffer, struct arena *arena);

/* Whether the sender compressed it, and the library left it so. */
bool rpc_buffer_is_gzip(const grpc_byte_buffer *buffer);

grpc_byte_buffer *rpc_buffer_copy(struct str message);

/* Without a copy: `release` runs once the bytes are not needed any more, on any thread. */
grpc_byte_buffer *rpc_buffer_lend(struct str message, void (*release)(void *owner), void *owner);

/* A channel argument; `key` outlives the call that takes it. */
grpc_arg rpc_integer_arg(const char *key, int value);

gpr_timespec rpc_time_from_ns(int64_t monotonic_ns);
int64_t      rpc_time_to_ns(gpr_timespec time);

/* What came, without gRPC's own fields; the views borrow from `array`. 0 or -ENOMEM. */
int rpc_metadata_read(const grpc_metadata_array *array, struct arena *arena,
                      struct metadata *ret_metadata);

/* What goes out, plus the details of a status when they are there. */
struct rpc_sent_metadata {
    grpc_metadata *fields;
    size_t         count;
};

/*
 * Copies `metadata` (NULL: none) and `details` (may be absent); fields that gRPC
 * would not take, and would fail the whole call for, are left out. The array is in
 * `arena`. Without memory it is empty.
 */
struct rpc_sent_metadata rpc_metadata_write(const struct metadata *metadata, struct str details,
                                            struct arena *arena);
void                     rpc_metadata_release(struct rpc_sent_metadata *sent);

/* The value of grpc-status-details-bin; absent when there is none. Borrows from `array`. */
struct str rpc_metadata_details(const grpc_metadata_array *array);
