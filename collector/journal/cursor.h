#pragma once

/*
 * Cursor: how far a destination has got, and its books up to there, in a small file beside the
 * journal. The file has two slots that are written in turns, each with a checksum, so a torn
 * write leaves the one before. Saving does not sync: a cursor that is too old costs duplicates, and
 * nothing else.
 *
 * Threads: one.
 */

#include <stdint.h>

#include "collector/journal/journal.h"
#include "common/base/cleanup.h"

enum { CURSOR_COUNTS = 16, CURSOR_MAX_NAME_BYTES = 2048 };

struct cursor;

struct cursor_state {
    struct journal_position position;
    uint64_t                start_span;            /* where the books begin */
    uint64_t                counts[CURSOR_COUNTS]; /* spans, by what became of them: the owner's */
};

/*
 * The cursor called `name` (a destination's URI) in `directory`. 0 and its state; 1 when it
 * is new, or no slot can be read any more (then `*ret_state` is untouched); -ENAMETOOLONG; -errno.
 */
int  cursor_open(struct cursor **ret_cursor, const char *directory, struct str name,
                 struct cursor_state *ret_state);
void cursor_close(struct cursor *cursor);
DEFINE_CLEANUP(struct cursor *, cursor_close)

/* 0 or -errno: try again with the next state. */
int cursor_save(struct cursor *cursor, const struct cursor_state *state);

/* Waits for the disk. 0 or -errno. */
int cursor_sync(struct cursor *cursor);

/*
 * Removes the cursor files of names that are not among these. `removed` runs with each name. A
 * file that cannot be read stays. 0 or -errno.
 */
int cursor_forget_others(const char *directory, const struct str names[], size_t n_names,
                         void (*removed)(struct str name));
