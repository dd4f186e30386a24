/*
 * blocking: whole operations: steps and waits until there is an end, or an event.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>

#include "client/handle.h"
#include "platform/clock.h"

/* All that a request may say: a STATUS and words. A guest that goes on for ever is not listened
 * to. */
#define BLOCKING_ANSWER_MAX (2ul * VMM_GUEST_FRAME_MAX)

/* What is between two questions whether an agent is there. */
#define BLOCKING_READY_MS 50

/* What is to be sent by a blocking function. */
struct blocking_input {
	const uint8_t *data;
	size_t len;
	size_t sent;
	bool is_over;
};

/* ---- waits ----------------------------------------------------------------- */

/* Waits for the handle's descriptor or time, or UNTIL_MS. Returns 0 with the events of poll(2),
 * or -errno. */
static int
blocking_poll(struct vmm_guest *guest, uint64_t until_ms, int *ret_events)
{
	int events = vmm_guest_events(guest);
	struct pollfd polls[2] = {
		{ .fd = events != 0 ? guest->fd : -1, .events = (short)events },
		{ .fd = (int)guest->options[OPTION_CANCEL_FD], .events = POLLIN },
	};
	uint64_t due = clock_sooner(due_ms(guest), until_ms);

	*ret_events = 0;
	if (poll(polls, 2, clock_poll_timeout(clock_mono_ms(), due)) < 0)
		return errno == EINTR || errno == ENOMEM || errno == EAGAIN ? 0 : -errno;
	*ret_events = polls[0].revents;
	return polls[1].revents != 0 ? -ECANCELED : 0;
}

/* Feeds what there is of INPUT to the operation. */
static void
blocking_write(struct vmm_guest *guest, struct blocking_input *input)
{
	while (input->sent < input->len) {
		size_t left = input->len - input->sent;
		int n = vmm_guest_write(
		    guest, input->data + input->sent, left < INT_MAX ? left : INT_MAX);

		if (n == 0)
			return;
		/* Nobody reads it any more: that is no error of this host's. */
		if (n < 0)
			input->sent = input->len;
		else
			input->sent += (size_t)n;
	}
	if (!input->is_over)
		(void)vmm_guest_eof(guest);
	input->is_over = true;
}

static int
blocking_wait(struct vmm_guest *guest, struct blocking_input *input, uint64_t until_ms,
    const void **ret_data, size_t *ret_len)
{
	int events = 0;
	int r;

	for (;;) {
		enum vmm_guest_event event = vmm_guest_next(guest, ret_data, ret_len);

		if (event != VMM_GUEST_EVENT_NONE)
			return (int)event;
		if (!handle_is_busy(guest))
			return handle_fail(guest, -EINVAL, "no operation is under way");
		if (input != NULL)
			blocking_write(guest, input);
		step_io(guest, events);
		if (due_ms(guest) == 0)
			continue;
		if (input != NULL && vmm_guest_room(guest) > 0 && input->sent < input->len)
			continue;
		r = blocking_poll(guest, until_ms, &events);
		if (r == -ECANCELED)
			handle_end_failed(guest, r, "it was called off");
		else if (r < 0)
			handle_end_failed(guest, r, "poll: %s", strerror(-r));
		if (events != 0)
			step_io(guest, events);
		events = 0;
		if (r == 0 && clock_mono_ms() >= until_ms && due_ms(guest) != 0)
			return (int)vmm_guest_next(guest, ret_data, ret_len);
	}
}

int
vmm_guest_wait(struct vmm_guest *guest, int timeout_ms, const void **ret_data, size_t *ret_len)
{
	uint64_t until_ms = timeout_ms < 0 ? CLOCK_NEVER : clock_mono_ms() + (uint64_t)timeout_ms;

	if (guest->address_text == NULL)
		return handle_fail(guest, -EINVAL, "a handle without an address can't wait");
	return blocking_wait(guest, NULL, until_ms, ret_data, ret_len);
}

/* ---- whole operations -------------------------------------------------------- */

static struct buffer *
blocking_kept(struct vmm_guest *guest, int event)
{
	switch (event) {
	case VMM_GUEST_EVENT_STDOUT:
		return &guest->kept[0];
	case VMM_GUEST_EVENT_STDERR:
		return &guest->kept[1];
	case VMM_GUEST_EVENT_DATA:
		return &guest->kept[2];
	default:
		return NULL;
	}
}

const void *
vmm_guest_output(const struct vmm_guest *guest, enum vmm_guest_event event, size_t *ret_len)
{
	const struct buffer *kept = blocking_kept((struct vmm_guest *)(uintptr_t)guest, (int)event);

	*ret_len = kept != NULL ? kept->len : 0;
	return kept != NULL && kept->data != NULL ? kept->data : "";
}

/* Keeps what EVENT brings, as far as that may be. */
static void
blocking_keep(struct vmm_guest *guest, int event, const void *data, size_t len)
{
	struct buffer *kept = blocking_kept(guest, event);
	size_t max = (size_t)guest->options[OPTION_OUTPUT_MAX];
	int r = kept != NULL ? buffer_add(kept, data, len, max) : 0;

	if (r == -EMSGSIZE)
		handle_end_failed(
		    guest, r, "more output than the %zu bytes that are kept of it", max);
	else if (r < 0)
		handle_end_failed(guest, r, "out of memory");
}

/* Goes on until there is an end. */
static int
blocking_finish(struct vmm_guest *guest, struct blocking_input *input)
{
	size_t received = 0;
	const void *data;
	size_t len;
	int event;

	for (;;) {
		event = blocking_wait(guest, input, CLOCK_NEVER, &data, &len);
		if (event < 0)
			return event;
		if (event == VMM_GUEST_EVENT_END || event == VMM_GUEST_EVENT_LEFT)
			return guest->result;
		blocking_keep(guest, event, data, len);
		if (blocking_kept(guest, event) == NULL)
			received += VMM_GUEST_HEADER_LEN + len;
		if (received > BLOCKING_ANSWER_MAX)
			handle_end_failed(
			    guest, -EMSGSIZE, "the agent says more than any answer takes");
	}
}

static int
blocking_do(
    struct vmm_guest *guest, const char *frame, const char *json, struct blocking_input *input)
{
	int r;

	if (guest->address_text == NULL)
		return handle_fail(guest, -EINVAL, "a handle without an address can't wait");
	r = vmm_guest_begin(guest, frame, json);
	return r < 0 ? r : blocking_finish(guest, input);
}

int
vmm_guest_run(struct vmm_guest *guest, const char *json, const void *input, size_t input_len)
{
	struct blocking_input all = { .data = input, .len = input_len };

	return blocking_do(guest, "START", json, &all);
}

int
vmm_guest_put(struct vmm_guest *guest, const char *json, const void *data, size_t len)
{
	struct blocking_input all = { .data = data, .len = len };

	return blocking_do(guest, "FILE_WRITE_REQ", json, &all);
}

int
vmm_guest_get(struct vmm_guest *guest, const char *json)
{
	return blocking_do(guest, "FILE_READ_REQ", json, NULL);
}

int
vmm_guest_request(struct vmm_guest *guest, const char *frame, const char *json)
{
	return blocking_do(guest, frame, json, NULL);
}

/* What may be otherwise in a moment. */
static bool
blocking_may_pass(int r)
{
	return r == -ECONNRESET || r == -ECONNREFUSED || r == -EBUSY || r == -ETIMEDOUT;
}

int
vmm_guest_wait_ready(struct vmm_guest *guest, int timeout_ms)
{
	const int64_t retry_ms = guest->options[OPTION_RETRY_MS];
	const int64_t limit_ms = guest->options[OPTION_TIMEOUT_MS];
	uint64_t until_ms = clock_mono_ms() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0);
	struct pollfd wait = { .fd = (int)guest->options[OPTION_CANCEL_FD], .events = POLLIN };
	uint64_t left_ms;
	int r;

	for (;;) {
		left_ms = clock_until(until_ms, clock_mono_ms());
		guest->options[OPTION_RETRY_MS] = (int64_t)left_ms;
		guest->options[OPTION_TIMEOUT_MS] = (int64_t)(left_ms > 0 ? left_ms : 1);
		r = blocking_do(guest, "STATUS_REQ", NULL, NULL);
		if (!blocking_may_pass(r) || clock_mono_ms() >= until_ms)
			break;
		(void)poll(&wait, 1, BLOCKING_READY_MS);
	}
	guest->options[OPTION_RETRY_MS] = retry_ms;
	guest->options[OPTION_TIMEOUT_MS] = limit_ms;
	return r;
}
