#pragma once

/*
 * Process: what each of our programs does with its process, and says of it in the log. For
 * the main.c of a program only.
 *
 * Threads: the main one; what is set holds for all that start later.
 */

#include <signal.h>
#include <stdint.h>

#include "common/base/settings.h"

/* Keeps SIGTERM and SIGINT for process_wait; threads inherit the mask. Ignores SIGPIPE. */
void process_block_signals(sigset_t *ret_signals);

/* Waits until one comes, and logs it. */
void process_wait(const sigset_t *signals);

/* Waits for `wait_ns`; a signal cuts it short. */
void process_pause(const sigset_t *signals, int64_t wait_ns);

/* A connection is a descriptor, and the usual soft limit is 1,024. */
void process_raise_descriptor_limit(void);

/* Large blocks of memory go back to the system when they are freed. */
void process_return_large_blocks(void);

/*
 * How many threads to serve with: as many as `wanted`, or when that is 0 half of the processors,
 * for others want some too, but at most `most_by_default`.
 */
unsigned process_threads(uint64_t wanted, unsigned most_by_default);

/* Each logs why the program cannot start and returns `error`, a negative errno. */
int process_complain(const char *what, int error);
int process_complain_of_address(const char *front, const struct listen_address *address, int error);

void process_log_listening(const char *front, const struct listen_address *address, uint16_t port);
