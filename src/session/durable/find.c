/*
 * SPDX-License-Identifier: MIT
 */
#include "session/durable/find.h"

#include <errno.h>
#include <string.h>

#include "platform/io_error.h"
#include "protocol/json.h"

/* A number of an agent that was restarted is another session's by now. */
static bool
durable_is_stale(const struct session *session, const struct attach_request *request)
{
	char instance[VMM_GUEST_INSTANCE_LEN + 1];

	session_format_instance(session, instance);
	return request->has_instance && strcmp(request->instance, instance) != 0;
}

int
durable_find(struct session *session, uint8_t type, const uint8_t *payload, size_t len,
    struct attach_request *ret, struct journal *ret_journal)
{
	struct json_error error;
	const char *name;

	*ret = (struct attach_request){ .has_session = false };
	if (attach_request_parse(type, (const char *)payload, len, ret, &error) < 0) {
		session_refuse(session, &session->board->counts.bad_requests, error.code,
		    "%s: bad %s: %s", io_error_name(error.code),
		    type == VMM_GUEST_ATTACH ? "ATTACH" : "FORGET", error.text);
		return -EINVAL;
	}
	if (durable_is_stale(session, ret)) {
		session_refuse(session, NULL, -ESTALE,
		    "ESTALE: the session was of another instance of the agent");
		return -EINVAL;
	}
	name = ret->name != NULL && ret->name[0] != '\0' ? ret->name : NULL;
	return journal_find(session->board, ret->session, name, ret_journal);
}
