/*
 * copy_out: what was named on the command line: where it goes, and which way it comes.
 *
 * Nobody trusts a guest: a name with a slash in it is refused, no link that is there
 * is followed below the directory that was asked for, set-id bits don't come along.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/copy/copy_out.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/core/guest_entry.h"
#include "ctl/core/guest_tree.h"
#include "ctl/target.h"
#include "platform/fd.h"

/* As the agent does it in the guest. What can't be made is told by who uses it. */
static void
copy_out_make_parents(const char *target)
{
	char *path = strdup(target);

	if (path == NULL)
		return;
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(path, S_IRWXU | S_IRWXG | S_IRWXO);
		*slash = '/';
	}
	free(path);
}

static int
copy_out_directory(struct copy *copy, const char *source, const char *target,
    const struct file_entry *entry, struct client_error *error)
{
	const struct copy_out_like like = copy_out_like(entry);
	struct copy_patience patience = { 0 };
	struct copy_dir *dir;
	int r;

	copy_out_make_parents(target);
	r = copy_out_enter_top(target, source, &like, &dir);
	if (r < 0) {
		client_fail(error, "can't make the directory %s: %s", target, strerror(-r));
		return r;
	}
	if (dir->is_new)
		copy_tell(copy, target, source);
	do
		r = copy_out_tree(copy, dir, error);
	while (copy_try_again(&patience, &r));
	if (r == -ENOSYS)
		r = copy_out_list(copy, dir);
	copy_dir_release(copy, dir);
	return r;
}

/* One of several sources, which with -a stay one file if they are. */
struct copy_out_name {
	bool is_one_of_several;
	uint64_t dev;
	uint64_t ino;
	const char *first; /* where it is already; NULL: nowhere */
};

/* STAT does not tell who has other names, and TREE does by its first entry. What can't be found out
 * is copied. */
static struct copy_out_name
copy_out_find_name(struct copy *copy, const char *source)
{
	const struct file_request request = {
		.path = source, .user = copy->user, .max_entries = 1
	};
	struct guest_tree tree;
	struct client_error ignored;
	struct copy_out_name name = { 0 };
	int r = guest_tree_open(&tree, target_agent(), &request, &ignored);

	while (r == 0 && (r = guest_tree_take(&tree, &ignored)) == -EAGAIN)
		r = guest_tree_receive(&tree, &ignored);
	if (r == GUEST_TREE_ENTRY && tree.item.entry.nlink > 1) {
		name.is_one_of_several = true;
		name.dev = tree.item.entry.dev;
		name.ino = tree.item.entry.ino;
		name.first = copy_out_links_find(&copy->named, name.dev, name.ino);
	}
	guest_tree_close(&tree);
	return name;
}

/* A link that was named is followed, as cp(1) does; or, where it is a LINK to that, copied. What is
 * here as FIRST gets another name. */
static int
copy_out_file(struct copy *copy, const char *source, const char *target,
    const struct copy_out_like *like, const char *link, const char *first,
    struct client_error *error)
{
	char *directory = link == NULL ? realpath(target, NULL) : NULL;
	char *name;
	int CLEANUP_FD dir_fd = -1;
	bool is_linked;
	int r = link == NULL && directory == NULL && errno != ENOENT ? -errno : 0;

	if (r == 0 && directory == NULL)
		copy_out_make_parents(target);
	/* What is there and can't be followed is not to be written into as it is. */
	if (directory == NULL && r == 0)
		directory = strdup(target);
	name = directory != NULL ? strdup(directory) : NULL;
	if (r == 0 && name == NULL)
		r = -ENOMEM;
	if (r == 0) {
		dir_fd = open(dirname(directory), O_PATH | O_DIRECTORY | O_CLOEXEC);
		r = dir_fd < 0 ? -errno : 0;
	}
	is_linked = r == 0 && first != NULL &&
		    atomic_file_hard_link(AT_FDCWD, first, dir_fd, basename(name)) == 0;
	if (r == 0 && link != NULL && !is_linked)
		r = atomic_file_link(dir_fd, basename(name), link);
	if (r < 0)
		client_fail(error, "can't write to %s: %s", target, strerror(-r));
	else if (link == NULL && !is_linked)
		r = copy_out_read_file(copy, source, dir_fd, basename(name), target, like,
		    ATOMIC_FILE_SPECIAL_TOO, error);
	free(directory);
	free(name);
	if (r == 0)
		copy_tell(copy, target, source);
	return r;
}

int
copy_out_stream(const char *target)
{
	static const char *const folders[] = { "/dev/fd/", "/proc/self/fd/" };
	uint64_t fd;

	if (strcmp(target, "-") == 0 || strcmp(target, "/dev/stdout") == 0)
		return STDOUT_FILENO;
	if (strcmp(target, "/dev/stderr") == 0)
		return STDERR_FILENO;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		size_t len = strlen(folders[i]);

		if (strncmp(target, folders[i], len) == 0 &&
		    command_parse_number(target + len, 0, INT_MAX, &fd) == 0)
			return (int)fd;
	}
	return -1;
}

/* What ENTRY tells of, under the name that it is to have. */
static int
copy_out_entry_named(struct copy *copy, const char *source, const char *target,
    const struct file_entry *entry, const char *first, struct client_error *error)
{
	const struct copy_out_like like = copy_out_like(entry);
	int stream_fd = copy_out_stream(target);
	bool is_stream = stream_fd >= 0;

	switch (entry->kind) {
	case FILE_ENTRY_DIR:
		if (copy->recursive && !is_stream)
			return copy_out_directory(copy, source, target, entry, error);
		client_fail(error, "vm:%s is a directory: %s", source,
		    copy->recursive ? "it can't go to standard output"
				    : "-r copies it with all that is in it");
		return -EISDIR;
	case FILE_ENTRY_OTHER:
		client_fail(error, "vm:%s: not a regular file", source);
		return -EINVAL;
	case FILE_ENTRY_SYMLINK:
		if (!is_stream)
			return copy_out_file(
			    copy, source, target, &like, entry->symlink_target, first, error);
		break;
	case FILE_ENTRY_FILE:
		break;
	}
	if (!is_stream)
		return copy_out_file(copy, source, target, &like, NULL, first, error);
	return copy_out_read_stream(
	    copy, source, stream_fd, strcmp(target, "-") == 0 ? "standard output" : target, error);
}

/* Whether TARGET, which is a name in the directory that was asked for, is a link: a copy before
 * this one, or the source before this one, may have made it by the guest's word. */
static int
copy_out_refuse_link(const char *target, const struct file_entry *entry, struct client_error *error)
{
	struct stat st;

	/* A link takes the place of another. */
	if (entry->kind == FILE_ENTRY_SYMLINK || lstat(target, &st) < 0 || !S_ISLNK(st.st_mode))
		return 0;
	client_fail(error, "%s is a symbolic link, which is followed only where it is named itself",
	    target);
	return -ELOOP;
}

void
copy_out(struct copy *copy, const char *source, const char *target, bool is_named)
{
	struct file_listing CLEANUP_LISTING listing = { 0 };
	struct file_entry entry = { .kind = FILE_ENTRY_FILE,
		.mode = S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH | S_IWGRP | S_IWOTH };
	struct copy_patience patience = { 0 };
	struct copy_patience more = { 0 };
	struct client_error error = { "" };
	bool follows = !copy->keeps_links || copy_out_stream(target) >= 0;
	struct copy_out_name name = { 0 };
	int r;

	do
		r = guest_entry_stat(target_agent(), source, copy->user, follows, &listing, &error);
	while (copy_try_again(&patience, &r));
	if (r == 0)
		entry = listing.entries[0];
	if (r == 0 && !follows && copy->sources > 1 && entry.kind != FILE_ENTRY_DIR)
		name = copy_out_find_name(copy, source);
	/* An agent of the first day can't be asked, and may well read the file. */
	if (r == 0 || r == -EREMOTEIO || r == -EPROTO || r == -ENODATA) {
		copy->progress.files_total += entry.kind == FILE_ENTRY_DIR ? 0 : 1;
		copy->progress.bytes_total += entry.size;
		copy->progress.total_is_known = copy->sources == 1 && entry.size > 0;
		do {
			error.text[0] = '\0';
			r = is_named ? 0 : copy_out_refuse_link(target, &entry, &error);
			if (r == 0)
				r = copy_out_entry_named(
				    copy, source, target, &entry, name.first, &error);
		} while (entry.kind != FILE_ENTRY_DIR && copy_try_again(&more, &r));
	}
	if (r < 0)
		copy_complain(copy, r, &error);
	else if (name.is_one_of_several)
		copy_out_links_add(&copy->named, name.dev, name.ino, target);
}
