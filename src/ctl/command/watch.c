/*
 * watch: "vmm-guest-ctl watch": what happens to files of the guest, as it happens.
 *
 * SPDX-License-Identifier: MIT
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/command.h"
#include "ctl/guest_entry.h"
#include "ctl/guest_features.h"
#include "ctl/guest_file.h"
#include "protocol/file_entry.h"

static const char watch_help[] =
    "Usage: vmm-guest-ctl watch [-r] [--json] [-u USER] PATH\n"
    "\n"
    "Prints a line for each thing that happens to a file of the guest, or in a\n"
    "directory, until it is interrupted:\n"
    "\n"
    "  created PATH | modified PATH | removed PATH | renamed PATH -> NEW PATH\n"
    "  unwatched PATH: ERROR\n"
    "\n"
    "  -r, --recursive  in the directories below as well, also those made later\n"
    "      --json       the agent's events as they came, one a line\n"
    "  -u, --user USER  watch with the rights of USER\n"
    "  -h, --help       show this help\n"
    "\n"
    "With -r an event may be told twice, and none is missed but below what is said\n"
    "to be unwatched. Where more happens than can be told, it ends with a message and\n"
    "exit status 1.\n";

static const struct option watch_options[] = {
	{ "recursive", no_argument, NULL, 'r' },
	{ "json", no_argument, NULL, 'j' },
	{ "user", required_argument, NULL, 'u' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static void
watch_put(const char *between, const char *text)
{
	(void)fputs(between, stdout);
	command_put(text);
}

static int
watch_print(const char *text, size_t len)
{
	struct json_object *json = NULL;
	struct json_error error = { 0 };
	struct file_event event;

	if (file_event_parse(text, len, &event, &json, &error) < 0)
		return command_fail("the agent's event can't be understood: %s", error.text);
	(void)printf("%s ", file_event_name(event.kind));
	command_put(event.path);
	if (event.kind == FILE_EVENT_RENAMED)
		watch_put(" -> ", event.renamed_to);
	else if (event.kind == FILE_EVENT_UNWATCHED)
		watch_put(": ", event.error);
	(void)putchar('\n');
	json_put(&json);
	return 0;
}

static int
watch_follow(const struct file_request *request, bool json)
{
	struct client CLEANUP_CLIENT client = CLIENT_INIT;
	struct client_error error = { "" };
	int status = 0;
	size_t len;
	char *text;

	if (guest_features_check_user(request->user, GUEST_FEATURES_SET, &error) < 0)
		return command_fail("%s", error.text);
	if (guest_file_watch(request, &client, &error) < 0)
		return command_fail("%s", error.text);
	while (status == 0) {
		if (guest_file_next_event(&client, request, &text, &len, &error) < 0)
			return command_fail("%s", error.text);
		if (json)
			command_print_json(stdout, text, len);
		else
			status = watch_print(text, len);
		free(text);
		if (fflush(stdout) != 0)
			return COMMAND_FAILED;
	}
	return status;
}

static int
watch_run(int argc, char **argv)
{
	struct file_request request = { .user = "", .gaps = true };
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "ru:h", watch_options, NULL)) != -1) {
		switch (c) {
		case 'r':
			request.recursive = true;
			break;
		case 'j':
			json = true;
			break;
		case 'u':
			request.user = optarg;
			break;
		case 'h':
			return command_help(&watch_command);
		default:
			return command_misuse(&watch_command, NULL);
		}
	}
	if (argc - optind != 1)
		return command_misuse(&watch_command, "one path is needed");
	request.path = guest_entry_path(argv[optind]);
	return watch_follow(&request, json);
}

const struct command watch_command = {
	.name = "watch",
	.summary = "print what happens to files of the guest",
	.help = watch_help,
	.run = watch_run,
};
