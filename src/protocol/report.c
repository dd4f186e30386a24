/*
 * report: STATUS of a session that asked for it.
 */
#include "protocol/report.h"

#include <errno.h>
#include <string.h>

#include "protocol/json.h"

static void
report_add_number(struct json_object *json, const char *name, uint64_t value)
{
	json_add(json, name, json_object_new_uint64(value));
}

char *
report_started_format(int32_t pid, size_t *ret_len)
{
	struct json_object *CLEANUP_JSON json = json_object_new_object();

	if (json == NULL)
		return NULL;
	json_add(json, "event", json_object_new_string("started"));
	json_add(json, "pid", json_object_new_int(pid));
	return json_to_text(json, ret_len);
}

char *
report_exited_format(const struct report_exited *report, size_t *ret_len)
{
	struct json_object *CLEANUP_JSON json = json_object_new_object();

	if (json == NULL)
		return NULL;
	json_add(json, "event", json_object_new_string("exited"));
	json_add(json, "code", json_object_new_int(report->code));
	json_add(json, "signal", json_object_new_int(report->signal));
	json_add(json, "reason", json_object_new_string(report->reason));
	report_add_number(json, "wall_ms", report->wall_ms);
	report_add_number(json, "user_ms", report->user_ms);
	report_add_number(json, "system_ms", report->system_ms);
	report_add_number(json, "max_rss_kb", report->max_rss_kb);
	json_add(json, "output_held", json_object_new_boolean(report->output_held));
	if (report->has_memory_peak)
		report_add_number(json, "memory_peak_bytes", report->memory_peak_bytes);
	if (report->has_oom_kills)
		report_add_number(json, "oom_kills", report->oom_kills);
	return json_to_text(json, ret_len);
}

static void
report_read_exited(struct json_object *json, struct report_exited *exited, struct json_error *error)
{
	exited->code = (int32_t)json_get_i64(json, "code", 0, error);
	exited->signal = (int32_t)json_get_i64(json, "signal", 0, error);
	exited->reason = json_get_string(json, "reason", "", error);
	exited->wall_ms = json_get_u64(json, "wall_ms", UINT64_MAX, 0, error);
	exited->user_ms = json_get_u64(json, "user_ms", UINT64_MAX, 0, error);
	exited->system_ms = json_get_u64(json, "system_ms", UINT64_MAX, 0, error);
	exited->max_rss_kb = json_get_u64(json, "max_rss_kb", UINT64_MAX / 1024, 0, error);
	exited->output_held = json_get_bool(json, "output_held", false, error);
	exited->has_memory_peak = json_has(json, "memory_peak_bytes");
	exited->has_oom_kills = json_has(json, "oom_kills");
	exited->memory_peak_bytes = json_get_u64(json, "memory_peak_bytes", UINT64_MAX, 0, error);
	exited->oom_kills = json_get_u64(json, "oom_kills", UINT64_MAX, 0, error);
}

int
report_parse(const char *text, size_t len, struct report *ret, struct json_error *error)
{
	struct report report = { .json = json_parse_object(text, len, error) };
	const char *event;

	if (report.json == NULL)
		return -EBADMSG;
	event = json_need_string(report.json, "event", error);
	if (event != NULL && strcmp(event, "started") == 0) {
		report.event = REPORT_STARTED;
		report.pid = (int32_t)json_get_u64(report.json, "pid", INT32_MAX, 0, error);
	} else if (event != NULL && strcmp(event, "exited") == 0) {
		report.event = REPORT_EXITED;
		report_read_exited(report.json, &report.exited, error);
	}
	if (error->text[0] != '\0') {
		report_done(&report);
		return -EBADMSG;
	}
	*ret = report;
	return 0;
}

void
report_done(struct report *report)
{
	json_put(&report->json);
	*report = (struct report){ 0 };
}
