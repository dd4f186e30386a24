/*
 * copy_out_tree: a tree by one TREE, as it comes: each entry is made in the directory that holds
 * it, which is open from its own entry on to the first that is not in it.
 *
 * The guest may be an attacker's. All is made below the descriptor of a directory that we made
 * or found ourselves, by a name without a slash: what was not told of as a directory, and is
 * not open as one, can't be gone through. What is kept of the guest's is a path, the
 * directories on it, and one file.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/copy/copy_out.h"
#include "client/errno_name.h"
#include "ctl/copy/copy_out_ahead.h"
#include "ctl/copy/copy_out_links.h"
#include "ctl/core/guest_entry.h"
#include "ctl/core/guest_file.h"
#include "platform/io_result.h"

/* So many paths that no honest agent sends, and it is not listened to any more. */
#define COPY_OUT_TREE_REFUSED_MAX 1000

struct copy_out_tree {
	struct copy *copy;
	const struct guest_tree_item *item; /* what came last */
	struct copy_dir *top;
	struct copy_dir *dir; /* the deepest one that is open */
	const char *below;    /* the guest's path of TOP, with a slash behind it */
	bool has_top;	      /* it was told of */
	unsigned refused;

	/* The file whose contents come; else these are passed over. */
	bool is_receiving;
	struct atomic_file file;
	struct copy_out_like like;
	uint64_t received;
	char name[NAME_MAX + 1];

	/* With -a: what has come that has other names, and the one that comes. */
	struct copy_out_links links;
	uint64_t dev;
	uint64_t ino;
	char path[PATH_MAX];

	char skipped[PATH_MAX]; /* a directory that could not be made; "": none */
};

/* ---- paths --------------------------------------------------------------- */

/* Whether PATH goes down from the top by names alone. */
static bool
copy_out_tree_is_path(const char *path)
{
	size_t len = 0;

	for (;; path += len + 1) {
		len = strcspn(path, "/");
		if (len == 0 || (len <= 2 && strncmp(path, "..", len) == 0))
			return false;
		if (path[len] == '\0')
			return true;
	}
}

/* The path of DIR below the top, as the agent says it. */
static const char *
copy_out_tree_path(const struct copy_out_tree *tree, const struct copy_dir *dir)
{
	return dir == tree->top ? "" : dir->guest + strlen(tree->below);
}

/* The open directory whose path is the LEN bytes of PATH, or NULL. */
static struct copy_dir *
copy_out_tree_find(const struct copy_out_tree *tree, const char *path, size_t len)
{
	struct copy_dir *dir = tree->dir;

	for (; dir != NULL; dir = dir->parent) {
		const char *own = copy_out_tree_path(tree, dir);

		if (strlen(own) == len && memcmp(own, path, len) == 0)
			break;
	}
	return dir;
}

/* Whether PATH is in a directory that could not be made, which was said. */
static bool
copy_out_tree_is_skipped(const struct copy_out_tree *tree, const char *path)
{
	size_t len = strlen(tree->skipped);

	return len > 0 && strncmp(path, tree->skipped, len) == 0 && path[len] == '/';
}

/* Finishes the directories that are open below DIR. */
static void
copy_out_tree_go_back(struct copy_out_tree *tree, struct copy_dir *dir)
{
	while (tree->dir != dir) {
		struct copy_dir *left = tree->dir;

		tree->dir = left->parent;
		copy_dir_release(tree->copy, left);
	}
}

/* ---- complaints ---------------------------------------------------------- */

/* Complains of PATH below DIR, which no honest agent sends. Returns 0, or -EPROTO where that was
 * too often. */
static int
copy_out_tree_refuse(struct copy_out_tree *tree, const struct copy_dir *dir, const char *path,
    const char *problem, struct client_error *error)
{
	client_fail(error, "vm:%s: '%s' %s", dir->guest, path, problem);
	if (++tree->refused == COPY_OUT_TREE_REFUSED_MAX)
		return -EPROTO;
	copy_complain(tree->copy, 0, error);
	return 0;
}

/* Says that the file NAME of the directory that is open can't be made, for -errno R. */
static void
copy_out_tree_complain_file(struct copy_out_tree *tree, const char *name, int r)
{
	char *here = guest_entry_join(tree->dir->here, name);
	struct client_error error;

	copy_out_fail(here != NULL ? here : name, r, &error);
	copy_complain(tree->copy, r, &error);
	free(here);
}

/* Gives up the file that is received. */
static void
copy_out_tree_drop(struct copy_out_tree *tree)
{
	if (!tree->is_receiving)
		return;
	tree->is_receiving = false;
	atomic_file_done(&tree->file);
	progress_add(&tree->copy->progress, -(int64_t)tree->received);
}

/* ---- entries ------------------------------------------------------------- */

/* These make an entry by its NAME in the directory that is open. They return 0 or -errno, -EEXIST
 * also where the directory is new: then it has come before. */

/* With -a a file or symbolic link that has come by another name gets this one too. Where that
 * can't be, it is received or made again. */
static bool
copy_out_tree_make_linked(struct copy_out_tree *tree, const char *name)
{
	const struct file_tree_entry *entry = &tree->item->entry;
	const char *first;

	tree->path[0] = '\0';
	if (!tree->copy->keeps_links || entry->nlink < 2)
		return false;
	first = copy_out_links_find(&tree->links, entry->dev, entry->ino);
	if (first == NULL) {
		tree->dev = entry->dev;
		tree->ino = entry->ino;
		(void)strlcpy(tree->path, entry->path, sizeof(tree->path));
		return false;
	}
	if (atomic_file_hard_link(tree->top->fd, first, tree->dir->fd, name) < 0)
		return false;
	copy_tell_of(tree->copy, tree->dir, name);
	return true;
}

static int
copy_out_tree_make_file(struct copy_out_tree *tree, const char *name)
{
	const struct file_entry *entry = &tree->item->entry.entry;
	bool is_new = tree->dir->is_new;
	int r;

	tree->copy->progress.files_total++;
	if (copy_out_tree_make_linked(tree, name)) {
		tree->copy->progress.files++;
		return 0;
	}
	tree->copy->progress.bytes_total += entry->size;
	if (strlcpy(tree->name, name, sizeof(tree->name)) >= sizeof(tree->name))
		return -ENAMETOOLONG;
	tree->like = copy_out_like(entry);
	tree->received = 0;
	r = copy_out_open(tree->copy, &tree->file, tree->dir->fd, tree->name, &tree->like,
	    is_new ? ATOMIC_FILE_NONE : ATOMIC_FILE_REGULAR);
	tree->file.is_local = tree->dir->is_local;
	tree->file.keeps_mode = tree->dir->keeps_modes;
	tree->is_receiving = r == 0;
	if (r < 0)
		atomic_file_done(&tree->file);
	return r;
}

static int
copy_out_tree_make_directory(struct copy_out_tree *tree, const char *name)
{
	const struct copy_out_like like = copy_out_like(&tree->item->entry.entry);
	int r = copy_out_enter(tree->dir, name, &like, &tree->dir);

	if (r < 0)
		(void)strlcpy(tree->skipped, tree->item->entry.path, sizeof(tree->skipped));
	return r;
}

static int
copy_out_tree_make_link(struct copy_out_tree *tree, const char *name)
{
	const char *target = tree->item->entry.entry.symlink_target;
	int r;

	if (copy_out_tree_make_linked(tree, name))
		return 0;
	r = tree->dir->is_new ? io_result(symlinkat(target, tree->dir->fd, name))
			      : atomic_file_link(tree->dir->fd, name, target);
	if (r < 0)
		return r;
	copy_tell_of(tree->copy, tree->dir, name);
	copy_out_links_add(&tree->links, tree->dev, tree->ino, tree->path);
	return 0;
}

static int
copy_out_tree_leave_out(struct copy_out_tree *tree, const char *name)
{
	copy_out_leave_out(tree->copy, tree->dir, name);
	return 0;
}

/* Makes what the entry tells of, as NAME in the directory that is open. */
static int
copy_out_tree_make(struct copy_out_tree *tree, const char *name, struct client_error *error)
{
	static int (*const makers[])(struct copy_out_tree *, const char *) = {
		[FILE_ENTRY_FILE] = copy_out_tree_make_file,
		[FILE_ENTRY_DIR] = copy_out_tree_make_directory,
		[FILE_ENTRY_SYMLINK] = copy_out_tree_make_link,
		[FILE_ENTRY_OTHER] = copy_out_tree_leave_out,
	};
	enum file_entry_kind kind = tree->item->entry.entry.kind;
	int r = makers[kind](tree, name);

	if (r == -EEXIST && tree->dir->is_new)
		return copy_out_tree_refuse(tree, tree->dir, name, "comes twice", error);
	if (r < 0 && kind == FILE_ENTRY_FILE)
		copy_out_tree_complain_file(tree, name, r);
	else if (r < 0)
		copy_complain_of(tree->copy, tree->dir, name, r);
	return 0;
}

/* ---- events -------------------------------------------------------------- */

/* These take what has come. They return 0 to go on, or -errno with ERROR filled in. */

/* It was a directory, or a link to one, when it was looked at. */
static int
copy_out_tree_top(struct copy_out_tree *tree, struct client_error *error)
{
	enum file_entry_kind kind = tree->item->entry.entry.kind;

	if (kind == FILE_ENTRY_DIR)
		return 0;
	client_fail(error, "vm:%s: %s", tree->top->guest, strerror(ENOTDIR));
	return kind == FILE_ENTRY_SYMLINK ? -ELOOP : -ENOTDIR;
}

static int
copy_out_tree_entry(struct copy_out_tree *tree, struct client_error *error)
{
	const char *path = tree->item->entry.path;
	const char *slash = strrchr(path, '/');
	struct copy_dir *dir;
	int r = copy_out_count_entry(tree->copy, error);

	if (r < 0)
		return r;
	if (!tree->has_top && path[0] == '\0') {
		tree->has_top = true;
		return copy_out_tree_top(tree, error);
	}
	if (!copy_out_tree_is_path(path))
		return copy_out_tree_refuse(
		    tree, tree->top, path, "is not the name of a file", error);
	if (copy_out_tree_is_skipped(tree, path))
		return 0;
	dir = copy_out_tree_find(tree, path, slash != NULL ? (size_t)(slash - path) : 0);
	if (dir == NULL || !tree->has_top)
		return copy_out_tree_refuse(
		    tree, tree->top, path, "is in no directory that came", error);
	copy_out_tree_go_back(tree, dir);
	return copy_out_tree_make(tree, slash != NULL ? slash + 1 : path, error);
}

/* What WRITE came to. */
static int
copy_out_tree_received(struct copy_out_tree *tree, int r)
{
	uint64_t len = tree->item->len;

	tree->received += len;
	progress_add(&tree->copy->progress, (int64_t)len);
	if (r < 0) {
		copy_out_tree_complain_file(tree, tree->name, r);
		copy_out_tree_drop(tree);
	}
	return 0;
}

static int
copy_out_tree_data(struct copy_out_tree *tree, struct client_error *error)
{
	size_t len = (size_t)tree->item->len;
	int r = copy_out_count(tree->copy, len, error);

	if (r < 0 || !tree->is_receiving)
		return r;
	return copy_out_tree_received(tree, atomic_file_write(&tree->file, tree->item->data, len));
}

static int
copy_out_tree_hole(struct copy_out_tree *tree, struct client_error *error)
{
	int r = copy_out_count(tree->copy, tree->item->len, error);

	if (r < 0 || !tree->is_receiving)
		return r;
	return copy_out_tree_received(tree, atomic_file_skip(&tree->file, tree->item->len));
}

static int
copy_out_tree_done(struct copy_out_tree *tree, struct client_error *error)
{
	int r;

	if (!tree->is_receiving)
		return 0;
	r = copy_out_commit(tree->copy, &tree->file, &tree->like);
	if (r == 0) {
		tree->is_receiving = false;
		atomic_file_done(&tree->file);
		tree->copy->progress.files++;
		copy_tell_of(tree->copy, tree->dir, tree->name);
		copy_out_links_add(&tree->links, tree->dev, tree->ino, tree->path);
		return 0;
	}
	copy_out_tree_drop(tree);
	if (r == -EEXIST && tree->dir->is_new)
		return copy_out_tree_refuse(tree, tree->dir, tree->name, "comes twice", error);
	copy_out_tree_complain_file(tree, tree->name, r);
	return 0;
}

static int
copy_out_tree_failed(struct copy_out_tree *tree, struct client_error *error)
{
	const struct file_tree_entry *entry = &tree->item->entry;
	int number = errno_name_parse(entry->error);
	struct client_error words;
	int r = copy_out_count_entry(tree->copy, error);

	copy_out_tree_drop(tree);
	if (r < 0 || copy_out_tree_is_skipped(tree, entry->path))
		return r;
	client_fail(&words, "vm:%s%s: %s", entry->path[0] != '\0' ? tree->below : tree->top->guest,
	    entry->path, number != 0 ? strerror(number) : entry->error);
	copy_complain(tree->copy, 0, &words);
	return 0;
}

/* Takes the next event. Returns 0 to go on, 1 at the end, or -errno. */
static int
copy_out_tree_step(
    struct copy_out_tree *tree, struct copy_out_ahead *ahead, struct client_error *error)
{
	static int (*const takers[])(struct copy_out_tree *, struct client_error *) = {
		[GUEST_TREE_ENTRY] = copy_out_tree_entry,
		[GUEST_TREE_DATA] = copy_out_tree_data,
		[GUEST_TREE_HOLE] = copy_out_tree_hole,
		[GUEST_TREE_DONE] = copy_out_tree_done,
		[GUEST_TREE_FAILED] = copy_out_tree_failed,
	};
	int event = copy_out_ahead_next(ahead, &tree->item, error);

	if (event < 0)
		return event;
	return event == GUEST_TREE_END ? 1 : takers[event](tree, error);
}

/* Asks for the tree by PATH, of which BELOW is what its entries' paths stand behind. */
static int
copy_out_tree_run(struct copy *copy, struct copy_dir *top, const char *path, const char *below,
    struct client_error *error)
{
	const struct file_request request = {
		.path = path, .user = copy->user, .max_entries = copy->max_entries - copy->entries
	};
	struct copy_out_tree tree = { .copy = copy, .below = below, .top = top, .dir = top };
	struct copy_out_ahead *ahead = NULL;
	int r = copy_out_ahead_start(&ahead, &request, error);

	while (r == 0)
		r = copy_out_tree_step(&tree, ahead, error);
	copy_out_tree_drop(&tree);
	copy_out_tree_go_back(&tree, top);
	copy_out_ahead_stop(ahead);
	copy_out_links_done(&tree.links);
	return r < 0 ? r : 0;
}

int
copy_out_tree(struct copy *copy, struct copy_dir *dir, struct client_error *error)
{
	char *below = guest_entry_join(dir->guest, "");
	int r = -ENOMEM;

	if (below == NULL) {
		client_fail(error, "out of memory");
		return r;
	}
	r = copy_out_tree_run(copy, dir, dir->guest, below, error);
	/* With a slash behind it a link is followed. */
	if (r == -ELOOP)
		r = copy_out_tree_run(copy, dir, below, below, error);
	free(below);
	return r;
}
