/*
 * control_request: the JSON of SHUTDOWN and KILL, both ways.
 */
#include "protocol/control_request.h"

#include <errno.h>
#include <string.h>

#define CONTROL_GRACE_SECONDS 5
#define CONTROL_SIGNAL_MAX 64

static const char *const control_actions[] = {
	[CONTROL_REBOOT] = "reboot",
	[CONTROL_POWEROFF] = "poweroff",
	[CONTROL_HALT] = "halt",
};

#define CONTROL_ACTIONS (sizeof(control_actions) / sizeof(control_actions[0]))

static enum control_action
control_parse_action(struct json_object *json, struct json_error *error)
{
	const char *name = json_get_string(json, "action", "reboot", error);

	for (size_t i = 0; name != NULL && i < CONTROL_ACTIONS; i++) {
		if (strcmp(control_actions[i], name) == 0)
			return (enum control_action)i;
	}
	json_fail(error, "member 'action': reboot, poweroff or halt is needed");
	return CONTROL_REBOOT;
}

int
control_shutdown_parse(
    const char *text, size_t len, struct control_shutdown *ret, struct json_error *error)
{
	struct json_object *CLEANUP_JSON json = json_parse_object(text, len, error);
	struct control_shutdown request;

	if (json == NULL)
		return -EINVAL;
	request.action = control_parse_action(json, error);
	request.grace_seconds =
	    (uint32_t)json_get_u64(json, "grace_seconds", UINT32_MAX, CONTROL_GRACE_SECONDS, error);
	if (error->text[0] != '\0')
		return -EINVAL;
	*ret = request;
	return 0;
}

int
control_kill_parse(const char *text, size_t len, struct control_kill *ret, struct json_error *error)
{
	struct json_object *CLEANUP_JSON json = json_parse_object(text, len, error);
	struct control_kill request;

	if (json == NULL)
		return -EINVAL;
	if (!json_has(json, "session") || !json_has(json, "signal"))
		json_fail(error, "members 'session' and 'signal' are needed");
	request.session = json_get_u64(json, "session", UINT64_MAX, 0, error);
	request.signal = (int)json_get_u64(json, "signal", CONTROL_SIGNAL_MAX, 0, error);
	if (request.signal == 0)
		json_fail(error, "member 'signal': out of range, 1 to %d", CONTROL_SIGNAL_MAX);
	if (error->text[0] != '\0')
		return -EINVAL;
	*ret = request;
	return 0;
}

char *
control_shutdown_format(const struct control_shutdown *request, size_t *ret_len)
{
	struct json_object *CLEANUP_JSON json = json_object_new_object();

	if (json == NULL)
		return NULL;
	(void)json_object_object_add(
	    json, "action", json_object_new_string(control_actions[request->action]));
	(void)json_object_object_add(
	    json, "grace_seconds", json_object_new_uint64(request->grace_seconds));
	return json_to_text(json, ret_len);
}

char *
control_kill_format(const struct control_kill *request, size_t *ret_len)
{
	struct json_object *CLEANUP_JSON json = json_object_new_object();

	if (json == NULL)
		return NULL;
	(void)json_object_object_add(json, "session", json_object_new_uint64(request->session));
	(void)json_object_object_add(json, "signal", json_object_new_int(request->signal));
	return json_to_text(json, ret_len);
}
