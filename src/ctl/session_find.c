/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/session_find.h"

#include <string.h>

#include "ctl/command.h"
#include "ctl/core/guest_features.h"
#include "ctl/status_text.h"
#include "ctl/target.h"

int
session_find_check(const struct status *status)
{
	for (size_t i = 0; i < status->features_count; i++) {
		if (strcmp(status->features[i], GUEST_FEATURES_DURABLE) == 0)
			return 0;
	}
	return command_fail("the agent is too old for durable sessions");
}

static bool
session_find_is_called(const struct status_slot *slot, const char *name)
{
	return slot->name != NULL && strcmp(slot->name, name) == 0;
}

const struct status_slot *
session_find_durable(const struct status *status, const struct session_id *which)
{
	for (size_t i = 0; i < status->slots_count; i++) {
		const struct status_slot *slot = &status->slots[i];

		if (slot->is_durable &&
		    (which->number != 0 ? slot->session == which->number
					: session_find_is_called(slot, which->name)))
			return slot;
	}
	return NULL;
}

uint64_t
session_find_end(const struct session_id *which)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	struct status CLEANUP_STATUS status = { 0 };
	const struct status_slot *slot;
	struct client_error ignored;
	struct json_error json_error = { 0 };

	if (control_ask(target_agent(), "STATUS_REQ", NULL, -1, &answer, &ignored) < 0 ||
	    answer.status == NULL ||
	    status_parse(answer.status, answer.status_len, &status, &json_error) < 0)
		return 0;
	slot = session_find_durable(&status, which);
	return slot != NULL && slot->running ? slot->offset : 0;
}

int
session_find_number(const char *name, uint64_t *ret)
{
	struct status CLEANUP_STATUS status = { 0 };
	struct session_id which = { 0 };
	const struct status_slot *found;
	unsigned others = 0;
	int r = status_text_ask(&status);

	if (r != 0)
		return r;
	(void)strlcpy(which.name, name, sizeof(which.name));
	found = session_find_durable(&status, &which);
	for (size_t i = 0; i < status.slots_count && (found == NULL || others > 0); i++) {
		const struct status_slot *slot = &status.slots[i];

		if (session_find_is_called(slot, name) && slot->attached_to == 0) {
			found = slot;
			others++;
		}
	}
	if (found == NULL)
		return command_fail("no session is called '%s' (see 'vmm-guest-ctl ps')", name);
	if (others > 1)
		return command_fail(
		    "%u sessions are called '%s': say which by its number", others, name);
	*ret = found->session;
	return 0;
}
