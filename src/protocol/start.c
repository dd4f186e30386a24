/*
 * start: START's JSON, both ways.
 */
#include "protocol/start.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vmm-guest/protocol.h"

static const char *const start_limit_names[START_LIMIT_COUNT] = {
	[START_LIMIT_MEMORY_BYTES] = "memory_bytes",
	[START_LIMIT_PIDS] = "pids",
	[START_LIMIT_CPU_PERCENT] = "cpu_percent",
	[START_LIMIT_NOFILE] = "nofile",
	[START_LIMIT_CORE_BYTES] = "core_bytes",
	[START_LIMIT_FSIZE_BYTES] = "fsize_bytes",
};

/* Where there is one at all. */
static const uint64_t start_limit_least[START_LIMIT_COUNT] = {
	[START_LIMIT_PIDS] = VMM_GUEST_PIDS_MIN,
	[START_LIMIT_NOFILE] = VMM_GUEST_NOFILE_MIN,
};

const char *
start_limit_name(enum start_limit limit)
{
	return start_limit_names[limit];
}

static int
start_parse_cmd(struct start_request *request, struct json_error *error)
{
	struct json_object *cmd;

	if (!json_object_object_get_ex(request->json, "cmd", &cmd)) {
		json_fail(error, "member 'cmd' is missing");
		return 0;
	}
	if (!json_object_is_type(cmd, json_type_array) || json_object_array_length(cmd) == 0) {
		json_fail(error, "member 'cmd': an array of at least one string is needed");
		return 0;
	}
	request->argc = json_object_array_length(cmd);
	request->argv = calloc(request->argc + 1, sizeof(*request->argv));
	if (request->argv == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < request->argc; i++)
		request->argv[i] = json_string_of(json_object_array_get_idx(cmd, i), "cmd", error);
	if (request->argv[0] != NULL && request->argv[0][0] == '\0')
		json_fail(error, "member 'cmd': the program's name is empty");
	return 0;
}

static int
start_parse_env(struct start_request *request, struct json_error *error)
{
	struct json_object *env;

	if (!json_object_object_get_ex(request->json, "env", &env))
		return 0;
	if (!json_object_is_type(env, json_type_object)) {
		json_fail(error, "member 'env': an object of strings is needed");
		return 0;
	}
	request->env = calloc((size_t)json_object_object_length(env) + 1, sizeof(*request->env));
	if (request->env == NULL)
		return -ENOMEM;
	json_object_object_foreach(env, name, value)
	{
		struct start_env *entry = &request->env[request->env_count++];

		if (name[0] == '\0' || strchr(name, '=') != NULL)
			json_fail(error, "member 'env': '%.64s' is no name of a variable", name);
		entry->name = name;
		entry->value = json_string_of(value, "env", error);
	}
	return 0;
}

static void
start_parse_limits(struct start_request *request, struct json_error *error)
{
	struct json_object *limits;

	if (!json_object_object_get_ex(request->json, "limits", &limits))
		return;
	if (!json_object_is_type(limits, json_type_object)) {
		json_fail(error, "member 'limits': an object of numbers is needed");
		return;
	}
	for (int i = 0; i < START_LIMIT_COUNT; i++) {
		if (!json_has(limits, start_limit_names[i]))
			continue;
		request->limits.have |= 1u << i;
		request->limits.value[i] =
		    json_get_u64(limits, start_limit_names[i], UINT64_MAX, 0, error);
		if (request->limits.value[i] < start_limit_least[i])
			json_fail(error, "member '%s': at least %" PRIu64 " is needed",
			    start_limit_names[i], start_limit_least[i]);
	}
}

static void
start_parse_scalars(struct start_request *request, struct json_error *error)
{
	struct json_object *json = request->json;

	request->working_dir = json_get_string(json, "working_dir", "", error);
	request->user = json_get_string(json, "user", "", error);
	request->tty = json_get_bool(json, "tty", false, error);
	request->tty_width =
	    (uint16_t)json_get_u64(json, "tty_width", UINT16_MAX, START_TTY_WIDTH, error);
	request->tty_height =
	    (uint16_t)json_get_u64(json, "tty_height", UINT16_MAX, START_TTY_HEIGHT, error);
	request->timeout_seconds =
	    (uint32_t)json_get_u64(json, "timeout_seconds", UINT32_MAX, 0, error);
	request->stdin_open = json_get_bool(json, "stdin", true, error);
	request->kill_grace_seconds =
	    (uint32_t)json_get_u64(json, "kill_grace_seconds", UINT32_MAX, 0, error);
	request->detach = json_get_bool(json, "detach", false, error);
	request->report = json_get_bool(json, "report", false, error);
	if (request->detach &&
	    (request->tty || request->timeout_seconds > 0 || request->kill_grace_seconds > 0))
		json_fail(error, "member 'detach': not with 'tty', 'timeout_seconds' or "
				 "'kill_grace_seconds'");
}

int
start_parse(const char *text, size_t len, struct start_request *ret, struct json_error *error)
{
	struct start_request request = { .json = json_parse_object(text, len, error) };
	int r;

	if (request.json == NULL)
		return -EINVAL;
	r = start_parse_cmd(&request, error);
	if (r == 0)
		r = start_parse_env(&request, error);
	if (r == 0) {
		start_parse_scalars(&request, error);
		start_parse_limits(&request, error);
	}
	if (r == 0 && error->text[0] != '\0')
		r = -EINVAL;
	if (r < 0) {
		start_done(&request);
		return r;
	}
	*ret = request;
	return 0;
}

void
start_done(struct start_request *request)
{
	free(request->argv);
	free(request->env);
	json_put(&request->json);
	*request = (struct start_request){ 0 };
}

static void
start_add_number(struct json_object *json, const char *name, uint64_t value, uint64_t unless)
{
	if (value != unless)
		json_add(json, name, json_object_new_uint64(value));
}

static void
start_add_flag(struct json_object *json, const char *name, bool value, bool unless)
{
	if (value != unless)
		json_add(json, name, json_object_new_boolean(value));
}

static void
start_add_text(struct json_object *json, const char *name, const char *value)
{
	if (value != NULL && value[0] != '\0')
		json_add(json, name, json_object_new_string(value));
}

static void
start_add_limits(struct json_object *json, const struct start_limits *limits)
{
	struct json_object *object;

	if (limits->have == 0)
		return;
	object = json_object_new_object();
	for (int i = 0; i < START_LIMIT_COUNT; i++) {
		if (limits->have & 1u << i)
			json_add(
			    object, start_limit_names[i], json_object_new_uint64(limits->value[i]));
	}
	json_add(json, "limits", object);
}

char *
start_format(const struct start_request *request, size_t *ret_len)
{
	struct json_object *CLEANUP_JSON json = json_object_new_object();
	struct json_object *cmd = json_object_new_array_ext((int)request->argc);

	if (json == NULL || cmd == NULL)
		return NULL;
	for (size_t i = 0; i < request->argc; i++)
		(void)json_object_array_add(cmd, json_object_new_string(request->argv[i]));
	json_add(json, "cmd", cmd);
	if (request->env_count > 0) {
		struct json_object *env = json_object_new_object();

		for (size_t i = 0; i < request->env_count; i++)
			json_add(env, request->env[i].name,
			    json_object_new_string(request->env[i].value));
		json_add(json, "env", env);
	}
	start_add_text(json, "working_dir", request->working_dir);
	start_add_text(json, "user", request->user);
	start_add_flag(json, "tty", request->tty, false);
	start_add_number(json, "tty_width", request->tty_width, START_TTY_WIDTH);
	start_add_number(json, "tty_height", request->tty_height, START_TTY_HEIGHT);
	start_add_number(json, "timeout_seconds", request->timeout_seconds, 0);
	start_add_flag(json, "stdin", request->stdin_open, true);
	start_add_number(json, "kill_grace_seconds", request->kill_grace_seconds, 0);
	start_add_flag(json, "detach", request->detach, false);
	start_add_flag(json, "report", request->report, false);
	start_add_limits(json, &request->limits);
	return json_to_text(json, ret_len);
}
