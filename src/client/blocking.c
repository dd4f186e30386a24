/*
 * blocking: whole operations: steps and waits until there is an end, or an event.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "client/handle.h"
#include "platform/clock.h"
#include "platform/fd.h"

/* What is between two questions whether an agent is there. */
#define BLOCKING_READY_MS 50

/* What is to be sent by a blocking function, from DATA or from FD where that is not -1; and where
 * what comes is written; -1: it is kept. */
struct blocking_input {
	const uint8_t *data;
	size_t len;
	size_t sent;
	bool is_over;
	bool is_ready; /* FD can be read */
	bool holes;
	int fd;
	int to_fd;
};

#define BLOCKING_INPUT                                                                             \
	{                                                                                          \
		.is_over = true, .fd = -1, .to_fd = -1                                             \
	}

/* ---- waits ----------------------------------------------------------------- */

/* Waits for the handle's descriptor or time, or UNTIL_MS. Returns 0 with the events of poll(2),
 * or -errno. */
static int
blocking_poll(
    struct vmm_guest *guest, struct blocking_input *input, uint64_t until_ms, int *ret_events)
{
	int events = vmm_guest_events(guest);
	bool wants = !input->is_over && input->fd >= 0 && vmm_guest_room(guest) > 0;
	struct pollfd polls[3] = {
		{ .fd = events != 0 ? guest->fd : -1, .events = (short)events },
		{ .fd = (int)guest->options[OPTION_CANCEL_FD], .events = POLLIN },
		{ .fd = wants ? input->fd : -1, .events = POLLIN },
	};
	uint64_t due = clock_sooner(due_ms(guest), until_ms);

	*ret_events = 0;
	if (poll(polls, 3, clock_poll_timeout(clock_mono_ms(), due)) < 0)
		return errno == EINTR || errno == ENOMEM || errno == EAGAIN ? 0 : -errno;
	*ret_events = polls[0].revents;
	input->is_ready = polls[2].revents != 0;
	return polls[1].revents != 0 ? -ECANCELED : 0;
}

/* Reads what there is of the input's descriptor. */
static void
blocking_write_fd(struct vmm_guest *guest, struct blocking_input *input)
{
	int64_t n = vmm_guest_write_fd(guest, input->fd, input->holes);

	input->is_ready = false;
	if (n > 0 || n == -EAGAIN)
		return;
	input->is_over = true;
	if (n == 0)
		(void)vmm_guest_eof(guest);
	else if (n != -EPIPE)
		handle_end(guest, VMM_GUEST_EVENT_END, (int)n);
}

/* Feeds what there is of INPUT to the operation. */
static void
blocking_write(struct vmm_guest *guest, struct blocking_input *input)
{
	if (input->is_over)
		return;
	if (input->fd >= 0) {
		if (input->is_ready)
			blocking_write_fd(guest, input);
		return;
	}
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
		blocking_write(guest, input);
		step_io(guest, events);
		if (due_ms(guest) == 0)
			continue;
		if (vmm_guest_room(guest) > 0 && input->sent < input->len)
			continue;
		r = blocking_poll(guest, input, until_ms, &events);
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
	struct blocking_input none = BLOCKING_INPUT;

	if (guest->address_text == NULL)
		return handle_fail(guest, -EINVAL, "a handle without an address can't wait");
	return blocking_wait(guest, &none, until_ms, ret_data, ret_len);
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

/* Does with what EVENT brings as INPUT says. */
static void
blocking_take(struct vmm_guest *guest, const struct blocking_input *input, int event,
    const void *data, size_t len)
{
	int r;

	if (input->to_fd < 0 || event != VMM_GUEST_EVENT_DATA) {
		blocking_keep(guest, event, data, len);
		return;
	}
	r = fd_write_full(input->to_fd, data, len);
	if (r < 0)
		handle_end_failed(guest, r, "can't write what came: %s", strerror(-r));
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
		if (event == VMM_GUEST_EVENT_END || event == VMM_GUEST_EVENT_LEFT) {
			step_io(guest, 0);
			return guest->result;
		}
		blocking_take(guest, input, event, data, len);
		if (blocking_kept(guest, event) == NULL)
			received += VMM_GUEST_HEADER_LEN + len;
		if (received > HANDLE_SAID_MAX)
			handle_end_failed(guest, -EMSGSIZE, HANDLE_SAID_TOO_MUCH);
	}
}

static int
blocking_do(
    struct vmm_guest *guest, const char *frame, const char *json, struct blocking_input *input)
{
	int r;

	if (guest->address_text == NULL)
		return handle_fail(guest, -EINVAL, "a handle without an address can't wait");
	if (handle_is_busy(guest) || guest->turns_count > 0)
		return handle_fail(guest, -EALREADY, "%s: another operation is under way", frame);
	r = vmm_guest_begin(guest, frame, json);
	return r < 0 ? r : blocking_finish(guest, input);
}

/* The same on another connection where the agent has closed the one that was there. */
static int
blocking_do_input(
    struct vmm_guest *guest, const char *frame, const char *json, const struct blocking_input *all)
{
	off_t begin = all->fd >= 0 ? lseek(all->fd, 0, SEEK_CUR) : 0;
	struct blocking_input input = *all;
	int r;

	/* What can be read only once is sent on a new one. */
	if (begin < 0 && !handle_is_busy(guest))
		vmm_guest_abort(guest);
	r = blocking_do(guest, frame, json, &input);
	if (r != -ECONNABORTED || begin < 0 || vmm_guest_refusal(guest) != NULL)
		return r;
	input = *all;
	if (input.fd >= 0 && lseek(input.fd, begin, SEEK_SET) < 0)
		return r;
	return blocking_do(guest, frame, json, &input);
}

int
vmm_guest_run(struct vmm_guest *guest, const char *json, const void *input, size_t input_len)
{
	struct blocking_input all = { .data = input, .len = input_len, .fd = -1, .to_fd = -1 };

	return blocking_do(guest, "START", json, &all);
}

int
vmm_guest_put(struct vmm_guest *guest, const char *json, const void *data, size_t len)
{
	const struct blocking_input all = { .data = data, .len = len, .fd = -1, .to_fd = -1 };

	return blocking_do_input(guest, "FILE_WRITE_REQ", json, &all);
}

int
vmm_guest_put_fd(struct vmm_guest *guest, const char *json, int fd, int holes)
{
	const struct blocking_input all = { .fd = fd, .to_fd = -1, .holes = holes != 0 };

	if (fd < 0)
		return handle_fail(guest, -EBADF, "there is no descriptor %d", fd);
	return blocking_do_input(guest, "FILE_WRITE_REQ", json, &all);
}

int
vmm_guest_get(struct vmm_guest *guest, const char *json)
{
	struct blocking_input none = BLOCKING_INPUT;

	return blocking_do(guest, "FILE_READ_REQ", json, &none);
}

int
vmm_guest_get_fd(struct vmm_guest *guest, const char *json, int fd)
{
	struct blocking_input none = BLOCKING_INPUT;

	none.to_fd = fd;
	if (fd < 0)
		return handle_fail(guest, -EBADF, "there is no descriptor %d", fd);
	return blocking_do(guest, "FILE_READ_REQ", json, &none);
}

int
vmm_guest_request(struct vmm_guest *guest, const char *frame, const char *json)
{
	struct blocking_input none = BLOCKING_INPUT;

	return blocking_do(guest, frame, json, &none);
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
	struct blocking_input none = BLOCKING_INPUT;
	uint64_t left_ms;
	int r;

	for (;;) {
		left_ms = clock_until(until_ms, clock_mono_ms());
		guest->options[OPTION_RETRY_MS] = (int64_t)left_ms;
		guest->options[OPTION_TIMEOUT_MS] = (int64_t)(left_ms > 0 ? left_ms : 1);
		r = blocking_do(guest, "STATUS_REQ", NULL, &none);
		if (!blocking_may_pass(r) || clock_mono_ms() >= until_ms)
			break;
		(void)poll(&wait, 1, BLOCKING_READY_MS);
	}
	guest->options[OPTION_RETRY_MS] = retry_ms;
	guest->options[OPTION_TIMEOUT_MS] = limit_ms;
	return r;
}
