#include "common/base/wire_builder.h"

#include <errno.h>

#include "common/base/arena.h"

/* A tag and a varint or fixed64. */
enum { MAX_FIELD_BYTES = 5 + 10 };

struct wire_builder wire_builder(struct arena *arena, size_t capacity, size_t max_bytes)
{
    struct wire_builder builder = {.text = text_in_arena(arena, capacity), .max_bytes = max_bytes};
    builder.error = builder.text.is_cut ? -ENOMEM : 0;
    return builder;
}

struct str wire_built(const struct wire_builder *builder)
{
    return text_view(&builder->text);
}

void wire_build_clear(struct wire_builder *builder)
{
    builder->text.len = 0;
}

static void add(struct wire_builder *builder, struct str bytes)
{
    if (builder->error)
        return;

    if (bytes.len > builder->max_bytes - builder->text.len) {
        builder->error = -E2BIG;
        return;
    }
    text_add(&builder->text, bytes);
    if (builder->text.is_cut)
        builder->error = -ENOMEM;
}

void wire_build_varint(struct wire_builder *builder, uint32_t number, uint64_t value)
{
    uint8_t            field[MAX_FIELD_BYTES];
    struct wire_writer writer = wire_writer(field, sizeof(field));

    wire_put_varint(&writer, number, value);
    add(builder, wire_written(&writer));
}

void wire_build_fixed64(struct wire_builder *builder, uint32_t number, uint64_t value)
{
    uint8_t            field[MAX_FIELD_BYTES];
    struct wire_writer writer = wire_writer(field, sizeof(field));

    wire_put_fixed64(&writer, number, value);
    add(builder, wire_written(&writer));
}

void wire_build_fixed32(struct wire_builder *builder, uint32_t number, uint32_t value)
{
    uint8_t            field[MAX_FIELD_BYTES];
    struct wire_writer writer = wire_writer(field, sizeof(field));

    wire_put_fixed32(&writer, number, value);
    add(builder, wire_written(&writer));
}

void wire_build_bytes(struct wire_builder *builder, uint32_t number, struct str bytes)
{
    uint8_t            head[MAX_FIELD_BYTES];
    struct wire_writer writer = wire_writer(head, sizeof(head));

    wire_put_head(&writer, number, bytes.len);
    add(builder, wire_written(&writer));
    add(builder, bytes);
}

/* With a length of one byte, which is enough for most. */
struct wire_open wire_build_open(struct wire_builder *builder, uint32_t number)
{
    struct wire_open open = {.number = number, .head = builder->text.len};

    wire_build_bytes(builder, number, STR(""));
    open.content = builder->text.len;
    return open;
}

/* Moves the content to where it starts behind `head`. */
static void make_room(struct wire_builder *builder, struct wire_open open, struct str head)
{
    static const char filler[MAX_FIELD_BYTES];
    size_t            length = builder->text.len - open.content;
    size_t            missing = open.head + head.len - open.content;

    add(builder, (struct str){filler, missing});
    if (missing > 0 && !builder->error) {
        char *content = builder->text.at + open.content;
        memmove(content + missing, content, length);
    }
}

void wire_build_close(struct wire_builder *builder, struct wire_open open)
{
    if (builder->error)
        return;

    uint8_t            bytes[MAX_FIELD_BYTES];
    struct wire_writer writer = wire_writer(bytes, sizeof(bytes));
    wire_put_head(&writer, open.number, builder->text.len - open.content);
    struct str head = wire_written(&writer);

    make_room(builder, open, head);
    if (!builder->error)
        memcpy(builder->text.at + open.head, head.at, head.len);
}
