/*
 * landing: a file of this machine that is being received.
 */
#include "ctl/landing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/signals.h"
#include "platform/fd.h"

#define LANDING_TRIES 16

/* Of the target's name so much is in the temporary's, which is ".NAME.12345678". */
#define LANDING_NAME_MAX (NAME_MAX - 10)

static int
landing_open_special(struct landing *landing)
{
	landing->is_special = true;
	/* A pipe may never be taken from, and nothing written to it can be taken back: a
	 * signal is to end us as it would cp(1). */
	signals_release();
	landing->fd = openat(landing->dir_fd, landing->name, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	return landing->fd < 0 ? -errno : 0;
}

static int
landing_open_temporary(struct landing *landing)
{
	for (int i = 0; i < LANDING_TRIES; i++) {
		uint32_t number;

		if (getrandom(&number, sizeof(number), 0) != sizeof(number))
			return -errno;
		(void)snprintf(landing->temporary, sizeof(landing->temporary), ".%.*s.%08x",
		    LANDING_NAME_MAX, landing->name, number);
		landing->fd = openat(landing->dir_fd, landing->temporary,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
		if (landing->fd >= 0)
			return 0;
		landing->temporary[0] = '\0';
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

int
landing_open(struct landing *ret, int dir_fd, const char *name, mode_t mode, bool special_too)
{
	struct stat st;

	*ret = (struct landing){ .dir_fd = dir_fd, .fd = -1, .name = name, .mode = mode };
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return -errno;
		ret->is_new = true;
		return landing_open_temporary(ret);
	}
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return special_too ? landing_open_special(ret) : -EEXIST;
	ret->mode = st.st_mode & (S_IRWXU | S_IRWXG | S_IRWXO);
	return landing_open_temporary(ret);
}

int
landing_write(struct landing *landing, const uint8_t *data, size_t len)
{
	return fd_write_full(landing->fd, data, len);
}

int
landing_commit(struct landing *landing, const mode_t *mode, const struct timespec *mtime)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };

	if (landing->is_special)
		return 0;
	if (fchmod(landing->fd, mode != NULL ? *mode : landing->mode) < 0)
		return -errno;
	if (mtime != NULL) {
		times[1] = *mtime;
		if (futimens(landing->fd, times) < 0)
			return -errno;
	}
	if (renameat(landing->dir_fd, landing->temporary, landing->dir_fd, landing->name) < 0)
		return -errno;
	landing->temporary[0] = '\0';
	return 0;
}

void
landing_done(struct landing *landing)
{
	if (landing->temporary[0] != '\0')
		(void)unlinkat(landing->dir_fd, landing->temporary, 0);
	landing->temporary[0] = '\0';
	fd_close(&landing->fd);
}
