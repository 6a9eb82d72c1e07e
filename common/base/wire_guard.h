#pragma once

/*
 * Wire guard: looks at protobuf bytes from a peer before protobuf-c unpacks them.
 * protobuf-c recurses without limit (31 kB of nested values overflow a stack), so
 * nothing from outside is unpacked unguarded. Allocates nothing; pure.
 */

#include "common/base/str.h"

struct wire_limits {
    unsigned max_depth;  /* nested messages, counting every BYTES field that could be one */
    unsigned max_fields; /* in all, at any depth */
};

/*
 * 0 when `message` is protobuf within the limits; -EBADMSG when it is not protobuf,
 * -E2BIG when it has too many fields, -ELOOP when it may nest too deep. A BYTES
 * field that does not itself read as protobuf counts as plain bytes.
 */
int wire_guard(struct str message, struct wire_limits limits);
