/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/core/guest.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "platform/clock.h"
#include "platform/io_error.h"

#define GUEST_MS_PER_S 1000

/* ---- the handle ------------------------------------------------------------ */

static void
guest_trace(void *context, int is_out, uint8_t type, size_t len, const void *data, size_t data_len)
{
	const struct client_target *target = context;
	const struct client_frame frame = {
		.is_out = is_out != 0, .type = type, .len = len, .data = data, .data_len = data_len
	};

	target->trace(&frame);
}

static void
guest_set(struct guest *guest, const char *option, int64_t value)
{
	/* The names and the numbers are this file's. */
	(void)vmm_guest_set(guest->handle, option, value);
}

static void
guest_set_connect_ms(struct guest *guest, int connect_ms)
{
	guest->connect_ms = connect_ms;
	guest_set(guest, "connect_ms", connect_ms);
}

int
guest_open(struct guest *ret, const struct client_target *target, struct client_error *error)
{
	int r = client_check_target(target, error);

	*ret = (struct guest){ .target = target };
	if (r < 0)
		return r;
	ret->handle = vmm_guest_new(target->address);
	if (ret->handle == NULL) {
		client_fail(error, "out of memory");
		return -ENOMEM;
	}
	guest_set_connect_ms(ret, target->answer_ms > 0 ? target->answer_ms : CLIENT_CONNECT_MS);
	guest_set(ret, "answer_ms", 0);
	guest_set(ret, "first_ms", target->answer_ms);
	guest_set(ret, "cancel_fd", target->cancel_fd);
	guest_bear(ret, 0);
	if (target->trace != NULL)
		vmm_guest_observe(ret->handle, guest_trace, (void *)(uintptr_t)target);
	return 0;
}

void
guest_close(struct guest *guest)
{
	vmm_guest_free(guest->handle);
	guest->handle = NULL;
}

void
guest_limit(struct guest *guest, int timeout_ms)
{
	int answer_ms = guest->target->answer_ms;

	timeout_ms = timeout_ms > 0 ? timeout_ms : 1;
	guest_set_connect_ms(
	    guest, answer_ms > 0 && answer_ms < timeout_ms ? answer_ms : timeout_ms);
	guest_set(guest, "timeout_ms", timeout_ms);
	guest_set(guest, "first_ms", 0);
	guest_set(guest, "quiet_ms", 0);
}

void
guest_expect(struct guest *guest)
{
	guest_set(guest, "first_ms", guest->target->answer_ms);
}

void
guest_bear(struct guest *guest, uint64_t ms)
{
	if (guest->target->quiet != NULL)
		guest_set(guest, "quiet_ms", (int64_t)(CLIENT_QUIET_MS + ms));
}

/* ---- its operation --------------------------------------------------------- */

int
guest_begin(struct guest *guest, const char *frame, const char *json, struct client_error *error)
{
	int r = vmm_guest_begin(guest->handle, frame, json);

	if (r < 0)
		client_fail(error, "%s", vmm_guest_error_text(guest->handle));
	return r;
}

int
guest_poll(const struct guest *guest, int fd)
{
	const struct client_target *target = guest->target;
	int events = vmm_guest_events(guest->handle);
	struct pollfd polls[3] = {
		{ .fd = events != 0 ? vmm_guest_fd(guest->handle) : -1, .events = (short)events },
		{ .fd = target->cancel_fd, .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};
	int due = vmm_guest_timeout_ms(guest->handle);
	bool ticks = target->tick != NULL && (due < 0 || due > target->tick_ms);
	int n = poll(polls, 3, ticks ? target->tick_ms : due);

	/* Where that fails, what comes of the next try says why. */
	if (n < 0 && errno == ENOMEM)
		io_error_pause();
	if (n == 0 && ticks)
		target->tick();
	if (polls[1].revents != 0)
		return -ECANCELED;
	return n > 0 && polls[2].revents != 0;
}

int
guest_reach(struct guest *guest, const char *frame, const char *json, struct client_error *error)
{
	struct vmm_guest *handle = guest->handle;
	const void *data;
	size_t len;
	int r;

	/* Where it may be tried again nothing goes ahead of the device's word. */
	guest_set(guest, "retry_ms", 1);
	r = guest_begin(guest, frame, json, error);
	if (r < 0)
		return r;
	while (r == 0 && vmm_guest_reached(handle) < VMM_GUEST_REACHED_AGENT) {
		vmm_guest_step(handle);
		if (guest_next(guest, &data, &len) == VMM_GUEST_EVENT_END)
			r = guest_error(guest);
		else if (vmm_guest_reached(handle) < VMM_GUEST_REACHED_AGENT)
			r = guest_poll(guest, -1);
	}
	if (r < 0)
		guest_explain(guest, r, error);
	return r;
}

enum vmm_guest_event
guest_wait(struct guest *guest, const void **ret_data, size_t *ret_len)
{
	const struct client_target *target = guest->target;

	for (;;) {
		int event = vmm_guest_wait(
		    guest->handle, target->tick != NULL ? target->tick_ms : -1, ret_data, ret_len);

		if (event == VMM_GUEST_EVENT_QUIET)
			target->quiet();
		else if (event != VMM_GUEST_EVENT_NONE)
			return event > 0 ? (enum vmm_guest_event)event : VMM_GUEST_EVENT_END;
		else if (target->tick != NULL)
			target->tick();
	}
}

enum vmm_guest_event
guest_next(struct guest *guest, const void **ret_data, size_t *ret_len)
{
	enum vmm_guest_event event;

	while ((event = vmm_guest_next(guest->handle, ret_data, ret_len)) == VMM_GUEST_EVENT_QUIET)
		guest->target->quiet();
	return event;
}

uint64_t
guest_due_ms(const struct guest *guest)
{
	int timeout_ms = vmm_guest_timeout_ms(guest->handle);

	return timeout_ms < 0 ? CLOCK_NEVER : clock_mono_ms() + (uint64_t)timeout_ms;
}

/* ---- what went wrong -------------------------------------------------------- */

int
guest_error(const struct guest *guest)
{
	int r = vmm_guest_error(guest->handle);

	switch (r) {
	case -ECONNRESET:
	case -ECONNREFUSED:
		return vmm_guest_reached(guest->handle) < VMM_GUEST_REACHED_AGENT ? r : -ENODATA;
	case -EPROTO:
		return vmm_guest_reached(guest->handle) < VMM_GUEST_REACHED_AGENT ? r : -EMSGSIZE;
	default:
		return r;
	}
}

/* Nobody was asked. What the library says of that is what there is to say. */
static void
guest_explain_unreached(const struct guest *guest, int error, struct client_error *ret)
{
	const char *address = guest->target->address;
	uint32_t port = vmm_guest_port(guest->handle);
	bool has_device = vmm_guest_reached(guest->handle) == VMM_GUEST_REACHED_DEVICE;

	if (error == -ETIMEDOUT || error == -ETIME)
		client_fail(ret, "the agent at %s, port %u, did not answer within %g s", address,
		    port, (double)guest->connect_ms / GUEST_MS_PER_S);
	else if (error == -ECANCELED)
		client_fail(ret, "can't reach the agent at %s, port %u: %s", address, port,
		    strerror(-error));
	else
		client_fail(ret, "%s%s", vmm_guest_error_text(guest->handle),
		    error == -ECONNREFUSED && has_device ? " (vmm-guest-ctl wait)" : "");
}

void
guest_explain(const struct guest *guest, int error, struct client_error *ret)
{
	const char *address = guest->target->address;
	uint32_t port = vmm_guest_port(guest->handle);

	if (vmm_guest_reached(guest->handle) < VMM_GUEST_REACHED_AGENT) {
		guest_explain_unreached(guest, error, ret);
		return;
	}
	switch (-error) {
	case ENODATA:
		client_fail(ret,
		    "the agent at %s closed the connection without an answer; did the VM stop, or "
		    "is this agent too old for the request?",
		    address);
		break;
	case ETIME:
		client_fail(ret, "the agent at %s, port %u, did not answer within %g s (--wait)",
		    address, port, (double)guest->target->answer_ms / GUEST_MS_PER_S);
		break;
	case ETIMEDOUT:
		client_fail(ret, "the agent at %s, port %u, did not answer in time", address, port);
		break;
	case EPIPE:
	case ECONNRESET:
		client_fail(
		    ret, "the connection to the agent at %s, port %u, was lost", address, port);
		break;
	case EMSGSIZE:
		client_fail(ret, "what answers at %s, port %u, does not speak the agent's protocol",
		    address, port);
		break;
	default:
		client_fail(ret, "the connection to the agent at %s, port %u: %s", address, port,
		    strerror(-error));
		break;
	}
}

int
guest_break(const struct guest *guest, struct client_error *error)
{
	guest_explain(guest, -EMSGSIZE, error);
	return -EMSGSIZE;
}
