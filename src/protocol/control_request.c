/*
 * SPDX-License-Identifier: MIT
 */
#include "protocol/control_request.h"

#include "protocol/message.h"

#define CONTROL_GRACE_SECONDS 5

static const char *const control_actions[] = {
	[CONTROL_REBOOT] = "reboot",
	[CONTROL_POWEROFF] = "poweroff",
	[CONTROL_HALT] = "halt",
	[CONTROL_AUTO] = "auto",
	NULL,
};

static const struct message_member control_shutdown_table[] = {
	{ "action", .kind = MESSAGE_WORD, MESSAGE_AT(struct control_shutdown, action),
	    .flags = MESSAGE_ALWAYS, .more = control_actions },
	{ "grace_seconds", .kind = MESSAGE_UNSIGNED,
	    MESSAGE_AT(struct control_shutdown, grace_seconds), .flags = MESSAGE_ALWAYS,
	    .initial = CONTROL_GRACE_SECONDS },
};
static const struct message control_shutdown_message = MESSAGE_OF(control_shutdown_table);

static const struct message_member control_status_table[] = {
	{ "guest", .kind = MESSAGE_FLAG, MESSAGE_AT(struct control_status, guest) },
};
static const struct message control_status_message = MESSAGE_OF(control_status_table);

static const struct message_member control_kill_table[] = {
	{ "session", .kind = MESSAGE_UNSIGNED, MESSAGE_AT(struct control_kill, session),
	    .flags = MESSAGE_NEEDED },
	{ "signal", .kind = MESSAGE_UNSIGNED, MESSAGE_AT(struct control_kill, signal),
	    .flags = MESSAGE_NEEDED, .least = MESSAGE_FROM_1, .most = MESSAGE_SIGNALS },
};
static const struct message control_kill_message = MESSAGE_OF(control_kill_table);

int
control_shutdown_parse(
    const char *text, size_t len, struct control_shutdown *ret, struct json_error *error)
{
	struct control_shutdown request = { 0 };
	int r = message_parse(&control_shutdown_message, text, len, &request, NULL, error);

	if (r < 0)
		return r;
	*ret = request;
	return 0;
}

int
control_status_parse(
    const char *text, size_t len, struct control_status *ret, struct json_error *error)
{
	struct control_status request = { 0 };
	int r =
	    len > 0 ? message_parse(&control_status_message, text, len, &request, NULL, error) : 0;

	if (r < 0)
		return r;
	*ret = request;
	return 0;
}

int
control_kill_parse(const char *text, size_t len, struct control_kill *ret, struct json_error *error)
{
	struct control_kill request = { 0 };
	int r = message_parse(&control_kill_message, text, len, &request, NULL, error);

	if (r < 0)
		return r;
	*ret = request;
	return 0;
}

char *
control_shutdown_format(const struct control_shutdown *request, size_t *ret_len)
{
	return message_format(&control_shutdown_message, request, ret_len);
}

char *
control_status_format(const struct control_status *request, size_t *ret_len)
{
	return message_format(&control_status_message, request, ret_len);
}

char *
control_kill_format(const struct control_kill *request, size_t *ret_len)
{
	return message_format(&control_kill_message, request, ret_len);
}
