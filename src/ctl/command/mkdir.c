/*
 * mkdir: "vmm-guest-ctl mkdir": directories in the guest.
 *
 * SPDX-License-Identifier: MIT
 */
#include <getopt.h>
#include <stdlib.h>

#include "ctl/command.h"
#include "ctl/guest_entry.h"
#include "ctl/guest_features.h"
#include "ctl/guest_file.h"

#define MKDIR_MODE_MAX 07777

static const char mkdir_help[] =
    "Usage: vmm-guest-ctl mkdir [-m MODE] [-u USER] PATH...\n"
    "\n"
    "Makes directories in the guest, and those above them that are not there. One\n"
    "that is there already is no error, and keeps its mode.\n"
    "\n"
    "  -m, --mode MODE  permissions of new ones, octal (default: 0755)\n"
    "  -u, --user USER  make them with the rights of USER, who then owns them\n"
    "  -h, --help       show this help\n"
    "\n"
    "Exit status: 0, or 1 if one could not be made.\n";

static const struct option mkdir_options[] = {
	{ "mode", required_argument, NULL, 'm' },
	{ "user", required_argument, NULL, 'u' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int
mkdir_parse_mode(const char *text, uint32_t *ret)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (text[0] < '0' || text[0] > '7' || *end != '\0' || mode == 0 || mode > MKDIR_MODE_MAX)
		return -1;
	*ret = (uint32_t)mode;
	return 0;
}

static int
mkdir_run(int argc, char **argv)
{
	struct file_request request = { .user = "" };
	struct client_error error = { "" };
	int status = 0;
	int c;

	while ((c = getopt_long(argc, argv, "m:pu:h", mkdir_options, NULL)) != -1) {
		switch (c) {
		case 'm':
			if (mkdir_parse_mode(optarg, &request.mode) < 0)
				return command_misuse(&mkdir_command,
				    "-m: '%s' is no mode in octal, as 0750", optarg);
			break;
		case 'p': /* as mkdir(1) has it; it is always so here */
			break;
		case 'u':
			request.user = optarg;
			break;
		case 'h':
			return command_help(&mkdir_command);
		default:
			return command_misuse(&mkdir_command, NULL);
		}
	}
	if (optind == argc)
		return command_misuse(&mkdir_command, "which directory?");
	if (guest_features_check_user(request.user, GUEST_FEATURES_SET, &error) < 0)
		return command_fail("%s", error.text);
	for (int i = optind; i < argc; i++) {
		request.path = guest_entry_path(argv[i]);
		if (guest_file_ask(VMM_GUEST_FILE_MKDIR_REQ, &request, VMM_GUEST_FILE_ACK, NULL,
			NULL, &error) < 0)
			status = command_fail("%s", error.text);
	}
	return status;
}

const struct command mkdir_command = {
	.name = "mkdir",
	.summary = "make directories in the guest",
	.help = mkdir_help,
	.run = mkdir_run,
};
