/*
 * status_view: STATUS's JSON read.
 */
#include "protocol/status_view.h"

#include <errno.h>
#include <stdlib.h>

/* A member of OBJECT that is of TYPE, or NULL where there is none. */
static struct json_object *
status_view_get(
    struct json_object *object, const char *name, json_type type, struct json_error *error)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, name, &value))
		return NULL;
	if (json_object_is_type(value, type))
		return value;
	json_fail(error, "member '%s': an %s is needed", name, json_type_to_name(type));
	return NULL;
}

static uint64_t
status_view_u64(struct json_object *object, const char *name, struct json_error *error)
{
	return json_get_u64(object, name, UINT64_MAX, 0, error);
}

static uint32_t
status_view_u32(struct json_object *object, const char *name, struct json_error *error)
{
	return (uint32_t)json_get_u64(object, name, UINT32_MAX, 0, error);
}

static int32_t
status_view_i32(struct json_object *object, const char *name, struct json_error *error)
{
	return (int32_t)json_get_u64(object, name, INT32_MAX, 0, error);
}

static double
status_view_number(struct json_object *object, const char *name)
{
	struct json_object *value;

	return json_object_object_get_ex(object, name, &value) ? json_object_get_double(value) : 0;
}

static void
status_view_read_workers(struct status *status, struct json_object *json, struct json_error *error)
{
	struct json_object *object = status_view_get(json, "workers", json_type_object, error);

	if (object == NULL)
		return;
	status->workers.configured = status_view_u32(object, "configured", error);
	status->workers.idle = status_view_u32(object, "idle", error);
	status->workers.exec = status_view_u32(object, "exec", error);
	status->workers.file = status_view_u32(object, "file", error);
	status->workers.control = status_view_u32(object, "control", error);
	status->workers.reserved = status_view_u32(object, "reserved", error);
}

static void
status_view_read_sessions(struct status *status, struct json_object *json, struct json_error *error)
{
	struct json_object *object = status_view_get(json, "sessions", json_type_object, error);

	if (object == NULL)
		return;
	status->sessions.started = status_view_u64(object, "started", error);
	status->sessions.exited = status_view_u64(object, "exited", error);
	status->sessions.signaled = status_view_u64(object, "signaled", error);
	status->sessions.timeouts = status_view_u64(object, "timeouts", error);
	status->sessions.oom = status_view_u64(object, "oom", error);
	status->sessions.refused = status_view_u64(object, "refused", error);
	status->sessions.bad_requests = status_view_u64(object, "bad_requests", error);
}

static void
status_view_read_deaths(struct status *status, struct json_object *json, struct json_error *error)
{
	struct json_object *object =
	    status_view_get(json, "worker_deaths", json_type_object, error);
	struct json_object *by_signal;

	if (object == NULL)
		return;
	status->worker_deaths.total = status_view_u64(object, "total", error);
	status->worker_deaths.last_signal = status_view_i32(object, "last_signal", error);
	status->worker_deaths.last_unix_ms = json_get_i64(object, "last_unix_ms", 0, error);
	by_signal = status_view_get(object, "by_signal", json_type_object, error);
	if (by_signal == NULL)
		return;
	json_object_object_foreach(by_signal, name, value)
	{
		int number = atoi(name);

		if (number >= 0 && number < STATUS_SIGNAL_MAX)
			status->worker_deaths.by_signal[number] =
			    (uint32_t)json_object_get_uint64(value);
	}
}

static int
status_view_read_features(
    struct status_view *view, struct json_object *json, struct json_error *error)
{
	struct json_object *array = status_view_get(json, "features", json_type_array, error);
	size_t count = array != NULL ? json_object_array_length(array) : 0;

	view->features = calloc(count + 1, sizeof(*view->features));
	if (view->features == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		view->features[i] =
		    json_string_of(json_object_array_get_idx(array, i), "features", error);
	view->status.features = view->features;
	view->status.features_count = count;
	return 0;
}

static int
status_view_read_slots(struct status_view *view, struct json_object *json, struct json_error *error)
{
	struct json_object *array = status_view_get(json, "slots", json_type_array, error);
	size_t count = array != NULL ? json_object_array_length(array) : 0;

	view->slots = calloc(count + 1, sizeof(*view->slots));
	if (view->slots == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct json_object *object = json_object_array_get_idx(array, i);

		if (!json_object_is_type(object, json_type_object)) {
			json_fail(error, "member 'slots': an array of objects is needed");
			return 0;
		}
		view->slots[i] = (struct status_slot){
			.kind = json_get_string(object, "kind", "", error),
			.session = status_view_u64(object, "session", error),
			.pid = status_view_i32(object, "pid", error),
			.user = json_get_string(object, "user", "", error),
			.command = json_get_string(object, "command", "", error),
			.age_ms = status_view_u64(object, "age_ms", error),
			.bytes_in = status_view_u64(object, "bytes_in", error),
			.bytes_out = status_view_u64(object, "bytes_out", error),
		};
	}
	view->status.slots = view->slots;
	view->status.slots_count = count;
	return 0;
}

int
status_view_parse(const char *text, size_t len, struct status_view *ret, struct json_error *error)
{
	struct status_view view = { .json = json_parse_object(text, len, error) };
	struct status *status = &view.status;
	int r;

	if (view.json == NULL)
		return -EBADMSG;
	status->version = json_get_string(view.json, "version", "", error);
	status->pid = status_view_i32(view.json, "pid", error);
	status->uptime_ms = status_view_u64(view.json, "uptime_ms", error);
	status->boot_ms = status_view_number(view.json, "boot_ms");
	status->clock_syncs = status_view_u64(view.json, "clock_syncs", error);
	status_view_read_workers(status, view.json, error);
	status_view_read_sessions(status, view.json, error);
	status_view_read_deaths(status, view.json, error);
	r = status_view_read_features(&view, view.json, error);
	if (r == 0)
		r = status_view_read_slots(&view, view.json, error);
	if (r == 0 && error->text[0] != '\0')
		r = -EBADMSG;
	if (r < 0) {
		status_view_done(&view);
		return r;
	}
	*ret = view;
	return 0;
}

void
status_view_done(struct status_view *view)
{
	free(view->features);
	free(view->slots);
	json_put(&view->json);
	*view = (struct status_view){ 0 };
}
