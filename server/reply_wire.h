#pragma once

/*
 * Reply wire: the tree as tracehop.v1.CallReply, and as the details of a failed
 * call (google.rpc.Status with the partial tree in an Any).
 */

#include "common/base/arena.h"
#include "server/reply.h"

/* Over HTTP: what a hop asks another hop for, and how it knows the answer of one. */
#define REPLY_CONTENT_TYPE "application/x-protobuf; messageType=\"tracehop.v1.CallReply\""

enum { REPLY_MAX_DEPTH = 32 }; /* hops in a chain; a deeper tree is refused */

/* `at` is NULL when the arena is used up. */
struct str reply_encode(const struct reply *reply, struct arena *arena);

/*
 * The tree, its texts made UTF-8; NULL when `bytes` are no CallReply, nest too
 * deep, or the arena is used up. Texts that already are UTF-8 are views into
 * `bytes`, which must live as long as the arena.
 */
struct reply *reply_decode(struct str bytes, struct arena *arena);

/*
 * The details of a failure, at most `max_bytes` long. What does not fit is left
 * out: first what is below the root of the partial tree (the root still says what
 * the call cost), then the root, then the details.
 */
struct str failure_encode_details(const struct failure *failure, size_t max_bytes,
                                  struct arena *arena);

/*
 * What a failed call's details add to `failure`: the hop's name and the partial
 * tree, with texts as of reply_decode. Left as it is when the details are absent
 * or are not ours.
 */
void failure_decode_details(struct str details, struct arena *arena, struct failure *failure);
