/*
 * ls: "vmm-guest-ctl ls": what is in a directory of the guest.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/copy/copy_pending.h"
#include "ctl/core/guest_entry.h"
#include "ctl/core/guest_features.h"
#include "ctl/entry_text.h"
#include "ctl/quantity.h"
#include "ctl/request.h"
#include "ctl/signals.h"
#include "ctl/target.h"

static struct file_request ls_request = { .user = "" };
static bool ls_is_long;
static bool ls_is_json;
static bool ls_is_readable; /* sizes are, for people */
static bool ls_goes_down;
static bool ls_is_by_time;
static bool ls_is_entry; /* a directory itself, not what is in it */
static bool ls_has_titles;
static unsigned ls_shown; /* of the directories, so far */
static int ls_status;
static size_t ls_kept; /* bytes, of all directories that are gone through */

static const struct options_row ls_options[] = {
	OPTIONS_FLAG("long", 'l', &ls_is_long,
	    "mode, user and group id, size, time of modification, and where a symbolic link leads"),
	OPTIONS_FLAG("human-readable", 'h', &ls_is_readable, "with -l, sizes as 1.5 KiB"),
	OPTIONS_FLAG("recursive", 'R', &ls_goes_down, "and what is in the directories in it"),
	OPTIONS_FLAG(NULL, 't', &ls_is_by_time, "the newest first"),
	OPTIONS_FLAG("directory", 'd', &ls_is_entry, "the directory itself, not what is in it"),
	OPTIONS_FLAG("json", 0, &ls_is_json,
	    "the agent's words for each entry, one a line; its name is a path where more than one "
	    "directory is listed"),
	/* As ls(1) has them; hidden names are always shown, and one a line. */
	OPTIONS_HIDDEN('a', options_take_nothing, NULL),
	OPTIONS_HIDDEN('A', options_take_nothing, NULL),
	OPTIONS_HIDDEN('1', options_take_nothing, NULL),
	/* -u is another thing in ls(1). */
	OPTIONS_TEXT("user", 0, "USER", &ls_request.user, "look with the rights of USER"),
	OPTIONS_END_NO_LETTER,
};

struct ls_widths {
	int uid;
	int gid;
	int size;
};

static int
ls_digits(uint64_t number)
{
	return snprintf(NULL, 0, "%llu", (unsigned long long)number);
}

static int
ls_max(int a, int b)
{
	return a > b ? a : b;
}

/* Puts BYTES into TEXT of QUANTITY_MAX bytes. Returns its length. */
static int
ls_format_size(uint64_t bytes, char *text)
{
	if (!ls_is_readable)
		return snprintf(text, QUANTITY_MAX, "%llu", (unsigned long long)bytes);
	quantity_format_bytes(text, bytes);
	return (int)strlen(text);
}

static struct ls_widths
ls_measure(const struct file_listing *listing)
{
	struct ls_widths widths = { 1, 1, 1 };
	char size[QUANTITY_MAX];

	for (size_t i = 0; i < listing->count; i++) {
		widths.uid = ls_max(widths.uid, ls_digits(listing->entries[i].uid));
		widths.gid = ls_max(widths.gid, ls_digits(listing->entries[i].gid));
		widths.size = ls_max(widths.size, ls_format_size(listing->entries[i].size, size));
	}
	return widths;
}

static void
ls_print_long(const struct file_entry *entry, const struct ls_widths *widths)
{
	char mode[ENTRY_TEXT_MODE_MAX];
	char when[ENTRY_TEXT_TIME_MAX];
	char size[QUANTITY_MAX];

	(void)ls_format_size(entry->size, size);
	entry_text_format_mode(entry, mode);
	entry_text_format_time(entry, false, when);
	(void)printf("%s %*u %*u %*s %s ", mode, widths->uid, entry->uid, widths->gid, entry->gid,
	    widths->size, size, when);
	command_put(entry->name);
	if (entry->kind == FILE_ENTRY_SYMLINK) {
		(void)fputs(" -> ", stdout);
		command_put(entry->symlink_target);
	}
	(void)putchar('\n');
}

/* With the name that the entry has in DIRECTORY; NULL: its own. */
static int
ls_print_json(const struct file_entry *entry, const char *directory)
{
	struct file_entry named = *entry;
	char *path = directory != NULL ? guest_entry_join(directory, entry->name) : NULL;
	size_t len;
	char *text;

	if (path != NULL)
		named.name = path;
	text = directory == NULL || path != NULL ? file_entry_format(&named, &len) : NULL;
	if (text != NULL)
		command_print_json(stdout, text, len);
	free(text);
	free(path);
	return text != NULL ? 0 : -ENOMEM;
}

static int
ls_compare_times(const void *one, const void *other)
{
	const struct file_entry *a = one;
	const struct file_entry *b = other;

	if (a->mtime_secs != b->mtime_secs)
		return a->mtime_secs < b->mtime_secs ? 1 : -1;
	if (a->mtime_nanos != b->mtime_nanos)
		return a->mtime_nanos < b->mtime_nanos ? 1 : -1;
	return strcmp(a->name, b->name);
}

/* The entries of DIRECTORY; NULL: they were asked for themselves. */
static int
ls_print(struct file_listing *listing, const char *directory, struct client_error *error)
{
	struct ls_widths widths = ls_measure(listing);
	int r = 0;

	if (ls_is_by_time)
		qsort(
		    listing->entries, listing->count, sizeof(*listing->entries), ls_compare_times);
	for (size_t i = 0; r == 0 && i < listing->count; i++) {
		if (ls_is_json)
			r = ls_print_json(&listing->entries[i], ls_has_titles ? directory : NULL);
		else if (ls_is_long)
			ls_print_long(&listing->entries[i], &widths);
		else
			command_print(listing->entries[i].name);
	}
	if (r < 0)
		client_fail(error, "out of memory");
	return r;
}

static void
ls_print_title(const char *path)
{
	if (ls_shown++ > 0)
		(void)putchar('\n');
	if (!ls_has_titles)
		return;
	(void)fputs(GUEST_ENTRY_MARK, stdout);
	command_print(path);
}

static int
ls_print_entry(const char *path, struct client_error *error)
{
	struct file_listing CLEANUP_LISTING listing = { 0 };
	int r = guest_entry_stat(target_agent(), path, ls_request.user, false, &listing, error);

	if (r < 0)
		return r;
	listing.entries[0].name = path;
	return ls_print(&listing, NULL, error);
}

static int ls_print_directory(const char *path, struct client_error *error);

/* What is to be gone into of LISTING. */
static int
ls_keep_directories(const struct file_listing *listing, struct copy_pending *below)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < listing->count; i++) {
		const struct copy_pending_dir kept = { .name = listing->entries[i].name };

		if (listing->entries[i].kind == FILE_ENTRY_DIR && guest_entry_is_name(kept.name))
			r = copy_pending_add(&ls_kept, below, &kept);
	}
	return r;
}

/* The guest may be an attacker's: of a directory that is gone through no more is kept than the
 * names of those in it. */
static int
ls_print_level(const char *path, struct copy_pending *below, struct client_error *error)
{
	struct file_listing CLEANUP_LISTING listing = { 0 };
	int r = guest_entry_list(target_agent(), path, ls_request.user, &listing, error);

	if (r == -ENOTDIR)
		return ls_print_entry(path, error);
	if (r < 0)
		return r;
	if (!ls_is_json)
		ls_print_title(path);
	r = ls_print(&listing, path, error);
	if (r < 0 || !ls_goes_down)
		return r;
	r = ls_keep_directories(&listing, below);
	if (r < 0)
		client_fail(error, "vm:%s: %s", path, copy_pending_explain(r));
	return r;
}

/* What can't be listed is said, and the others are. */
static void
ls_complain(const struct client_error *error)
{
	ls_status = command_fail("%s", error->text);
}

static int
ls_print_directory(const char *path, struct client_error *error)
{
	struct copy_pending CLEANUP_PENDING below = { 0 };
	struct copy_pending_dir child;
	int r = ls_print_level(path, &below, error);

	while (r == 0 && !signals_have_come() && copy_pending_next(&below, &child)) {
		char *next = guest_entry_join(path, child.name);

		if (next == NULL || strlen(next) >= PATH_MAX) {
			client_fail(error, "vm:%s/%s: %s", path, child.name,
			    strerror(next == NULL ? ENOMEM : ENAMETOOLONG));
			ls_complain(error);
		} else if (ls_print_directory(next, error) < 0) {
			ls_complain(error);
		}
		free(next);
	}
	return r;
}

static int
ls_one(struct file_request *request, const char *given, struct client_error *error)
{
	(void)given;
	return ls_is_entry ? ls_print_entry(request->path, error)
			   : ls_print_directory(request->path, error);
}

static int
ls_run(int count, char **operands)
{
	char root[] = "/";
	char *default_operands[] = { root, NULL };
	int status;

	ls_has_titles = count > 1 || ls_goes_down;
	status = request_run_paths(
	    &ls_request, GUEST_FEATURES_SET, count > 0 ? operands : default_operands, ls_one);
	return status != 0 ? status : ls_status;
}

const struct command ls_command = {
	.name = "ls",
	.summary = "list a directory of the guest",
	.usage = "[-lhRtd] [--json] [--user USER] [PATH]...",
	.about =
	    "Lists directories of the guest (default: /), sorted by name, with the names that\n"
	    "begin with a dot; of what is not a directory, the name itself.\n",
	.more = "\nExit status: 0, or 1 if a path could not be listed.\n",
	.options = ls_options,
	.operands_max = COMMAND_OPERANDS_ANY,
	.run = ls_run,
};
