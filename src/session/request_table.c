/*
 * request_table: the table of what a connection may ask for first.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/request_table.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "platform/log.h"
#include "session/control/clock_sync.h"
#include "session/control/connect.h"
#include "session/run/exec.h"
#include "session/file/mkdir.h"
#include "session/file/move.h"
#include "session/file/read.h"
#include "session/file/remove.h"
#include "session/file/set.h"
#include "session/file/stat.h"
#include "session/file/symlink.h"
#include "session/file/watch.h"
#include "session/file/write.h"
#include "session/control/net.h"
#include "session/control/restored.h"
#include "session/control/kill.h"
#include "session/control/shutdown.h"
#include "session/control/status.h"
#include "session/control/wait_port.h"

static const struct request request_table[] = {
	{ VMM_GUEST_START, SLOT_REPLY_EXEC, ADMISSION_EXEC, "exec", "START", exec_serve },
	{ VMM_GUEST_CLOCK_SYNC, SLOT_REPLY_CONTROL, ADMISSION_NONE, "clock", "CLOCK_SYNC",
	    clock_sync_serve },
	{ VMM_GUEST_NET_RECONFIG, SLOT_REPLY_CONTROL, ADMISSION_NONE, "net", "NET_RECONFIG",
	    net_serve },
	{ VMM_GUEST_WAIT_PORT, SLOT_REPLY_CONTROL, ADMISSION_EXEC, "wait-port", "WAIT_PORT",
	    wait_port_serve },
	{ VMM_GUEST_CONNECT, SLOT_REPLY_EXEC, ADMISSION_EXEC, "connect", "CONNECT", connect_serve },
	{ VMM_GUEST_RESTORED, SLOT_REPLY_CONTROL, ADMISSION_NONE, "restored", "RESTORED",
	    restored_serve },
	{ VMM_GUEST_STATUS_REQ, SLOT_REPLY_CONTROL, ADMISSION_NONE, "status", "STATUS_REQ",
	    status_serve },
	{ VMM_GUEST_SHUTDOWN, SLOT_REPLY_CONTROL, ADMISSION_NONE, "shutdown", "SHUTDOWN",
	    shutdown_serve },
	{ VMM_GUEST_KILL, SLOT_REPLY_CONTROL, ADMISSION_NONE, "kill", "KILL", kill_serve },
	{ VMM_GUEST_FILE_WRITE_REQ, SLOT_REPLY_FILE, ADMISSION_FILE, "write", "FILE_WRITE_REQ",
	    file_write_serve },
	{ VMM_GUEST_FILE_READ_REQ, SLOT_REPLY_FILE, ADMISSION_FILE, "read", "FILE_READ_REQ",
	    file_read_serve },
	{ VMM_GUEST_FILE_STAT_REQ, SLOT_REPLY_FILE, ADMISSION_FILE, "stat", "FILE_STAT_REQ",
	    file_stat_serve },
	{ VMM_GUEST_FILE_LIST_REQ, SLOT_REPLY_FILE, ADMISSION_FILE, "list", "FILE_LIST_REQ",
	    file_list_serve },
	{ VMM_GUEST_FILE_MKDIR_REQ, SLOT_REPLY_FILE, ADMISSION_FILE, "mkdir", "FILE_MKDIR_REQ",
	    file_mkdir_serve },
	{ VMM_GUEST_FILE_REMOVE_REQ, SLOT_REPLY_FILE, ADMISSION_FILE, "remove", "FILE_REMOVE_REQ",
	    file_remove_serve },
	{ VMM_GUEST_FILE_MOVE_REQ, SLOT_REPLY_FILE, ADMISSION_FILE, "move", "FILE_MOVE_REQ",
	    file_move_serve },
	{ VMM_GUEST_FILE_WATCH_REQ, SLOT_REPLY_FILE, ADMISSION_EXEC, "watch", "FILE_WATCH_REQ",
	    file_watch_serve },
	{ VMM_GUEST_FILE_SYMLINK_REQ, SLOT_REPLY_FILE, ADMISSION_FILE, "symlink",
	    "FILE_SYMLINK_REQ", file_symlink_serve },
	{ VMM_GUEST_FILE_SET_REQ, SLOT_REPLY_FILE, ADMISSION_FILE, "set", "FILE_SET_REQ",
	    file_set_serve },
};

#define REQUEST_TABLE_COUNT (sizeof(request_table) / sizeof(request_table[0]))

/* What a refusal on the file port may still have to read of an upload. */
#define REQUEST_TABLE_DISCARD_BUSY_MS 1000

const struct request *
request_table_find(bool is_file_port, uint8_t type)
{
	for (size_t i = 0; i < REQUEST_TABLE_COUNT; i++) {
		const struct request *kind = &request_table[i];

		if (kind->type == type && (kind->reply_style == SLOT_REPLY_FILE) == is_file_port)
			return kind;
	}
	return NULL;
}

const char *const *
request_table_features(size_t *ret_count)
{
	/* Frames of a running session, which no kind begins with. */
	static const char *const in_session[] = { "STDIN", "RESIZE", "EOF", "SIGNAL" };
	static const size_t in_session_count = sizeof(in_session) / sizeof(in_session[0]);
	static const char *names[REQUEST_TABLE_COUNT + sizeof(in_session) / sizeof(in_session[0])];

	for (size_t i = 0; i < REQUEST_TABLE_COUNT; i++)
		names[i] = request_table[i].feature;
	memcpy(&names[REQUEST_TABLE_COUNT], in_session, sizeof(in_session));
	*ret_count = REQUEST_TABLE_COUNT + in_session_count;
	return names;
}

void
request_table_refuse(struct session *session, enum slot_reply_style reply_style, bool is_upload,
    const char *errno_name, const char *text)
{
	char line[VMM_GUEST_COMMAND_MAX];
	int n;

	switch (reply_style) {
	case SLOT_REPLY_NONE:
		break;
	case SLOT_REPLY_EXEC:
		session_refuse_exec(session, VMM_GUEST_EXIT_AGENT, "%s", text);
		break;
	case SLOT_REPLY_CONTROL:
		session_send_exit(session, VMM_GUEST_EXIT_CONTROL_FAILED, 0);
		log_warnx("%s", text);
		break;
	case SLOT_REPLY_UNKNOWN:
		session_send_exit(session, VMM_GUEST_EXIT_AGENT, 0);
		break;
	case SLOT_REPLY_FILE:
		n = snprintf(line, sizeof(line), "%s: %s", errno_name, text);
		if (session_send_last(session, VMM_GUEST_FILE_ERR, line, (size_t)n) == 0 &&
		    is_upload) {
			conn_shut_down(&session->conn);
			conn_discard(
			    &session->conn, REQUEST_TABLE_DISCARD_BUSY_MS, VMM_GUEST_FILE_DONE);
		}
		break;
	}
}
