#pragma once

/*
 * Proto: protobuf-c with our memory and our limits. Unpacking goes through the
 * wire guard, and into an arena whose budget bounds it; nothing is freed alone.
 */

#include <protobuf-c/protobuf-c.h>

#include "common/base/arena.h"
#include "common/base/str.h"
#include "common/base/wire_guard.h"

/* The message, in `arena`; NULL when `bytes` are not one, or too much for limits or arena. */
void *proto_unpack(const ProtobufCMessageDescriptor *descriptor, struct str bytes,
                   struct wire_limits limits, struct arena *arena);

/* The message's bytes, in `arena`; `at` is NULL when it is used up. */
struct str proto_pack(const ProtobufCMessage *message, struct arena *arena);
