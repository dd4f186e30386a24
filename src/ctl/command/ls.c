/*
 * ls: "vmm-guest-ctl ls": what is in a directory of the guest.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/core/guest_entry.h"
#include "ctl/core/guest_features.h"
#include "ctl/entry_text.h"
#include "ctl/request.h"
#include "ctl/target.h"

static struct file_request ls_request = { .user = "" };
static bool ls_is_long;
static bool ls_has_titles;
static unsigned ls_shown; /* of the paths, so far */

static const struct options_row ls_options[] = {
	OPTIONS_FLAG("long", 'l', &ls_is_long,
	    "mode, user and group id, size, time of modification, and where a symbolic link leads"),
	/* As ls(1) has them; hidden names are always shown. */
	OPTIONS_HIDDEN('a', options_take_nothing, NULL),
	OPTIONS_HIDDEN('A', options_take_nothing, NULL),
	/* -u is another thing in ls(1). */
	OPTIONS_TEXT("user", 0, "USER", &ls_request.user, "look with the rights of USER"),
	OPTIONS_END,
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

static struct ls_widths
ls_measure(const struct file_listing *listing)
{
	struct ls_widths widths = { 1, 1, 1 };

	for (size_t i = 0; i < listing->count; i++) {
		widths.uid = ls_max(widths.uid, ls_digits(listing->entries[i].uid));
		widths.gid = ls_max(widths.gid, ls_digits(listing->entries[i].gid));
		widths.size = ls_max(widths.size, ls_digits(listing->entries[i].size));
	}
	return widths;
}

static void
ls_print_long(const struct file_entry *entry, const struct ls_widths *widths)
{
	char mode[ENTRY_TEXT_MODE_MAX];
	char when[ENTRY_TEXT_TIME_MAX];

	entry_text_format_mode(entry, mode);
	entry_text_format_time(entry, false, when);
	(void)printf("%s %*u %*u %*llu %s ", mode, widths->uid, entry->uid, widths->gid, entry->gid,
	    widths->size, (unsigned long long)entry->size, when);
	command_put(entry->name);
	if (entry->kind == FILE_ENTRY_SYMLINK) {
		(void)fputs(" -> ", stdout);
		command_put(entry->symlink_target);
	}
	(void)putchar('\n');
}

static void
ls_print(const struct file_listing *listing)
{
	struct ls_widths widths = ls_measure(listing);

	for (size_t i = 0; i < listing->count; i++) {
		if (ls_is_long)
			ls_print_long(&listing->entries[i], &widths);
		else
			command_print(listing->entries[i].name);
	}
}

static int
ls_one(struct file_request *request, const char *given, struct client_error *error)
{
	struct file_listing CLEANUP_LISTING listing = { 0 };
	int r;

	(void)given;
	if (ls_shown++ > 0)
		(void)putchar('\n');
	r = guest_entry_list(target_agent(), request->path, request->user, &listing, error);
	if (r == 0 && ls_has_titles) {
		(void)fputs(GUEST_ENTRY_MARK, stdout);
		command_print(request->path);
	}
	if (r == -ENOTDIR) {
		r = guest_entry_stat(
		    target_agent(), request->path, request->user, false, &listing, error);
		if (r == 0)
			listing.entries[0].name = request->path;
	}
	if (r == 0)
		ls_print(&listing);
	return r;
}

static int
ls_run(int count, char **operands)
{
	char root[] = "/";
	char *default_operands[] = { root, NULL };

	ls_has_titles = count > 1;
	return request_run_paths(
	    &ls_request, GUEST_FEATURES_SET, count > 0 ? operands : default_operands, ls_one);
}

const struct command ls_command = {
	.name = "ls",
	.summary = "list a directory of the guest",
	.usage = "[-l] [--user USER] [PATH]...",
	.about =
	    "Lists directories of the guest (default: /), sorted by name, with the names that\n"
	    "begin with a dot; of what is not a directory, the name itself.\n",
	.more = "\nExit status: 0, or 1 if a path could not be listed.\n",
	.options = ls_options,
	.operands_max = COMMAND_OPERANDS_ANY,
	.run = ls_run,
};
