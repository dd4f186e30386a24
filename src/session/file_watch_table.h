/*
 * file_watch_table: which directory each inotify watch is on. Directories are
 * renamed while they are watched, and their paths here with them.
 */
#ifndef SESSION_FILE_WATCH_TABLE_H
#define SESSION_FILE_WATCH_TABLE_H

#include <stddef.h>
#include <sys/queue.h>

#define FILE_WATCH_BUCKETS 1024

struct file_watch_dir {
	LIST_ENTRY(file_watch_dir) entries;
	int wd;
	char *path; /* absolute, no slash at the end unless it is the root */
};

/* Zero-initialised it is ready for use. */
struct file_watch_table {
	LIST_HEAD(file_watch_bucket, file_watch_dir) buckets[FILE_WATCH_BUCKETS];
};

/* The path of WD, borrowed until the table is changed; NULL if it is not there. */
const char *file_watch_table_find(struct file_watch_table *table, int wd);

/* Puts WD with a copy of PATH in, or changes its path. Returns 0 or -ENOMEM. */
int file_watch_table_put(struct file_watch_table *table, int wd, const char *path);

/* Takes WD out; it may be not there. */
void file_watch_table_drop(struct file_watch_table *table, int wd);

/* FROM has become TO: changes the paths of it and all below. Returns 0 or -ENOMEM. */
int file_watch_table_rename(struct file_watch_table *table, const char *from, const char *to);

/* PATH has left: takes it and all below out, and their watches off INOTIFY_FD. */
void file_watch_table_leave(struct file_watch_table *table, int inotify_fd, const char *path);

/* Takes everything out and frees it. */
void file_watch_table_done(struct file_watch_table *table);

#endif
