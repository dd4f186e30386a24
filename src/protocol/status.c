/*
 * status: STATUS's JSON, as the agent answers STATUS_REQ with it.
 */
#include "protocol/status.h"

#include <stdio.h>

#include "protocol/json.h"
#include "protocol/utf8.h"
#include "vmm-guest/protocol.h"

#define STATUS_TEXT_MAX (3 * VMM_GUEST_COMMAND_MAX + 1)
#define STATUS_MS_FORMAT "%.3f"

static void
status_add_number(struct json_object *object, const char *name, uint64_t value)
{
	json_add(object, name, json_object_new_uint64(value));
}

static void
status_add_text(struct json_object *object, const char *name, const char *text)
{
	char valid[STATUS_TEXT_MAX];

	(void)utf8_make_valid(text, valid, sizeof(valid));
	json_add(object, name, json_object_new_string(valid));
}

static struct json_object *
status_make_features(const struct status *status)
{
	struct json_object *array = json_object_new_array_ext((int)status->features_count);

	for (size_t i = 0; i < status->features_count; i++)
		(void)json_object_array_add(array, json_object_new_string(status->features[i]));
	return array;
}

static struct json_object *
status_make_workers(const struct status *status)
{
	struct json_object *object = json_object_new_object();

	status_add_number(object, "configured", status->workers.configured);
	status_add_number(object, "idle", status->workers.idle);
	status_add_number(object, "exec", status->workers.exec);
	status_add_number(object, "file", status->workers.file);
	status_add_number(object, "control", status->workers.control);
	status_add_number(object, "reserved", status->workers.reserved);
	return object;
}

static struct json_object *
status_make_sessions(const struct status *status)
{
	struct json_object *object = json_object_new_object();

	status_add_number(object, "started", status->sessions.started);
	status_add_number(object, "exited", status->sessions.exited);
	status_add_number(object, "signaled", status->sessions.signaled);
	status_add_number(object, "timeouts", status->sessions.timeouts);
	status_add_number(object, "oom", status->sessions.oom);
	status_add_number(object, "refused", status->sessions.refused);
	status_add_number(object, "bad_requests", status->sessions.bad_requests);
	return object;
}

static struct json_object *
status_make_deaths(const struct status *status)
{
	struct json_object *object = json_object_new_object();
	struct json_object *by_signal = json_object_new_object();
	char name[16];

	for (int i = 0; i < STATUS_SIGNAL_MAX; i++) {
		if (status->worker_deaths.by_signal[i] == 0)
			continue;
		(void)snprintf(name, sizeof(name), "%d", i);
		status_add_number(by_signal, name, status->worker_deaths.by_signal[i]);
	}
	status_add_number(object, "total", status->worker_deaths.total);
	json_add(object, "by_signal", by_signal);
	json_add(object, "last_signal", json_object_new_int(status->worker_deaths.last_signal));
	json_add(object, "last_unix_ms", json_object_new_int64(status->worker_deaths.last_unix_ms));
	return object;
}

static struct json_object *
status_make_slots(const struct status *status)
{
	struct json_object *array = json_object_new_array_ext((int)status->slots_count);

	for (size_t i = 0; i < status->slots_count; i++) {
		const struct status_slot *slot = &status->slots[i];
		struct json_object *object = json_object_new_object();

		status_add_text(object, "kind", slot->kind);
		status_add_number(object, "session", slot->session);
		json_add(object, "pid", json_object_new_int(slot->pid));
		status_add_text(object, "user", slot->user);
		status_add_text(object, "command", slot->command);
		status_add_number(object, "age_ms", slot->age_ms);
		status_add_number(object, "bytes_in", slot->bytes_in);
		status_add_number(object, "bytes_out", slot->bytes_out);
		(void)json_object_array_add(array, object);
	}
	return array;
}

char *
status_format(const struct status *status, size_t *ret_len)
{
	struct json_object *CLEANUP_JSON json = json_object_new_object();
	char boot_ms[32];

	if (json == NULL)
		return NULL;
	(void)snprintf(boot_ms, sizeof(boot_ms), STATUS_MS_FORMAT, status->boot_ms);
	json_add(json, "version", json_object_new_string(status->version));
	json_add(json, "protocol", json_object_new_int(VMM_GUEST_PROTOCOL_VERSION));
	json_add(json, "features", status_make_features(status));
	json_add(json, "pid", json_object_new_int(status->pid));
	status_add_number(json, "uptime_ms", status->uptime_ms);
	json_add(json, "boot_ms", json_object_new_double_s(status->boot_ms, boot_ms));
	json_add(json, "workers", status_make_workers(status));
	json_add(json, "sessions", status_make_sessions(status));
	json_add(json, "worker_deaths", status_make_deaths(status));
	status_add_number(json, "clock_syncs", status->clock_syncs);
	json_add(json, "slots", status_make_slots(status));
	return json_to_text(json, ret_len);
}
