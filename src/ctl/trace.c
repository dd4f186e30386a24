/*
 * trace: frames as lines.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/trace.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/command.h"
#include "platform/fd.h"
#include "platform/printable.h"

/* Of numbers no more than this many bytes are shown. */
#define TRACE_NUMBERS_MAX 32

static const struct {
	const char *name;
	bool is_text; /* or raw bytes of the user's; else numbers */
} trace_types[UINT8_MAX + 1] = {
	[VMM_GUEST_START] = { "START", true },
	[VMM_GUEST_STDIN] = { "STDIN", true },
	[VMM_GUEST_RESIZE] = { "RESIZE", false },
	[VMM_GUEST_EOF] = { "EOF", false },
	[VMM_GUEST_CLOCK_SYNC] = { "CLOCK_SYNC", false },
	[VMM_GUEST_NET_RECONFIG] = { "NET_RECONFIG", true },
	[VMM_GUEST_SIGNAL] = { "SIGNAL", false },
	[VMM_GUEST_WAIT_PORT] = { "WAIT_PORT", true },
	[VMM_GUEST_STATUS_REQ] = { "STATUS_REQ", false },
	[VMM_GUEST_SHUTDOWN] = { "SHUTDOWN", true },
	[VMM_GUEST_CONNECT] = { "CONNECT", true },
	[VMM_GUEST_RESTORED] = { "RESTORED", true },
	[VMM_GUEST_KILL] = { "KILL", true },
	[VMM_GUEST_ATTACH] = { "ATTACH", true },
	[VMM_GUEST_DETACH] = { "DETACH", false },
	[VMM_GUEST_FORGET] = { "FORGET", true },
	[VMM_GUEST_QUIESCE] = { "QUIESCE", true },
	[VMM_GUEST_THAW] = { "THAW", true },
	[VMM_GUEST_OUTPUT_ACK] = { "OUTPUT_ACK", false },
	[VMM_GUEST_STDOUT] = { "STDOUT", true },
	[VMM_GUEST_STDERR] = { "STDERR", true },
	[VMM_GUEST_EXIT] = { "EXIT", false },
	[VMM_GUEST_STATUS] = { "STATUS", true },
	[VMM_GUEST_FILE_WRITE_REQ] = { "FILE_WRITE_REQ", true },
	[VMM_GUEST_FILE_DATA] = { "FILE_DATA", true },
	[VMM_GUEST_FILE_DONE] = { "FILE_DONE", false },
	[VMM_GUEST_FILE_READ_REQ] = { "FILE_READ_REQ", true },
	[VMM_GUEST_FILE_STAT_REQ] = { "FILE_STAT_REQ", true },
	[VMM_GUEST_FILE_LIST_REQ] = { "FILE_LIST_REQ", true },
	[VMM_GUEST_FILE_MKDIR_REQ] = { "FILE_MKDIR_REQ", true },
	[VMM_GUEST_FILE_REMOVE_REQ] = { "FILE_REMOVE_REQ", true },
	[VMM_GUEST_FILE_MOVE_REQ] = { "FILE_MOVE_REQ", true },
	[VMM_GUEST_FILE_WATCH_REQ] = { "FILE_WATCH_REQ", true },
	[VMM_GUEST_FILE_ACK] = { "FILE_ACK", false },
	[VMM_GUEST_FILE_ERR] = { "FILE_ERR", true },
	[VMM_GUEST_FILE_STAT] = { "FILE_STAT", true },
	[VMM_GUEST_FILE_LIST] = { "FILE_LIST", true },
	[VMM_GUEST_FILE_EVENT] = { "FILE_EVENT", true },
	[VMM_GUEST_FILE_SYMLINK_REQ] = { "FILE_SYMLINK_REQ", true },
	[VMM_GUEST_FILE_SET_REQ] = { "FILE_SET_REQ", true },
	[VMM_GUEST_FILE_TREE_REQ] = { "FILE_TREE_REQ", true },
	[VMM_GUEST_FILE_LINK_REQ] = { "FILE_LINK_REQ", true },
};

static size_t
trace_put_numbers(const struct client_frame *frame, char *text, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < frame->data_len && i < TRACE_NUMBERS_MAX; i++)
		used += (size_t)snprintf(text + used, size - used, " %02x", frame->data[i]);
	return used;
}

static size_t
trace_put_text(const struct client_frame *frame, char *text, size_t size)
{
	size_t len = frame->data_len < size - 1 ? frame->data_len : size - 1;

	if (len < frame->data_len)
		len = command_cut((const char *)frame->data, (unsigned)len);
	text[0] = ' ';
	memcpy(text + 1, frame->data, len);
	return 1 + printable_make(text + 1, len);
}

void
trace_format(const struct client_frame *frame, char *text)
{
	const char *name = trace_types[frame->type].name;
	const size_t room = TRACE_LINE_MAX - sizeof("...");
	char number[16];
	size_t used;
	size_t shown = frame->data_len;

	if (name == NULL) {
		(void)snprintf(number, sizeof(number), "0x%02x", frame->type);
		name = number;
	}
	used = (size_t)snprintf(text, room, COMMAND_PROGRAM ": %s %s, %zu bytes%s",
	    frame->is_out ? "->" : "<-", name, frame->len, frame->len > 0 ? ":" : "");
	if (frame->len > 0 && trace_types[frame->type].is_text) {
		shown = room - used - 1;
		used += trace_put_text(frame, text + used, room - used);
	} else if (frame->len > 0) {
		shown = TRACE_NUMBERS_MAX;
		used += trace_put_numbers(frame, text + used, room - used);
	}
	(void)strlcpy(text + used, frame->len > shown ? "..." : "", TRACE_LINE_MAX - used);
}

void
trace_frame(const struct client_frame *frame)
{
	char line[TRACE_LINE_MAX + sizeof("\r\n")];

	trace_format(frame, line);
	/* In raw mode a line end alone does not begin a line at its first column. */
	(void)strlcat(line, isatty(STDERR_FILENO) ? "\r\n" : "\n", sizeof(line));
	(void)fd_write_full(STDERR_FILENO, line, strlen(line));
}
