#include "common/edge/proto.h"

static void *take_from_arena(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

/* What protobuf-c gives back dies with the arena. */
static void keep(void *arena, void *pointer)
{
    (void)arena, (void)pointer;
}

void *proto_unpack(const ProtobufCMessageDescriptor *descriptor, struct str bytes,
                   struct wire_limits limits, struct arena *arena)
{
    ProtobufCAllocator allocator = {
        .alloc = take_from_arena, .free = keep, .allocator_data = arena};

    if (wire_guard(bytes, limits) < 0)
        return NULL;
    return protobuf_c_message_unpack(descriptor, &allocator, bytes.len, (const uint8_t *)bytes.at);
}

struct str proto_pack(const ProtobufCMessage *message, struct arena *arena)
{
    size_t   size = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = arena_alloc(arena, size + 1); /* also for an empty message there is a place */
    if (!bytes)
        return (struct str){0};

    protobuf_c_message_pack(message, bytes);
    return (struct str){.at = (const char *)bytes, .len = size};
}
