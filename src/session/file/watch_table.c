/*
 * file_watch_table: which directory each inotify watch is on.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/file/watch_table.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "vmm-guest/protocol.h"

/* What malloc(3) keeps beside each block. */
#define FILE_WATCH_BLOCK_HEADER sizeof(size_t)

static struct file_watch_list *
file_watch_table_bucket(struct file_watch_table *table, int wd)
{
	return &table->buckets[(unsigned)wd % FILE_WATCH_BUCKETS];
}

static size_t
file_watch_table_size(void *block)
{
	return malloc_usable_size(block) + FILE_WATCH_BLOCK_HEADER;
}

/* A copy of NAME that counts. */
static int
file_watch_table_copy_name(struct file_watch_table *table, const char *name, char **ret)
{
	char *copy = strdup(name);

	if (copy == NULL)
		return -ENOMEM;
	if (table->bytes + file_watch_table_size(copy) > VMM_GUEST_WATCH_MAX) {
		free(copy);
		return -ENOBUFS;
	}
	table->bytes += file_watch_table_size(copy);
	*ret = copy;
	return 0;
}

static void
file_watch_table_free(struct file_watch_table *table, void *block)
{
	table->bytes -= file_watch_table_size(block);
	free(block);
}

int
file_watch_table_add(struct file_watch_table *table, struct file_watch_dir *parent,
    const char *name, struct file_watch_dir **ret)
{
	struct file_watch_dir *dir = calloc(1, sizeof(*dir));
	int r;

	if (dir == NULL)
		return -ENOMEM;
	table->bytes += file_watch_table_size(dir);
	r = file_watch_table_copy_name(table, name, &dir->name);
	if (r < 0) {
		file_watch_table_free(table, dir);
		return r;
	}
	dir->wd = -1;
	dir->parent = parent;
	if (parent != NULL)
		LIST_INSERT_HEAD(&parent->children, dir, siblings);
	else
		table->top = dir;
	*ret = dir;
	return 0;
}

void
file_watch_table_set_wd(struct file_watch_table *table, struct file_watch_dir *dir, int wd)
{
	dir->wd = wd;
	SLIST_INSERT_HEAD(file_watch_table_bucket(table, wd), dir, entries);
}

struct file_watch_dir *
file_watch_table_find(struct file_watch_table *table, int wd)
{
	struct file_watch_dir *dir;

	SLIST_FOREACH(dir, file_watch_table_bucket(table, wd), entries)
	{
		if (dir->wd == wd)
			return dir;
	}
	return NULL;
}

struct file_watch_dir *
file_watch_table_child(const struct file_watch_dir *parent, const char *name)
{
	struct file_watch_dir *found = NULL;
	struct file_watch_dir *dir;

	LIST_FOREACH (dir, &parent->children, siblings) {
		if (strcmp(dir->name, name) == 0)
			found = dir;
	}
	return found;
}

struct file_watch_dir *
file_watch_table_next(struct file_watch_dir *dir, const struct file_watch_dir *top)
{
	if (!LIST_EMPTY(&dir->children))
		return LIST_FIRST(&dir->children);
	while (dir != top && LIST_NEXT(dir, siblings) == NULL)
		dir = dir->parent;
	return dir == top ? NULL : LIST_NEXT(dir, siblings);
}

int
file_watch_table_path(const struct file_watch_dir *dir, const char *name, char ret[PATH_MAX])
{
	size_t start = PATH_MAX - 1;

	ret[start] = '\0';
	for (;;) {
		const char *part = name != NULL ? name : dir->name;
		bool is_top = name == NULL && dir->parent == NULL;
		size_t len = strlen(part);

		if (len + !is_top > start)
			return -ENAMETOOLONG;
		start -= len;
		memcpy(ret + start, part, len);
		if (is_top)
			break;
		ret[--start] = '/';
		if (name == NULL)
			dir = dir->parent;
		name = NULL;
	}
	if (start == PATH_MAX - 1)
		ret[--start] = '/';
	memmove(ret, ret + start, PATH_MAX - start);
	return 0;
}

struct file_watch_dir *
file_watch_table_nameable(struct file_watch_dir *dir)
{
	size_t size = 0;

	/* Each has a slash behind it, and the last of them a NUL in its place. */
	for (const struct file_watch_dir *up = dir; up != NULL; up = up->parent)
		size += strlen(up->name) + 1;
	for (; size > PATH_MAX && dir->parent != NULL; dir = dir->parent)
		size -= strlen(dir->name) + 1;
	return dir;
}

static bool
file_watch_table_is_below(const struct file_watch_dir *dir, const struct file_watch_dir *top)
{
	while (dir != NULL && dir != top)
		dir = dir->parent;
	return dir != NULL;
}

int
file_watch_table_move(struct file_watch_table *table, struct file_watch_dir *dir,
    struct file_watch_dir *parent, const char *name)
{
	char *copy;
	int r;

	if (dir->parent == NULL || file_watch_table_is_below(parent, dir))
		return -ELOOP;
	/* One takes the other's place, where that is all there is. */
	table->bytes -= file_watch_table_size(dir->name);
	r = file_watch_table_copy_name(table, name, &copy);
	if (r < 0) {
		table->bytes += file_watch_table_size(dir->name);
		return r;
	}
	free(dir->name);
	dir->name = copy;
	LIST_REMOVE(dir, siblings);
	LIST_INSERT_HEAD(&parent->children, dir, siblings);
	dir->parent = parent;
	return 0;
}

static void
file_watch_table_remove_one(
    struct file_watch_table *table, struct file_watch_dir *dir, int inotify_fd)
{
	if (dir->wd >= 0) {
		if (inotify_fd >= 0)
			(void)inotify_rm_watch(inotify_fd, dir->wd);
		SLIST_REMOVE(file_watch_table_bucket(table, dir->wd), dir, file_watch_dir, entries);
	}
	if (dir->is_todo)
		SLIST_REMOVE(&table->todo, dir, file_watch_dir, entries);
	if (dir->parent != NULL)
		LIST_REMOVE(dir, siblings);
	else
		table->top = NULL;
	table->incomplete -= dir->is_incomplete;
	file_watch_table_free(table, dir->name);
	file_watch_table_free(table, dir);
}

void
file_watch_table_remove(struct file_watch_table *table, struct file_watch_dir *dir, int inotify_fd)
{
	struct file_watch_dir *last = dir;
	struct file_watch_dir *parent;

	do {
		while (!LIST_EMPTY(&last->children))
			last = LIST_FIRST(&last->children);
		parent = last->parent;
		if (last == dir)
			parent = NULL;
		file_watch_table_remove_one(table, last, inotify_fd);
		last = parent;
	} while (last != NULL);
}

void
file_watch_table_put_off(struct file_watch_table *table, struct file_watch_dir *dir)
{
	dir->is_todo = true;
	SLIST_INSERT_HEAD(&table->todo, dir, entries);
}

struct file_watch_dir *
file_watch_table_take_up(struct file_watch_table *table)
{
	struct file_watch_dir *dir = SLIST_FIRST(&table->todo);

	if (dir != NULL) {
		SLIST_REMOVE_HEAD(&table->todo, entries);
		dir->is_todo = false;
	}
	return dir;
}

void
file_watch_table_set_incomplete(
    struct file_watch_table *table, struct file_watch_dir *dir, bool is_incomplete)
{
	table->incomplete += (size_t)is_incomplete - (size_t)dir->is_incomplete;
	dir->is_incomplete = is_incomplete;
}

void
file_watch_table_done(struct file_watch_table *table)
{
	if (table->top != NULL)
		file_watch_table_remove(table, table->top, -1);
}
