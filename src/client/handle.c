/*
 * handle: made, set and freed; its error, and the end of its operation.
 *
 * SPDX-License-Identifier: MIT
 */
#include "client/handle.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/text.h"

struct option {
	const char *name;
	int64_t initial;
	int64_t least;
	int64_t most;
};

#define MIB (1024 * 1024)

/* How long in a row the kernel may lack memory before that is an error. */
#define HANDLE_LACK_MS 60000

static const struct option options[OPTION_COUNT] = {
	[OPTION_CONNECT_MS] = { "connect_ms", 10000, 1, INT_MAX },
	[OPTION_RETRY_MS] = { "retry_ms", 0, 0, INT_MAX },
	[OPTION_ANSWER_MS] = { "answer_ms", 120000, 0, INT_MAX },
	[OPTION_FIRST_MS] = { "first_ms", 0, 0, INT_MAX },
	[OPTION_QUIET_MS] = { "quiet_ms", 0, 0, INT_MAX },
	[OPTION_TIMEOUT_MS] = { "timeout_ms", 0, 0, INT_MAX },
	[OPTION_RECONNECT_MS] = { "reconnect_ms", 60000, 0, INT_MAX },
	[OPTION_JSON_MAX] = { "json_max", VMM_GUEST_FRAME_MAX, 1024, VMM_GUEST_FRAME_MAX },
	[OPTION_OUTPUT_MAX] = { "output_max", 16 * MIB, 0, INT_MAX },
	[OPTION_CANCEL_FD] = { "cancel_fd", -1, -1, INT_MAX },
	[OPTION_OWN_NAME] = { "own_name", 0, 0, 1 },
	[OPTION_REPORT] = { "report", 1, 0, 1 },
	[OPTION_HANDSHAKE] = { "handshake", 0, 0, 1 },
};

struct vmm_guest *
vmm_guest_new(const char *address)
{
	struct vmm_guest *guest = calloc(1, sizeof(*guest));

	if (guest == NULL)
		return NULL;
	guest->fd = -1;
	for (size_t i = 0; i < OPTION_COUNT; i++)
		guest->options[i] = options[i].initial;
	if (address != NULL)
		guest->address_text = strdup(address);
	if (address != NULL && guest->address_text == NULL) {
		free(guest);
		return NULL;
	}
	return guest;
}

/* All that an operation has, but for what it leaves to be read. */
static void
handle_drop(struct vmm_guest *guest)
{
	fd_close(&guest->fd);
	guest->is_kept = false;
	guest->has_answered = false;
	guest->has_unasked = false;
	free(guest->out.data);
	free(guest->reader.buffer);
	guest->out = (struct outbound){ 0 };
	guest->reader = (struct frame_reader){ 0 };
	buffer_done(&guest->first);
	buffer_done(&guest->start);
	buffer_done(&guest->words);
	resend_done(&guest->session.input);
}

void
vmm_guest_free(struct vmm_guest *guest)
{
	if (guest == NULL)
		return;
	handle_drop(guest);
	buffer_done(&guest->text);
	buffer_done(&guest->answer);
	for (size_t i = 0; i < sizeof(guest->kept) / sizeof(guest->kept[0]); i++)
		buffer_done(&guest->kept[i]);
	free(guest->turns);
	free(guest->address_text);
	free(guest);
}

int
vmm_guest_set(struct vmm_guest *guest, const char *option, int64_t value)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		if (strcmp(options[i].name, option) != 0)
			continue;
		if (value < options[i].least || value > options[i].most)
			return handle_fail(
			    guest, -EINVAL, "option '%s': the value is out of range", option);
		guest->options[i] = value;
		return 0;
	}
	return handle_fail(guest, -EINVAL, "there is no option '%s'", option);
}

/* ---- errors ---------------------------------------------------------------- */

static int __attribute__((format(printf, 3, 0)))
handle_fail_args(struct vmm_guest *guest, int r, const char *format, va_list args)
{
	(void)text_format_args(guest->error_text, sizeof(guest->error_text), format, args);
	guest->error = r;
	return r;
}

int
handle_fail(struct vmm_guest *guest, int r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)handle_fail_args(guest, r, format, args);
	va_end(args);
	return r;
}

int
vmm_guest_error(const struct vmm_guest *guest)
{
	return guest->error;
}

const char *
vmm_guest_error_text(const struct vmm_guest *guest)
{
	return guest->error_text;
}

const char *
vmm_guest_refusal(const struct vmm_guest *guest)
{
	return guest->is_refusal ? guest->error_text : NULL;
}

int
vmm_guest_exit(const struct vmm_guest *guest, int *ret_code, int *ret_signal)
{
	*ret_code = guest->exit.code;
	*ret_signal = guest->exit.signal;
	return guest->has_exit ? 0 : -ENODATA;
}

const char *
vmm_guest_version(void)
{
	return PACKAGE_VERSION;
}

/* ---- ends ------------------------------------------------------------------ */

/* Returns whether there was one under way. */
static bool
handle_set_end(struct vmm_guest *guest, enum vmm_guest_event end, int result)
{
	if (!handle_is_busy(guest))
		return false;
	guest->state = HANDLE_OVER;
	guest->end = end;
	guest->result = result;
	guest->has_result = true;
	/* What was wrong on the way, as input that nobody read, has not kept it from its end. */
	if (result >= 0)
		guest->error = 0;
	if (result >= 0)
		guest->error_text[0] = '\0';
	guest->connect_is_due = false;
	return true;
}

void
handle_end(struct vmm_guest *guest, enum vmm_guest_event end, int result)
{
	if (handle_set_end(guest, end, result))
		handle_drop(guest);
}

void
handle_end_answered(struct vmm_guest *guest, int result)
{
	bool keeps = more_keeps(guest);

	if (!handle_set_end(guest, VMM_GUEST_EVENT_END, result))
		return;
	if (!keeps)
		handle_drop(guest);
	guest->is_kept = keeps;
	guest->has_answered = keeps;
}

void
handle_end_failed(struct vmm_guest *guest, int r, const char *format, ...)
{
	va_list args;

	if (!handle_is_busy(guest))
		return;
	va_start(args, format);
	(void)handle_fail_args(guest, r, format, args);
	va_end(args);
	/* Where the agent has closed the connection it has begun nothing else. */
	guest->skipped = guest->has_ended && r != -EPROTO ? -ECONNABORTED : r;
	handle_end(guest, VMM_GUEST_EVENT_END, r);
}

void
handle_end_refused(struct vmm_guest *guest, int r, const char *words)
{
	guest->is_refusal = handle_is_busy(guest);
	handle_end_failed(guest, r, "%s", words);
}

void
handle_connect_at(struct vmm_guest *guest, uint64_t try_ms)
{
	fd_close(&guest->fd);
	guest->state = HANDLE_CONNECTS;
	guest->is_connecting = false;
	guest->try_ms = try_ms;
	guest->try_until_ms = CLOCK_NEVER;
	guest->is_kept = false;
	guest->has_answered = false;
	guest->has_unasked = false;
	guest->begin = 0;
	guest->sent = 0;
	guest->shown = 0;
	guest->has_sent = false;
	guest->has_ended = false;
	guest->is_dry = true;
	guest->end_error = 0;
	guest->lack = (struct io_lack){ .max_ms = HANDLE_LACK_MS };
	guest->words_ms = CLOCK_NEVER;
	guest->words_are_due = false;
	guest->out.is_deaf = false;
	guest->out.eof_is_due = guest->out.has_eof && !guest->is_durable;
	guest->reader.head = 0;
	guest->reader.tail = 0;
	guest->reader.payload_left = 0;
	guest->frame = (struct frame_header){ 0 };
	guest->words.len = 0;
	guest->text.len = 0;
	guest->progress_ms = clock_mono_ms();
	outbound_clear(guest);
}

void
handle_connected(struct vmm_guest *guest)
{
	guest->state = guest->handshake ? HANDLE_SHAKES : HANDLE_TALKS;
	if (!guest->handshake)
		guest->try_until_ms = CLOCK_NEVER;
	handle_reach(guest, guest->handshake ? VMM_GUEST_REACHED_DEVICE : VMM_GUEST_REACHED_AGENT);
	guest->progress_ms = clock_mono_ms();
	if (outbound_begin(guest) < 0)
		handle_end_failed(guest, -ENOMEM, "out of memory");
}

void
vmm_guest_abort(struct vmm_guest *guest)
{
	handle_drop(guest);
	guest->turns_count = 0;
	if (handle_is_busy(guest))
		guest->result = handle_fail(guest, -ECANCELED, "the operation was called off");
	if (guest->state != HANDLE_IDLE)
		guest->state = HANDLE_TOLD;
}

int
vmm_guest_result(const struct vmm_guest *guest)
{
	if (guest->state == HANDLE_IDLE)
		return -EINVAL;
	return handle_is_busy(guest) && !guest->has_result ? -EALREADY : guest->result;
}

uint32_t
vmm_guest_port(const struct vmm_guest *guest)
{
	return guest->operation != NULL ? operation_port(guest->operation) : 0;
}

const char *
vmm_guest_answer(const struct vmm_guest *guest)
{
	return guest->answer.len > 0 ? guest->answer.data : NULL;
}

uint64_t
vmm_guest_offset(const struct vmm_guest *guest)
{
	return guest->session.offset + guest->session.skip;
}

/* ---- for callers that look on --------------------------------------------------------- */

void
handle_reach(struct vmm_guest *guest, enum vmm_guest_reached reached)
{
	if (guest->reached < reached)
		guest->reached = reached;
}

enum vmm_guest_reached
vmm_guest_reached(const struct vmm_guest *guest)
{
	return guest->reached;
}

void
handle_observe(struct vmm_guest *guest, bool is_out, const struct frame_header *frame,
    const void *data, size_t data_len)
{
	if (guest->observer != NULL)
		guest->observer(
		    guest->observer_context, is_out, frame->type, frame->len, data, data_len);
}

void
vmm_guest_observe(struct vmm_guest *guest, vmm_guest_observer observer, void *context)
{
	guest->observer = observer;
	guest->observer_context = context;
}
