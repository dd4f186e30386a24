/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/mount_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/stream.h"

/* ---- lines ---------------------------------------------------------------- */

/* The file system of LINE: one of those that there are, or a new one. */
static size_t
mount_list_index(const struct mount_list *list, const struct mountinfo *info)
{
	for (size_t i = 0; i < list->lines_count; i++) {
		const struct mount_list_line *line = &list->lines[i];

		if (line->info.major == info->major && line->info.minor == info->minor)
			return line->index;
	}
	return list->count;
}

static int
mount_list_add_line(struct mount_list *list, const char *text)
{
	struct mount_list_line *longer =
	    reallocarray(list->lines, list->lines_count + 1, sizeof(*longer));
	struct mount_list_line *line;

	if (longer == NULL)
		return -ENOMEM;
	list->lines = longer;
	if (list->lines_count == MOUNT_LIST_LINES_MAX || list->count == MOUNT_LIST_FILE_SYSTEMS_MAX)
		return -E2BIG;
	line = &longer[list->lines_count];
	line->text = strdup(text);
	if (line->text == NULL)
		return -ENOMEM;
	if (!mountinfo_parse(line->text, &line->info)) {
		free(line->text);
		return 0;
	}
	line->index = mount_list_index(list, &line->info);
	list->count += line->index == list->count;
	list->lines_count++;
	return 0;
}

int
mount_list_read(int proc_fd, struct mount_list *list)
{
	FILE CLEANUP_FILE *file = NULL;
	int r = stream_open(proc_fd, "self/mountinfo", &file);
	char *text = NULL;
	size_t size = 0;

	if (r < 0)
		return r;
	while (r == 0 && getline(&text, &size, file) > 0) {
		text[strcspn(text, "\n")] = '\0';
		r = mount_list_add_line(list, text);
	}
	free(text);
	return r == 0 && ferror(file) ? -EIO : r;
}

/* ---- which line leads to a file system ------------------------------------ */

static bool
mount_list_stands_on(
    const struct mount_list *list, const struct mountinfo *upper, unsigned lower_id)
{
	/* No chain is longer than there are lines. */
	for (size_t i = 0; i < list->lines_count && upper->id != lower_id; i++) {
		const struct mountinfo *parent = NULL;

		for (size_t j = 0; j < list->lines_count && parent == NULL; j++) {
			if (list->lines[j].info.id == upper->parent)
				parent = &list->lines[j].info;
		}
		if (parent == NULL || parent == upper)
			return false;
		upper = parent;
	}
	return upper->id == lower_id;
}

bool
mount_list_is_hidden(const struct mount_list *list, size_t line)
{
	const struct mountinfo *info = &list->lines[line].info;

	for (size_t i = line + 1; i < list->lines_count; i++) {
		const struct mountinfo *later = &list->lines[i].info;

		if (mountinfo_is_below(info->point, later->point) &&
		    !mount_list_stands_on(list, info, later->id))
			return true;
	}
	return false;
}

/* How good LINE is as the one that leads to its file system. */
static int
mount_list_rank(const struct mount_list *list, size_t line)
{
	return 2 * !mount_list_is_hidden(list, line) +
	       (strcmp(list->lines[line].info.root, "/") == 0);
}

void
mount_list_choose(const struct mount_list *list, size_t *shown)
{
	for (size_t i = 0; i < list->count; i++)
		shown[i] = MOUNT_LIST_NONE;
	for (size_t i = 0; i < list->lines_count; i++) {
		size_t *best = &shown[list->lines[i].index];

		if (*best == MOUNT_LIST_NONE ||
		    mount_list_rank(list, i) >= mount_list_rank(list, *best))
			*best = i;
	}
}

size_t
mount_list_find_path(const struct mount_list *list, const char *path)
{
	size_t longest = 0;
	size_t found = MOUNT_LIST_NONE;

	for (size_t i = 0; i < list->lines_count; i++) {
		const char *point = list->lines[i].info.point;

		if (mountinfo_is_below(path, point) && strlen(point) >= longest) {
			longest = strlen(point);
			found = list->lines[i].index;
		}
	}
	return found;
}

void
mount_list_done(struct mount_list *list)
{
	for (size_t i = 0; i < list->lines_count; i++)
		free(list->lines[i].text);
	free(list->lines);
	*list = (struct mount_list){ 0 };
}
