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
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "platform/block_device.h"
#include "platform/mountinfo.h"
#include "platform/stream.h"
#include "platform/text.h"

#define BLOCK_MOUNTS_NONE SIZE_MAX

/* Lines are held one against each other, and a file system takes a byte for each other one:
 * with so many that is 3 s and 16 MiB. */
#define BLOCK_MOUNTS_LINES_MAX 8192
#define BLOCK_MOUNTS_MAX 4096
#define BLOCK_MOUNTS_DEVICE_MAX 300

/* The type whose number is not of a device, though it lies on one. */
#define BLOCK_MOUNTS_BTRFS "btrfs"

/* A line, and the file system that it shows. */
struct block_mounts_line {
	char *text; /* owned; INFO's texts lie in it */
	struct mountinfo info;
	size_t index; /* among the file systems, in the order of their first lines */
};

struct block_mounts_read {
	int sys_fd;
	struct block_mounts_line *lines;
	size_t lines_count;
	size_t *shown; /* by file system: the line that leads to it */
	const char **skipped;
	bool *is_hidden;
	bool *lies_on; /* COUNT times COUNT: the first on the second */
	size_t count;
	size_t looked_at; /* while its device is */
};

/* ---- lines ---------------------------------------------------------------- */

/* The file system of LINE: one of those that there are, or a new one. */
static size_t
block_mounts_index(const struct block_mounts_read *read, const struct mountinfo *info)
{
	for (size_t i = 0; i < read->lines_count; i++) {
		const struct block_mounts_line *line = &read->lines[i];

		if (line->info.major == info->major && line->info.minor == info->minor)
			return line->index;
	}
	return read->count;
}

static int
block_mounts_add_line(struct block_mounts_read *read, const char *text)
{
	struct block_mounts_line *longer =
	    reallocarray(read->lines, read->lines_count + 1, sizeof(*longer));
	struct block_mounts_line *line;

	if (longer == NULL)
		return -ENOMEM;
	read->lines = longer;
	if (read->lines_count == BLOCK_MOUNTS_LINES_MAX || read->count == BLOCK_MOUNTS_MAX)
		return -E2BIG;
	line = &longer[read->lines_count];
	line->text = strdup(text);
	if (line->text == NULL)
		return -ENOMEM;
	if (!mountinfo_parse(line->text, &line->info)) {
		free(line->text);
		return 0;
	}
	line->index = block_mounts_index(read, &line->info);
	read->count += line->index == read->count;
	read->lines_count++;
	return 0;
}

static int
block_mounts_read_lines(struct block_mounts_read *read, int proc_fd)
{
	FILE CLEANUP_FILE *file = NULL;
	int r = stream_open(proc_fd, "self/mountinfo", &file);
	char *text = NULL;
	size_t size = 0;

	if (r < 0)
		return r;
	while (r == 0 && getline(&text, &size, file) > 0) {
		text[strcspn(text, "\n")] = '\0';
		r = block_mounts_add_line(read, text);
	}
	free(text);
	return r == 0 && ferror(file) ? -EIO : r;
}

/* ---- which line leads to a file system ------------------------------------ */

static bool
block_mounts_stands_on(
    const struct block_mounts_read *read, const struct mountinfo *upper, unsigned lower_id)
{
	/* No chain is longer than there are lines. */
	for (size_t i = 0; i < read->lines_count && upper->id != lower_id; i++) {
		const struct mountinfo *parent = NULL;

		for (size_t j = 0; j < read->lines_count && parent == NULL; j++) {
			if (read->lines[j].info.id == upper->parent)
				parent = &read->lines[j].info;
		}
		if (parent == NULL || parent == upper)
			return false;
		upper = parent;
	}
	return upper->id == lower_id;
}

/* Whether something was mounted later over the mount of LINE, or over a directory on the way
 * to it. */
static bool
block_mounts_is_hidden(const struct block_mounts_read *read, size_t line)
{
	const struct mountinfo *info = &read->lines[line].info;

	for (size_t i = line + 1; i < read->lines_count; i++) {
		const struct mountinfo *later = &read->lines[i].info;

		if (mountinfo_is_below(info->point, later->point) &&
		    !block_mounts_stands_on(read, info, later->id))
			return true;
	}
	return false;
}

/* How good LINE is as the one that leads to its file system. */
static int
block_mounts_rank(const struct block_mounts_read *read, size_t line)
{
	return 2 * !block_mounts_is_hidden(read, line) +
	       (strcmp(read->lines[line].info.root, "/") == 0);
}

static void
block_mounts_choose(struct block_mounts_read *read)
{
	for (size_t i = 0; i < read->count; i++)
		read->shown[i] = BLOCK_MOUNTS_NONE;
	for (size_t i = 0; i < read->lines_count; i++) {
		size_t *shown = &read->shown[read->lines[i].index];

		if (*shown == BLOCK_MOUNTS_NONE ||
		    block_mounts_rank(read, i) >= block_mounts_rank(read, *shown))
			*shown = i;
	}
	for (size_t i = 0; i < read->count; i++)
		read->is_hidden[i] = block_mounts_is_hidden(read, read->shown[i]);
}

/* ---- what lies on what ----------------------------------------------------- */

/* The file system that the file PATH lies in. */
static size_t
block_mounts_of_path(const struct block_mounts_read *read, const char *path)
{
	size_t longest = 0;
	size_t found = BLOCK_MOUNTS_NONE;

	for (size_t i = 0; i < read->lines_count; i++) {
		const char *point = read->lines[i].info.point;

		if (mountinfo_is_below(path, point) && strlen(point) >= longest) {
			longest = strlen(point);
			found = read->lines[i].index;
		}
	}
	return found;
}

static void
block_mounts_see_file(const char *path, void *context)
{
	struct block_mounts_read *read = context;
	size_t lower = block_mounts_of_path(read, path);

	if (lower != BLOCK_MOUNTS_NONE && lower != read->looked_at)
		read->lies_on[read->looked_at * read->count + lower] = true;
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
	const struct mountinfo *info = &read->lines[read->shown[index]].info;
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
	for (size_t i = 0; i < read->count; i++) {
		if (!is_listed[i] && read->lies_on[i * read->count + index])
			return true;
	}
	return false;
}

/* The last mounted one that none of the others lies on. A circle can't be mounted; if the
 * list shows one all the same, it is cut. */
static size_t
block_mounts_next(const struct block_mounts_read *read, const bool *is_listed)
{
	size_t last = BLOCK_MOUNTS_NONE;

	for (size_t i = read->count; i-- > 0;) {
		if (is_listed[i])
			continue;
		if (!block_mounts_must_wait(read, is_listed, i))
			return i;
		if (last == BLOCK_MOUNTS_NONE)
			last = i;
	}
	return last;
}

static int
block_mounts_append(struct block_mounts *mounts, const struct block_mounts_read *read, size_t index)
{
	const struct mountinfo *info = &read->lines[read->shown[index]].info;
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
	for (size_t i = 0; i < read->lines_count; i++) {
		if (read->lines[i].index == index)
			mounts->ids[mounts->ids_count++] =
			    (struct block_mounts_id){ .id = read->lines[i].info.id,
				    .mount = place };
	}
}

static int
block_mounts_order(const struct block_mounts_read *read, struct block_mounts *ret)
{
	struct block_mounts CLEANUP_BLOCK_MOUNTS mounts = { 0 };
	bool *is_listed = calloc(read->count + 1, sizeof(*is_listed));
	int r = 0;

	mounts.list = calloc(read->count + 1, sizeof(*mounts.list));
	mounts.ids = calloc(read->lines_count + 1, sizeof(*mounts.ids));
	if (is_listed == NULL || mounts.list == NULL || mounts.ids == NULL)
		r = -ENOMEM;
	while (r == 0 && mounts.count < read->count) {
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
	for (size_t i = 0; i < read->lines_count; i++)
		free(read->lines[i].text);
	free(read->lines);
	free(read->shown);
	free(read->skipped);
	free(read->is_hidden);
	free(read->lies_on);
}

static int
block_mounts_judge_all(struct block_mounts_read *read)
{
	read->shown = calloc(read->count + 1, sizeof(*read->shown));
	read->skipped = calloc(read->count + 1, sizeof(*read->skipped));
	read->is_hidden = calloc(read->count + 1, sizeof(*read->is_hidden));
	read->lies_on = calloc(read->count + 1, (read->count + 1) * sizeof(*read->lies_on));
	if (read->shown == NULL || read->skipped == NULL || read->is_hidden == NULL ||
	    read->lies_on == NULL)
		return -ENOMEM;
	block_mounts_choose(read);
	for (size_t i = 0; i < read->count; i++)
		block_mounts_judge(read, i);
	return 0;
}

int
block_mounts_read(int proc_fd, int sys_fd, struct block_mounts *ret)
{
	struct block_mounts_read read = { .sys_fd = sys_fd };
	int r = block_mounts_read_lines(&read, proc_fd);

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
