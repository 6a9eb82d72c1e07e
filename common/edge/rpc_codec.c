#include "common/edge/rpc_codec.h"

#include <errno.h>

#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>

#include "common/base/arena.h"
#include "common/base/clock.h"

static const struct str details_key = STR_INIT("grpc-status-details-bin");

struct str rpc_slice_view(const grpc_slice *slice)
{
    return (struct str){.at = (const char *)GRPC_SLICE_START_PTR(*slice),
                        .len = GRPC_SLICE_LENGTH(*slice)};
}

grpc_slice rpc_slice_copy(struct str s)
{
    return s.len == 0 ? grpc_empty_slice() : grpc_slice_from_copied_buffer(s.at, s.len);
}

struct str rpc_buffer_read(grpc_byte_buffer *buffer, struct arena *arena)
{
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, buffer))
        return (struct str){0};

    /* Not NULL for an empty message: that would read as an absent one. */
    char  *bytes = arena_alloc(arena, grpc_byte_buffer_length(reader.buffer_out) + 1);
    size_t length = 0;
    for (grpc_slice *slice; bytes && grpc_byte_buffer_reader_peek(&reader, &slice);) {
        memcpy(bytes + length, GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice));
        length += GRPC_SLICE_LENGTH(*slice);
    }
    grpc_byte_buffer_reader_destroy(&reader);
    return (struct str){.at = bytes, .len = length};
}

bool rpc_buffer_is_gzip(const grpc_byte_buffer *buffer)
{
    return buffer->data.raw.compression == GRPC_COMPRESS_GZIP;
}

grpc_byte_buffer *rpc_buffer_copy(struct str message)
{
    grpc_slice        slice = rpc_slice_copy(message);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);

    grpc_slice_unref(slice); /* the buffer took its own reference */
    return buffer;
}

grpc_byte_buffer *rpc_buffer_lend(struct str message, void (*release)(void *owner), void *owner)
{
    grpc_slice slice =
        grpc_slice_new_with_user_data((void *)message.at, message.len, release, owner);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);

    grpc_slice_unref(slice);
    return buffer;
}

grpc_arg rpc_integer_arg(const char *key, int value)
{
    return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = value};
}

gpr_timespec rpc_time_from_ns(int64_t monotonic_ns)
{
    if (monotonic_ns == NEVER_NS)
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);

    return (gpr_timespec){.tv_sec = monotonic_ns / NS_PER_S,
                          .tv_nsec = (int32_t)(monotonic_ns % NS_PER_S),
                          .clock_type = GPR_CLOCK_MONOTONIC};
}

int64_t rpc_time_to_ns(gpr_timespec time)
{
    gpr_timespec monotonic = gpr_convert_clock_type(time, GPR_CLOCK_MONOTONIC);

    if (monotonic.tv_sec >= NEVER_NS / NS_PER_S)
        return NEVER_NS;
    return monotonic.tv_sec * NS_PER_S + monotonic.tv_nsec;
}

static bool is_grpcs_own(struct str name)
{
    return str_starts_with(name, STR("grpc-")) || str_starts_with(name, STR(":"));
}

int rpc_metadata_read(const grpc_metadata_array *array, struct arena *arena,
                      struct metadata *ret_metadata)
{
    struct metadata metadata = {0};

    for (size_t i = 0; i < array->count; i++) {
        struct str name = rpc_slice_view(&array->metadata[i].key);
        if (is_grpcs_own(name))
            continue;

        int r = metadata_add(&metadata, arena, name, rpc_slice_view(&array->metadata[i].value));
        if (r < 0)
            return r;
    }
    *ret_metadata = metadata;
    return 0;
}

static bool is_legal(grpc_slice key, grpc_slice value)
{
    if (!grpc_header_key_is_legal(key) || is_grpcs_own(rpc_slice_view(&key)))
        return false;
    return grpc_is_binary_header(key) || grpc_header_nonbin_value_is_legal(value);
}

static void write_field(struct rpc_sent_metadata *sent, grpc_slice key, grpc_slice value)
{
    sent->fields[sent->count++] = (grpc_metadata){.key = key, .value = value};
}

struct rpc_sent_metadata rpc_metadata_write(const struct metadata *metadata, struct str details,
                                            struct arena *arena)
{
    size_t                   n_fields = metadata ? metadata->count : 0;
    size_t                   capacity = n_fields + (details.at ? 1 : 0);
    struct rpc_sent_metadata sent = {0};
    if (capacity > 0)
        sent.fields = arena_alloc(arena, capacity * sizeof(*sent.fields));
    if (!sent.fields)
        return sent;

    for (size_t i = 0; i < n_fields; i++) {
        grpc_slice key = rpc_slice_copy(metadata->fields[i].name);
        grpc_slice value = rpc_slice_copy(metadata->fields[i].value);

        if (is_legal(key, value)) {
            write_field(&sent, key, value);
        } else {
            grpc_slice_unref(key);
            grpc_slice_unref(value);
        }
    }
    if (details.at)
        write_field(&sent, grpc_slice_from_static_buffer(details_key.at, details_key.len),
                    rpc_slice_copy(details));
    return sent;
}

void rpc_metadata_release(struct rpc_sent_metadata *sent)
{
    for (size_t i = 0; i < sent->count; i++) {
        grpc_slice_unref(sent->fields[i].key);
        grpc_slice_unref(sent->fields[i].value);
    }
    sent->count = 0;
}

struct str rpc_metadata_details(const grpc_metadata_array *array)
{
    for (size_t i = 0; i < array->count; i++) {
        if (str_equal(rpc_slice_view(&array->metadata[i].key), details_key))
            return rpc_slice_view(&array->metadata[i].value);
    }
    return (struct str){0};
}
