/*
 * file_watch_table: which directory each inotify watch is on.
 */
#include "session/file_watch_table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

static size_t
file_watch_table_bucket(int wd)
{
	return (unsigned)wd % FILE_WATCH_BUCKETS;
}

static struct file_watch_dir *
file_watch_table_get(struct file_watch_table *table, int wd)
{
	struct file_watch_dir *dir;

	LIST_FOREACH (dir, &table->buckets[file_watch_table_bucket(wd)], entries) {
		if (dir->wd == wd)
			return dir;
	}
	return NULL;
}

const char *
file_watch_table_find(struct file_watch_table *table, int wd)
{
	const struct file_watch_dir *dir = file_watch_table_get(table, wd);

	return dir != NULL ? dir->path : NULL;
}

static int
file_watch_table_set_path(struct file_watch_dir *dir, const char *path)
{
	char *copy = strdup(path);

	if (copy == NULL)
		return -ENOMEM;
	free(dir->path);
	dir->path = copy;
	return 0;
}

int
file_watch_table_put(struct file_watch_table *table, int wd, const char *path)
{
	struct file_watch_dir *dir = file_watch_table_get(table, wd);

	if (dir != NULL)
		return file_watch_table_set_path(dir, path);
	dir = calloc(1, sizeof(*dir));
	if (dir == NULL || file_watch_table_set_path(dir, path) < 0) {
		free(dir);
		return -ENOMEM;
	}
	dir->wd = wd;
	LIST_INSERT_HEAD(&table->buckets[file_watch_table_bucket(wd)], dir, entries);
	return 0;
}

static void
file_watch_table_free(struct file_watch_dir *dir)
{
	LIST_REMOVE(dir, entries);
	free(dir->path);
	free(dir);
}

void
file_watch_table_drop(struct file_watch_table *table, int wd)
{
	struct file_watch_dir *dir = file_watch_table_get(table, wd);

	if (dir != NULL)
		file_watch_table_free(dir);
}

/* Whether PATH is TOP, or stands below it. */
static bool
file_watch_table_is_below(const char *path, const char *top)
{
	size_t len = strlen(top);

	return strncmp(path, top, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

int
file_watch_table_rename(struct file_watch_table *table, const char *from, const char *to)
{
	struct file_watch_dir *dir;

	for (size_t i = 0; i < FILE_WATCH_BUCKETS; i++) {
		LIST_FOREACH (dir, &table->buckets[i], entries) {
			char *path;

			if (!file_watch_table_is_below(dir->path, from))
				continue;
			if (asprintf(&path, "%s%s", to, dir->path + strlen(from)) < 0)
				return -ENOMEM;
			free(dir->path);
			dir->path = path;
		}
	}
	return 0;
}

void
file_watch_table_leave(struct file_watch_table *table, int inotify_fd, const char *path)
{
	struct file_watch_dir *dir;
	struct file_watch_dir *next;

	for (size_t i = 0; i < FILE_WATCH_BUCKETS; i++) {
		for (dir = LIST_FIRST(&table->buckets[i]); dir != NULL; dir = next) {
			next = LIST_NEXT(dir, entries);
			if (!file_watch_table_is_below(dir->path, path))
				continue;
			(void)inotify_rm_watch(inotify_fd, dir->wd);
			file_watch_table_free(dir);
		}
	}
}

void
file_watch_table_done(struct file_watch_table *table)
{
	for (size_t i = 0; i < FILE_WATCH_BUCKETS; i++) {
		while (!LIST_EMPTY(&table->buckets[i]))
			file_watch_table_free(LIST_FIRST(&table->buckets[i]));
	}
}
