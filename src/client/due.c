/*
 * due: what time brings: limits that are over, and connections that are to be made.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "client/handle.h"
#include "client/hint.h"
#include "platform/clock.h"
#include "platform/text.h"

#define DUE_MS_PER_S 1000

/* How long the answer to an ATTACH may take, when a session is come back to. */
#define DUE_ATTACH_MS 5000

/* Pauses between tries to connect. */
#define DUE_FIRST_MS 10
#define DUE_MAX_MS 500

/* ---- when -------------------------------------------------------------------- */

static bool
due_has_connection(const struct vmm_guest *guest)
{
	return guest->state == HANDLE_TALKS && !guest->has_ended;
}

static bool
due_is_upload(const struct vmm_guest *guest)
{
	return guest->operation->kind == OPERATION_FILE &&
	       (guest->operation->flags & OPERATION_INPUT) != 0;
}

/* Whether it is the agent that has to do something: to take what waits, or to answer. What waits
 * for the host, or for a program that does not read, is not its fault. */
static bool
due_is_agents_turn(const struct vmm_guest *guest)
{
	if (!due_has_connection(guest) || !guest->is_dry)
		return false;
	/* What is behind it has to wait for its turn, for which it may take its time. */
	if (due_is_upload(guest))
		return guest->turns_count == 0 ? !outbound_is_empty(guest) : !more_is_asked(guest);
	return !guest->is_answered;
}

static uint64_t
due_answer_ms(const struct vmm_guest *guest)
{
	uint64_t limit_ms = (uint64_t)guest->options[OPTION_ANSWER_MS];

	if (limit_ms == 0 || !due_is_agents_turn(guest))
		return CLOCK_NEVER;
	return guest->progress_ms + limit_ms;
}

/* Whether nothing has come of an answer so far: since when that is so is PROGRESS_MS. */
static bool
due_is_quiet(const struct vmm_guest *guest)
{
	/* That the host has nothing to send yet is its own matter. */
	if (guest->state == HANDLE_TALKS && due_is_upload(guest) && guest->turns_count == 0 &&
	    !guest->out.has_eof && outbound_is_empty(guest))
		return false;
	return (guest->state == HANDLE_SHAKES || guest->state == HANDLE_TALKS) &&
	       !guest->has_ended &&
	       (guest->reached < VMM_GUEST_REACHED_ANSWER || guest->awaits_attached);
}

static uint64_t
due_quiet_ms(const struct vmm_guest *guest, enum handle_option option)
{
	uint64_t limit_ms = (uint64_t)guest->options[option];

	return limit_ms == 0 || !due_is_quiet(guest) ? CLOCK_NEVER : guest->progress_ms + limit_ms;
}

/* The same of an ATTACH by which a session is come back to. */
static uint64_t
due_attach_ms(const struct vmm_guest *guest)
{
	if (!guest->awaits_attached || guest->reconnect_ms == CLOCK_NEVER ||
	    !due_has_connection(guest))
		return CLOCK_NEVER;
	return guest->progress_ms + DUE_ATTACH_MS;
}

/* When to make a connection, or to give up one that is being made. */
static uint64_t
due_connect_ms(const struct vmm_guest *guest)
{
	if (guest->state == HANDLE_CONNECTS && !guest->is_connecting)
		return clock_sooner(guest->try_ms, guest->try_until_ms);
	if (guest->state == HANDLE_CONNECTS || guest->state == HANDLE_SHAKES)
		return guest->try_until_ms;
	return CLOCK_NEVER;
}

uint64_t
due_ms(const struct vmm_guest *guest)
{
	uint64_t due = guest->deadline_ms;

	if (guest->state == HANDLE_OVER)
		return 0;
	if (!handle_is_busy(guest))
		return CLOCK_NEVER;
	if (guest->has_ended)
		return 0;
	due = clock_sooner(due, guest->reconnect_ms);
	due = clock_sooner(due, due_connect_ms(guest));
	due = clock_sooner(due, due_answer_ms(guest));
	due = clock_sooner(due, due_quiet_ms(guest, OPTION_FIRST_MS));
	if (!guest->quiet_is_told)
		due = clock_sooner(due, due_quiet_ms(guest, OPTION_QUIET_MS));
	due = clock_sooner(due, due_attach_ms(guest));
	return clock_sooner(due, guest->words_ms);
}

int
vmm_guest_timeout_ms(const struct vmm_guest *guest)
{
	return clock_poll_timeout(clock_mono_ms(), due_ms(guest));
}

/* ---- what -------------------------------------------------------------------- */

static const char *
due_who(const struct vmm_guest *guest)
{
	return guest->address_text != NULL ? guest->address_text : "the other end";
}

static double
due_seconds(const struct vmm_guest *guest, enum handle_option option)
{
	return (double)guest->options[option] / DUE_MS_PER_S;
}

/* Why nobody was reached, in words. Returns ERROR as the operation's result. */
static int
due_format_unreached(const struct vmm_guest *guest, int error, char *text, size_t size)
{
	bool is_device = guest->state == HANDLE_SHAKES;
	bool is_vsock = guest->address_text != NULL && guest->address.kind == ADDRESS_VSOCK;

	/* A device that closes with bytes unread resets the connection, unix(7). */
	if (error == 0 || (is_device && (error == ECONNRESET || error == EPIPE))) {
		(void)text_format(text, size,
		    "nobody answers at %s, port %u, in the guest; has the agent started?",
		    due_who(guest), vmm_guest_port(guest));
		return -ECONNREFUSED;
	}
	if (error == ETIMEDOUT)
		(void)text_format(text, size,
		    "the agent at %s, port %u, did not answer within %g s", due_who(guest),
		    vmm_guest_port(guest), due_seconds(guest, OPTION_CONNECT_MS));
	else
		(void)text_format(text, size, "can't reach the agent at %s, port %u: %s%s",
		    due_who(guest), vmm_guest_port(guest), strerror(error),
		    hint_unreached(error, is_vsock));
	return -error;
}

static void
due_unreached(struct vmm_guest *guest, int error)
{
	char text[HANDLE_ERROR_MAX];
	int r = due_format_unreached(guest, error, text, sizeof(text));

	handle_end_failed(guest, r, "%s", text);
}

/* The time in which a session may be come back to is over. */
static void
due_give_up(struct vmm_guest *guest)
{
	const struct durable *session = &guest->session;
	char number[32];

	(void)text_format(number, sizeof(number), "%" PRIu64, session->session);
	handle_end_failed(guest, -ECONNRESET,
	    "could not come back to session %s%s%s within %g s: %s",
	    session->name[0] != '\0' ? "'" : "number ",
	    session->name[0] != '\0' ? session->name : number, session->name[0] != '\0' ? "'" : "",
	    due_seconds(guest, OPTION_RECONNECT_MS), guest->why);
}

/* Without an address the caller makes the connections: he is told when. */
static void
due_tell_connect(struct vmm_guest *guest, uint64_t now)
{
	if (guest->address_text != NULL || guest->state != HANDLE_CONNECTS || now < guest->try_ms)
		return;
	guest->connect_is_due = true;
	handle_connected(guest);
}

/* The time for all of it is over. Where no agent was reached in all that time, that is why. */
static void
due_end(struct vmm_guest *guest)
{
	if (guest->unreached >= 0 && !guest->has_sent)
		due_unreached(guest, guest->unreached);
	else
		handle_end_failed(guest, -ETIMEDOUT, "%s was not over within %g s",
		    guest->operation->name, due_seconds(guest, OPTION_TIMEOUT_MS));
}

void
due_act(struct vmm_guest *guest)
{
	uint64_t now = clock_mono_ms();

	if (!handle_is_busy(guest))
		return;
	if (now >= guest->deadline_ms) {
		due_end(guest);
		return;
	}
	if (now >= guest->reconnect_ms) {
		due_give_up(guest);
		return;
	}
	if (now >= due_answer_ms(guest)) {
		handle_end_failed(guest, -ETIMEDOUT,
		    "the agent at %s, port %u, was silent for %g s; does the guest hang?",
		    due_who(guest), vmm_guest_port(guest), due_seconds(guest, OPTION_ANSWER_MS));
		return;
	}
	if (now >= due_quiet_ms(guest, OPTION_FIRST_MS)) {
		handle_end_failed(guest, -ETIME,
		    "the agent at %s, port %u, did not answer within %g s", due_who(guest),
		    vmm_guest_port(guest), due_seconds(guest, OPTION_FIRST_MS));
		return;
	}
	if (!guest->quiet_is_told && now >= due_quiet_ms(guest, OPTION_QUIET_MS)) {
		guest->quiet_is_told = true;
		guest->quiet_is_due = true;
	}
	if (now >= guest->words_ms) {
		guest->words_ms = CLOCK_NEVER;
		guest->words_are_due = true;
		guest->has_begun = true;
	}
	if (now >= due_attach_ms(guest) ||
	    (guest->state != HANDLE_TALKS && now >= guest->try_until_ms))
		vmm_guest_hangup(guest, ETIMEDOUT);
	due_tell_connect(guest, now);
}

/* ---- a connection that was lost ------------------------------------------------ */

/* What may be otherwise in a moment, while a VM boots. */
static bool
due_may_pass(int error)
{
	switch (error) {
	case 0: /* a device has hung up */
	case ENOENT:
	case ECONNREFUSED:
	case ECONNRESET:
	case EPIPE:
	case ENODEV:
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ETIMEDOUT:
		return true;
	default:
		return false;
	}
}

/* Why a durable session has no connection. */
static void
due_look_why(struct vmm_guest *guest, bool is_unasked)
{
	const char *words = guest->session.words;

	if (is_unasked) {
		(void)due_format_unreached(guest, guest->end_error, guest->why, sizeof(guest->why));
		return;
	}
	if (words[0] == '\0' && guest->awaits_attached)
		words = "the agent did not answer";
	else if (words[0] == '\0')
		words = guest->end_error != 0 ? strerror(guest->end_error)
					      : "the agent closed the connection";
	(void)strlcpy(guest->why, words, sizeof(guest->why));
}

void
due_lose(struct vmm_guest *guest)
{
	bool is_unasked = !guest->has_sent || guest->state != HANDLE_TALKS;
	int error = guest->end_error;
	uint64_t now = clock_mono_ms();

	/* A device whose guest nobody listens in hangs up, whatever waits there to be read. */
	if (guest->state == HANDLE_SHAKES && (error == ECONNRESET || error == EPIPE))
		error = 0;
	if (guest->is_durable)
		due_look_why(guest, is_unasked);
	if (guest->is_durable ? answer_durable_lose(guest) : more_lose(guest))
		return;
	if (is_unasked)
		guest->unreached = error;
	if (is_unasked && due_may_pass(error) && now < guest->give_up_ms && !guest->has_input)
		handle_connect_at(
		    guest, now + backoff_next_ms(&guest->backoff, DUE_FIRST_MS, DUE_MAX_MS));
	else if (is_unasked && guest->reconnect_ms == CLOCK_NEVER)
		due_unreached(guest, error);
	else if (guest->reconnect_ms != CLOCK_NEVER)
		due_give_up(guest);
	else
		handle_end_failed(guest, -ECONNRESET,
		    "the connection to the agent at %s, port %u, ended before the answer to %s was "
		    "whole%s%s",
		    due_who(guest), vmm_guest_port(guest), guest->operation->name,
		    error != 0 ? ": " : "", error != 0 ? strerror(error) : "");
}
