/*
 * rm: "vmm-guest-ctl rm": files of the guest, removed.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/core/guest_features.h"
#include "ctl/core/guest_file.h"
#include "ctl/request.h"
#include "ctl/target.h"

static struct file_request rm_request = { .user = "" };
static bool rm_forces;

static const struct options_row rm_options[] = {
	OPTIONS_FLAG("recursive", 'r', &rm_request.recursive,
	    "directories with all that is in them; links are not followed"),
	OPTIONS_HIDDEN('R', options_take_flag, &rm_request.recursive),
	OPTIONS_FLAG("force", 'f', &rm_forces, "what is not there is not an error"),
	OPTIONS_TEXT("user", 'u', "USER", &rm_request.user, "remove with the rights of USER"),
	OPTIONS_END,
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
rm_one(struct file_request *request, const char *given, struct client_error *error)
{
	int r;

	if (rm_is_root(request->path)) {
		client_fail(
		    error, "'%s' is left alone: it is the guest's root, or not a path", given);
		return -EPERM;
	}
	r = guest_file_ask(target_agent(), VMM_GUEST_FILE_REMOVE_REQ, request, VMM_GUEST_FILE_ACK,
	    NULL, NULL, error);
	if (r == -ENOENT && rm_forces)
		return 0;
	if (r == -ENOTEMPTY && !request->recursive)
		(void)strlcat(error->text, " (-r removes it with all)", sizeof(error->text));
	return r;
}

static int
rm_run(int count, char **operands)
{
	(void)count;
	return request_run_paths(&rm_request, GUEST_FEATURES_SET, operands, rm_one);
}

const struct command rm_command = {
	.name = "rm",
	.summary = "remove files of the guest",
	.usage = "[-r] [-f] [-u USER] PATH...",
	.about = "Removes files, symbolic links (not what they lead to) and empty directories of\n"
		 "the guest.\n",
	.more = "\nExit status: 0, or 1 if something could not be removed.\n",
	.options = rm_options,
	.operands_min = 1,
	.operands_max = COMMAND_OPERANDS_ANY,
	.operands = "which file?",
	.run = rm_run,
};
