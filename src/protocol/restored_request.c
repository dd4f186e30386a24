/*
 * restored_request: RESTORED's JSON, and the STATUS that answers it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "protocol/restored_request.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "protocol/base64.h"
#include "protocol/env_member.h"
#include "protocol/message.h"

#define RESTORED_EVENT "restored"

struct restored_json {
	uint8_t have; /* 1u << enum restored_step */
	bool thaw;
	int64_t unix_ns;
	const char *entropy;
	uint64_t generation;
	const char *hostname;
	const char *machine_id; /* "": true */
	struct start_env *env;
	size_t env_count;
	struct net_text net;
};

static const struct message_member restored_net_table[] = {
	NET_REQUEST_MEMBERS(struct restored_json, net),
};
static const struct message restored_net = MESSAGE_OF(restored_net_table);

static message_read_fn restored_read_machine_id;
static message_make_fn restored_make_machine_id;
static const struct message_kind restored_machine_id = { restored_read_machine_id,
	restored_make_machine_id, NULL };

ENV_MEMBER_ASSERT(struct restored_json, env, env_count);

/* Of the same characters, too. */
_Static_assert(VMM_GUEST_HOSTNAME_MAX == VMM_GUEST_NAME_MAX, "a hostname is as long as a name");

#define STEP(step)                                                                                 \
	.flags = MESSAGE_OPTIONAL, .beside = offsetof(struct restored_json, have),                 \
	.bit = 1u << (step)

static const struct message_member restored_table[RESTORED_MEMBERS] = {
	[RESTORED_CLOCK] = { "unix_ns", .kind = MESSAGE_SIGNED,
	    MESSAGE_AT(struct restored_json, unix_ns), STEP(RESTORED_CLOCK) },
	[RESTORED_ENTROPY] = { "entropy", .kind = MESSAGE_TEXT,
	    MESSAGE_AT(struct restored_json, entropy), STEP(RESTORED_ENTROPY) },
	[RESTORED_GENERATION] = { "generation", .kind = MESSAGE_UNSIGNED,
	    MESSAGE_AT(struct restored_json, generation), STEP(RESTORED_GENERATION) },
	[RESTORED_HOSTNAME] = { "hostname", .kind = MESSAGE_NAME,
	    MESSAGE_AT(struct restored_json, hostname), STEP(RESTORED_HOSTNAME) },
	[RESTORED_MACHINE_ID] = { "machine_id", .kind = MESSAGE_CUSTOM,
	    .more = &restored_machine_id, STEP(RESTORED_MACHINE_ID) },
	[RESTORED_ENV] = { "env", ENV_MEMBER_AT(struct restored_json, env), STEP(RESTORED_ENV) },
	[RESTORED_NET] = { "net", .kind = MESSAGE_OBJECT, .more = &restored_net,
	    STEP(RESTORED_NET) },
	[RESTORED_THAW] = { "thaw", .kind = MESSAGE_FLAG, MESSAGE_AT(struct restored_json, thaw),
	    STEP(RESTORED_THAW) },
};
static const struct message restored_message = MESSAGE_OF(restored_table);

static void
restored_read_entropy(const char *text, struct restored_request *request)
{
	ssize_t len = base64_parse(text, request->entropy, sizeof(request->entropy));

	if (len < 0)
		json_fail_member(&request->errors[RESTORED_ENTROPY], "entropy", "it is not base64");
	else
		request->entropy_len = (size_t)len;
	if (len == 0)
		request->have &= (uint16_t) ~(1u << RESTORED_ENTROPY);
}

/* It becomes a line of /etc/hosts. */
static void
restored_read_hostname(const char *name, struct restored_request *request)
{
	if (strchr("._-", name[0]) != NULL)
		json_fail_member(&request->errors[RESTORED_HOSTNAME], "hostname",
		    "the first is not a letter or digit");
	(void)strlcpy(request->hostname, name, sizeof(request->hostname));
}

/* Puts hex digits into TEXT in lower case. Returns whether it is as many as are needed, and
 * not all of them 0, which stands for none. */
static bool
restored_copy_machine_id(const char *digits, char text[VMM_GUEST_MACHINE_ID_LEN + 1])
{
	if (strlen(digits) != VMM_GUEST_MACHINE_ID_LEN ||
	    strspn(digits, "0123456789abcdefABCDEF") != VMM_GUEST_MACHINE_ID_LEN ||
	    strspn(digits, "0") == VMM_GUEST_MACHINE_ID_LEN)
		return false;
	/* Of digits the bit that makes the difference is set anyway. */
	for (size_t i = 0; i < VMM_GUEST_MACHINE_ID_LEN; i++)
		text[i] = (char)(digits[i] | 0x20);
	text[VMM_GUEST_MACHINE_ID_LEN] = '\0';
	return true;
}

static void
restored_read_machine_id(const struct message_member *member, struct json_object *value, void *base,
    struct json_error *error)
{
	struct restored_json *json = base;
	char digits[VMM_GUEST_MACHINE_ID_LEN + 1];

	json->machine_id = "";
	if (json_object_is_type(value, json_type_boolean) && json_object_get_boolean(value))
		return;
	if (json_object_is_type(value, json_type_string))
		json->machine_id = json_string_of(value, member->name, error);
	if (error->code == 0 && !restored_copy_machine_id(json->machine_id, digits))
		json_fail(error,
		    "member '%s': true or %d hex digits, not all of them 0, are needed",
		    member->name, VMM_GUEST_MACHINE_ID_LEN);
}

static struct json_object *
restored_make_machine_id(const struct message_member *member, const void *base)
{
	const struct restored_json *json = base;

	(void)member;
	return json->machine_id[0] != '\0' ? json_object_new_string(json->machine_id)
					   : json_object_new_boolean(true);
}

/* Whether STEP is asked for, and its member makes sense so far. */
static bool
restored_has(const struct restored_request *request, enum restored_step step)
{
	return (request->have & 1u << step) != 0 && request->errors[step].code == 0;
}

/* A guest that is quiesced is thawed, whoever says nothing of it. Of what makes no sense the
 * error is told, and nothing done. */
static uint16_t
restored_thaw_steps(const struct restored_json *json, const struct restored_request *request)
{
	if (request->errors[RESTORED_THAW].code != 0)
		return 1u << RESTORED_THAW;
	if ((json->have & 1u << RESTORED_THAW) != 0 && !json->thaw)
		return 1u << RESTORED_HOLD;
	return 1u << RESTORED_THAW_FILES | 1u << RESTORED_THAW;
}

/* What the table can't say. */
static void
restored_read_values(const struct restored_json *json, struct restored_request *request)
{
	request->have =
	    (uint16_t)((json->have & ~(1u << RESTORED_THAW)) | restored_thaw_steps(json, request));
	request->unix_ns = json->unix_ns;
	request->generation = json->generation;
	request->env = json->env;
	request->env_count = json->env_count;
	if (restored_has(request, RESTORED_ENTROPY))
		restored_read_entropy(json->entropy, request);
	if (restored_has(request, RESTORED_HOSTNAME))
		restored_read_hostname(json->hostname, request);
	if (restored_has(request, RESTORED_MACHINE_ID) && json->machine_id[0] != '\0')
		(void)restored_copy_machine_id(json->machine_id, request->machine_id);
	if (restored_has(request, RESTORED_NET))
		(void)net_request_read(&json->net, &request->net, &request->errors[RESTORED_NET]);
}

int
restored_request_parse(
    const char *text, size_t len, struct restored_request *ret, struct json_error *error)
{
	struct json_object *CLEANUP_JSON object = NULL;
	struct restored_json json = { .have = 0 };
	int r = json_parse_object(text, len, &object, error);

	*ret = (struct restored_request){ .have = 0 };
	/* The members one by one: each has an error of its own. */
	for (unsigned step = 0; r == 0 && step < RESTORED_MEMBERS; step++) {
		const struct message one = { .members = &restored_table[step], .count = 1 };

		message_read(&one, object, &json, &ret->errors[step]);
		if (ret->errors[step].code == -ENOMEM) {
			*error = ret->errors[step];
			r = error->code;
		}
	}
	if (r < 0)
		return r;
	restored_read_values(&json, ret);
	ret->json = object;
	object = NULL;
	return 0;
}

void
restored_request_done(struct restored_request *request)
{
	json_put(&request->json);
	explicit_bzero(request, sizeof(*request));
}

static uint8_t
restored_given(const struct restored_format *format)
{
	const bool is_given[RESTORED_MEMBERS] = {
		[RESTORED_CLOCK] = true,
		[RESTORED_ENTROPY] = format->entropy_len > 0,
		[RESTORED_GENERATION] = format->has_generation,
		[RESTORED_HOSTNAME] = format->hostname != NULL,
		[RESTORED_MACHINE_ID] = format->machine_id != NULL,
		[RESTORED_ENV] = format->has_env,
		[RESTORED_NET] = format->ip != NULL,
		[RESTORED_THAW] = format->holds,
	};
	unsigned have = 0;

	for (unsigned step = 0; step < RESTORED_MEMBERS; step++)
		have |= is_given[step] ? 1u << step : 0;
	return (uint8_t)have;
}

char *
restored_request_format(const struct restored_format *format, size_t *ret_len)
{
	char entropy[BASE64_TEXT_SIZE(VMM_GUEST_ENTROPY_MAX)];
	struct restored_json request = {
		.have = restored_given(format),
		.thaw = !format->holds,
		.unix_ns = format->unix_ns,
		.entropy = entropy,
		.generation = format->generation,
		.hostname = format->hostname,
		.machine_id = format->machine_id,
		.env = format->env,
		.env_count = format->env_count,
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
#define TIME(step) MICROSECONDS(times_us[step])

static const struct message_member restored_status_table[] = {
	{ "event", .kind = MESSAGE_TEXT, MESSAGE_AT(struct restored_answer, event),
	    .flags = MESSAGE_ALWAYS },
	{ "clock_us", TIME(RESTORED_CLOCK) },
	{ "entropy_us", TIME(RESTORED_ENTROPY) },
	{ "generation_us", TIME(RESTORED_GENERATION) },
	{ "thaw_files_us", TIME(RESTORED_THAW_FILES) },
	{ "hold_us", TIME(RESTORED_HOLD) },
	{ "hostname_us", TIME(RESTORED_HOSTNAME) },
	{ "machine_id_us", TIME(RESTORED_MACHINE_ID) },
	{ "env_us", TIME(RESTORED_ENV) },
	{ "net_us", TIME(RESTORED_NET) },
	{ "thaw_us", TIME(RESTORED_THAW) },
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
