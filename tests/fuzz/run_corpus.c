/* Runs every file of the folder that is named on the command line through the fuzz target. */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_INPUT_BYTES = 1 << 20 };

static void close_file(FILE *file)
{
    (void)fclose(file);
}
DEFINE_CLEANUP(FILE *, close_file)

static void close_folder(DIR *folder)
{
    (void)closedir(folder);
}
DEFINE_CLEANUP(DIR *, close_folder)

/* In a memory block of its own size, so that a sanitizer sees what reads beyond it. */
static int run_input(const uint8_t *bytes, size_t size)
{
    uint8_t *input = malloc(size > 0 ? size : 1);
    if (!input)
        return -1;

    memcpy(input, bytes, size);
    int r = LLVMFuzzerTestOneInput(input, size);
    free(input);
    return r;
}

static int run_file(const char *path)
{
    static uint8_t buffer[MAX_INPUT_BYTES];

    cleanup_with(close_file_at) FILE *file = fopen(path, "rb");
    if (!file)
        return -1;

    size_t size = fread(buffer, 1, sizeof(buffer), file);
    return ferror(file) ? -1 : run_input(buffer, size);
}

static int run_folder(const char *path, unsigned *ret_files)
{
    cleanup_with(close_folder_at) DIR *folder = opendir(path);
    if (!folder)
        return -1;

    for (struct dirent *entry; (entry = readdir(folder));) {
        char file[4096];

        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        if (run_file(file) != 0) {
            fprintf(stderr, "%s failed\n", file);
            return -1;
        }
        (*ret_files)++;
    }
    return 0;
}

int main(int argc, char *argv[])
{
    unsigned files = 0;

    if (argc != 2 || run_folder(argv[1], &files) < 0 || files == 0) {
        fprintf(stderr, "usage: %s FOLDER (with a corpus in it)\n", argv[0]);
        return EXIT_FAILURE;
    }
    printf("%u files\n", files);
    return EXIT_SUCCESS;
}
