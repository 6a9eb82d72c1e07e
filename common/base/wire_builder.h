#pragma once

/*
 * Wire builder: protobuf bytes written forward, while what they are made of is being read;
 * their size need not be known. (Where fields can be written in reverse, wire_writer is simpler.)
 * They grow in an arena. A nested message is opened and closed; all lengths are minimal, for
 * which the content of a message above 127 bytes moves once when it is closed.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/text.h"
#include "common/base/wire.h"

struct wire_builder {
    struct text text; /* the bytes so far */
    size_t      max_bytes;
    int         error; /* -E2BIG or -ENOMEM; sticky, the content is void */
};

/* An open message. */
struct wire_open {
    uint32_t number;
    size_t   head, content; /* where they start */
};

/* `capacity` is what it takes of the arena at once. */
struct wire_builder wire_builder(struct arena *arena, size_t capacity, size_t max_bytes);

/* What has been written. */
struct str wire_built(const struct wire_builder *builder);

/* Begins again, in the same memory. */
void wire_build_clear(struct wire_builder *builder);

/* Each adds one whole field. */
void wire_build_varint(struct wire_builder *builder, uint32_t number, uint64_t value);
void wire_build_fixed64(struct wire_builder *builder, uint32_t number, uint64_t value);
void wire_build_fixed32(struct wire_builder *builder, uint32_t number, uint32_t value);
void wire_build_bytes(struct wire_builder *builder, uint32_t number, struct str bytes);

/* What is added between the two is the content of nested field `number`. */
struct wire_open wire_build_open(struct wire_builder *builder, uint32_t number);
void             wire_build_close(struct wire_builder *builder, struct wire_open open);
