/*
 * report: STATUS of a session that asked for it.
 */
#include "protocol/report.h"

#include "protocol/json.h"

static void
report_add(struct json_object *json, const char *name, struct json_object *value)
{
	(void)json_object_object_add(json, name, value);
}

static void
report_add_number(struct json_object *json, const char *name, uint64_t value)
{
	report_add(json, name, json_object_new_uint64(value));
}

char *
report_started_format(int32_t pid, size_t *ret_len)
{
	struct json_object *CLEANUP_JSON json = json_object_new_object();

	if (json == NULL)
		return NULL;
	report_add(json, "event", json_object_new_string("started"));
	report_add(json, "pid", json_object_new_int(pid));
	return json_to_text(json, ret_len);
}

char *
report_exited_format(const struct report_exited *report, size_t *ret_len)
{
	struct json_object *CLEANUP_JSON json = json_object_new_object();

	if (json == NULL)
		return NULL;
	report_add(json, "event", json_object_new_string("exited"));
	report_add(json, "code", json_object_new_int(report->code));
	report_add(json, "signal", json_object_new_int(report->signal));
	report_add(json, "reason", json_object_new_string(report->reason));
	report_add_number(json, "wall_ms", report->wall_ms);
	report_add_number(json, "user_ms", report->user_ms);
	report_add_number(json, "system_ms", report->system_ms);
	report_add_number(json, "max_rss_kb", report->max_rss_kb);
	report_add(json, "output_held", json_object_new_boolean(report->output_held));
	if (report->has_cgroup) {
		report_add_number(json, "memory_peak_bytes", report->memory_peak_bytes);
		report_add_number(json, "oom_kills", report->oom_kills);
	}
	return json_to_text(json, ret_len);
}
