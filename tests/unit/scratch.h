/*
 * scratch: a directory of a test's own, made empty and removed with all that is
 * in it. Not here: anything that asserts what the code under test did.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch_dir[PATH_MAX];

/* Setup of a cmocka test or group. */
static inline int
scratch_make(void **state)
{
	const char *parent = getenv("TMPDIR");

	(void)state;
	(void)snprintf(scratch_dir, sizeof(scratch_dir), "%s/vmm-guest-unit-XXXXXX",
	    parent != NULL ? parent : "/tmp");
	/* Others may pass through: some tests run programs as another user. */
	return mkdtemp(scratch_dir) != NULL && chmod(scratch_dir, 0755) == 0 ? 0 : -1;
}

static inline int
scratch_drop_one(const char *path, const struct stat *status, int flag, struct FTW *where)
{
	(void)status;
	(void)flag;
	(void)where;
	return remove(path);
}

/* Teardown. */
static inline int
scratch_remove(void **state)
{
	(void)state;
	return nftw(scratch_dir, scratch_drop_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The path of NAME in it; good until the next call but three. */
static inline const char *
scratch_path(const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 4];

	if (snprintf(path, PATH_MAX, "%s/%s", scratch_dir, name) >= PATH_MAX)
		abort();
	return path;
}

/* Makes the file NAME, or replaces it. */
static inline void
scratch_write(const char *name, const char *text, mode_t mode)
{
	const char *path = scratch_path(name);
	int fd;

	(void)unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) ||
	    fchmod(fd, mode) < 0 || close(fd) < 0)
		abort();
}

#endif
