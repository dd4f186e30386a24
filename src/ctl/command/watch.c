/*
 * watch: "vmm-guest-ctl watch": what happens to files of the guest, as it happens.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdbool.h>
#include <stdio.h>

#include "ctl/command.h"
#include "ctl/core/guest_entry.h"
#include "ctl/core/guest_features.h"
#include "ctl/core/guest_file.h"
#include "ctl/target.h"
#include "protocol/file_entry.h"

static struct file_request watch_request = { .user = "", .gaps = true };
static bool watch_is_json;

static const struct options_row watch_options[] = {
	OPTIONS_FLAG("recursive", 'r', &watch_request.recursive,
	    "in the directories below as well, also those made later"),
	OPTIONS_FLAG("json", 0, &watch_is_json, "the agent's events as they came, one a line"),
	OPTIONS_TEXT("user", 'u', "USER", &watch_request.user, "watch with the rights of USER"),
	OPTIONS_END,
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
watch_run(int count, char **operands)
{
	struct guest CLEANUP_GUEST guest = { 0 };
	struct client_error error = { "" };
	int status = 0;
	size_t len;
	const char *text;

	(void)count;
	watch_request.path = guest_entry_path(operands[0]);
	if (guest_features_check_user(
		target_agent(), watch_request.user, GUEST_FEATURES_SET, &error) < 0)
		return command_fail("%s", error.text);
	if (guest_file_watch(target_agent(), &watch_request, &guest, &error) < 0)
		return command_fail("%s", error.text);
	while (status == 0) {
		if (guest_file_next_event(&guest, &watch_request, &text, &len, &error) < 0)
			return command_fail("%s", error.text);
		if (watch_is_json)
			command_print_json(stdout, text, len);
		else
			status = watch_print(text, len);
		if (fflush(stdout) != 0)
			return COMMAND_FAILED;
	}
	return status;
}

const struct command watch_command = {
	.name = "watch",
	.summary = "print what happens to files of the guest",
	.usage = "[-r] [--json] [-u USER] PATH",
	.about = "Prints a line for each thing that happens to a file of the guest, or in a\n"
		 "directory, until it is interrupted:\n"
		 "\n"
		 "  created PATH | modified PATH | removed PATH | renamed PATH -> NEW PATH\n"
		 "  unwatched PATH: ERROR\n",
	.more = "\nWith -r an event may be told twice, and none is missed but below what is said\n"
		"to be unwatched. Where more happens than can be told, it ends with a message and\n"
		"exit status 1.\n",
	.options = watch_options,
	.operands_min = 1,
	.operands_max = 1,
	.operands = "one path is needed",
	.run = watch_run,
};
