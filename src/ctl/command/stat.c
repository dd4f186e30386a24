/*
 * stat: "vmm-guest-ctl stat": what the guest knows of a file.
 *
 * SPDX-License-Identifier: MIT
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/command.h"
#include "ctl/entry_text.h"
#include "ctl/guest_entry.h"
#include "ctl/guest_features.h"
#include "ctl/guest_file.h"
#include "ctl/quantity.h"

static const char stat_help[] =
    "Usage: vmm-guest-ctl stat [-L] [--json] [-u USER] PATH...\n"
    "\n"
    "Shows kind, size, mode, owner and time of modification of files of the guest.\n"
    "\n"
    "  -L, --dereference  of a symbolic link, show what it leads to\n"
    "      --json         the agent's answers as they came, one a line\n"
    "  -u, --user USER    look with the rights of USER\n"
    "  -h, --help         show this help\n"
    "\n"
    "Exit status: 0, or 1 if a path is not there or can't be looked at.\n";

static const struct option stat_options[] = {
	{ "dereference", no_argument, NULL, 'L' },
	{ "json", no_argument, NULL, 'j' },
	{ "user", required_argument, NULL, 'u' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int
stat_show_json(const char *path, const char *user)
{
	struct file_request request = { .path = path, .user = user };
	struct client_error error = { "" };
	size_t len;
	char *text;

	if (guest_file_ask(
		VMM_GUEST_FILE_STAT_REQ, &request, VMM_GUEST_FILE_STAT, &text, &len, &error) < 0)
		return command_fail("%s", error.text);
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
stat_show(const char *path, const char *user, bool follow)
{
	struct file_listing CLEANUP_LISTING listing = { 0 };
	const struct file_entry *entry;
	struct client_error error = { "" };
	char mode[ENTRY_TEXT_MODE_LEN + 1];
	char when[ENTRY_TEXT_TIME_MAX];
	char size[QUANTITY_MAX];

	if (guest_entry_stat(path, user, follow, &listing, &error) < 0)
		return command_fail("%s", error.text);
	entry = &listing.entries[0];
	entry_text_format_mode(entry, mode);
	entry_text_format_time(entry, true, when);
	quantity_format_bytes(size, entry->size);
	stat_print("Path:", path);
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
stat_run(int argc, char **argv)
{
	bool follow = false;
	bool json = false;
	const char *user = "";
	struct client_error error = { "" };
	int status = 0;
	int c;

	while ((c = getopt_long(argc, argv, "Lu:h", stat_options, NULL)) != -1) {
		switch (c) {
		case 'L':
			follow = true;
			break;
		case 'j':
			json = true;
			break;
		case 'u':
			user = optarg;
			break;
		case 'h':
			return command_help(&stat_command);
		default:
			return command_misuse(&stat_command, NULL);
		}
	}
	if (optind == argc)
		return command_misuse(&stat_command, "which file?");
	if (follow && json)
		return command_misuse(&stat_command, "-L and --json don't go together");
	if (guest_features_check_user(user, GUEST_FEATURES_SET, &error) < 0)
		return command_fail("%s", error.text);
	for (int i = optind; i < argc; i++) {
		const char *path = guest_entry_path(argv[i]);

		if (i > optind && !json)
			(void)putchar('\n');
		if ((json ? stat_show_json(path, user) : stat_show(path, user, follow)) != 0)
			status = COMMAND_FAILED;
	}
	return status;
}

const struct command stat_command = {
	.name = "stat",
	.summary = "show what the guest knows of a file",
	.help = stat_help,
	.run = stat_run,
};
