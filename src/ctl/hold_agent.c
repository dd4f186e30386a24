/*
 * hold_agent: what the agent is told, and what it says.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ctl/command.h"
#include "ctl/core/control.h"
#include "ctl/core/guest_features.h"
#include "ctl/hold_state.h"
#include "ctl/target.h"
#include "platform/clock.h"

/* Beyond within_ms, for what stands in the kernel by then and is undone. */
#define HOLD_LATE_MS 10000

/* How long the answer to THAW may take. Where a snapshot was taken the guest may be paused,
 * or gone, and owes us none. */
#define HOLD_THAW_MS 20000
#define HOLD_THAW_SNAPSHOT_MS 2000

/* ---- how the connection ends ---------------------------------------------- */

static void
hold_set_end(struct hold *hold, enum hold_end end)
{
	hold->end = end;
	hold->deadline_ms = CLOCK_NEVER;
	/* What a snapshot has reset has not thawed the guest. */
	if (end != HOLD_LOST || !hold->is_snapshot)
		hold->waits_for_input = false;
}

/* Nothing more comes; hold.ERROR says why. */
static void
hold_lose(struct hold *hold)
{
	if (hold->has_thawed)
		hold_set_end(hold, HOLD_THAWED);
	else
		hold_set_end(hold, hold->was_held ? HOLD_LOST : HOLD_REFUSED);
	if (hold->end != HOLD_LOST || hold->phase != HOLD_HELD)
		return;
	if (!hold->is_snapshot)
		hold_text_bad(hold);
	else if (hold->waits_for_input)
		hold_text_lost(hold);
}

/* At once: the next signal may be our end. Where it can't be sent, reading says why. */
static void
hold_send_thaw(struct hold *hold)
{
	if (vmm_guest_thaw(hold->guest.handle) == 0)
		vmm_guest_step(hold->guest.handle);
}

void
hold_thaw(struct hold *hold)
{
	bool is_early = hold->phase == HOLD_ASKED;

	hold->waits_for_input = false;
	if (hold->ended_ms == 0)
		hold->ended_ms = clock_mono_ms();
	if (hold->phase == HOLD_THAWING || hold->end != HOLD_GOES_ON)
		return;
	hold->phase = HOLD_THAWING;
	/* Our going calls it off at once; but where it is to outlast that. */
	if (is_early && !hold->is_snapshot) {
		hold_set_end(hold, HOLD_REFUSED);
		return;
	}
	if (!is_early)
		hold->deadline_ms =
		    clock_mono_ms() + (hold->is_snapshot ? HOLD_THAW_SNAPSHOT_MS : HOLD_THAW_MS);
	hold_send_thaw(hold);
}

void
hold_expire(struct hold *hold)
{
	if (hold->phase == HOLD_ASKED)
		client_fail(&hold->error, "the agent at %s did not answer in time",
		    target_agent()->address);
	if (hold->phase == HOLD_ASKED && hold->is_snapshot)
		hold_send_thaw(hold);
	if (hold->has_thawed)
		hold_set_end(hold, HOLD_THAWED);
	else
		hold_set_end(hold, hold->was_held ? HOLD_SILENT : HOLD_REFUSED);
}

/* ---- its answers ------------------------------------------------------------ */

static void
hold_take_quiesced(struct hold *hold, const struct quiesce_status *status)
{
	if (status->error[0] != '\0') {
		hold_text_refusal(status, &hold->error);
		return;
	}
	hold->was_held = true;
	hold->began_ms = clock_mono_ms();
	if (hold->phase != HOLD_ASKED)
		return;
	hold->phase = HOLD_HELD;
	hold->deadline_ms = CLOCK_NEVER;
	hold_text_quiesced(hold->options, status);
	hold_begin(hold);
}

static void
hold_take_status(struct hold *hold, const char *text, size_t len)
{
	struct quiesce_status CLEANUP_QUIESCE_STATUS status = { 0 };
	struct json_error error = { 0 };

	report_file_put(&hold->options->file, text, len);
	if (quiesce_status_parse(text, len, &status, &error) < 0) {
		client_fail(&hold->error, "the agent's answer can't be understood: %s", error.text);
		hold_lose(hold);
	} else if (status.event == QUIESCE_EVENT_QUIESCED) {
		hold_take_quiesced(hold, &status);
	} else if (status.event == QUIESCE_EVENT_THAWED) {
		hold->has_thawed = true;
		hold->why = status.why;
		if (hold->phase == HOLD_HELD)
			hold_text_bad(hold);
	}
}

/* Agents that do not know the request say so on STDERR, others have said why in STATUS. */
static void
hold_take_exit(struct hold *hold)
{
	struct client_error ignored;

	if (hold->was_held)
		client_fail(&hold->error, "the agent has lost what held the guest");
	else if (hold->error.text[0] == '\0' &&
		 guest_features_have(target_agent(), GUEST_FEATURES_QUIESCE, &ignored) == 0)
		client_fail(&hold->error, "the agent is too old to have its guest stand still");
	else if (hold->error.text[0] == '\0')
		client_fail(&hold->error,
		    "the agent would not have its guest stand still; its log there says why");
	hold_lose(hold);
}

/* The connection has ended without an EXIT. */
static void
hold_take_loss(struct hold *hold)
{
	int r = guest_error(&hold->guest);

	guest_explain(
	    &hold->guest, hold->was_held && r == -ENODATA ? -ECONNRESET : r, &hold->error);
	if (hold->was_held && !hold->is_snapshot)
		(void)strlcat(hold->error.text, " (--snapshot is for what resets connections)",
		    sizeof(hold->error.text));
	hold_lose(hold);
}

static void
hold_take_end(struct hold *hold)
{
	int ignored;

	if (vmm_guest_exit(hold->guest.handle, &ignored, &ignored) == 0)
		hold_take_exit(hold);
	else
		hold_take_loss(hold);
}

void
hold_take_all(struct hold *hold)
{
	enum vmm_guest_event event;
	const void *data;
	size_t len;

	while (hold->end == HOLD_GOES_ON &&
	       (event = guest_next(&hold->guest, &data, &len)) != VMM_GUEST_EVENT_NONE) {
		if (event == VMM_GUEST_EVENT_STATUS)
			hold_take_status(hold, data, len);
		else if (event == VMM_GUEST_EVENT_END)
			hold_take_end(hold);
	}
}

/* ---- connections -------------------------------------------------------------- */

/* Who made the Unix socket that we are connected to, unix(7); 0: it is none, or that is
 * hidden. */
static pid_t
hold_find_peer(int fd)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 ? peer.pid : 0;
}

/* Is about to ask. Whether the answer comes in time is seen here: silence alone is no end. */
static int
hold_ask(struct hold *hold)
{
	size_t len;
	char *json = quiesce_request_format(&hold->options->request, &len);
	int r;

	if (json == NULL) {
		client_fail(&hold->error, "out of memory");
		return -ENOMEM;
	}
	(void)vmm_guest_set(hold->guest.handle, "first_ms", 0);
	r = guest_reach(&hold->guest, "QUIESCE", json, &hold->error);
	free(json);
	return r;
}

int
hold_open(struct hold *hold)
{
	int answer_ms = target_agent()->answer_ms;
	int r = guest_open(&hold->guest, target_agent(), &hold->error);

	if (r == 0)
		r = hold_ask(hold);
	if (r < 0)
		return r;
	hold->peer = hold_find_peer(vmm_guest_fd(hold->guest.handle));
	hold->deadline_ms = clock_mono_ms() + hold->options->request.within_ms + HOLD_LATE_MS;
	if (answer_ms > 0)
		hold->deadline_ms =
		    clock_sooner(hold->deadline_ms, clock_mono_ms() + (uint64_t)answer_ms);
	return 0;
}

/* A snapshot may reset the connections of the machine that it is taken of, and that may go on
 * with a guest that stands still. Or else a clone has its place: that has to stand still
 * until it was told who it is (RESTORED). Only the process that was there before is asked. */
void
hold_come_back(struct hold *hold)
{
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	struct client_error ignored;

	if (hold->end != HOLD_LOST || !hold->is_snapshot || hold->peer == 0 ||
	    guest_open(&answer.guest, target_agent(), &ignored) < 0)
		return;
	guest_limit(&answer.guest, HOLD_THAW_SNAPSHOT_MS);
	if (guest_reach(&answer.guest, "THAW", NULL, &ignored) < 0 ||
	    hold_find_peer(vmm_guest_fd(answer.guest.handle)) != hold->peer ||
	    control_finish(&answer, &ignored) < 0)
		return;
	if (answer.exit.code == VMM_GUEST_EXIT_OK) {
		hold->end = HOLD_THAWED;
		hold->why = QUIESCE_THAW_HOST;
	} else if (answer.exit.code == VMM_GUEST_EXIT_NOT_MADE &&
		   hold->ended_ms - hold->began_ms >= hold->options->request.hold_ms) {
		/* Nothing is frozen, and it may have been over before we were through. */
		hold->end = HOLD_THAWED;
		hold->why = QUIESCE_THAW_EXPIRED;
	}
}
