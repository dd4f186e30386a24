/*
 * cgroup: control groups of version 2, by descriptors of their directories.
 * Source: the kernel's Documentation/admin-guide/cgroup-v2.rst.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_CGROUP_H
#define PLATFORM_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

/* Makes the cgroup NAME below PARENT_FD if it is not there, and opens it. */
int cgroup_make(int parent_fd, const char *name, int *ret_fd);

/* Writes TEXT, or NUMBER in digits, to the cgroup's file. Returns 0, -ENOENT where
 * the controller is not to be had, or -errno. */
int cgroup_write(int cgroup_fd, const char *file, const char *text);
int cgroup_write_number(int cgroup_fd, const char *file, uint64_t number);

/* Reads a file that holds one number, or the number behind KEY in one of lines
 * "KEY NUMBER". Returns 0 or -errno; -ENODATA where there is no such line. */
int cgroup_read_number(int cgroup_fd, const char *file, uint64_t *ret);
int cgroup_read_key(int cgroup_fd, const char *file, const char *key, uint64_t *ret);

/* The same in TEXT, which such a file held. */
int cgroup_parse_key(const char *text, const char *key, uint64_t *ret);

/* Whether a live process is in the cgroup or below it; true where that can't be
 * told. Zombies do not count. */
bool cgroup_is_populated(int cgroup_fd);

/* Whether a new process would be alone in it and could run: no process is in it or below
 * it, and it is not frozen. False where that can't be told. */
bool cgroup_is_vacant(int cgroup_fd);

/* Whether it has a limit of its own on memory, processes or CPU. */
bool cgroup_is_limited(int cgroup_fd);

/* Whether cgroups are below it. */
bool cgroup_has_below(int cgroup_fd);

/* Whether all that is below it, and says that it is frozen, is. The kernel says so of a cgroup
 * with others below as soon as these are frozen, whatever its own threads do
 * (cgroup_propagate_frozen() of kernel/cgroup/freezer.c): there none may be running, or be in the
 * kernel. False where that can't be told. */
bool cgroup_stands_still(int cgroup_fd);

/* Kills everything in it and below it, once: a child that is being forked may be
 * missed, so it is to be written again until nothing is left. Before Linux 5.14,
 * which has no cgroup.kill, the cgroup is frozen, all in it are sent SIGKILL, and
 * it is thawed. A cgroup that was killed is not to be used again: later kernels kill
 * what is born in it. Returns 0 or -errno. */
int cgroup_kill(int cgroup_fd);

/* Sends SIGNAL to every process in it and below it. */
void cgroup_signal(int cgroup_fd, int signal);

/* Removes the cgroup NAME below PARENT_FD, and all below it, unless a live process is
 * still there. Returns 0, -EBUSY where it
 * is not empty, or -errno. */
int cgroup_remove(int parent_fd, const char *name);

/* The same, with a kill first: kills every process in it, again and again until none is
 * left, for at most TIMEOUT_MS, and then removes it. Returns 0,
 * also where there is none of that NAME; -EBUSY where something outlived that. */
int cgroup_clear(int parent_fd, const char *name, int timeout_ms);

#endif
