/*
 * cat: "vmm-guest-ctl cat": files of the guest to standard output.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/guest_entry.h"
#include "ctl/guest_features.h"
#include "ctl/guest_file.h"
#include "ctl/quantity.h"
#include "platform/fd.h"

static const char cat_help[] =
    "Usage: vmm-guest-ctl cat [OPTION]... PATH...\n"
    "\n"
    "Writes files of the guest to standard output, one after the other. Files of\n"
    "/proc and /sys are read as they are.\n"
    "\n"
    "      --offset N   begin at byte N (from 0) of each file\n"
    "      --length N   of each file no more than N bytes; N may end in K, M or G\n"
    "  -u, --user USER  read with the rights of USER\n"
    "  -h, --help       show this help\n"
    "\n"
    "Exit status: 0, or 1 if a file could not be read to its end.\n";

static const struct option cat_options[] = {
	{ "offset", required_argument, NULL, 'o' },
	{ "length", required_argument, NULL, 'n' },
	{ "user", required_argument, NULL, 'u' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
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
cat_all(struct file_request *request, char **paths, int count)
{
	const struct guest_file_reader reader = { .write = cat_write };
	struct client_error error = { "" };
	int status = 0;

	if (guest_features_check_user(request->user, GUEST_FEATURES_USER_IO, &error) < 0)
		return command_fail("%s", error.text);
	for (int i = 0; i < count; i++) {
		request->path = guest_entry_path(paths[i]);
		if (guest_file_read(request, &reader, &error) < 0)
			status = command_fail("%s", error.text);
	}
	return status;
}

static int
cat_run(int argc, char **argv)
{
	struct file_request request = { .user = "", .length = UINT64_MAX };
	int c;

	while ((c = getopt_long(argc, argv, "u:h", cat_options, NULL)) != -1) {
		switch (c) {
		case 'o':
			if (quantity_parse_bytes(optarg, &request.offset) < 0)
				return command_misuse(
				    &cat_command, "--offset: '%s' is no number of bytes", optarg);
			break;
		case 'n':
			if (quantity_parse_bytes(optarg, &request.length) < 0)
				return command_misuse(
				    &cat_command, "--length: '%s' is no number of bytes", optarg);
			break;
		case 'u':
			request.user = optarg;
			break;
		case 'h':
			return command_help(&cat_command);
		default:
			return command_misuse(&cat_command, NULL);
		}
	}
	if (optind == argc)
		return command_misuse(&cat_command, "which file?");
	return cat_all(&request, argv + optind, argc - optind);
}

const struct command cat_command = {
	.name = "cat",
	.summary = "write a file of the guest to standard output",
	.help = cat_help,
	.run = cat_run,
};
