#include "common/edge/gzip.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/unit/expect.h"

#include <libdeflate.h>

#include "common/base/cleanup.h"
#include "common/edge/checksum.h"

enum { CAP_BYTES = 1 << 20, USUAL_BYTES = 100000, LARGE_BYTES = 300000 };

/* A member that inflates to `n` times 'a'; the caller frees it. */
static struct str member_of(size_t n)
{
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(6);
    char                         *plain = malloc(n + 1);
    size_t                        room = libdeflate_gzip_compress_bound(compressor, n);
    char                         *packed = malloc(room);

    memset(plain, 'a', n);
    size_t size = libdeflate_gzip_compress(compressor, plain, n, packed, room);
    assert_true(size > 0);
    free(plain);
    libdeflate_free_compressor(compressor);
    return (struct str){packed, size};
}

static void free_str(struct str s)
{
    free((void *)(uintptr_t)s.at);
}

static struct str join(struct str a, struct str b)
{
    char *both = malloc(a.len + b.len + 1);

    memcpy(both, a.at, a.len);
    memcpy(both + a.len, b.at, b.len);
    return (struct str){both, a.len + b.len};
}

/* The result; on 0 how many bytes came out, all of them 'a'. */
static int inflate(struct str packed, size_t cap, size_t *ret_size)
{
    struct budget budget = {.max_bytes = SIZE_MAX};
    char         *bytes;
    int           r = gzip_inflate(packed, cap, &budget, &bytes, ret_size);

    assert_int_equal(budget.used_bytes, r == 0 ? *ret_size : 0);
    if (r < 0)
        return r;

    for (size_t i = 0; i < *ret_size; i++)
        assert_int_equal(bytes[i], 'a');
    free(bytes);
    return 0;
}

static void a_body_comes_out_whole(void **state)
{
    size_t sizes[] = {0, 1, 4095, USUAL_BYTES, CAP_BYTES};
    (void)state;

    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        struct str packed = member_of(sizes[i]);
        size_t     size;
        assert_int_equal(inflate(packed, CAP_BYTES, &size), 0);
        assert_int_equal(size, sizes[i]);
        free_str(packed);
    }
}

static void members_one_after_the_other_are_one_body(void **state)
{
    struct str large = member_of(LARGE_BYTES), small = member_of(7);
    struct str both = join(large, small);
    size_t     size;
    (void)state;

    assert_int_equal(inflate(both, CAP_BYTES, &size), 0);
    assert_int_equal(size, LARGE_BYTES + 7);
    free_str(both), free_str(large), free_str(small);
}

static void one_byte_above_the_cap_is_too_much(void **state)
{
    struct str packed = member_of(CAP_BYTES + 1);
    size_t     size;
    (void)state;

    assert_int_equal(inflate(packed, CAP_BYTES, &size), -E2BIG);
    assert_int_equal(inflate(packed, CAP_BYTES + 1, &size), 0);
    free_str(packed);
}

static void members_that_are_too_much_together_are_refused(void **state)
{
    struct str half = member_of(CAP_BYTES / 2 + 1);
    struct str both = join(half, half);
    size_t     size;
    (void)state;

    assert_int_equal(inflate(both, CAP_BYTES, &size), -E2BIG);
    free_str(both), free_str(half);
}

static void a_length_that_lies_does_not_help_a_bomb(void **state)
{
    struct str packed = member_of(64 << 20);
    size_t     size;
    (void)state;

    memset((char *)(uintptr_t)packed.at + packed.len - 4, 0, 4);
    assert_int_equal(inflate(packed, CAP_BYTES, &size), -E2BIG);
    assert_int_equal(inflate(packed, 128 << 20, &size), -EBADMSG);
    free_str(packed);
}

static void what_is_cut_anywhere_is_no_gzip(void **state)
{
    struct str packed = member_of(1000);
    size_t     size;
    (void)state;

    for (size_t len = 0; len < packed.len; len++) {
        char *cut = malloc(len + 1); /* of its own, so that an overrun shows */
        memcpy(cut, packed.at, len);
        int r = inflate((struct str){cut, len}, CAP_BYTES, &size);
        assert_true(r == -EBADMSG || r == -E2BIG);
        free(cut);
    }
    free_str(packed);
}

static void a_wrong_checksum_is_told(void **state)
{
    struct str packed = member_of(1000);
    size_t     size;
    (void)state;

    ((char *)(uintptr_t)packed.at)[packed.len - 8] ^= 1;
    assert_int_equal(inflate(packed, CAP_BYTES, &size), -EBADMSG);
    free_str(packed);
}

static void what_follows_the_last_member_is_an_error(void **state)
{
    struct str packed = member_of(1000), garbage = STR("and so on"), zeros = {"\0\0\0\0", 4};
    struct str with_garbage = join(packed, garbage), with_zeros = join(packed, zeros);
    size_t     size;
    (void)state;

    assert_true(inflate(with_garbage, CAP_BYTES, &size) < 0);
    assert_int_equal(inflate(with_zeros, CAP_BYTES, &size), -EBADMSG);
    free_str(with_garbage), free_str(with_zeros), free_str(packed);
}

static void a_body_beyond_the_budget_has_to_wait(void **state)
{
    struct budget budget = {.max_bytes = USUAL_BYTES};
    struct str    packed = member_of(60000);
    char         *first, *second;
    size_t        size;
    (void)state;

    assert_int_equal(gzip_inflate(packed, CAP_BYTES, &budget, &first, &size), 0);
    assert_int_equal(gzip_inflate(packed, CAP_BYTES, &budget, &second, &size), -EAGAIN);
    budget_release(&budget, size);
    assert_int_equal(gzip_inflate(packed, CAP_BYTES, &budget, &second, &size), 0);
    free(first), free(second);
    free_str(packed);
}

static void a_body_that_fits_no_budget_is_too_much(void **state)
{
    struct str    packed = member_of(60000);
    struct budget budget = {.max_bytes = 60000 + packed.len - 1};
    char         *bytes;
    size_t        size;
    (void)state;

    assert_int_equal(gzip_inflate(packed, CAP_BYTES, &budget, &bytes, &size), -E2BIG);
    budget.max_bytes++;
    assert_int_equal(gzip_inflate(packed, CAP_BYTES, &budget, &bytes, &size), 0);
    free(bytes);
    free_str(packed);
}

static void a_checksum_goes_on_from_the_one_before(void **state)
{
    (void)state;

    assert_int_equal(checksum_crc32(0, STR("123456789")), 0xcbf43926);
    assert_int_equal(checksum_crc32(checksum_crc32(0, STR("1234")), STR("56789")), 0xcbf43926);
    assert_int_equal(checksum_crc32(0, STR("")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_comes_out_whole),
        cmocka_unit_test(members_one_after_the_other_are_one_body),
        cmocka_unit_test(one_byte_above_the_cap_is_too_much),
        cmocka_unit_test(members_that_are_too_much_together_are_refused),
        cmocka_unit_test(a_length_that_lies_does_not_help_a_bomb),
        cmocka_unit_test(what_is_cut_anywhere_is_no_gzip),
        cmocka_unit_test(a_wrong_checksum_is_told),
        cmocka_unit_test(what_follows_the_last_member_is_an_error),
        cmocka_unit_test(a_body_beyond_the_budget_has_to_wait),
        cmocka_unit_test(a_body_that_fits_no_budget_is_too_much),
        cmocka_unit_test(a_checksum_goes_on_from_the_one_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
