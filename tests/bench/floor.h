/*
 * floor: what the kernel asks for the same work when nobody is in between but a
 * copy with 64 KiB of memory: the figure that an agent can at best come near to.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Starts ARGV[0], looked up in PATH, with the given descriptors as its standard streams; -1:
 * /dev/null. With one of them it has a session of its own, as each program of the agent: the
 * kernel shares the processors between sessions (sched_autogroup), and whom it wakes first goes
 * by that. */
pid_t floor_spawn(const char *const *argv, int stdin_fd, int stdout_fd);

/* Waits for PID, which must end with 0. */
void floor_wait(pid_t pid);

/* A process of its own that copies FROM_FD to TO_FD until the end of file (or the
 * hang-up of a terminal). KEEP_FD is what else it must not hold open; -1: nothing. */
pid_t floor_copier(int from_fd, int to_fd, int keep_fd);

/* Reads FD until its end, and returns how many bytes there were. */
uint64_t floor_drain(int fd);

/* Writes LEN bytes of zeros, up to MOST of them a call; no call has more than 64 KiB. What a
 * socket holds goes by calls, and what each costs is the sender's: a floor for small frames is
 * filled by small calls. */
void floor_fill(int fd, uint64_t len, size_t most);

#endif
