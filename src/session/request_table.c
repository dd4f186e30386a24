/*
 * request_table: the rows.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/request_table.h"

#include <string.h>

#include "session/control/clock_sync.h"
#include "session/control/connect.h"
#include "session/control/kill.h"
#include "session/control/net.h"
#include "session/control/quiesce.h"
#include "session/control/restored.h"
#include "session/control/shutdown.h"
#include "session/control/status.h"
#include "session/control/thaw.h"
#include "session/control/wait_port.h"
#include "session/durable/attach.h"
#include "session/durable/forget.h"
#include "session/file/link.h"
#include "session/file/mkdir.h"
#include "session/file/move.h"
#include "session/file/read.h"
#include "session/file/remove.h"
#include "session/file/set.h"
#include "session/file/stat.h"
#include "session/file/symlink.h"
#include "session/file/tree.h"
#include "session/file/watch.h"
#include "session/file/write.h"
#include "session/run/exec.h"

/* Its type, and the same name for STATUS. */
#define FRAME(frame) .type = VMM_GUEST_##frame, .feature = #frame

static const struct request request_table[] = {
	{ FRAME(START), .reply_style = SLOT_REPLY_EXEC, .admission = ADMISSION_EXEC,
	    .quiesced = REQUEST_WAITS, .name = "exec", .serve = exec_serve },
	{ FRAME(CLOCK_SYNC), .reply_style = SLOT_REPLY_CONTROL, .admission = ADMISSION_NONE,
	    .name = "clock", .serve = clock_sync_serve },
	{ FRAME(NET_RECONFIG), .reply_style = SLOT_REPLY_CONTROL, .admission = ADMISSION_NONE,
	    .quiesced = REQUEST_THAWS, .name = "net", .serve = net_serve },
	{ FRAME(WAIT_PORT), .reply_style = SLOT_REPLY_CONTROL, .admission = ADMISSION_EXEC,
	    .quiesced = REQUEST_WAITS, .name = "wait-port", .serve = wait_port_serve },
	{ FRAME(CONNECT), .reply_style = SLOT_REPLY_EXEC, .admission = ADMISSION_EXEC,
	    .quiesced = REQUEST_WAITS, .name = "connect", .serve = connect_serve },
	{ FRAME(RESTORED), .reply_style = SLOT_REPLY_CONTROL, .admission = ADMISSION_NONE,
	    .name = "restored", .serve = restored_serve },
	{ FRAME(STATUS_REQ), .reply_style = SLOT_REPLY_CONTROL, .admission = ADMISSION_NONE,
	    .is_large = true, .name = "status", .serve = status_serve },
	{ FRAME(SHUTDOWN), .reply_style = SLOT_REPLY_CONTROL, .admission = ADMISSION_NONE,
	    .quiesced = REQUEST_THAWS, .name = "shutdown", .serve = shutdown_serve },
	{ FRAME(KILL), .reply_style = SLOT_REPLY_CONTROL, .admission = ADMISSION_NONE,
	    .name = "kill", .serve = kill_serve },
	{ FRAME(ATTACH), .reply_style = SLOT_REPLY_ATTACH, .admission = ADMISSION_NONE,
	    .name = "attach", .serve = attach_serve },
	{ FRAME(FORGET), .reply_style = SLOT_REPLY_EXEC, .admission = ADMISSION_NONE,
	    .name = "forget", .serve = forget_serve },
	/* It takes its place itself, as it says in words that there is none. */
	{ FRAME(QUIESCE), .reply_style = SLOT_REPLY_CONTROL, .admission = ADMISSION_NONE,
	    .name = "quiesce", .serve = quiesce_serve },
	{ FRAME(THAW), .reply_style = SLOT_REPLY_CONTROL, .admission = ADMISSION_NONE,
	    .name = "thaw", .serve = thaw_serve },
	{ FRAME(FILE_WRITE_REQ), .reply_style = SLOT_REPLY_FILE, .admission = ADMISSION_FILE,
	    .quiesced = REQUEST_WAITS, .name = "write", .serve = file_write_serve },
	{ FRAME(FILE_READ_REQ), .reply_style = SLOT_REPLY_FILE, .admission = ADMISSION_FILE,
	    .quiesced = REQUEST_WAITS, .name = "read", .serve = file_read_serve },
	{ FRAME(FILE_STAT_REQ), .reply_style = SLOT_REPLY_FILE, .admission = ADMISSION_FILE,
	    .quiesced = REQUEST_WAITS, .name = "stat", .serve = file_stat_serve },
	{ FRAME(FILE_LIST_REQ), .reply_style = SLOT_REPLY_FILE, .admission = ADMISSION_FILE,
	    .quiesced = REQUEST_WAITS, .is_large = true, .name = "list", .serve = file_list_serve },
	{ FRAME(FILE_MKDIR_REQ), .reply_style = SLOT_REPLY_FILE, .admission = ADMISSION_FILE,
	    .quiesced = REQUEST_WAITS, .name = "mkdir", .serve = file_mkdir_serve },
	{ FRAME(FILE_REMOVE_REQ), .reply_style = SLOT_REPLY_FILE, .admission = ADMISSION_FILE,
	    .quiesced = REQUEST_WAITS, .is_large = true, .name = "remove",
	    .serve = file_remove_serve },
	{ FRAME(FILE_MOVE_REQ), .reply_style = SLOT_REPLY_FILE, .admission = ADMISSION_FILE,
	    .quiesced = REQUEST_WAITS, .name = "move", .serve = file_move_serve },
	{ FRAME(FILE_WATCH_REQ), .reply_style = SLOT_REPLY_FILE, .admission = ADMISSION_LOOK,
	    .quiesced = REQUEST_WAITS, .is_large = true, .name = "watch",
	    .serve = file_watch_serve },
	{ FRAME(FILE_SYMLINK_REQ), .reply_style = SLOT_REPLY_FILE, .admission = ADMISSION_FILE,
	    .quiesced = REQUEST_WAITS, .name = "symlink", .serve = file_symlink_serve },
	{ FRAME(FILE_SET_REQ), .reply_style = SLOT_REPLY_FILE, .admission = ADMISSION_FILE,
	    .quiesced = REQUEST_WAITS, .name = "set", .serve = file_set_serve },
	{ FRAME(FILE_TREE_REQ), .reply_style = SLOT_REPLY_FILE, .admission = ADMISSION_FILE,
	    .quiesced = REQUEST_WAITS, .is_large = true, .name = "tree", .serve = file_tree_serve },
	{ FRAME(FILE_LINK_REQ), .reply_style = SLOT_REPLY_FILE, .admission = ADMISSION_FILE,
	    .quiesced = REQUEST_WAITS, .name = "link", .serve = file_link_serve },
};

#define REQUEST_TABLE_COUNT (sizeof(request_table) / sizeof(request_table[0]))

const struct request *
request_table_find(bool is_file_port, uint8_t type)
{
	for (size_t i = 0; i < REQUEST_TABLE_COUNT; i++) {
		const struct request *request = &request_table[i];

		if (request->type == type &&
		    (request->reply_style == SLOT_REPLY_FILE) == is_file_port)
			return request;
	}
	return NULL;
}

const char *const *
request_table_features(size_t *ret_count)
{
	/* Frames of a running session, which no session begins with; and members. */
	static const char *const in_session[] = { "STDIN", "RESIZE", "EOF", "SIGNAL", "DETACH",
		"OUTPUT_ACK", "more", "hole" };
	static const size_t in_session_count = sizeof(in_session) / sizeof(in_session[0]);
	static const char *names[REQUEST_TABLE_COUNT + sizeof(in_session) / sizeof(in_session[0])];

	for (size_t i = 0; i < REQUEST_TABLE_COUNT; i++)
		names[i] = request_table[i].feature;
	memcpy(&names[REQUEST_TABLE_COUNT], in_session, sizeof(in_session));
	*ret_count = REQUEST_TABLE_COUNT + in_session_count;
	return names;
}
