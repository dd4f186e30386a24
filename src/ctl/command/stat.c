/*
 * stat: "vmm-guest-ctl stat": what the guest knows of a file.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/command.h"
#include "ctl/core/guest_entry.h"
#include "ctl/core/guest_features.h"
#include "ctl/core/guest_file.h"
#include "ctl/entry_text.h"
#include "ctl/quantity.h"
#include "ctl/request.h"
#include "ctl/target.h"

static struct file_request stat_request = { .user = "" };
static bool stat_follows;
static bool stat_is_json;
static unsigned stat_shown; /* of the paths, so far */

static const struct options_row stat_options[] = {
	OPTIONS_FLAG(
	    "dereference", 'L', &stat_follows, "of a symbolic link, show what it leads to"),
	OPTIONS_FLAG("json", 0, &stat_is_json, "the agent's answers as they came, one a line"),
	OPTIONS_TEXT("user", 'u', "USER", &stat_request.user, "look with the rights of USER"),
	OPTIONS_END,
};

static int
stat_show_json(struct file_request *request, struct client_error *error)
{
	size_t len;
	char *text;
	int r = guest_file_ask(target_agent(), VMM_GUEST_FILE_STAT_REQ, request,
	    VMM_GUEST_FILE_STAT, &text, &len, error);

	if (r < 0)
		return r;
	command_print_json(stdout, text, len);
	free(text);
	return 0;
}

/* "Name: TEXT", of which the guest chose TEXT. */
static void
stat_print(const char *name, const char *text)
{
	(void)printf("%-9s ", name);
	command_print_line(text);
}

static int
stat_show(struct file_request *request, struct client_error *error)
{
	struct file_listing CLEANUP_LISTING listing = { 0 };
	const struct file_entry *entry;
	char mode[ENTRY_TEXT_MODE_MAX];
	char when[ENTRY_TEXT_TIME_MAX];
	char size[QUANTITY_MAX];
	int r = guest_entry_stat(
	    target_agent(), request->path, request->user, stat_follows, &listing, error);

	if (r < 0)
		return r;
	entry = &listing.entries[0];
	entry_text_format_mode(entry, mode);
	entry_text_format_time(entry, true, when);
	quantity_format_bytes(size, entry->size);
	stat_print("Path:", request->path);
	stat_print("Kind:", entry_text_kind(entry));
	if (entry->kind == FILE_ENTRY_SYMLINK)
		stat_print("Leads to:", entry->symlink_target);
	if (entry->kind == FILE_ENTRY_FILE)
		(void)printf("%-9s %llu (%s)\n", "Size:", (unsigned long long)entry->size, size);
	(void)printf("%-9s %04o (%s)\n", "Mode:", entry->mode, mode);
	(void)printf("%-9s user %u, group %u\n", "Owner:", entry->uid, entry->gid);
	(void)printf("%-9s %s\n", "Modified:", when);
	return 0;
}

static int
stat_one(struct file_request *request, const char *given, struct client_error *error)
{
	(void)given;
	if (stat_is_json)
		return stat_show_json(request, error);
	if (stat_shown++ > 0)
		(void)putchar('\n');
	return stat_show(request, error);
}

static int
stat_run(int count, char **operands)
{
	(void)count;
	if (stat_follows && stat_is_json)
		return command_misuse(&stat_command, "-L and --json don't go together");
	return request_run_paths(&stat_request, GUEST_FEATURES_SET, operands, stat_one);
}

const struct command stat_command = {
	.name = "stat",
	.summary = "show what the guest knows of a file",
	.usage = "[-L] [--json] [-u USER] PATH...",
	.about = "Shows kind, size, mode, owner and time of modification of files of the guest.\n",
	.more = "\nExit status: 0, or 1 if a path is not there or can't be looked at.\n",
	.options = stat_options,
	.operands_min = 1,
	.operands_max = COMMAND_OPERANDS_ANY,
	.operands = "which file?",
	.run = stat_run,
};
