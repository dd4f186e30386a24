/*
 * cat: "vmm-guest-ctl cat": files of the guest to standard output.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/core/guest_features.h"
#include "ctl/core/guest_file.h"
#include "ctl/request.h"
#include "ctl/target.h"
#include "platform/fd.h"

static struct file_request cat_request = { .user = "", .length = UINT64_MAX };

static const struct options_row cat_options[] = {
	OPTIONS_BYTES("offset", "N", &cat_request.offset, "begin at byte N (from 0) of each file"),
	OPTIONS_BYTES("length", "N", &cat_request.length,
	    "of each file no more than N bytes; N may end in K, M or G"),
	OPTIONS_TEXT("user", 'u', "USER", &cat_request.user, "read with the rights of USER"),
	OPTIONS_END,
};

static int
cat_write(void *argument, const uint8_t *data, size_t len, struct client_error *error)
{
	int r = fd_write_full(STDOUT_FILENO, data, len);

	(void)argument;
	if (r < 0)
		client_fail(error, "can't write to standard output: %s", strerror(-r));
	return r;
}

static int
cat_one(struct file_request *request, const char *given, struct client_error *error)
{
	const struct guest_file_reader reader = { .write = cat_write };

	(void)given;
	return guest_file_read(target_agent(), request, &reader, error);
}

static int
cat_run(int count, char **operands)
{
	(void)count;
	return request_run_paths(&cat_request, GUEST_FEATURES_USER_IO, operands, cat_one);
}

const struct command cat_command = {
	.name = "cat",
	.summary = "write a file of the guest to standard output",
	.usage = "[OPTION]... PATH...",
	.about = "Writes files of the guest to standard output, one after the other. Files of\n"
		 "/proc and /sys are read as they are.\n",
	.more = "\nExit status: 0, or 1 if a file could not be read to its end.\n",
	.options = cat_options,
	.operands_min = 1,
	.operands_max = COMMAND_OPERANDS_ANY,
	.operands = "which file?",
	.run = cat_run,
};
