/*
 * request: one question, and words for the answer.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/request.h"

#include <errno.h>
#include <stdlib.h>

#include "ctl/command.h"
#include "ctl/core/guest_entry.h"
#include "ctl/core/guest_features.h"
#include "ctl/target.h"

int
request_run(const struct request *request, struct control_answer *ret)
{
	struct client_error error = { "" };
	int status = 0;
	int r = control_ask(target_agent(), request->frame, request->json,
	    request->timeout_ms > 0 ? request->timeout_ms : -1, ret, &error);

	if (r == -ETIMEDOUT && request->no_time != NULL)
		return command_fail("%s", request->no_time);
	if (r < 0)
		return command_fail("%s", error.text);
	if (ret->exit.code == VMM_GUEST_EXIT_OK)
		return 0;
	if (ret->exit.code == VMM_GUEST_EXIT_NOT_MADE && request->not_made != NULL)
		return command_fail("%s", request->not_made);
	if (request->complain != NULL)
		status = request->complain(ret);
	if (status != 0)
		return status;
	if (ret->words[0] != '\0')
		return command_fail("%s: %s", request->refused, ret->words);
	return command_fail("%s", request->refused);
}

int
request_run_json(struct request *request, char *json, struct control_answer *ret)
{
	int status;

	if (json == NULL)
		return command_fail("out of memory");
	request->json = json;
	status = request_run(request, ret);
	free(json);
	return status;
}

int
request_run_paths(struct file_request *request, const char *feature, char **paths,
    int (*each)(struct file_request *request, const char *given, struct client_error *error))
{
	struct client_error error = { "" };
	int status = 0;

	if (guest_features_check_user(target_agent(), request->user, feature, &error) < 0)
		return command_fail("%s", error.text);
	for (; *paths != NULL; paths++) {
		request->path = guest_entry_path(*paths);
		if (each(request, *paths, &error) < 0)
			status = command_fail("%s", error.text);
	}
	return status;
}
