#include "common/edge/gzip.h"

#include <errno.h>
#include <stdlib.h>

#include <libdeflate.h>

#include "common/base/cleanup.h"

/* RFC 1952: a member is at least a header of 10 bytes, 2 of content, and a trailer of 8. */
enum { MIN_MEMBER_BYTES = 20, MIN_ROOM_BYTES = 4096 };

DEFINE_CLEANUP(struct libdeflate_decompressor *, libdeflate_free_decompressor)

/* What the last member says of its length, modulo 2^32. It may lie. */
static size_t announced_bytes(struct str compressed)
{
    const uint8_t *end = (const uint8_t *)compressed.at + compressed.len;

    return (size_t)end[-4] | (size_t)end[-3] << 8 | (size_t)end[-2] << 16 | (size_t)end[-1] << 24;
}

/* All members into `room`. 0, -ENOBUFS when it is too small, -EBADMSG. */
static int inflate_members(struct libdeflate_decompressor *decompressor, struct str compressed,
                           char *room, size_t room_bytes, size_t *ret_n_bytes)
{
    size_t written_bytes = 0;

    do {
        size_t                 read, wrote;
        enum libdeflate_result result = libdeflate_gzip_decompress_ex(
            decompressor, compressed.at, compressed.len, room + written_bytes,
            room_bytes - written_bytes, &read, &wrote);

        if (result == LIBDEFLATE_INSUFFICIENT_SPACE)
            return -ENOBUFS;
        if (result != LIBDEFLATE_SUCCESS)
            return -EBADMSG;
        written_bytes += wrote;
        compressed = (struct str){compressed.at + read, compressed.len - read};
    } while (compressed.len > 0);

    *ret_n_bytes = written_bytes;
    return 0;
}

static int inflate_into(struct libdeflate_decompressor *decompressor, struct str compressed,
                        size_t room_bytes, struct budget *budget, char **ret_bytes,
                        size_t *ret_n_bytes)
{
    if (!budget_claim(budget, room_bytes))
        return -EAGAIN;

    char *room = malloc(room_bytes);
    int   r =
        room ? inflate_members(decompressor, compressed, room, room_bytes, ret_n_bytes) : -ENOMEM;
    if (r < 0) {
        free(room);
        budget_release(budget, room_bytes);
        return r;
    }
    budget_release(budget, room_bytes - *ret_n_bytes);
    *ret_bytes = room;
    return 0;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/*
 * The announced length is right for every honest body of one member, so the first room
 * fits. For the others it grows, and the room before is given back first: libdeflate begins anew
 * anyway, and a bomb then never costs more than the cap.
 */
int gzip_inflate(struct str compressed, size_t max_bytes, struct budget *budget, char **ret_bytes,
                 size_t *ret_n_bytes)
{
    if (compressed.len < MIN_MEMBER_BYTES)
        return -EBADMSG;

    /* What would not even fit when nobody else wants any is not to be waited for. */
    size_t cap_bytes = compressed.len < budget->max_bytes
                           ? smaller(max_bytes, budget->max_bytes - compressed.len)
                           : 0;
    if (cap_bytes == 0 || announced_bytes(compressed) > cap_bytes)
        return -E2BIG;

    cleanup_with(libdeflate_free_decompressor_at) struct libdeflate_decompressor *decompressor =
        libdeflate_alloc_decompressor();
    if (!decompressor)
        return -ENOMEM;

    size_t room_bytes = smaller(announced_bytes(compressed) + MIN_ROOM_BYTES, cap_bytes);
    for (;;) {
        int r = inflate_into(decompressor, compressed, room_bytes, budget, ret_bytes, ret_n_bytes);
        if (r != -ENOBUFS)
            return r;
        if (room_bytes == cap_bytes)
            return -E2BIG;
        room_bytes = smaller(4 * room_bytes, cap_bytes);
    }
}
