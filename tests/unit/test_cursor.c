#include "collector/journal/cursor.h"

#include "tests/unit/scratch_journal.h"

static const struct cursor_state sample = {
    .position = {.offset = 4096, .span = 77},
    .start_span = 7,
    .counts = {[0] = 60, [3] = 10, [CURSOR_COUNTS - 1] = UINT64_MAX},
};

static struct cursor *open_cursor(struct scratch *scratch, struct str name, int expected,
                                  struct cursor_state *ret_state)
{
    struct cursor *cursor;

    assert_int_equal(cursor_open(&cursor, scratch->directory, name, ret_state), expected);
    return cursor;
}

static void save_once(struct scratch *scratch, struct str name, const struct cursor_state *to_save)
{
    struct cursor_state state;
    struct cursor      *cursor;

    assert_in_range(cursor_open(&cursor, scratch->directory, name, &state), 0, 1);
    assert_int_equal(cursor_save(cursor, to_save), 0);
    cursor_close(cursor);
}

static void assert_states_equal(const struct cursor_state *a, const struct cursor_state *b)
{
    assert_int_equal(a->position.offset, b->position.offset);
    assert_int_equal(a->position.span, b->position.span);
    assert_int_equal(a->start_span, b->start_span);
    assert_memory_equal(a->counts, b->counts, sizeof(a->counts));
}

static void a_new_cursor_has_no_state(void **state)
{
    struct cursor_state saw = sample;

    cursor_close(open_cursor(*state, STR("grpc://jaeger:4317"), 1, &saw));
    assert_states_equal(&saw, &sample);
    cursor_close(open_cursor(*state, STR("grpc://jaeger:4317"), 1, &saw));
}

static void what_is_saved_is_there_again(void **state)
{
    struct cursor_state saw = {0};

    struct cursor *cursor = open_cursor(*state, STR("grpc://jaeger:4317"), 1, &saw);
    assert_int_equal(cursor_save(cursor, &sample), 0);
    assert_int_equal(cursor_sync(cursor), 0);
    cursor_close(cursor);

    cursor_close(open_cursor(*state, STR("grpc://jaeger:4317"), 0, &saw));
    assert_states_equal(&saw, &sample);
}

static void the_last_that_was_saved_counts(void **state)
{
    struct cursor_state saw, next = sample;

    struct cursor *cursor = open_cursor(*state, STR("d"), 1, &saw);
    for (uint64_t i = 1; i <= 5; i++) {
        next.position.span = i;
        assert_int_equal(cursor_save(cursor, &next), 0);
        struct cursor *other = open_cursor(*state, STR("d"), 0, &saw);
        assert_int_equal(saw.position.span, i);
        cursor_close(other);
    }
    cursor_close(cursor);

    for (uint64_t i = 6; i <= 10; i++) {
        next.position.span = i;
        save_once(*state, STR("d"), &next);
        cursor_close(open_cursor(*state, STR("d"), 0, &saw));
        assert_int_equal(saw.position.span, i);
    }
}

static void each_destination_has_its_own(void **state)
{
    struct cursor_state saw, other = sample;

    other.position.span = 99;
    save_once(*state, STR("grpc://a:4317"), &sample);
    save_once(*state, STR("grpc://b:4317"), &other);

    cursor_close(open_cursor(*state, STR("grpc://a:4317"), 0, &saw));
    assert_int_equal(saw.position.span, 77);
    cursor_close(open_cursor(*state, STR("grpc://b:4317"), 0, &saw));
    assert_int_equal(saw.position.span, 99);
}

static struct file_bytes read_cursor_file(struct scratch *scratch, struct str cursor)
{
    char name[32];

    (void)snprintf(name, sizeof(name), "%016llx.cursor", (unsigned long long)str_hash(cursor));
    return read_file(scratch, name);
}

/* What a crash in the middle of a save leaves, or a disk that flips bits. */
static void a_damaged_slot_leaves_the_one_before(void **state)
{
    struct scratch     *scratch = *state;
    struct cursor_state saw, second = sample;

    save_once(scratch, STR("d"), &sample);
    second.position.span = 78;
    save_once(scratch, STR("d"), &second);
    struct file_bytes bytes = read_cursor_file(scratch, STR("d"));

    size_t n_damaged = 0;
    for (size_t place = 0; place < bytes.len; place++) {
        bytes.at[place] ^= 1;
        write_file(bytes.path, bytes.at, bytes.len);
        bytes.at[place] ^= 1;
        cursor_close(open_cursor(scratch, STR("d"), 0, &saw));
        assert_in_range(saw.position.span, 77, 78);
        n_damaged += saw.position.span == 77;
    }
    assert_true(n_damaged > 128);
    free(bytes.at);
}

static void a_cut_file_is_no_obstacle(void **state)
{
    struct scratch     *scratch = *state;
    struct cursor_state saw, second = sample;

    second.position.span = 78;
    save_once(scratch, STR("d"), &sample);
    save_once(scratch, STR("d"), &second);
    struct file_bytes bytes = read_cursor_file(scratch, STR("d"));
    for (size_t length = bytes.len + 1; length-- > 0;) {
        struct cursor *cursor;
        write_file(bytes.path, bytes.at, length);
        int r = cursor_open(&cursor, scratch->directory, STR("d"), &saw);
        assert_in_range(r, 0, 1);
        cursor_close(cursor);
    }
    save_once(scratch, STR("d"), &second);
    cursor_close(open_cursor(scratch, STR("d"), 0, &saw));
    assert_int_equal(saw.position.span, 78);
    free(bytes.at);
}

static void a_name_has_a_limit(void **state)
{
    struct scratch     *scratch = *state;
    struct cursor      *cursor;
    struct cursor_state saw;
    static char         name[CURSOR_MAX_NAME_BYTES + 1];

    memset(name, 'x', sizeof(name));
    assert_int_equal(cursor_open(&cursor, scratch->directory,
                                 (struct str){.at = name, .len = sizeof(name)}, &saw),
                     -ENAMETOOLONG);
    struct str longest = {.at = name, .len = sizeof(name) - 1};
    save_once(scratch, longest, &sample);
    cursor_close(open_cursor(scratch, longest, 0, &saw));
}

static void without_its_directory_there_is_no_cursor(void **state)
{
    struct cursor      *cursor;
    struct cursor_state saw;
    (void)state;

    assert_int_equal(cursor_open(&cursor, "/nonexistent", STR("d"), &saw), -ENOENT);
    assert_int_equal(cursor_forget_others("/nonexistent", NULL, 0, NULL), -ENOENT);
}

static size_t n_removed;
static char   last_removed[64];

static void note_removed(struct str name)
{
    n_removed++;
    (void)snprintf(last_removed, sizeof(last_removed), "%.*s", STR_ARGS(name));
}

static void destinations_that_are_no_more_are_forgotten(void **state)
{
    struct scratch         *scratch = *state;
    struct cursor_state     saw;
    static const struct str kept[] = {STR_INIT("grpc://a:4317"), STR_INIT("grpc://c:4317")};

    save_once(scratch, STR("grpc://a:4317"), &sample);
    save_once(scratch, STR("grpc://b:4317"), &sample);
    struct file_bytes copy = read_cursor_file(scratch, STR("grpc://b:4317"));
    add_file(scratch, "copy.cursor", (struct str){.at = copy.at, .len = copy.len});
    add_file(scratch, "other.cursor", STR("what is this?"));
    add_file(scratch, "0000000000000000.segment", STR("a segment"));

    n_removed = 0;
    assert_int_equal(cursor_forget_others(scratch->directory, kept, 2, note_removed), 0);
    assert_int_equal(n_removed, 1);
    assert_string_equal(last_removed, "grpc://b:4317");
    cursor_close(open_cursor(scratch, STR("grpc://a:4317"), 0, &saw));
    cursor_close(open_cursor(scratch, STR("grpc://b:4317"), 1, &saw));
    assert_true(has_file(scratch, "copy.cursor"));
    assert_true(has_file(scratch, "other.cursor"));
    assert_true(has_file(scratch, "0000000000000000.segment"));
    free(copy.at);
}

#define cursor_test(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cursor_test(a_new_cursor_has_no_state),
        cursor_test(what_is_saved_is_there_again),
        cursor_test(the_last_that_was_saved_counts),
        cursor_test(each_destination_has_its_own),
        cursor_test(a_damaged_slot_leaves_the_one_before),
        cursor_test(a_cut_file_is_no_obstacle),
        cursor_test(a_name_has_a_limit),
        cursor_test(without_its_directory_there_is_no_cursor),
        cursor_test(destinations_that_are_no_more_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
