/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/etc_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "platform/compat.h"
#include "platform/fd.h"
#include "platform/mount_point.h"
#include "platform/text.h"

#define ETC_FILE_DIR_MODE 0755

/* As many links as the kernel follows; see path_resolution(7). */
#define ETC_FILE_LINKS_MAX 40

const struct etc_file etc_file_resolv_conf = {
	.path = "/etc/resolv.conf",
	.run_path = "/run/vmm-guest/resolv.conf",
	.mode = 0644,
};

static int
etc_file_open_dir(int root_fd, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT,
	};
	long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/* Opens the directory PATH, and makes the parts of it that are missing. PATH begins with a
 * slash and is overwritten; "" is the root. */
static int
etc_file_make_dir(int root_fd, char *path)
{
	int fd = etc_file_open_dir(root_fd, path[0] != '\0' ? path : "/");
	char *slash = strrchr(path, '/');
	int CLEANUP_FD parent_fd = -1;

	if (fd != -ENOENT || slash == NULL)
		return fd;
	*slash = '\0';
	parent_fd = etc_file_make_dir(root_fd, path);
	*slash = '/';
	if (parent_fd < 0)
		return parent_fd;
	if (mkdirat(parent_fd, slash + 1, ETC_FILE_DIR_MODE) < 0)
		return -errno;
	fd = openat(parent_fd, slash + 1, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Puts the last part of PATH into NAME and cuts it off from PATH. */
static int
etc_file_split(char path[PATH_MAX], char name[NAME_MAX + 1])
{
	char *slash = strrchr(path, '/');

	if (strlcpy(name, slash + 1, NAME_MAX + 1) > NAME_MAX)
		return -ENAMETOOLONG;
	if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EISDIR;
	*slash = '\0';
	return 0;
}

/* Makes PATH what a link with the contents TARGET in the directory PATH means. */
static int
etc_file_follow(char path[PATH_MAX], const char *target)
{
	size_t len = target[0] == '/' ? 0 : strlcat(path, "/", PATH_MAX);

	if (len >= PATH_MAX || strlcpy(path + len, target, PATH_MAX - len) >= PATH_MAX - len)
		return -ENAMETOOLONG;
	return 0;
}

/* Opens the directory where the file PATH is, or would be once it is made, when
 * its links are followed, and puts its name there into NAME. */
static int
etc_file_find(int root_fd, const char *start, char name[NAME_MAX + 1], int *ret_dir_fd)
{
	char path[PATH_MAX];

	(void)strlcpy(path, start, sizeof(path));
	for (int links = 0; links < ETC_FILE_LINKS_MAX; links++) {
		char target[PATH_MAX];
		int CLEANUP_FD dir_fd = -1;
		ssize_t len;
		int r = etc_file_split(path, name);

		if (r < 0)
			return r;
		dir_fd = etc_file_make_dir(root_fd, path);
		if (dir_fd < 0)
			return dir_fd;
		len = readlinkat(dir_fd, name, target, sizeof(target) - 1);
		if (len < 0 && errno != EINVAL && errno != ENOENT)
			return -errno;
		if (len < 0) {
			*ret_dir_fd = fd_steal(&dir_fd);
			return 0;
		}
		target[len] = '\0';
		r = etc_file_follow(path, target);
		if (r < 0)
			return r;
	}
	return -ELOOP;
}

/* Writes a file of its own, then gives it the name. */
static int
etc_file_replace(int dir_fd, const char *name, mode_t mode, const char *text)
{
	char temporary[sizeof(".vmm-guest-etc.2147483647")];
	int CLEANUP_FD fd = -1;
	int r;

	(void)text_format(temporary, sizeof(temporary), ".vmm-guest-etc.%d", (int)getpid());
	if (unlinkat(dir_fd, temporary, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	r = fd_write_full(fd, text, strlen(text));
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (r == 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dir_fd, temporary, 0);
	return r;
}

/* Writes into the existing file, which is never shorter than the old or the new text. */
static int
etc_file_overwrite(int dir_fd, const char *name, const char *text)
{
	int CLEANUP_FD fd =
	    openat(dir_fd, name, O_WRONLY | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = fd_write_full(fd, text, strlen(text));
	if (r == 0 && ftruncate(fd, (off_t)strlen(text)) < 0)
		r = -errno;
	return r;
}

int
etc_file_write_below(int root_fd, const struct etc_file *file, const char *text)
{
	char name[NAME_MAX + 1];
	int CLEANUP_FD dir_fd = -1;
	int r = etc_file_find(root_fd, file->path, name, &dir_fd);

	if (r < 0)
		return r == -EROFS ? -ENOENT : r;
	r = etc_file_replace(dir_fd, name, file->mode, text);
	if (r == -EBUSY || r == -EROFS)
		r = etc_file_overwrite(dir_fd, name, text);
	return r;
}

static int
etc_file_bind(int root_fd, const struct etc_file *file, const char *text)
{
	char name[NAME_MAX + 1];
	int CLEANUP_FD dir_fd = -1;
	int r = etc_file_find(root_fd, file->run_path, name, &dir_fd);

	if (r == 0)
		r = etc_file_replace(dir_fd, name, file->mode, text);
	if (r == 0)
		r = mount_point_bind(file->run_path, file->path);
	return r;
}

int
etc_file_write(const struct etc_file *file, const char *text)
{
	int CLEANUP_FD root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (root_fd < 0)
		return -errno;
	r = etc_file_write_below(root_fd, file, text);
	return r == -EROFS ? etc_file_bind(root_fd, file, text) : r;
}
