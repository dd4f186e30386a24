/*
 * begin: an operation's first frame, out of its name and its JSON.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <string.h>

#include "client/agent_address.h"
#include "client/handle.h"
#include "platform/clock.h"
#include "protocol/attach_request.h"
#include "protocol/base64.h"
#include "protocol/frame.h"
#include "protocol/restored_request.h"
#include "protocol/start.h"

/* In front of the caller's members, so that his own word counts: the last of two does. */
#define BEGIN_REPORT "\"report\":true"

#define BEGIN_SPACES " \t\r\n"

#define BEGIN_NS_PER_S 1000000000
#define BEGIN_NS_PER_MS 1000000

/* The length of the JSON to be sent, with what is put into it. */
static size_t
begin_json_len(const struct buffer *frame)
{
	return frame->len - VMM_GUEST_HEADER_LEN;
}

static int
begin_bad(struct vmm_guest *guest, const struct json_error *error)
{
	return handle_fail(guest, error->code, "bad %s: %s", guest->operation->name, error->text);
}

/* Whether the JSON may have the member "durable", be it written with \u: of all others there is
 * nothing to be known, and a START is read but once. */
static bool
begin_may_be_durable(const char *json, size_t len)
{
	return memmem(json, len, "durable", strlen("durable")) != NULL ||
	       memmem(json, len, "\\u", strlen("\\u")) != NULL;
}

/* What this host has to know of a START. Whether its members are right is the agent's to say, who
 * may be newer. */
static void
begin_look_at_start(struct vmm_guest *guest, const char *json, size_t len)
{
	struct durable *session = &guest->session;
	struct start_request request;
	struct json_error error;

	if (!begin_may_be_durable(json, len) || start_parse(json, len, &request, &error) < 0)
		return;
	guest->is_durable = request.is_durable;
	(void)strlcpy(session->name, request.name, sizeof(session->name));
	/* Who starts it holds the input, be there none. */
	session->wants_input = true;
	session->stdin_closed = !request.stdin_open;
	session->wants_report = request.report;
	start_done(&request);
}

/* The same of an ATTACH. */
static void
begin_look_at_attach(struct vmm_guest *guest, const char *json, size_t len)
{
	struct durable *session = &guest->session;
	struct attach_request request;
	struct json_error error;

	guest->is_durable = true;
	guest->awaits_attached = true;
	if (attach_request_parse(VMM_GUEST_ATTACH, json, len, &request, &error) < 0)
		return;
	session->session = request.has_session ? request.session : 0;
	if (request.name != NULL)
		(void)strlcpy(session->name, request.name, sizeof(session->name));
	if (request.has_instance)
		(void)strlcpy(session->instance, request.instance, sizeof(session->instance));
	session->wants_input = request.input;
	session->wants_report = request.report;
	attach_request_done(&request);
}

/* Whether a request of files says that others are to come on its connection. Within a string the
 * second quotation mark would have a backslash in front, and behind a whole one is no colon, so
 * that it is a member. */
static bool
begin_has_more(const struct vmm_guest *guest, const char *json)
{
	static const char name[] = "\"more\"";
	const char *at = guest->operation->kind == OPERATION_FILE ? strstr(json, name) : NULL;

	for (; at != NULL; at = strstr(at, name)) {
		at += strlen(name);
		at += strspn(at, BEGIN_SPACES);
		if (*at != ':')
			continue;
		at++;
		at += strspn(at, BEGIN_SPACES);
		return strncmp(at, "true", strlen("true")) == 0;
	}
	return false;
}

/* What this host has to know of the JSON. The agent refuses what is none: in words, but for those
 * requests that it answers with a code alone. */
static int
begin_look(struct vmm_guest *guest)
{
	const char *json = guest->first.data + VMM_GUEST_HEADER_LEN;
	size_t len = begin_json_len(&guest->first);
	bool is_control = guest->operation->kind == OPERATION_CONTROL;
	struct json_object *CLEANUP_JSON object = NULL;
	struct json_error error;

	if (len > VMM_GUEST_JSON_MAX)
		return handle_fail(guest, -EMSGSIZE, "the JSON of %s is longer than %u bytes",
		    guest->operation->name, VMM_GUEST_JSON_MAX);
	guest->has_more = begin_has_more(guest, json);
	if (is_control && len > 0 && json_parse_object(json, len, &object, &error) < 0)
		return begin_bad(guest, &error);
	if (guest->operation->type == VMM_GUEST_START)
		begin_look_at_start(guest, json, len);
	else if (guest->operation->type == VMM_GUEST_ATTACH)
		begin_look_at_attach(guest, json, len);
	return 0;
}

/* The bytes of a CLOCK_SYNC, of its JSON: of RESTORED's members those two. */
static int
begin_put_clock(struct vmm_guest *guest, const char *json)
{
	uint8_t payload[VMM_GUEST_CLOCK_SYNC_LEN];
	struct restored_request request;
	struct json_error error;
	int64_t ns = clock_wall_ms() * BEGIN_NS_PER_MS;
	int r;

	if (restored_request_parse(json, strlen(json), &request, &error) < 0)
		return begin_bad(guest, &error);
	if (request.errors[RESTORED_CLOCK].code < 0)
		r = begin_bad(guest, &request.errors[RESTORED_CLOCK]);
	else if (request.errors[RESTORED_ENTROPY].code < 0)
		r = begin_bad(guest, &request.errors[RESTORED_ENTROPY]);
	else {
		if ((request.have & 1u << RESTORED_CLOCK) != 0)
			ns = request.unix_ns;
		frame_clock_sync_format(
		    payload, ns / BEGIN_NS_PER_S, (uint32_t)(ns % BEGIN_NS_PER_S));
		r = buffer_add(&guest->first, payload, sizeof(payload), SIZE_MAX / 2);
		if (r == 0)
			r = buffer_add(
			    &guest->first, request.entropy, request.entropy_len, SIZE_MAX / 2);
	}
	restored_request_done(&request);
	return r;
}

/* JSON, with what this host asks for beside what its caller does. */
static int
begin_put_json(struct vmm_guest *guest, const char *json)
{
	const char *inside = json + strspn(json, BEGIN_SPACES);
	bool is_program = guest->operation->kind == OPERATION_PROGRAM;
	const char *report = BEGIN_REPORT;
	int r = 0;

	if (is_program && guest->options[OPTION_REPORT] != 0 && inside[0] == '{') {
		inside++;
		inside += strspn(inside, BEGIN_SPACES);
		r = buffer_add(&guest->first, "{", 1, SIZE_MAX / 2);
		if (r == 0)
			r = buffer_add(&guest->first, report, strlen(report), SIZE_MAX / 2);
		if (r == 0 && inside[0] != '}')
			r = buffer_add(&guest->first, ",", 1, SIZE_MAX / 2);
		json = inside;
	}
	return r < 0 ? r : buffer_add(&guest->first, json, strlen(json), SIZE_MAX / 2);
}

/* Makes the first frame. */
static int
begin_put_first(struct vmm_guest *guest, const char *json)
{
	static const uint8_t header[VMM_GUEST_HEADER_LEN];
	bool may_be_empty = (guest->operation->flags & OPERATION_EMPTY) != 0;
	int r = buffer_add(&guest->first, header, sizeof(header), SIZE_MAX / 2);

	if (json == NULL || json[0] == '\0')
		json = may_be_empty ? "" : "{}";
	if (r == 0 && (guest->operation->flags & OPERATION_BINARY) != 0)
		r = begin_put_clock(guest, json);
	else if (r == 0)
		r = begin_put_json(guest, json);
	if (r == -ENOMEM)
		return handle_fail(guest, r, "out of memory");
	if (r == 0 && (guest->operation->flags & OPERATION_BINARY) == 0)
		r = begin_look(guest);
	if (r == 0)
		frame_header_format((uint8_t *)guest->first.data, guest->operation->type,
		    (uint32_t)begin_json_len(&guest->first));
	return r;
}

static int
begin_look_at_address(struct vmm_guest *guest)
{
	const char *why;

	guest->handshake = guest->options[OPTION_HANDSHAKE] != 0;
	if (guest->address_text == NULL)
		return 0;
	if (agent_address_parse(guest->address_text, &guest->address, &why) < 0)
		return handle_fail(
		    guest, -EINVAL, "'%s' is not an address: %s", guest->address_text, why);
	guest->handshake = guest->address.kind == ADDRESS_UNIX;
	return 0;
}

/* Nothing of the operation before is left, but for its connection where that GOES_ON. */
static void
begin_reset(struct vmm_guest *guest, const struct operation *operation, bool goes_on)
{
	const uint64_t now = clock_mono_ms();
	const int64_t timeout_ms = guest->options[OPTION_TIMEOUT_MS];
	const int64_t retry_ms = guest->options[OPTION_RETRY_MS];

	if (!goes_on)
		vmm_guest_abort(guest);
	buffer_done(&guest->first);
	guest->out.has_eof = false;
	guest->error = 0;
	guest->error_text[0] = '\0';
	guest->operation = operation;
	guest->has_more = false;
	guest->has_result = false;
	guest->is_skipped = false;
	guest->is_answer_old = false;
	guest->has_input = false;
	guest->state = HANDLE_IDLE;
	guest->end = VMM_GUEST_EVENT_END;
	guest->result = 0;
	guest->deadline_ms = timeout_ms > 0 ? now + (uint64_t)timeout_ms : CLOCK_NEVER;
	guest->give_up_ms = now + (uint64_t)retry_ms;
	guest->sends_ahead = retry_ms == 0;
	guest->unreached = -1;
	guest->has_begun = false;
	guest->has_exited = false;
	guest->is_durable = false;
	guest->leaves = false;
	guest->quiet_is_due = false;
	guest->quiet_is_told = false;
	guest->is_refusal = false;
	guest->has_exit = false;
	guest->exit = (struct frame_exit){ 0 };
	guest->reached = VMM_GUEST_REACHED_NOTHING;
	guest->said = 0;
	guest->has_size = false;
	guest->attached_ms = 0;
	guest->lost_is_due = false;
	guest->is_given = false;
	guest->shown_later = 0;
	guest->is_answered = (operation->flags & OPERATION_PROMPT) == 0;
	guest->awaits_attached = false;
	guest->session = (struct durable){ 0 };
	guest->starts_anew = false;
	guest->reconnect_ms = CLOCK_NEVER;
	guest->reconnect_mark = 0;
	backoff_reset(&guest->backoff);
	buffer_done(&guest->answer);
	buffer_done(&guest->text);
	for (size_t i = 0; i < sizeof(guest->kept) / sizeof(guest->kept[0]); i++)
		buffer_done(&guest->kept[i]);
}

/* Begins an operation behind those that are under way. */
static int
begin_behind(struct vmm_guest *guest, const struct operation *operation, const char *json)
{
	const struct turn now = { .operation = guest->operation, .has_more = guest->has_more };
	struct buffer first = guest->first;
	int r = more_check(guest, operation);

	if (r < 0)
		return handle_fail(guest, r, "%s: %s", operation->name,
		    r == -EAGAIN ? "there is no room for it yet"
				 : "another operation is under way");
	guest->first = (struct buffer){ 0 };
	guest->operation = operation;
	r = begin_put_first(guest, json);
	if (r == 0 && more_put(guest, (struct turn){ operation, guest->has_more, 0 }) < 0)
		r = handle_fail(guest, -ENOMEM, "out of memory");
	buffer_done(&guest->first);
	guest->first = first;
	guest->operation = now.operation;
	guest->has_more = now.has_more;
	return r;
}

static void
begin_go_on(struct vmm_guest *guest)
{
	guest->state = HANDLE_TALKS;
	handle_reach(guest, VMM_GUEST_REACHED_AGENT);
	guest->progress_ms = clock_mono_ms();
}

/* Begins one that is under way alone. */
static int
begin_alone(struct vmm_guest *guest, const struct operation *operation, const char *json)
{
	bool goes_on = more_goes_on(guest, operation);
	int r;

	begin_reset(guest, operation, goes_on);
	r = begin_look_at_address(guest);
	if (r == 0)
		r = begin_put_first(guest, json);
	if (r == 0 && goes_on && outbound_put_first(guest, &guest->begin) < 0)
		r = handle_fail(guest, -ENOMEM, "out of memory");
	guest->last = (struct turn){ operation, guest->has_more, 0 };
	if (r < 0)
		buffer_done(&guest->first);
	else if (goes_on)
		begin_go_on(guest);
	else
		handle_connect_at(guest, 0);
	return r;
}

int
vmm_guest_begin(struct vmm_guest *guest, const char *frame, const char *json)
{
	const struct operation *operation = operation_find(frame);

	if (operation == NULL)
		return handle_fail(guest, -EINVAL, "no request has a frame '%s'", frame);
	if (handle_is_busy(guest) || guest->turns_count > 0)
		return begin_behind(guest, operation, json);
	return begin_alone(guest, operation, json);
}
