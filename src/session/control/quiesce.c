/*
 * SPDX-License-Identifier: MIT
 */
#include "session/control/quiesce.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "platform/bell.h"
#include "platform/clock.h"
#include "platform/io_error.h"
#include "platform/text.h"
#include "protocol/quiesce_request.h"
#include "protocol/quiesce_status.h"
#include "session/stop.h"
#include "shared/admission.h"

/* The supervisor takes an order at once. One that stands so much longer than all was to take
 * is given up. */
#define QUIESCE_LATE_MS 1000

/* Whoever has something for us wakes us, and we the switch; where that could not be done, each
 * looks again after this. */
#define QUIESCE_LOOK_MS 1000

#define QUIESCE_ERROR_SIZE 256

/* Of what stands in shared memory, which may be written by any worker, a copy is told. Too
 * large for the stack; one session runs at a time. */
static struct {
	struct quiesce_order order;
	struct quiesce_report report;
	struct quiesce_step steps[QUIESCE_STEP_COUNT];
	struct quiesce_place frozen[QUIESCE_PLACES_MAX];
	struct quiesce_place skipped[QUIESCE_PLACES_MAX];
} quiesce_own;

/* One request, while it is served. */
struct quiesce_watch {
	struct session *session;
	struct quiesce *quiesce;
	uint64_t number;
	uint64_t late_ms;
	bool is_told; /* that the guest is quiesced */
	bool is_gone; /* the host */
};

/* ---- what is told ---------------------------------------------------------- */

static bool
quiesce_send(struct session *session, const struct quiesce_status *status)
{
	size_t len = 0;
	char *text = quiesce_status_format(status, &len);

	return session_send_status(session, text, len);
}

/* Copies the report. Returns false if it is another's by now. */
static bool
quiesce_copy_report(const struct quiesce_watch *watch)
{
	struct quiesce_report *report = &quiesce_own.report;

	*report = watch->quiesce->report;
	if (report->steps_count > QUIESCE_STEP_COUNT)
		report->steps_count = QUIESCE_STEP_COUNT;
	if (report->places_count > QUIESCE_PLACES_MAX)
		report->places_count = QUIESCE_PLACES_MAX;
	for (uint32_t i = 0; i < report->steps_count; i++)
		report->steps[i].error[QUIESCE_ERROR_MAX - 1] = '\0';
	for (uint32_t i = 0; i < report->places_count; i++) {
		struct quiesce_report_place *place = &report->places[i];

		place->path[QUIESCE_PATH_MAX - 1] = '\0';
		place->type[QUIESCE_TYPE_MAX - 1] = '\0';
		place->why[QUIESCE_WHY_MAX - 1] = '\0';
	}
	return quiesce_number(watch->quiesce) == watch->number;
}

static void
quiesce_fill_places(struct quiesce_status *status)
{
	const struct quiesce_report *report = &quiesce_own.report;

	for (uint32_t i = 0; i < report->places_count; i++) {
		const struct quiesce_report_place *place = &report->places[i];
		struct quiesce_place *told = place->why[0] == '\0'
						 ? &quiesce_own.frozen[status->frozen_count++]
						 : &quiesce_own.skipped[status->skipped_count++];

		*told = (struct quiesce_place){ place->path, place->type, place->why };
	}
}

/* Tells what was done; HAS_FAILED: and undone, as the last step says. */
static bool
quiesce_tell(const struct quiesce_watch *watch, bool has_failed)
{
	static const char *const names[QUIESCE_STEP_COUNT] = { "rest", "sessions", "sync",
		"fsfreeze" };
	struct quiesce_status status = {
		.event = QUIESCE_EVENT_QUIESCED,
		.steps = quiesce_own.steps,
		.frozen = quiesce_own.frozen,
		.skipped = quiesce_own.skipped,
	};

	if (quiesce_copy_report(watch)) {
		status.steps_count = quiesce_own.report.steps_count;
		quiesce_fill_places(&status);
	}
	for (size_t i = 0; i < status.steps_count; i++) {
		const struct quiesce_report_step *step = &quiesce_own.report.steps[i];

		quiesce_own.steps[i] = (struct quiesce_step){ names[i], step->us, step->error };
		status.error = step->error;
	}
	if (!has_failed)
		status.error = NULL;
	else if (status.error == NULL || status.error[0] == '\0')
		status.error = "EIO: it ended before all was done";
	return quiesce_send(watch->session, &status);
}

/* The last words, when it is over. */
static void
quiesce_finish(struct quiesce_watch *watch)
{
	enum quiesce_thaw_why why = (enum quiesce_thaw_why)atomic_load(&watch->quiesce->why);
	struct quiesce_status status = { .event = QUIESCE_EVENT_THAWED, .why = why };
	bool has_failed = !watch->is_told && why >= QUIESCE_THAW_OTHER;

	if (watch->is_gone)
		return;
	/* It may have been held for less than it takes to look. */
	if (!watch->is_told && !quiesce_tell(watch, has_failed))
		return;
	if (why > QUIESCE_THAW_OTHER)
		status.why = QUIESCE_THAW_OTHER;
	if (has_failed || quiesce_send(watch->session, &status))
		session_send_exit(
		    watch->session, has_failed ? VMM_GUEST_EXIT_NOT_MADE : VMM_GUEST_EXIT_OK, 0);
}

/* ---- while it lasts -------------------------------------------------------- */

static void
quiesce_thaw(const struct quiesce_watch *watch, enum quiesce_thaw_why why)
{
	(void)quiesce_ask(watch->quiesce, QUIESCE_ASK_THAW, why);
	bell_ring(watch->session->board->quiesce_bell_fd);
}

/* Looks at what the host has said: THAW, if it is something. One that makes no sense any more
 * can't say that, and is taken to. */
static void
quiesce_hear(const struct quiesce_watch *watch)
{
	struct conn *conn = &watch->session->conn;
	struct frame_header header;
	const uint8_t *ignored;
	int r;

	do {
		(void)conn_take(conn, SIZE_MAX, &ignored);
		r = conn_in_payload(conn) ? -EAGAIN : conn_parse_header(conn, &header);
		if (r == -EMSGSIZE)
			conn_lose_track(conn);
		if (r == -EMSGSIZE || (r == 0 && header.type == VMM_GUEST_THAW))
			quiesce_thaw(watch, QUIESCE_THAW_HOST);
	} while (r != -EAGAIN);
}

/* The host has gone, which ends it, or not. */
static void
quiesce_lose_host(struct quiesce_watch *watch)
{
	watch->is_gone = true;
	if (!quiesce_own.order.holds_when_gone)
		quiesce_thaw(watch, QUIESCE_THAW_GONE);
}

/* Waits for the host, the switch or the supervisor. What the host sends before it was told is
 * read after that. */
static void
quiesce_wait(struct quiesce_watch *watch, uint64_t until_ms)
{
	struct pollfd poll = {
		.fd = watch->is_gone ? -1 : conn_fd(&watch->session->conn),
		.events = watch->is_told ? POLLIN | POLLRDHUP : POLLRDHUP,
	};
	int n;

	if (stop_is_now())
		quiesce_thaw(watch, QUIESCE_THAW_SHUTDOWN);
	n = stop_poll(&poll, 1, clock_sooner(until_ms, clock_mono_ms() + QUIESCE_LOOK_MS), true);
	if (n == 0)
		bell_ring(watch->session->board->quiesce_bell_fd);
	if (n <= 0)
		return;
	if ((poll.revents & POLLIN) != 0) {
		/* Once: a host that never stops does not keep us from the rest. */
		if (conn_fill(&watch->session->conn) == -EPIPE)
			poll.revents |= POLLRDHUP;
		quiesce_hear(watch);
	}
	if ((poll.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0)
		quiesce_lose_host(watch);
}

/* Nobody has taken the order. Whoever does finds it called off. */
static void
quiesce_give_up(struct quiesce_watch *watch)
{
	quiesce_thaw(watch, QUIESCE_THAW_OTHER);
	quiesce_report_step(&watch->quiesce->report, QUIESCE_STEP_REST, 0,
	    "ETIMEDOUT: the supervisor does not answer");
	if (!watch->is_gone && quiesce_tell(watch, true))
		session_send_exit(watch->session, VMM_GUEST_EXIT_NOT_MADE, 0);
}

static void
quiesce_watch(struct quiesce_watch *watch)
{
	while (!quiesce_is_over(watch->quiesce, watch->number)) {
		enum quiesce_phase phase = quiesce_phase(watch->quiesce);

		if (watch->is_gone && quiesce_own.order.holds_when_gone)
			return;
		/* The switch thaws, but nobody is left who would say that it is over. */
		if (stop_is_now() && getppid() != watch->session->board->supervisor_pid) {
			quiesce_thaw(watch, QUIESCE_THAW_SHUTDOWN);
			return;
		}
		if (phase == QUIESCE_ASKED &&
		    (clock_mono_ms() >= watch->late_ms || stop_is_now())) {
			quiesce_give_up(watch);
			return;
		}
		if (phase == QUIESCE_HELD && !watch->is_told && !watch->is_gone) {
			watch->is_told = true;
			/* What came together with the request is in the buffer. */
			if (quiesce_tell(watch, false))
				quiesce_hear(watch);
			else
				quiesce_lose_host(watch);
			continue;
		}
		quiesce_wait(watch, phase == QUIESCE_ASKED ? watch->late_ms : CLOCK_NEVER);
	}
	quiesce_finish(watch);
}

/* ---- the request ------------------------------------------------------------ */

/* What REQUEST says, for the switch. Returns false if there is no room for its paths. */
static bool
quiesce_fill_order(const struct quiesce_request *request, struct quiesce_order *order)
{
	size_t used = 0;

	*order = (struct quiesce_order){
		.freezes_sessions = request->freeze == QUIESCE_FREEZE_SESSIONS,
		.syncs = request->sync,
		.is_all = request->is_all,
		.holds_when_gone = request->on_gone == QUIESCE_ON_GONE_HOLD,
		.within_ms = request->within_ms,
		.hold_ms = request->hold_ms,
		.paths_count = (uint32_t)request->paths_count,
	};
	for (size_t i = 0; i < request->paths_count; i++) {
		size_t size = strlen(request->paths[i]) + 1;

		if (size > sizeof(order->paths) - used)
			return false;
		memcpy(order->paths + used, request->paths[i], size);
		used += size;
	}
	return true;
}

static int
quiesce_parse(const char *text, size_t len, struct quiesce_order *order, struct json_error *error)
{
	struct quiesce_request CLEANUP_QUIESCE_REQUEST request = { 0 };
	int r = quiesce_request_parse(text, len, &request, error);

	if (r == 0 && !quiesce_fill_order(&request, order)) {
		json_fail(error, "member 'fsfreeze': the paths have more than %d bytes",
		    QUIESCE_PATHS_SIZE);
		r = error->code;
	}
	return r;
}

/* With nothing done, as ERROR (-errno) and WORDS say; counts it in COUNT. */
static void
quiesce_refuse(struct session *session, _Atomic uint64_t *count, int error, const char *words)
{
	char text[QUIESCE_ERROR_SIZE];
	struct quiesce_status status = { .event = QUIESCE_EVENT_QUIESCED, .error = text };

	(void)text_format(text, sizeof(text), "%s: %s", io_error_name(error), words);
	if (quiesce_send(session, &status))
		session_refuse(session, count, error, "%s", words);
}

void
quiesce_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	struct quiesce_watch watch = { .session = session, .quiesce = &session->board->quiesce };
	struct scoreboard_counts *counts = &session->board->counts;
	char words[QUIESCE_ERROR_SIZE];
	struct json_error error;

	(void)type;
	if (quiesce_parse((const char *)payload, len, &quiesce_own.order, &error) < 0) {
		(void)text_format(words, sizeof(words), "bad QUIESCE: %s", error.text);
		quiesce_refuse(session, &counts->bad_requests, error.code, words);
		return;
	}
	/* A worker by itself has nobody who could freeze. */
	if (session->board->quiesce_bell_fd < 0) {
		quiesce_refuse(session, NULL, -ENOSYS, "there is no supervisor");
		return;
	}
	/* A worker is left, which can thaw. */
	if (!admission_take(session->board, session->slot_index, ADMISSION_FILE)) {
		admission_explain(session->board, ADMISSION_FILE, words);
		quiesce_refuse(session, &counts->refused, -EBUSY, words);
		return;
	}
	if (quiesce_claim(watch.quiesce, session->slot_index, &quiesce_own.order, &watch.number) <
	    0) {
		quiesce_refuse(
		    session, &counts->refused, -EBUSY, "the guest is quiesced, or is about to be");
		return;
	}
	watch.late_ms = clock_mono_ms() + quiesce_own.order.within_ms + QUIESCE_LATE_MS;
	bell_ring(session->board->bell_fd);
	quiesce_watch(&watch);
	/* From here on another worker's session, or ours, may be this slot's. */
	quiesce_bury(watch.quiesce, session->slot_index);
}
