/*
 * The JSON of the other requests, and of what the agent answers. The first byte
 * says which: a frame's type.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz.h"

#include "protocol/attach_request.h"
#include "protocol/control_request.h"
#include "protocol/file_entry.h"
#include "protocol/file_request.h"
#include "protocol/net_request.h"
#include "protocol/port_request.h"
#include "protocol/quiesce_request.h"
#include "protocol/quiesce_status.h"
#include "protocol/report.h"
#include "protocol/restored_request.h"
#include "protocol/status.h"

static void
try_file_request(uint8_t type, const char *text, size_t len)
{
	struct file_request request;
	struct file_request again;
	struct json_error error;
	char *made;

	if (file_request_parse(type, text, len, &request, &error) < 0) {
		FUZZ_CHECK(error.text[0] != '\0');
		return;
	}
	FUZZ_CHECK(
	    request.path != NULL || type == VMM_GUEST_FILE_DATA || type == VMM_GUEST_FILE_DONE);
	made = file_request_format(type, &request, &len);
	FUZZ_CHECK(made != NULL && len == strlen(made));
	FUZZ_CHECK(file_request_parse(type, made, len, &again, &error) == 0);
	FUZZ_CHECK(request.path == NULL || strcmp(request.path, again.path) == 0);
	FUZZ_CHECK(request.mode == again.mode && request.fsync == again.fsync &&
		   request.recursive == again.recursive && request.offset == again.offset &&
		   request.length == again.length &&
		   request.one_file_system == again.one_file_system &&
		   request.max_entries == again.max_entries);
	FUZZ_CHECK(request.has_uid == again.has_uid && request.uid == again.uid &&
		   request.has_gid == again.has_gid && request.gid == again.gid &&
		   request.has_mtime == again.has_mtime && request.mtime_secs == again.mtime_secs &&
		   request.mtime_nanos == again.mtime_nanos);
	FUZZ_CHECK(request.more == again.more);
	FUZZ_CHECK(request.to == NULL || strcmp(request.to, again.to) == 0);
	FUZZ_CHECK(request.target == NULL || strcmp(request.target, again.target) == 0);
	free(made);
	file_request_done(&again);
	file_request_done(&request);
}

static void
try_listing(const char *text, size_t len)
{
	struct file_listing CLEANUP_LISTING listing = { 0 };
	struct json_error error;

	if (file_listing_parse(text, len, &listing, &error) < 0)
		return;
	for (size_t i = 0; i < listing.count; i++) {
		size_t made_len;
		char *made = file_entry_format(&listing.entries[i], &made_len);

		FUZZ_CHECK(made != NULL && made_len == strlen(made));
		free(made);
	}
}

static void
try_tree(const char *text, size_t len)
{
	struct json_object *CLEANUP_JSON json = NULL;
	struct json_object *CLEANUP_JSON json_again = NULL;
	struct file_tree_entry entry;
	struct file_tree_entry again;
	struct json_error error;
	uint64_t hole;
	char *made;
	int r = file_tree_parse(text, len, &entry, &json, &error);
	bool is_hole = r == 0 && entry.shape == FILE_TREE_HOLE;

	/* What a host says of a hole is what an agent does. */
	FUZZ_CHECK((file_hole_parse(text, len, &hole, &error) == 0) == is_hole);
	FUZZ_CHECK(!is_hole || hole == entry.hole);
	if (r < 0)
		return;
	made = file_tree_format(&entry, &len);
	FUZZ_CHECK(made != NULL && len == strlen(made));
	FUZZ_CHECK(file_tree_parse(made, len, &again, &json_again, &error) == 0);
	FUZZ_CHECK(entry.shape == again.shape && entry.hole == again.hole);
	FUZZ_CHECK(entry.path == NULL || strcmp(entry.path, again.path) == 0);
	FUZZ_CHECK(entry.entry.symlink_target == NULL ||
		   strcmp(entry.entry.symlink_target, again.entry.symlink_target) == 0);
	free(made);
}

static void
try_event(const char *text, size_t len)
{
	struct json_object *CLEANUP_JSON json = NULL;
	struct json_error error;
	struct file_event event;
	char *made;

	if (file_event_parse(text, len, &event, &json, &error) < 0)
		return;
	made = file_event_format(&event, &len);
	FUZZ_CHECK(made != NULL && len == strlen(made));
	free(made);
}

static void
try_quiesce(const char *text, size_t len)
{
	struct quiesce_request request;
	struct json_error error;
	size_t made_len;
	char *made;

	if (quiesce_request_parse(text, len, &request, &error) != 0) {
		FUZZ_CHECK(error.text[0] != '\0');
		return;
	}
	FUZZ_CHECK(request.within_ms > 0 && request.within_ms <= VMM_GUEST_WITHIN_MS_MAX &&
		   request.hold_ms > 0 && request.hold_ms <= VMM_GUEST_HOLD_MS_MAX);
	FUZZ_CHECK(request.paths_count <= VMM_GUEST_FSFREEZE_MAX &&
		   !(request.is_all && request.paths_count > 0));
	for (size_t i = 0; i < request.paths_count; i++)
		FUZZ_CHECK(request.paths[i][0] == '/');
	made = quiesce_request_format(&request, &made_len);
	FUZZ_CHECK(made != NULL && made_len == strlen(made));
	free(made);
	quiesce_request_done(&request);
}

static void
try_status(const char *text, size_t len)
{
	struct status CLEANUP_STATUS status = { 0 };
	struct report CLEANUP_REPORT report = { 0 };
	struct quiesce_status CLEANUP_QUIESCE_STATUS quiesce = { 0 };
	struct restored_status restored;
	struct json_error error;
	size_t made_len;
	char *made;

	if (status_parse(text, len, &status, &error) == 0) {
		made = status_format(&status, &made_len);
		FUZZ_CHECK(made != NULL && made_len == strlen(made));
		free(made);
	}
	if (report_parse(text, len, &report, &error) == 0 && report.event != REPORT_OTHER) {
		made = report_format(&report, &made_len);
		FUZZ_CHECK(made != NULL && made_len == strlen(made));
		free(made);
	}
	if (quiesce_status_parse(text, len, &quiesce, &error) == 0 &&
	    quiesce.event != QUIESCE_EVENT_OTHER) {
		made = quiesce_status_format(&quiesce, &made_len);
		FUZZ_CHECK(made != NULL && made_len == strlen(made));
		free(made);
	}
	if (restored_status_parse(text, len, &restored, &error) == 0)
		FUZZ_CHECK(restored.errors_count <= RESTORED_ERRORS_MAX);
}

static void
try_attach(uint8_t type, const char *text, size_t len)
{
	struct attach_request request;
	struct json_error error;
	size_t made_len;
	char *made;

	if (attach_request_parse(type, text, len, &request, &error) != 0) {
		FUZZ_CHECK(error.text[0] != '\0');
		return;
	}
	FUZZ_CHECK(request.has_session != (request.name[0] != '\0'));
	made = attach_request_format(type, &request, &made_len);
	FUZZ_CHECK(made != NULL && made_len == strlen(made));
	free(made);
	attach_request_done(&request);
}

static void
try_control(uint8_t type, const char *text, size_t len)
{
	struct restored_request restored;
	struct control_shutdown shutdown;
	struct control_status status;
	struct control_kill kill;
	struct port_target target;
	struct json_error error;
	struct net_request net;
	struct port_wait wait;
	int r = 0;

	if (type == VMM_GUEST_NET_RECONFIG)
		r = net_request_parse(text, len, &net, &error);
	else if (type == VMM_GUEST_WAIT_PORT)
		r = port_wait_parse(text, len, &wait, &error);
	else if (type == VMM_GUEST_SHUTDOWN)
		r = control_shutdown_parse(text, len, &shutdown, &error);
	else if (type == VMM_GUEST_CONNECT)
		r = port_target_parse(text, len, &target, &error);
	else if (type == VMM_GUEST_RESTORED)
		r = restored_request_parse(text, len, &restored, &error);
	else if (type == VMM_GUEST_STATUS_REQ)
		r = control_status_parse(text, len, &status, &error);
	else if (type == VMM_GUEST_KILL)
		r = control_kill_parse(text, len, &kill, &error);
	else if (type == VMM_GUEST_THAW)
		r = quiesce_thaw_parse(text, len, &error);
	FUZZ_CHECK(r == 0 || error.text[0] != '\0');
	if (r == 0 && type == VMM_GUEST_RESTORED) {
		FUZZ_CHECK(restored.entropy_len <= VMM_GUEST_ENTROPY_MAX);
		restored_request_done(&restored);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;

	if (size == 0)
		return 0;
	if ((data[0] >= VMM_GUEST_FILE_WRITE_REQ && data[0] <= VMM_GUEST_FILE_WATCH_REQ) ||
	    (data[0] >= VMM_GUEST_FILE_SYMLINK_REQ && data[0] <= VMM_GUEST_FILE_LINK_REQ))
		try_file_request(data[0], text, size - 1);
	else if (data[0] == VMM_GUEST_FILE_LIST)
		try_listing(text, size - 1);
	else if (data[0] == VMM_GUEST_FILE_STAT)
		try_tree(text, size - 1);
	else if (data[0] == VMM_GUEST_FILE_EVENT)
		try_event(text, size - 1);
	else if (data[0] == VMM_GUEST_ATTACH || data[0] == VMM_GUEST_FORGET)
		try_attach(data[0], text, size - 1);
	else if (data[0] == VMM_GUEST_QUIESCE)
		try_quiesce(text, size - 1);
	else if (data[0] == VMM_GUEST_STATUS)
		try_status(text, size - 1);
	else
		try_control(data[0], text, size - 1);
	return 0;
}
