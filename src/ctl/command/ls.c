/*
 * ls: "vmm-guest-ctl ls": what is in a directory of the guest.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/entry_text.h"
#include "ctl/guest_entry.h"
#include "ctl/guest_features.h"

static const char ls_help[] =
    "Usage: vmm-guest-ctl ls [-l] [--user USER] [PATH]...\n"
    "\n"
    "Lists directories of the guest (default: /), sorted by name, with the names that\n"
    "begin with a dot; of what is no directory, the name itself.\n"
    "\n"
    "  -l, --long       mode, user and group id, size, time of modification, and\n"
    "                   where a symbolic link leads\n"
    "      --user USER  look with the rights of USER\n"
    "  -h, --help       show this help\n"
    "\n"
    "Exit status: 0, or 1 if a path could not be listed.\n";

static const struct option ls_options[] = {
	{ "long", no_argument, NULL, 'l' },
	{ "user", required_argument, NULL, 'U' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

struct ls_options {
	bool is_long;
	const char *user;
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
	char mode[ENTRY_TEXT_MODE_LEN + 1];
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
ls_print(const struct file_listing *listing, bool is_long)
{
	struct ls_widths widths = ls_measure(listing);

	for (size_t i = 0; i < listing->count; i++) {
		if (is_long)
			ls_print_long(&listing->entries[i], &widths);
		else
			command_print(listing->entries[i].name);
	}
}

/* Lists PATH, with its name above if TITLE. Returns the exit status. */
static int
ls_show(const char *path, const struct ls_options *options, bool title)
{
	struct file_listing CLEANUP_LISTING listing = { 0 };
	struct client_error error = { "" };
	int r = guest_entry_list(path, options->user, &listing, &error);

	if (r == 0 && title) {
		(void)fputs("vm:", stdout);
		command_print(path);
	}
	if (r == -ENOTDIR) {
		r = guest_entry_stat(path, options->user, false, &listing, &error);
		if (r == 0)
			listing.entries[0].name = path;
	}
	if (r < 0)
		return command_fail("%s", error.text);
	ls_print(&listing, options->is_long);
	return 0;
}

static int
ls_run(int argc, char **argv)
{
	struct ls_options options = { .user = "" };
	struct client_error error = { "" };
	int status = 0;
	int c;

	while ((c = getopt_long(argc, argv, "laAh", ls_options, NULL)) != -1) {
		switch (c) {
		case 'a': /* as ls(1) has them; hidden names are always shown */
		case 'A':
			break;
		case 'l':
			options.is_long = true;
			break;
		case 'U': /* -u is another thing in ls(1) */
			options.user = optarg;
			break;
		case 'h':
			return command_help(&ls_command);
		default:
			return command_misuse(&ls_command, NULL);
		}
	}
	if (guest_features_check_user(options.user, GUEST_FEATURES_SET, &error) < 0)
		return command_fail("%s", error.text);
	if (optind == argc)
		return ls_show("/", &options, false);
	for (int i = optind; i < argc; i++) {
		if (i > optind)
			(void)putchar('\n');
		if (ls_show(guest_entry_path(argv[i]), &options, argc - optind > 1) != 0)
			status = COMMAND_FAILED;
	}
	return status;
}

const struct command ls_command = {
	.name = "ls",
	.summary = "list a directory of the guest",
	.help = ls_help,
	.run = ls_run,
};
