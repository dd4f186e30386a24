/*
 * restored_request: RESTORED's JSON, and the STATUS that answers it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "protocol/restored_request.h"

#include <string.h>

#include "protocol/base64.h"
#include "protocol/message.h"

#define RESTORED_EVENT "restored"

/* What is given, as it is written. */
enum restored_have {
	RESTORED_CLOCK = 1 << 0,
	RESTORED_NET = 1 << 1,
};

struct restored_json {
	uint8_t have; /* enum restored_have */
	int64_t unix_ns;
	const char *entropy;
	struct net_text net;
};

static const struct message_member restored_net_table[] = {
	NET_REQUEST_MEMBERS(struct restored_json, net),
};
static const struct message restored_net = MESSAGE_OF(restored_net_table);

static const struct message_member restored_table[] = {
	{ "unix_ns", .kind = MESSAGE_SIGNED, MESSAGE_AT(struct restored_json, unix_ns),
	    .flags = MESSAGE_OPTIONAL, .beside = offsetof(struct restored_json, have),
	    .bit = RESTORED_CLOCK },
	{ "entropy", .kind = MESSAGE_TEXT, MESSAGE_AT(struct restored_json, entropy),
	    .flags = MESSAGE_ALWAYS },
	{ "net", .kind = MESSAGE_OBJECT, .flags = MESSAGE_OPTIONAL,
	    .beside = offsetof(struct restored_json, have), .bit = RESTORED_NET,
	    .more = &restored_net },
};
static const struct message restored_message = MESSAGE_OF(restored_table);

static void
restored_read_entropy(const char *text, struct restored_request *request)
{
	ssize_t len =
	    text != NULL ? base64_parse(text, request->entropy, sizeof(request->entropy)) : 0;

	if (len < 0)
		json_fail_member(&request->entropy_error, "entropy", "it is not base64");
	else
		request->entropy_len = (size_t)len;
}

int
restored_request_parse(
    const char *text, size_t len, struct restored_request *ret, struct json_error *error)
{
	/* The members one by one: each has an error of its own. */
	const struct message clock = { .members = &restored_table[0], .count = 1 };
	const struct message entropy = { .members = &restored_table[1], .count = 1 };
	const struct message net = { .members = &restored_table[2], .count = 1 };
	struct json_object *CLEANUP_JSON object = NULL;
	struct restored_json request = { .have = 0 };
	int r = json_parse_object(text, len, &object, error);

	*ret = (struct restored_request){ .has_clock = false };
	if (r < 0)
		return r;
	message_read(&clock, object, &request, &ret->clock_error);
	message_read(&entropy, object, &request, &ret->entropy_error);
	message_read(&net, object, &request, &ret->net_error);
	ret->has_clock = (request.have & RESTORED_CLOCK) != 0;
	ret->unix_ns = request.unix_ns;
	restored_read_entropy(request.entropy, ret);
	ret->has_net = (request.have & RESTORED_NET) != 0;
	if (ret->has_net && ret->net_error.code == 0)
		(void)net_request_read(&request.net, &ret->net, &ret->net_error);
	return 0;
}

char *
restored_request_format(const struct restored_format *format, size_t *ret_len)
{
	char entropy[BASE64_TEXT_SIZE(VMM_GUEST_ENTROPY_MAX)];
	struct restored_json request = {
		.have = RESTORED_CLOCK | (format->ip != NULL ? RESTORED_NET : 0),
		.unix_ns = format->unix_ns,
		.entropy = entropy,
		.net = { format->ip, format->netmask, format->gateway },
	};

	base64_format(format->entropy, format->entropy_len, entropy);
	return message_format(&restored_message, &request, ret_len);
}

/* ---- the answer ---------------------------------------------------------- */

struct restored_answer {
	const char *event;
	struct restored_status status;
	const char **errors;
	size_t errors_count;
};

#define MICROSECONDS(member)                                                                       \
	.kind = MESSAGE_UNSIGNED, MESSAGE_AT(struct restored_answer, status.member),               \
	.flags = MESSAGE_ALWAYS

static const struct message_member restored_status_table[] = {
	{ "event", .kind = MESSAGE_TEXT, MESSAGE_AT(struct restored_answer, event),
	    .flags = MESSAGE_ALWAYS },
	{ "clock_us", MICROSECONDS(clock_us) },
	{ "entropy_us", MICROSECONDS(entropy_us) },
	{ "net_us", MICROSECONDS(net_us) },
	{ "total_us", MICROSECONDS(total_us) },
	{ "errors", .kind = MESSAGE_TEXTS, MESSAGE_AT(struct restored_answer, errors),
	    .beside = offsetof(struct restored_answer, errors_count), .flags = MESSAGE_ALWAYS },
};
static const struct message restored_status_message = MESSAGE_OF(restored_status_table);

char *
restored_status_format(const struct restored_status *status, size_t *ret_len)
{
	const char *errors[RESTORED_ERRORS_MAX];
	struct restored_answer answer = {
		.event = RESTORED_EVENT,
		.status = *status,
		.errors = errors,
		.errors_count = status->errors_count,
	};

	for (size_t i = 0; i < answer.errors_count; i++)
		errors[i] = status->errors[i];
	return message_format(&restored_status_message, &answer, ret_len);
}

int
restored_status_parse(
    const char *text, size_t len, struct restored_status *ret, struct json_error *error)
{
	struct json_object *CLEANUP_JSON json = NULL;
	struct restored_answer answer = { .event = NULL };
	int r = message_parse(&restored_status_message, text, len, &answer, &json, error);

	*ret = (struct restored_status){ 0 };
	if (r < 0)
		return r;
	*ret = answer.status;
	for (size_t i = 0; i < answer.errors_count && i < RESTORED_ERRORS_MAX; i++) {
		(void)strlcpy(ret->errors[i], answer.errors[i], RESTORED_ERROR_SIZE);
		ret->errors_count++;
	}
	return 0;
}
