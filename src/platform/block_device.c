/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/block_device.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "platform/dir.h"
#include "platform/fd.h"
#include "platform/text.h"

#define BLOCK_DEVICE_DELETED " (deleted)"

/* Longer than "DEVTYPE=partition" and the like; of a device's uevent the lines in front of
 * DEVNAME are of that kind. */
#define BLOCK_DEVICE_UEVENT_MAX 512

struct block_device {
	block_device_file_fn *see;
	void *context;
	const char *served_by;
};

/* The device's name in DIR_FD, which is open on its directory; "" where that says none. */
static void
block_device_name(int dir_fd, char name[NAME_MAX + 1])
{
	char text[BLOCK_DEVICE_UEVENT_MAX];
	const char *line = NULL;

	name[0] = '\0';
	if (fd_read_file(dir_fd, "uevent", text, sizeof(text)) > 0)
		line = strstr(text, "DEVNAME=");
	if (line != NULL)
		(void)sscanf(line, "DEVNAME=%255[^\n]", name);
}

static const char *
block_device_served_by(const char *name)
{
	static const char *const kinds[] = { "nbd", "ublk" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strncmp(name, kinds[i], strlen(kinds[i])) == 0)
			return kinds[i];
	}
	return NULL;
}

/* The file of a loop device, which a partition's disk has. */
static void
block_device_see_file(struct block_device *device, int dir_fd)
{
	char path[PATH_MAX + sizeof(BLOCK_DEVICE_DELETED)];
	ssize_t len = fd_read_file(dir_fd, "loop/backing_file", path, sizeof(path));
	size_t deleted_len = strlen(BLOCK_DEVICE_DELETED);

	if (len <= 0)
		return;
	path[strcspn(path, "\n")] = '\0';
	len = (ssize_t)strlen(path);
	if ((size_t)len > deleted_len &&
	    strcmp(path + (size_t)len - deleted_len, BLOCK_DEVICE_DELETED) == 0)
		path[(size_t)len - deleted_len] = '\0';
	device->see(path, device->context);
}

static void block_device_follow(
    struct block_device *device, int parent_fd, const char *name, int depth);

static void
block_device_follow_slaves(struct block_device *device, int dir_fd, int depth)
{
	DIR CLEANUP_DIR *slaves = NULL;
	struct dirent *entry;

	if (dir_open(dir_fd, "slaves", 0, &slaves) < 0)
		return;
	while (dir_next(slaves, &entry) == 0 && entry != NULL)
		block_device_follow(device, dirfd(slaves), entry->d_name, depth + 1);
}

static void
block_device_follow(struct block_device *device, int parent_fd, const char *name, int depth)
{
	int CLEANUP_FD dir_fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char device_name[NAME_MAX + 1];

	if (dir_fd < 0 || depth > BLOCK_DEVICE_DEPTH_MAX)
		return;
	if (faccessat(dir_fd, "partition", F_OK, 0) == 0) {
		block_device_follow(device, dir_fd, "..", depth + 1);
		return;
	}
	block_device_name(dir_fd, device_name);
	if (device->served_by == NULL)
		device->served_by = block_device_served_by(device_name);
	block_device_see_file(device, dir_fd);
	block_device_follow_slaves(device, dir_fd, depth);
}

const char *
block_device_look(int sys_fd, const char *dir, block_device_file_fn *see, void *context)
{
	struct block_device device = { .see = see, .context = context };

	block_device_follow(&device, sys_fd, dir, 0);
	return device.served_by;
}
