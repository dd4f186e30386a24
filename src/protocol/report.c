/*
 * SPDX-License-Identifier: MIT
 */
#include "protocol/report.h"

#include "protocol/message.h"

static const char *const report_events[] = {
	[REPORT_STARTED] = "started",
	[REPORT_EXITED] = "exited",
	[REPORT_ATTACHED] = "attached",
	[REPORT_LOST] = "lost",
	[REPORT_INPUT_TAKEN] = "input_taken",
	[REPORT_DETACHED] = "detached",
	[REPORT_OTHER] = "other",
	NULL,
};

#define STARTED (1u << REPORT_STARTED)
#define EXITED (1u << REPORT_EXITED)
#define ATTACHED (1u << REPORT_ATTACHED)
#define LOST (1u << REPORT_LOST)
#define DETACHED (1u << REPORT_DETACHED)
#define AT(member) MESSAGE_AT(struct report, member)
#define ALWAYS(name, of) .kind = (name), AT(of), .flags = MESSAGE_ALWAYS
#define NUMBER(member) .kind = MESSAGE_UNSIGNED, AT(exited.member), .sets = EXITED
#define SIGNED(member) .kind = MESSAGE_SIGNED, AT(exited.member), .sets = EXITED
#define HAS(member)                                                                                \
	.flags = MESSAGE_OPTIONAL, .beside = offsetof(struct report, exited.member), .bit = true

static const struct message_member report_table[] = {
	{ "event", .kind = MESSAGE_WORD, AT(event), .flags = MESSAGE_NEEDED | MESSAGE_OPEN,
	    .more = report_events },
	{ "pid", .kind = MESSAGE_UNSIGNED, AT(pid), .sets = STARTED, .flags = MESSAGE_ALWAYS,
	    .most = MESSAGE_PIDS },
	{ "session", .kind = MESSAGE_UNSIGNED, AT(session), .sets = STARTED | ATTACHED },
	{ "name", .kind = MESSAGE_TEXT, AT(name), .sets = STARTED | ATTACHED },
	{ "instance", .kind = MESSAGE_TEXT, AT(instance), .sets = STARTED | ATTACHED },
	{ "offset", ALWAYS(MESSAGE_UNSIGNED, offset), .most = MESSAGE_OFFSETS,
	    .sets = ATTACHED | LOST },
	{ "offset", .kind = MESSAGE_UNSIGNED, AT(offset), .most = MESSAGE_OFFSETS, .sets = DETACHED,
	    .flags = MESSAGE_OPTIONAL, .beside = offsetof(struct report, has_offset), .bit = true },
	{ "lost", ALWAYS(MESSAGE_UNSIGNED, lost), .sets = ATTACHED | LOST },
	{ "stdin_bytes", ALWAYS(MESSAGE_UNSIGNED, stdin_bytes), .most = MESSAGE_OFFSETS,
	    .sets = ATTACHED },
	{ "stdin_open", ALWAYS(MESSAGE_FLAG, stdin_open), .sets = ATTACHED },
	{ "running", ALWAYS(MESSAGE_FLAG, running), .sets = ATTACHED },
	{ "tty", ALWAYS(MESSAGE_FLAG, tty), .sets = ATTACHED },
	{ "columns", ALWAYS(MESSAGE_UNSIGNED, columns), .sets = ATTACHED },
	{ "rows", ALWAYS(MESSAGE_UNSIGNED, rows), .sets = ATTACHED },
	{ "why", .kind = MESSAGE_TEXT, AT(why), .sets = DETACHED },
	{ "code", SIGNED(code), .flags = MESSAGE_ALWAYS },
	{ "signal", SIGNED(signal), .flags = MESSAGE_ALWAYS },
	{ "reason", .kind = MESSAGE_TEXT, AT(exited.reason), .sets = EXITED,
	    .flags = MESSAGE_ALWAYS },
	{ "wall_ms", NUMBER(wall_ms), .flags = MESSAGE_ALWAYS },
	{ "user_ms", NUMBER(user_ms), .flags = MESSAGE_ALWAYS },
	{ "system_ms", NUMBER(system_ms), .flags = MESSAGE_ALWAYS },
	{ "max_rss_kb", NUMBER(max_rss_kb), .most = MESSAGE_KIB, .flags = MESSAGE_ALWAYS },
	{ "output_held", .kind = MESSAGE_FLAG, AT(exited.output_held), .sets = EXITED,
	    .flags = MESSAGE_ALWAYS },
	{ "memory_peak_bytes", NUMBER(memory_peak_bytes), HAS(has_memory_peak) },
	{ "oom_kills", NUMBER(oom_kills), HAS(has_oom_kills) },
};

/* The members of all events, and of those whose bit is in SET. */
static struct message
report_message(unsigned set)
{
	struct message message = MESSAGE_OF(report_table);

	message.set = set;
	return message;
}

char *
report_format(const struct report *report, size_t *ret_len)
{
	const struct message message = report_message(1u << report->event);

	return message_format(&message, report, ret_len);
}

int
report_parse(const char *text, size_t len, struct report *ret, struct json_error *error)
{
	struct message message = report_message(0);
	struct report report = { .pid = 0 };
	int r;

	if (len > REPORT_LEN_MAX) {
		*error = (struct json_error){ .code = 0 };
		json_fail(error, "too long for a report");
		return error->code;
	}
	r = message_parse(&message, text, len, &report, &report.json, error);
	if (r < 0)
		return r;
	message.set = 1u << report.event;
	message_read(&message, report.json, &report, error);
	if (error->code < 0) {
		report_done(&report);
		return error->code;
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
