/*
 * mv: "vmm-guest-ctl mv": a file of the guest under another name.
 *
 * SPDX-License-Identifier: MIT
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/guest_entry.h"
#include "ctl/guest_features.h"
#include "ctl/guest_file.h"

static const char mv_help[] =
    "Usage: vmm-guest-ctl mv [--user USER] FROM TO\n"
    "\n"
    "Gives a file or directory of the guest another name, at once: TO, if it is\n"
    "there, is replaced. If TO is a directory, FROM moves into it. To another file\n"
    "system only regular files can be moved.\n"
    "\n"
    "  -T, --no-target-directory  TO is the new name, directory or not\n"
    "      --user USER            move with the rights of USER\n"
    "  -h, --help                 show this help\n";

static const struct option mv_options[] = {
	{ "no-target-directory", no_argument, NULL, 'T' },
	{ "user", required_argument, NULL, 'U' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

/* TO, or the name that FROM gets within it; NULL: no memory. */
static char *
mv_target(const char *from, const char *to, bool into)
{
	size_t len = strlen(from);
	char *trimmed;
	const char *slash;
	char *path;

	if (!into)
		return strdup(to);
	while (len > 1 && from[len - 1] == '/')
		len--;
	trimmed = strndup(from, len);
	if (trimmed == NULL)
		return NULL;
	slash = strrchr(trimmed, '/');
	path = guest_entry_join(to, slash != NULL ? slash + 1 : trimmed);
	free(trimmed);
	return path;
}

static int
mv_move(const char *from, const char *to, const char *user, bool may_be_directory)
{
	enum guest_entry_type type = GUEST_ENTRY_NONE;
	struct file_request request = { .path = from, .user = user };
	struct client_error error = { "" };
	char *target;
	int r;

	if (guest_features_check_user(user, GUEST_FEATURES_SET, &error) < 0)
		return command_fail("%s", error.text);
	if (may_be_directory && guest_entry_type(to, user, &type, &error) < 0)
		return command_fail("%s", error.text);
	target = mv_target(from, to, type == GUEST_ENTRY_DIR);
	if (target == NULL)
		return command_fail("out of memory");
	request.to = target;
	r = guest_file_ask(
	    VMM_GUEST_FILE_MOVE_REQ, &request, VMM_GUEST_FILE_ACK, NULL, NULL, &error);
	free(target);
	return r < 0 ? command_fail("%s", error.text) : 0;
}

static int
mv_run(int argc, char **argv)
{
	bool may_be_directory = true;
	const char *user = "";
	int c;

	while ((c = getopt_long(argc, argv, "Th", mv_options, NULL)) != -1) {
		switch (c) {
		case 'T':
			may_be_directory = false;
			break;
		case 'U': /* -u is another thing in mv(1) */
			user = optarg;
			break;
		case 'h':
			return command_help(&mv_command);
		default:
			return command_misuse(&mv_command, NULL);
		}
	}
	if (argc - optind != 2)
		return command_misuse(&mv_command, "two paths are needed");
	return mv_move(guest_entry_path(argv[optind]), guest_entry_path(argv[optind + 1]), user,
	    may_be_directory);
}

const struct command mv_command = {
	.name = "mv",
	.summary = "rename or move a file of the guest",
	.help = mv_help,
	.run = mv_run,
};
