/*
 * file_place: where a path leads.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/file/place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

#include "platform/io_result.h"
#include "platform/proc.h"
#include "platform/watchdog.h"
#include "session/file/path.h"

/* As many links as the kernel follows: path_resolution(7). */
#define FILE_PLACE_LINKS_MAX 40

#define FILE_PLACE_DIR_MODE 0755

#define FILE_PLACE_OPEN_DIR (O_PATH | O_DIRECTORY | O_CLOEXEC)

void
file_place_close(struct file_place *place)
{
	fd_close(&place->fd);
	fd_close(&place->dir_fd);
}

static int
file_place_mkdir(int base_fd, const char *dir)
{
	mode_t umask_before = umask(0);
	int r = io_result(mkdirat(base_fd, dir, FILE_PLACE_DIR_MODE));

	watchdog_ping();
	(void)umask(umask_before);
	return r;
}

/* The length of PATH (LEN bytes of it) without its last name; 0 if it has no other. */
static size_t
file_place_cut(const char *path, size_t len)
{
	while (len > 0 && path[len - 1] != '/')
		len--;
	while (len > 1 && path[len - 1] == '/')
		len--;
	return len;
}

/* Opens the part of DIR that is there, its first *RET_LEN bytes; DIR as a whole is not.
 * Links in that part lead on, as the kernel follows them. */
static int
file_place_open_standing(int base_fd, const char *dir, size_t *ret_len)
{
	char path[PATH_MAX];
	size_t len = strlen(dir);
	int fd;

	if (len >= sizeof(path))
		return -ENAMETOOLONG;
	memcpy(path, dir, len);
	do {
		len = file_place_cut(path, len);
		path[len] = '\0';
		fd = openat(base_fd, len > 0 ? path : ".", FILE_PLACE_OPEN_DIR);
	} while (fd < 0 && errno == ENOENT && len > 1);
	*ret_len = len;
	return io_result(fd);
}

/* Makes the directory NAME in *DIR_FD and goes into it. It may have been made by another
 * meanwhile. What is not a directory now is a link that leads nowhere, or was put there
 * since, and is not followed. */
static int
file_place_make_dir(int *dir_fd, const char *name)
{
	int r = file_place_mkdir(*dir_fd, name);
	int fd;

	if (r < 0 && r != -EEXIST)
		return r;
	fd = openat(*dir_fd, name, FILE_PLACE_OPEN_DIR | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	fd_close(dir_fd);
	*dir_fd = fd;
	return 0;
}

/* Makes the missing directories of DIR. Each directory is made in the one before it, by its
 * descriptor: nobody who swaps one for a link leads us elsewhere. Returns an O_PATH
 * descriptor of the last, or -errno. */
static int
file_place_make_dirs(int base_fd, const char *dir)
{
	int CLEANUP_FD fd = -1;
	char name[NAME_MAX + 1];
	size_t at;
	int r = 0;

	fd = file_place_open_standing(base_fd, dir, &at);
	if (fd < 0)
		return fd;
	while (r == 0) {
		size_t len;

		at += strspn(dir + at, "/");
		len = strcspn(dir + at, "/");
		if (len == 0)
			return fd_steal(&fd);
		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, dir + at, len);
		name[len] = '\0';
		at += len;
		r = file_place_make_dir(&fd, name);
	}
	return r;
}

/* Opens the directory of a step; BASE_FD may be the place's own. */
static int
file_place_open_dir(int base_fd, const char *dir, int flags, struct file_place *place)
{
	int fd = openat(base_fd, dir, FILE_PLACE_OPEN_DIR);

	if (fd < 0)
		fd = -errno;
	if (fd == -ENOENT && (flags & FILE_PLACE_MAKE_DIRS)) {
		fd = file_place_make_dirs(base_fd, dir);
		place->made_dirs = fd >= 0;
	}
	if (fd < 0)
		return fd;
	fd_close(&place->dir_fd);
	place->dir_fd = fd;
	return 0;
}

/* One step: PATH, relative to BASE_FD, to a directory and a name; and a look at
 * what stands there. BASE_FD may be the place's own directory. */
static int
file_place_step(int base_fd, const char *path, int flags, struct file_place *place)
{
	struct file_parts parts;
	int r = file_path_split(path, &parts);

	if (r < 0)
		return r;
	r = file_place_open_dir(base_fd, parts.dir, flags, place);
	if (r < 0)
		return r;
	memcpy(place->name, parts.name, sizeof(place->name));
	place->slash = place->slash || parts.slash;
	fd_close(&place->fd);
	place->fd = openat(place->dir_fd, place->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (place->fd < 0)
		return errno == ENOENT ? 0 : -errno;
	return io_result(fstat(place->fd, &place->status));
}

/* The rule of fs.protected_symlinks. It is applied here, to a link that can't be
 * swapped any more, because the text of the link is read here too. */
static int
file_place_may_follow(const struct file_place *place)
{
	const mode_t shared = S_ISVTX | S_IWOTH;
	struct stat dir;

	if (fstat(place->dir_fd, &dir) < 0)
		return -errno;
	if ((dir.st_mode & shared) != shared || place->status.st_uid == geteuid() ||
	    place->status.st_uid == dir.st_uid)
		return 0;
	return -EACCES;
}

/* Follows the link that stands at PLACE. */
static int
file_place_follow(int flags, struct file_place *place)
{
	char text[PATH_MAX];
	struct statfs fs;
	ssize_t len;
	int r = file_place_may_follow(place);

	if (r < 0)
		return r;
	if (fstatfs(place->fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC) {
		int fd = openat(place->dir_fd, place->name, O_PATH | O_CLOEXEC);

		if (fd < 0)
			return -errno;
		fd_close(&place->fd);
		place->fd = fd;
		place->magic = true;
		return io_result(fstat(fd, &place->status));
	}
	len = readlinkat(place->fd, "", text, sizeof(text));
	if (len < 0)
		return -errno;
	if ((size_t)len == sizeof(text))
		return -ENAMETOOLONG;
	text[len] = '\0';
	return file_place_step(place->dir_fd, text, flags, place);
}

static int
file_place_walk(const char *path, int flags, struct file_place *place)
{
	int r = file_place_step(AT_FDCWD, path, flags, place);

	for (int links = 0; r == 0 && (flags & FILE_PLACE_FOLLOW); links++) {
		if (place->fd < 0 || !S_ISLNK(place->status.st_mode))
			break;
		if (links == FILE_PLACE_LINKS_MAX)
			return -ELOOP;
		r = file_place_follow(flags, place);
	}
	if (r == 0 && place->slash && !(flags & FILE_PLACE_ANY_SLASH) && place->fd >= 0 &&
	    !S_ISDIR(place->status.st_mode))
		return -ENOTDIR;
	return r;
}

int
file_place_open(const char *path, int flags, struct file_place *ret)
{
	struct file_place place = FILE_PLACE_NONE;
	int r = file_place_walk(path, flags, &place);

	if (r < 0) {
		file_place_close(&place);
		return r;
	}
	*ret = place;
	return 0;
}

int
file_place_reopen(const struct file_place *place, int flags)
{
	char link[PROC_FD_LINK_MAX];
	int fd;

	proc_fd_link(place->fd, link);
	fd = openat(proc_dir_fd(), link, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
	return io_result(fd);
}
