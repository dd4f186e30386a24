/*
 * rm: "vmm-guest-ctl rm": files of the guest, removed.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/guest_entry.h"
#include "ctl/guest_features.h"
#include "ctl/guest_file.h"

static const char rm_help[] =
    "Usage: vmm-guest-ctl rm [-r] [-f] [-u USER] PATH...\n"
    "\n"
    "Removes files, symbolic links (not what they lead to) and empty directories of\n"
    "the guest.\n"
    "\n"
    "  -r, --recursive  directories with all that is in them; links are not followed\n"
    "  -f, --force      what is not there is no error\n"
    "  -u, --user USER  remove with the rights of USER\n"
    "  -h, --help       show this help\n"
    "\n"
    "Exit status: 0, or 1 if something could not be removed.\n";

static const struct option rm_options[] = {
	{ "recursive", no_argument, NULL, 'r' },
	{ "force", no_argument, NULL, 'f' },
	{ "user", required_argument, NULL, 'u' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

/* Whether each name of PATH is none, "." or "..": "/", "/.", "//.." */
static bool
rm_is_root(const char *path)
{
	while (*path != '\0') {
		size_t len = strcspn(path, "/");

		if (len > 2 || strspn(path, ".") < len)
			return false;
		path += len + (path[len] == '/');
	}
	return true;
}

static int
rm_all(struct file_request *request, bool force, char **paths, int count)
{
	struct client_error error = { "" };
	int status = 0;

	if (guest_features_check_user(request->user, GUEST_FEATURES_SET, &error) < 0)
		return command_fail("%s", error.text);
	for (int i = 0; i < count; i++) {
		int r;

		request->path = guest_entry_path(paths[i]);
		if (rm_is_root(request->path)) {
			status = command_fail("'%s' is left alone: it is the guest's root, or no "
					      "path",
			    paths[i]);
			continue;
		}
		r = guest_file_ask(
		    VMM_GUEST_FILE_REMOVE_REQ, request, VMM_GUEST_FILE_ACK, NULL, NULL, &error);
		if (r < 0 && !(force && r == -ENOENT))
			status = command_fail("%s%s", error.text,
			    r == -ENOTEMPTY && !request->recursive ? " (-r removes it with all)"
								   : "");
	}
	return status;
}

static int
rm_run(int argc, char **argv)
{
	struct file_request request = { .user = "" };
	bool force = false;
	int c;

	while ((c = getopt_long(argc, argv, "rRfu:h", rm_options, NULL)) != -1) {
		switch (c) {
		case 'r':
		case 'R':
			request.recursive = true;
			break;
		case 'f':
			force = true;
			break;
		case 'u':
			request.user = optarg;
			break;
		case 'h':
			return command_help(&rm_command);
		default:
			return command_misuse(&rm_command, NULL);
		}
	}
	if (optind == argc)
		return command_misuse(&rm_command, "which file?");
	return rm_all(&request, force, argv + optind, argc - optind);
}

const struct command rm_command = {
	.name = "rm",
	.summary = "remove files of the guest",
	.help = rm_help,
	.run = rm_run,
};
