/*
 * file_watch_table: which directory each inotify watch is on: a tree of names, since
 * directories are renamed while they are watched, and whole paths would be many times
 * as large.
 *
 * The tree is a guest's: it may be as wide and as deep as that likes. So what it may
 * take is bounded, and nothing here goes down it by calling itself.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SESSION_FILE_WATCH_TABLE_H
#define SESSION_FILE_WATCH_TABLE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define FILE_WATCH_BUCKETS 4096

struct file_watch_dir {
	LIST_ENTRY(file_watch_dir) siblings;
	LIST_HEAD(file_watch_children, file_watch_dir) children;
	SLIST_ENTRY(file_watch_dir) entries; /* of its bucket, or of what is to be done */
	struct file_watch_dir *parent;	     /* NULL: the top */
	char *name;		/* in its parent; the top's is its path, "" for the root */
	int wd;			/* -1: it is not watched */
	int16_t gap;		/* an error that is still to be told of; 0: none */
	bool is_todo : 1;	/* it is on the list of what is to be done */
	bool is_incomplete : 1; /* something in it could not be found where it had been */
	bool is_told : 1;	/* that what is in it has too long a path */
};

SLIST_HEAD(file_watch_list, file_watch_dir);

/* Zero-initialised it is ready for use. */
struct file_watch_table {
	struct file_watch_dir *top;
	size_t bytes;		     /* at most VMM_GUEST_WATCH_MAX */
	size_t incomplete;	     /* how many are */
	struct file_watch_list todo; /* see file_watch_table_put_off() */
	struct file_watch_list buckets[FILE_WATCH_BUCKETS];
};

/* Adds what is called NAME in PARENT, or with NULL the top, whose NAME is its path.
 * There may be another of that name: one that has been moved away, of which the event
 * is still to come. Returns 0 with *RET, which is not watched; -ENOBUFS over the bound;
 * or -ENOMEM. */
int file_watch_table_add(struct file_watch_table *table, struct file_watch_dir *parent,
    const char *name, struct file_watch_dir **ret);

/* DIR is watched by WD from now on. */
void file_watch_table_set_wd(struct file_watch_table *table, struct file_watch_dir *dir, int wd);

/* The directory of WD; NULL if it is not there. */
struct file_watch_dir *file_watch_table_find(struct file_watch_table *table, int wd);

/* What was first added of those that are called NAME in PARENT; NULL if none is. */
struct file_watch_dir *file_watch_table_child(
    const struct file_watch_dir *parent, const char *name);

/* The directory after DIR, of TOP and all that is below it, each before what is in it;
 * NULL after the last. */
struct file_watch_dir *file_watch_table_next(
    struct file_watch_dir *dir, const struct file_watch_dir *top);

/* The path of NAME in DIR, or of DIR itself where NAME is NULL. Returns 0 or
 * -ENAMETOOLONG. */
int file_watch_table_path(const struct file_watch_dir *dir, const char *name, char ret[PATH_MAX]);

/* DIR, or the deepest of those that it is in whose path is not too long. */
struct file_watch_dir *file_watch_table_nameable(struct file_watch_dir *dir);

/* DIR, with all below it, is called NAME in PARENT now. Returns 0; -ELOOP where PARENT
 * is DIR or below it; or as file_watch_table_add(). */
int file_watch_table_move(struct file_watch_table *table, struct file_watch_dir *dir,
    struct file_watch_dir *parent, const char *name);

/* Takes DIR and all below it out and frees it, and takes the watches off INOTIFY_FD. */
void file_watch_table_remove(
    struct file_watch_table *table, struct file_watch_dir *dir, int inotify_fd);

/* Puts DIR, which is not watched, on the list of what is to be done; and takes the one
 * off it that was put there last: NULL if there is none. */
void file_watch_table_put_off(struct file_watch_table *table, struct file_watch_dir *dir);
struct file_watch_dir *file_watch_table_take_up(struct file_watch_table *table);

/* Marks DIR, or takes the mark off. */
void file_watch_table_set_incomplete(
    struct file_watch_table *table, struct file_watch_dir *dir, bool is_incomplete);

/* Takes everything out and frees it. The watches end with their inotify descriptor. */
void file_watch_table_done(struct file_watch_table *table);

#endif
