/*
 * SPDX-License-Identifier: MIT
 */
#include "protocol/attach_request.h"

#include "protocol/message.h"
#include "vmm-guest/protocol.h"

enum attach_request_set {
	ATTACH = 1 << 0,
	FORGET = 1 << 1,
};

#define AT(member) MESSAGE_AT(struct attach_request, member)
#define HAS(member)                                                                                \
	.flags = MESSAGE_OPTIONAL, .beside = offsetof(struct attach_request, member), .bit = true

static const struct message_member attach_request_table[] = {
	{ "session", .kind = MESSAGE_UNSIGNED, AT(session), HAS(has_session) },
	{ "name", .kind = MESSAGE_NAME, AT(name) },
	{ "instance", .kind = MESSAGE_TEXT, AT(instance), HAS(has_instance) },
	{ "from", .kind = MESSAGE_UNSIGNED, AT(from), HAS(has_from), .sets = ATTACH },
	{ "tail", .kind = MESSAGE_UNSIGNED, AT(tail), HAS(has_tail), .sets = ATTACH },
	{ "input", .kind = MESSAGE_FLAG, AT(input), .initial = true, .sets = ATTACH },
	{ "report", .kind = MESSAGE_FLAG, AT(report), .sets = ATTACH },
};

static struct message
attach_request_message(uint8_t type)
{
	struct message message = MESSAGE_OF(attach_request_table);

	message.set = type == VMM_GUEST_ATTACH ? ATTACH : FORGET;
	return message;
}

/* What the table can't say. */
static void
attach_request_check(const struct attach_request *request, struct json_error *error)
{
	if (error->code < 0)
		return;
	if (request->has_session == (request->name[0] != '\0'))
		json_fail(error, "members 'session' and 'name': one of them is needed, not both");
	if (request->has_from && request->has_tail)
		json_fail(error, "members 'from' and 'tail': not both");
}

int
attach_request_parse(uint8_t type, const char *text, size_t len, struct attach_request *ret,
    struct json_error *error)
{
	const struct message message = attach_request_message(type);
	struct attach_request request = { .session = 0 };
	int r = message_parse(&message, text, len, &request, &request.json, error);

	if (r < 0)
		return r;
	attach_request_check(&request, error);
	if (error->code < 0) {
		attach_request_done(&request);
		return error->code;
	}
	*ret = request;
	return 0;
}

void
attach_request_done(struct attach_request *request)
{
	json_put(&request->json);
	*request = (struct attach_request){ 0 };
}

char *
attach_request_format(uint8_t type, const struct attach_request *request, size_t *ret_len)
{
	const struct message message = attach_request_message(type);

	return message_format(&message, request, ret_len);
}
