#pragma once

/*
 * Segment file: BASE.segment in the journal's directory, the base in 16 hexadecimal digits.
 * It is made under another name and renamed when its header is on disk, so a crash leaves a
 * segment or none.
 */

#include <stdbool.h>
#include <stdint.h>

#include "collector/journal/journal_record.h"

/* False when this is not a segment's name. */
bool segment_base_of(const char *file_name, uint64_t *ret_base);

/*
 * Makes the segment, with `wanted_bytes` of room; on a disk that is small or almost full, with
 * less, but not below `least_bytes`. A segment of the same name is replaced.
 * The descriptor, for writing, or -errno. Blocks on the disk; with `is_synced`, until it
 * has the segment and its name.
 */
int segment_create(int directory, const struct segment_header *header, uint64_t wanted_bytes,
                   uint64_t least_bytes, bool is_synced, uint64_t *ret_room_bytes);

/* The descriptor, for reading, or -errno. */
int segment_open(int directory, uint64_t base);

/* Shortens it. 0 or -errno. */
int segment_cut(int directory, uint64_t base, uint64_t n_bytes);

/* 0 or -errno. */
int segment_remove(int directory, uint64_t base);

/* Reads until `size` bytes or the end of the file. How many, or -errno. */
int64_t segment_read(int file, void *buffer, size_t size, uint64_t place);

/* Removes what a crash left of making a segment. */
void segment_remove_unfinished(int directory);

/* 0 or -errno. A file system that has nothing to sync for a directory is fine. */
int directory_sync(int directory);
