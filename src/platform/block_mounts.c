/*
 * The order is made of two: file systems as they were mounted, and "lies on" between them.
 * That one comes of loop devices, whose file belongs to the mount with the longest prefix of
 * its path; and of overlays, whose upper directory does.
 *
 * SPDX-License-Identifier: MIT
 */
#include "platform/block_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "platform/block_device.h"
#include "platform/compat.h"
#include "platform/mount_list.h"
#include "platform/mountinfo.h"
#include "platform/text.h"

#define BLOCK_MOUNTS_DEVICE_MAX 300

/* The type whose number is not of a device, though it lies on one. */
#define BLOCK_MOUNTS_BTRFS "btrfs"

struct block_mounts_read {
	int sys_fd;
	struct mount_list list;
	size_t *shown; /* by file system: the line that leads to it */
	const char **skipped;
	bool *is_hidden;
	bool *lies_on;	  /* each times each: the first on the second */
	size_t looked_at; /* while its device is */
};

/* ---- what lies on what ----------------------------------------------------- */

static void
block_mounts_see_file(const char *path, void *context)
{
	struct block_mounts_read *read = context;
	size_t lower = mount_list_find_path(&read->list, path);

	if (lower != MOUNT_LIST_NONE && lower != read->looked_at)
		read->lies_on[read->looked_at * read->list.count + lower] = true;
}

static void
block_mounts_see_overlay(struct block_mounts_read *read, const char *options)
{
	unsigned len = 0;
	const char *upper = mountinfo_option(options, "upperdir", &len);
	char *path = upper != NULL ? strndup(upper, len) : NULL;

	if (path != NULL) {
		mountinfo_unescape(path);
		block_mounts_see_file(path, read);
	}
	free(path);
}

/* The directory of the device below /sys. Returns false where it lies on none. */
static bool
block_mounts_device(const struct mountinfo *info, char path[BLOCK_MOUNTS_DEVICE_MAX])
{
	const char *name = strrchr(info->source, '/');

	if (info->major != 0) {
		(void)text_format(
		    path, BLOCK_MOUNTS_DEVICE_MAX, "dev/block/%u:%u", info->major, info->minor);
		return true;
	}
	if (strcmp(info->type, BLOCK_MOUNTS_BTRFS) != 0 || name == NULL)
		return false;
	(void)text_format(path, BLOCK_MOUNTS_DEVICE_MAX, "class/block/%.255s", name + 1);
	return true;
}

static bool
block_mounts_is_network(const char *type)
{
	static const char *const types[] = { "9p", "afs", "ceph", "cifs", "nfs", "nfs4", "smb3" };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(type, types[i]) == 0)
			return true;
	}
	return false;
}

/* A process serves it that may be frozen itself. virtiofs is of that kind too. */
static bool
block_mounts_is_fuse(const char *type)
{
	return strncmp(type, "fuse", strlen("fuse")) == 0 || strcmp(type, "virtiofs") == 0;
}

static bool
block_mounts_is_read_only(const char *options)
{
	unsigned len;

	return mountinfo_option(options, "ro", &len) != NULL;
}

static void
block_mounts_judge(struct block_mounts_read *read, size_t index)
{
	const struct mountinfo *info = &read->list.lines[read->shown[index]].info;
	char device[BLOCK_MOUNTS_DEVICE_MAX];
	const char *served_by = NULL;
	bool has_device = block_mounts_device(info, device);

	read->looked_at = index;
	if (has_device)
		served_by = block_device_look(read->sys_fd, device, block_mounts_see_file, read);
	else if (strcmp(info->type, "overlay") == 0)
		block_mounts_see_overlay(read, info->options);
	if (block_mounts_is_fuse(info->type))
		read->skipped[index] = "fuse";
	else if (block_mounts_is_network(info->type))
		read->skipped[index] = "network";
	else if (!has_device)
		read->skipped[index] = "virtual";
	else if (served_by != NULL)
		read->skipped[index] = served_by;
	else if (block_mounts_is_read_only(info->options))
		read->skipped[index] = "read-only";
}

/* ---- the order ------------------------------------------------------------- */

/* Whether one that is not in the list yet lies on the file system of INDEX. */
static bool
block_mounts_must_wait(const struct block_mounts_read *read, const bool *is_listed, size_t index)
{
	for (size_t i = 0; i < read->list.count; i++) {
		if (!is_listed[i] && read->lies_on[i * read->list.count + index])
			return true;
	}
	return false;
}

/* The last mounted one that none of the others lies on. A circle can't be mounted; if the
 * list shows one all the same, it is cut. */
static size_t
block_mounts_next(const struct block_mounts_read *read, const bool *is_listed)
{
	size_t last = MOUNT_LIST_NONE;

	for (size_t i = read->list.count; i-- > 0;) {
		if (is_listed[i])
			continue;
		if (!block_mounts_must_wait(read, is_listed, i))
			return i;
		if (last == MOUNT_LIST_NONE)
			last = i;
	}
	return last;
}

static int
block_mounts_append(struct block_mounts *mounts, const struct block_mounts_read *read, size_t index)
{
	const struct mountinfo *info = &read->list.lines[read->shown[index]].info;
	struct block_mount *mount = &mounts->list[mounts->count++];

	*mount = (struct block_mount){ .path = strdup(info->point),
		.type = strdup(info->type),
		.skipped = read->skipped[index],
		.is_hidden = read->is_hidden[index] };
	return mount->path != NULL && mount->type != NULL ? 0 : -ENOMEM;
}

/* The mounts of the file system INDEX, which is at PLACE in the list. */
static void
block_mounts_add_ids(
    struct block_mounts *mounts, const struct block_mounts_read *read, size_t index, size_t place)
{
	for (size_t i = 0; i < read->list.lines_count; i++) {
		if (read->list.lines[i].index == index)
			mounts->ids[mounts->ids_count++] =
			    (struct block_mounts_id){ .id = read->list.lines[i].info.id,
				    .mount = place };
	}
}

static int
block_mounts_order(const struct block_mounts_read *read, struct block_mounts *ret)
{
	struct block_mounts CLEANUP_BLOCK_MOUNTS mounts = { 0 };
	bool *is_listed = calloc(read->list.count + 1, sizeof(*is_listed));
	int r = 0;

	mounts.list = calloc(read->list.count + 1, sizeof(*mounts.list));
	mounts.ids = calloc(read->list.lines_count + 1, sizeof(*mounts.ids));
	if (is_listed == NULL || mounts.list == NULL || mounts.ids == NULL)
		r = -ENOMEM;
	while (r == 0 && mounts.count < read->list.count) {
		size_t next = block_mounts_next(read, is_listed);

		is_listed[next] = true;
		block_mounts_add_ids(&mounts, read, next, mounts.count);
		r = block_mounts_append(&mounts, read, next);
	}
	free(is_listed);
	if (r < 0)
		return r;
	*ret = mounts;
	mounts = (struct block_mounts){ 0 };
	return 0;
}

/* ---- all of it ------------------------------------------------------------- */

static void
block_mounts_read_done(struct block_mounts_read *read)
{
	mount_list_done(&read->list);
	free(read->shown);
	free(read->skipped);
	free(read->is_hidden);
	free(read->lies_on);
}

static int
block_mounts_judge_all(struct block_mounts_read *read)
{
	read->shown = calloc(read->list.count + 1, sizeof(*read->shown));
	read->skipped = calloc(read->list.count + 1, sizeof(*read->skipped));
	read->is_hidden = calloc(read->list.count + 1, sizeof(*read->is_hidden));
	read->lies_on =
	    calloc(read->list.count + 1, (read->list.count + 1) * sizeof(*read->lies_on));
	if (read->shown == NULL || read->skipped == NULL || read->is_hidden == NULL ||
	    read->lies_on == NULL)
		return -ENOMEM;
	mount_list_choose(&read->list, read->shown);
	for (size_t i = 0; i < read->list.count; i++) {
		read->is_hidden[i] = mount_list_is_hidden(&read->list, read->shown[i]);
		block_mounts_judge(read, i);
	}
	return 0;
}

int
block_mounts_read(int proc_fd, int sys_fd, struct block_mounts *ret)
{
	struct block_mounts_read read = { .sys_fd = sys_fd };
	int r = mount_list_read(proc_fd, &read.list);

	if (r == 0)
		r = block_mounts_judge_all(&read);
	if (r == 0)
		r = block_mounts_order(&read, ret);
	block_mounts_read_done(&read);
	return r;
}

int
block_mounts_find(const struct block_mounts *mounts, int fd, size_t *ret)
{
	struct statx status;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &status) < 0)
		return -errno;
	for (size_t i = 0; i < mounts->ids_count; i++) {
		if (mounts->ids[i].id == status.stx_mnt_id) {
			*ret = mounts->ids[i].mount;
			return 0;
		}
	}
	return -ENOENT;
}

void
block_mounts_done(struct block_mounts *mounts)
{
	for (size_t i = 0; i < mounts->count; i++) {
		free(mounts->list[i].path);
		free(mounts->list[i].type);
	}
	free(mounts->list);
	free(mounts->ids);
	*mounts = (struct block_mounts){ 0 };
}
