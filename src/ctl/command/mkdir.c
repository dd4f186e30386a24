/*
 * mkdir: "vmm-guest-ctl mkdir": directories in the guest.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdlib.h>

#include "ctl/command.h"
#include "ctl/core/guest_features.h"
#include "ctl/core/guest_file.h"
#include "ctl/request.h"
#include "ctl/target.h"

#define MKDIR_MODE_MAX 07777

static struct file_request mkdir_request = { .user = "" };

static int
mkdir_take_mode(const struct options_row *row, char *text)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	(void)row;
	if (text[0] < '0' || text[0] > '7' || *end != '\0' || mode == 0 || mode > MKDIR_MODE_MAX)
		return -EINVAL;
	mkdir_request.mode = (uint32_t)mode;
	return 0;
}

static const struct options_row mkdir_options[] = {
	OPTIONS_CALL("mode", 'm', "MODE", mkdir_take_mode, NULL, "a mode in octal, as 0750",
	    "permissions of new ones, octal (default: 0755)"),
	/* As mkdir(1) has it; it is always so here. */
	OPTIONS_HIDDEN('p', options_take_nothing, NULL),
	OPTIONS_TEXT("user", 'u', "USER", &mkdir_request.user,
	    "make them with the rights of USER, who then owns them"),
	OPTIONS_END,
};

static int
mkdir_one(struct file_request *request, const char *given, struct client_error *error)
{
	(void)given;
	return guest_file_ask(target_agent(), VMM_GUEST_FILE_MKDIR_REQ, request, VMM_GUEST_FILE_ACK,
	    NULL, NULL, error);
}

static int
mkdir_run(int count, char **operands)
{
	(void)count;
	return request_run_paths(&mkdir_request, GUEST_FEATURES_SET, operands, mkdir_one);
}

const struct command mkdir_command = {
	.name = "mkdir",
	.summary = "make directories in the guest",
	.usage = "[-m MODE] [-u USER] PATH...",
	.about = "Makes directories in the guest, and those above them that are not there. One\n"
		 "that is there already is not an error, and keeps its mode.\n",
	.more = "\nExit status: 0, or 1 if one could not be made.\n",
	.options = mkdir_options,
	.operands_min = 1,
	.operands_max = COMMAND_OPERANDS_ANY,
	.operands = "which directory?",
	.run = mkdir_run,
};
