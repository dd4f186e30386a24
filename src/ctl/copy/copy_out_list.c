/*
 * copy_out_list: a tree of an agent that has no TREE: a list of each directory, and a
 * connection for each file.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdint.h>

#include "ctl/copy/atomic_file.h"
#include "ctl/copy/copy_out.h"
#include "ctl/copy/copy_pending.h"
#include "ctl/core/guest_entry.h"
#include "ctl/target.h"

static int
copy_out_list_subdirectory(
    struct copy *copy, struct copy_dir *dir, const struct copy_pending_dir *pending)
{
	const struct copy_out_like like = { pending->mode, pending->mtime };
	struct copy_dir *child;
	int r = copy_out_enter(dir, pending->name, &like, &child);

	if (r < 0)
		return r;
	r = copy_out_list(copy, child);
	copy_dir_release(copy, child);
	return r;
}

/* One entry of a directory; a directory is put into PENDING. Returns 0 to go on, or
 * -ECANCELED. */
static int
copy_out_list_entry(struct copy *copy, struct copy_dir *dir, struct copy_pending *pending,
    const struct file_entry *entry)
{
	const struct copy_out_like like = copy_out_like(entry);
	struct copy_job job = { .name = (char *)(uintptr_t)entry->name,
		.mode = like.mode,
		.mtime = like.mtime,
		.run = copy_out_read_job };
	struct copy_pending_dir child = { entry->name, .mode = like.mode, .mtime = like.mtime };
	struct client_error error = { "" };
	int r = copy_out_count_entry(copy, &error);

	if (r < 0) {
		copy_complain(copy, r, &error);
		return -ECANCELED;
	}
	if (!guest_entry_is_name(entry->name)) {
		client_fail(
		    &error, "vm:%s: '%s' is not the name of a file", dir->guest, entry->name);
		copy_complain(copy, 0, &error);
		return 0;
	}
	switch (entry->kind) {
	case FILE_ENTRY_FILE:
		copy->progress.bytes_total += entry->size;
		r = copy_put(copy, dir, &job);
		break;
	case FILE_ENTRY_DIR:
		r = copy_pending_add(&copy->pending_size, pending, &child);
		break;
	case FILE_ENTRY_SYMLINK:
		r = atomic_file_link(dir->fd, entry->name, entry->symlink_target);
		if (r == 0)
			copy_tell_of(copy, dir, entry->name);
		break;
	case FILE_ENTRY_OTHER:
		copy_out_leave_out(copy, dir, entry->name);
		break;
	}
	if (r < 0 && r != -ECANCELED)
		copy_complain_of(copy, dir, entry->name, r);
	return r == -ECANCELED ? r : 0;
}

/* All of DIR but its directories. The listing, which is long, is freed before these. */
static int
copy_out_list_level(struct copy *copy, struct copy_dir *dir, struct copy_pending *pending)
{
	struct file_listing CLEANUP_LISTING listing = { 0 };
	struct copy_patience patience = { 0 };
	struct client_error error = { "" };
	int r;

	do
		r = guest_entry_list(target_agent(), dir->guest, copy->user, &listing, &error);
	while (copy_try_again(&patience, &r));
	if (r < 0)
		copy_complain(copy, r, &error);
	for (size_t i = 0; r == 0 && i < listing.count; i++)
		r = copy_out_list_entry(copy, dir, pending, &listing.entries[i]);
	return r == -ECANCELED ? r : 0;
}

int
copy_out_list(struct copy *copy, struct copy_dir *dir)
{
	return copy_pending_walk(copy, dir, copy_out_list_level, copy_out_list_subdirectory);
}
