/*
 * SPDX-License-Identifier: MIT
 */
#include "protocol/start.h"

#include "protocol/env_member.h"
#include "protocol/message.h"
#include "vmm-guest/protocol.h"

#define AT(member) MESSAGE_AT(struct start_request, member)
#define NUMBER(member) .kind = MESSAGE_UNSIGNED, AT(member)
#define FLAG(member) .kind = MESSAGE_FLAG, AT(member)
#define TEXT(member) .kind = MESSAGE_TEXT, AT(member)
#define LIMIT(limit)                                                                               \
	NUMBER(limits.value[limit]), .flags = MESSAGE_OPTIONAL,                                    \
				     .beside = offsetof(struct start_request, limits.have),        \
				     .bit = 1u << (limit)

static const struct message_member start_limits_table[] = {
	[START_LIMIT_MEMORY_BYTES] = { "memory_bytes", LIMIT(START_LIMIT_MEMORY_BYTES) },
	[START_LIMIT_PIDS] = { "pids", LIMIT(START_LIMIT_PIDS), .least = MESSAGE_FROM_1 },
	[START_LIMIT_CPU_PERCENT] = { "cpu_percent", LIMIT(START_LIMIT_CPU_PERCENT),
	    .least = MESSAGE_FROM_1, .most = MESSAGE_U32 },
	[START_LIMIT_NOFILE] = { "nofile", LIMIT(START_LIMIT_NOFILE),
	    .least = MESSAGE_FROM_NOFILE },
	[START_LIMIT_CORE_BYTES] = { "core_bytes", LIMIT(START_LIMIT_CORE_BYTES) },
	[START_LIMIT_FSIZE_BYTES] = { "fsize_bytes", LIMIT(START_LIMIT_FSIZE_BYTES) },
};
static const struct message start_limits = MESSAGE_OF(start_limits_table);

static const char *const start_when_full[] = {
	[START_FULL_ATTACHED] = "attached",
	[START_FULL_DROP] = "drop",
	[START_FULL_WAIT] = "wait",
	NULL,
};

static const struct message_member start_durable_table[] = {
	{ "buffer_bytes", NUMBER(durable.buffer_bytes), .initial = VMM_GUEST_BUFFER_DEFAULT,
	    .least = MESSAGE_FROM_BUFFER, .most = MESSAGE_BUFFER },
	{ "keep_seconds", NUMBER(durable.keep_seconds), .initial = VMM_GUEST_KEEP_SECONDS_DEFAULT,
	    .least = MESSAGE_FROM_1, .most = MESSAGE_KEEP },
	{ "alone_seconds", NUMBER(durable.alone_seconds) },
	{ "when_full", .kind = MESSAGE_WORD, AT(durable.when_full), .more = start_when_full },
};
static const struct message start_durable = MESSAGE_OF(start_durable_table);

ENV_MEMBER_ASSERT(struct start_request, env, env_count);

static const struct message_member start_table[] = {
	{ "cmd", .kind = MESSAGE_TEXTS, AT(argv), .beside = offsetof(struct start_request, argc),
	    .flags = MESSAGE_NEEDED },
	{ "env", ENV_MEMBER_AT(struct start_request, env) },
	{ "working_dir", TEXT(working_dir) },
	{ "user", TEXT(user) },
	{ "tty", FLAG(tty) },
	{ "tty_width", NUMBER(tty_width), .initial = START_TTY_WIDTH },
	{ "tty_height", NUMBER(tty_height), .initial = START_TTY_HEIGHT },
	{ "timeout_seconds", NUMBER(timeout_seconds) },
	{ "stdin", FLAG(stdin_open), .initial = true },
	{ "kill_grace_seconds", NUMBER(kill_grace_seconds) },
	{ "detach", FLAG(detach) },
	{ "report", FLAG(report) },
	{ "limits", .kind = MESSAGE_OBJECT, .more = &start_limits },
	{ "name", .kind = MESSAGE_NAME, AT(name) },
	{ "durable", .kind = MESSAGE_OBJECT, .more = &start_durable, .flags = MESSAGE_OPTIONAL,
	    .beside = offsetof(struct start_request, is_durable), .bit = true },
};
static const struct message start_message = MESSAGE_OF(start_table);

const char *
start_limit_name(enum start_limit limit)
{
	return start_limits_table[limit].name;
}

/* What the table can't say. */
static void
start_check(const struct start_request *request, struct json_error *error)
{
	if (error->code < 0)
		return;
	if (request->argc == 0)
		json_fail_member(error, "cmd", "an array of at least one string is needed");
	else if (request->argv[0][0] == '\0')
		json_fail_member(error, "cmd", "the program's name is empty");
	if (request->detach &&
	    (request->tty || request->timeout_seconds > 0 || request->kill_grace_seconds > 0))
		json_fail(error, "member 'detach': not with 'tty', 'timeout_seconds' or "
				 "'kill_grace_seconds'");
	if (request->is_durable && request->name[0] == '\0')
		json_fail(error, "member 'durable': 'name' is needed with it");
	if (request->is_durable && request->detach)
		json_fail(error, "member 'durable': not with 'detach'");
}

int
start_parse(const char *text, size_t len, struct start_request *ret, struct json_error *error)
{
	struct start_request request = { .argc = 0 };
	int r = message_parse(&start_message, text, len, &request, &request.json, error);

	if (r < 0)
		return r;
	start_check(&request, error);
	if (error->code < 0) {
		start_done(&request);
		return error->code;
	}
	*ret = request;
	return 0;
}

void
start_done(struct start_request *request)
{
	json_put(&request->json);
	*request = (struct start_request){ 0 };
}

char *
start_format(const struct start_request *request, size_t *ret_len)
{
	return message_format(&start_message, request, ret_len);
}
