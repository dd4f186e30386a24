/*
 * mv: "vmm-guest-ctl mv": a file of the guest under another name.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/core/guest_entry.h"
#include "ctl/core/guest_features.h"
#include "ctl/core/guest_file.h"
#include "ctl/target.h"

static const char *mv_user = "";
static bool mv_is_exact;

static const struct options_row mv_options[] = {
	OPTIONS_FLAG(
	    "no-target-directory", 'T', &mv_is_exact, "TO is the new name, directory or not"),
	/* -u is another thing in mv(1). */
	OPTIONS_TEXT("user", 0, "USER", &mv_user, "move with the rights of USER"),
	OPTIONS_END,
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
mv_run(int count, char **operands)
{
	const char *from = guest_entry_path(operands[0]);
	const char *to = guest_entry_path(operands[1]);
	enum guest_entry_type type = GUEST_ENTRY_NONE;
	struct file_request request = { .path = from, .user = mv_user };
	struct client_error error = { "" };
	char *target;
	int r;

	(void)count;
	if (guest_features_check_user(target_agent(), mv_user, GUEST_FEATURES_SET, &error) < 0)
		return command_fail("%s", error.text);
	if (!mv_is_exact && guest_entry_type(target_agent(), to, mv_user, &type, &error) < 0)
		return command_fail("%s", error.text);
	target = mv_target(from, to, type == GUEST_ENTRY_DIR);
	if (target == NULL)
		return command_fail("out of memory");
	request.to = target;
	r = guest_file_ask(target_agent(), VMM_GUEST_FILE_MOVE_REQ, &request, VMM_GUEST_FILE_ACK,
	    NULL, NULL, &error);
	free(target);
	return r < 0 ? command_fail("%s", error.text) : 0;
}

const struct command mv_command = {
	.name = "mv",
	.summary = "rename or move a file of the guest",
	.usage = "[--user USER] FROM TO",
	.about = "Gives a file or directory of the guest another name, at once: TO, if it is\n"
		 "there, is replaced. If TO is a directory, FROM moves into it. To another file\n"
		 "system only regular files can be moved.\n",
	.options = mv_options,
	.operands_min = 2,
	.operands_max = 2,
	.operands = "two paths are needed",
	.run = mv_run,
};
