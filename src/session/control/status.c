/*
 * status: STATUS_REQ: what the agent is doing, copied from the scoreboard.
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/control/status.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "platform/clock.h"
#include "platform/hold_timer.h"
#include "platform/proc.h"
#include "platform/watchdog.h"
#include "protocol/control_request.h"
#include "protocol/status.h"
#include "session/request_table.h"
#include "shared/generation.h"
#include "shared/holder_place.h"

#define STATUS_US_PER_MS 1000.0
#define STATUS_FIGURES_MAX_MS 10000
#define STATUS_DETACHED_KIND "detached"
#define STATUS_ENDED_KIND "ended"
#define STATUS_RUNS_KIND "exec"

/* Entries that are no worker's. */
#define STATUS_ENTRIES_MORE (SCOREBOARD_DETACHED_MAX + JOURNAL_COUNT)

/* A busy slot's texts, copied once: a worker may be writing them. */
struct status_texts {
	char kind[SCOREBOARD_KIND_MAX];
	char name[VMM_GUEST_NAME_MAX + 1];
	char user[SCOREBOARD_USER_MAX];
	char command[VMM_GUEST_COMMAND_MAX + 1];
};

static void
status_copy_text(char *copy, const char *text, size_t size)
{
	memcpy(copy, text, size);
	copy[size - 1] = '\0';
}

/* What the session has of memory and CPU, in the cgroup of NUMBER. */
static void
status_measure(
    const struct session *session, uint64_t number, uint64_t spent_us, struct status_slot *entry)
{
	struct figures_session *figures = &entry->figures;

	if (number == 0)
		return;
	figures_read_session(session->settings->session_cgroups_fd, number, figures);
	figures->cpu_us -= figures->cpu_us > spent_us ? spent_us : figures->cpu_us;
}

/* Copies one slot. Returns false if it is idle, or became so. */
static bool
status_copy_slot(const struct slot *slot, struct status_texts *texts, struct status_slot *ret)
{
	uint64_t now = clock_mono_ms();
	uint64_t session = atomic_load(&slot->session);
	uint64_t started = atomic_load(&slot->started_ms);
	uint64_t attached_to = atomic_load(&slot->attachment.session);
	int32_t child = atomic_load(&slot->child_pid);

	if (atomic_load(&slot->phase) == SLOT_IDLE || session == 0)
		return false;
	status_copy_text(texts->kind, slot->kind, sizeof(texts->kind));
	status_copy_text(texts->name, slot->name, sizeof(texts->name));
	status_copy_text(texts->user, slot->user, sizeof(texts->user));
	status_copy_text(texts->command, slot->command, sizeof(texts->command));
	*ret = (struct status_slot){
		.kind = texts->kind,
		.session = session,
		.pid = child != 0 ? child : atomic_load(&slot->worker_pid),
		.user = texts->user,
		.command = texts->command,
		.age_ms = now > started ? now - started : 0,
		.bytes_in = atomic_load(&slot->bytes_in),
		.bytes_out = atomic_load(&slot->bytes_out),
		.name = texts->name,
		.attached_to = attached_to != session ? attached_to : 0,
	};
	return atomic_load(&slot->session) == session;
}

static bool
status_copy_detached(
    const struct scoreboard_detached *entry, struct status_texts *texts, struct status_slot *ret)
{
	uint64_t now = clock_mono_ms();

	if (atomic_load(&entry->state) != SCOREBOARD_RUNS)
		return false;
	(void)strlcpy(texts->kind, STATUS_DETACHED_KIND, sizeof(texts->kind));
	status_copy_text(texts->name, entry->name, sizeof(texts->name));
	status_copy_text(texts->user, entry->user, sizeof(texts->user));
	status_copy_text(texts->command, entry->command, sizeof(texts->command));
	*ret = (struct status_slot){
		.kind = texts->kind,
		.session = atomic_load(&entry->session),
		.pid = atomic_load(&entry->pid),
		.user = texts->user,
		.command = texts->command,
		.age_ms = now > entry->started_ms ? now - entry->started_ms : 0,
		.name = texts->name,
	};
	return ret->session != 0;
}

/* What is known of a durable session, in ENTRY: its worker's, or a new one. */
static void
status_fill_durable(const struct scoreboard *board, const struct journal *journal,
    struct status_texts *texts, struct status_slot *entry)
{
	struct journal_end how;

	(void)strlcpy(texts->name, journal->name, sizeof(texts->name));
	entry->name = texts->name;
	entry->is_durable = true;
	entry->attached = attachment_count(board, journal);
	entry->offset = journal_end_offset(journal);
	entry->running = journal_is_running(journal);
	entry->has_ended = !entry->running && journal_has_ended(journal, &how);
	if (entry->has_ended) {
		entry->code = how.code;
		entry->signal = how.signal;
	}
}

_Static_assert(
    SCOREBOARD_USER_MAX == JOURNAL_USER_MAX && VMM_GUEST_COMMAND_MAX == JOURNAL_COMMAND_MAX,
    "a journal's record has the texts of a slot");

/* Of a session that no worker serves: its end is kept, or its worker died a moment ago. */
static void
status_copy_kept(
    const struct journal *journal, struct status_texts *texts, struct status_slot *entry)
{
	uint64_t started = journal->record->started_ms;
	uint64_t now = clock_mono_ms();

	status_copy_text(texts->user, journal->record->user, sizeof(texts->user));
	status_copy_text(texts->command, journal->record->command, sizeof(texts->command));
	(void)strlcpy(texts->kind,
	    journal_is_running(journal) ? STATUS_RUNS_KIND : STATUS_ENDED_KIND,
	    sizeof(texts->kind));
	*entry = (struct status_slot){
		.kind = texts->kind,
		.session = journal->session,
		.user = texts->user,
		.command = texts->command,
		.age_ms = now > started ? now - started : 0,
	};
}

/* The durable sessions, of which those that run are among the COUNT entries that are there.
 * Returns how many there are then. */
static size_t
status_copy_journals(
    struct scoreboard *board, size_t count, struct status_texts *texts, struct status_slot *entries)
{
	for (uint32_t i = 0; i < board->journal_count; i++) {
		struct journal journal;
		size_t at = 0;

		if (journal_open(board, i, &journal) < 0)
			continue;
		while (at < count && entries[at].session != journal.session)
			at++;
		if (at == count)
			status_copy_kept(&journal, &texts[at], &entries[count++]);
		status_fill_durable(board, &journal, &texts[at], &entries[at]);
	}
	return count;
}

/* Counts busy workers by the admission that they hold: those with none serve a control request. */
static void
status_count_workers(const struct scoreboard *board, uint32_t busy, struct status *status)
{
	uint32_t held = admission_count_taken(board, ADMISSION_FILE);
	uint32_t exec = admission_count_taken(board, ADMISSION_EXEC);
	uint32_t look = admission_count_taken(board, ADMISSION_LOOK);
	uint32_t used;
	uint32_t laid_by = holder_place_count(board, &used);

	status->workers.configured = board->workers;
	status->workers.reserved = board->reserved;
	status->workers.idle = scoreboard_count_idle(board);
	status->workers.exec = exec;
	/* What is laid by and not used has no worker. */
	held -= laid_by - used;
	look += used;
	status->workers.look = look;
	status->workers.file = held > exec + look ? held - exec - look : 0;
	status->workers.control = busy > held ? busy - held : 0;
}

static void
status_count_sessions(const struct scoreboard *board, struct status *status)
{
	const struct scoreboard_counts *counts = &board->counts;
	const struct scoreboard_deaths *deaths = &board->deaths;

	status->sessions.started = atomic_load(&counts->started);
	status->sessions.exited = atomic_load(&counts->exited);
	status->sessions.signaled = atomic_load(&counts->signaled);
	status->sessions.timeouts = atomic_load(&counts->timeouts);
	status->sessions.oom = atomic_load(&counts->oom);
	status->sessions.refused = atomic_load(&counts->refused);
	status->sessions.bad_requests = atomic_load(&counts->bad_requests);
	status->sessions.stalled = atomic_load(&counts->stalled);
	status->clock_syncs = atomic_load(&counts->clock_syncs);
	status->has_generation = generation_look(board, &status->generation);
	status->worker_deaths.total = atomic_load(&deaths->total);
	for (int i = 0; i < STATUS_SIGNAL_MAX; i++)
		status->worker_deaths.by_signal[i] = atomic_load(&deaths->by_signal[i]);
	status->worker_deaths.last_signal = atomic_load(&deaths->last_signal);
	status->worker_deaths.last_unix_ms = atomic_load(&deaths->last_unix_ms);
}

static void
status_fill_quiesce(const struct quiesce *quiesce, struct status *status)
{
	static const char *const phases[] = {
		[QUIESCE_CLAIMED] = "asked",
		[QUIESCE_ASKED] = "asked",
		[QUIESCE_RESTING] = "resting",
		[QUIESCE_FREEZING] = "freezing",
		[QUIESCE_HELD] = "held",
		[QUIESCE_THAWING] = "thawing",
	};
	enum quiesce_phase phase = quiesce_phase(quiesce);
	uint64_t until = atomic_load(&quiesce->hold_until_ms);
	uint64_t now = hold_timer_now_ms();

	status->is_quiesced = phase > QUIESCE_NONE && phase <= QUIESCE_THAWING;
	if (!status->is_quiesced)
		return;
	status->quiesce.number = quiesce_number(quiesce);
	status->quiesce.phase = phases[phase];
	status->quiesce.hold_left_ms = until > now ? until - now : 0;
}

/* By a descriptor, which no dead file system that is mounted over it can hide. */
static uint64_t
status_measure_shm(int shm_fd)
{
	struct statfs status;

	if (shm_fd < 0 || fstatfs(shm_fd, &status) < 0 || status.f_blocks < status.f_bfree)
		return 0;
	return (uint64_t)(status.f_blocks - status.f_bfree) * (uint64_t)status.f_bsize;
}

/* Those of workers and of detached programs, with what each uses where IS_MEASURED. Returns how
 * many there are; *RET_BUSY is how many of them are workers'. */
static size_t
status_copy_sessions(const struct session *session, bool is_measured, struct status_texts *texts,
    struct status_slot *slots, uint32_t *ret_busy)
{
	const struct scoreboard *board = session->board;
	size_t count = 0;

	for (uint32_t i = 0; i < board->workers; i++) {
		const struct slot *slot = &board->slots[i];

		if (!status_copy_slot(slot, &texts[count], &slots[count]))
			continue;
		/* A worker that runs no program may have a cgroup all the same. */
		if (is_measured && atomic_load(&slot->child_pid) != 0)
			status_measure(session, atomic_load(&slot->cgroup),
			    atomic_load(&slot->cgroup_spent_us), &slots[count]);
		count++;
	}
	*ret_busy = (uint32_t)count;
	for (int i = 0; i < SCOREBOARD_DETACHED_MAX; i++) {
		const struct scoreboard_detached *entry = &board->detached[i];

		if (!status_copy_detached(entry, &texts[count], &slots[count]))
			continue;
		if (is_measured)
			status_measure(session, atomic_load(&entry->cgroup), 0, &slots[count]);
		count++;
	}
	return count;
}

static char *
status_collect(const struct session *session, bool has_guest, struct status_slot *slots,
    struct status_texts *texts, size_t *ret_len)
{
	struct scoreboard *board = session->board;
	char instance[VMM_GUEST_INSTANCE_LEN + 1];
	struct figures_room room;
	uint32_t busy;
	struct status status = {
		.version = PACKAGE_VERSION,
		.protocol = VMM_GUEST_PROTOCOL_VERSION,
		.instance = instance,
		.pid = board->supervisor_pid,
		.uptime_ms = clock_mono_ms() - board->started_ms,
		.boot_ms = (double)atomic_load(&board->ready_us) / STATUS_US_PER_MS,
		.shm_bytes = status_measure_shm(session->settings->shm_fd),
		.max_file_bytes = session->settings->max_file_bytes,
		.has_guest = has_guest,
		.slots = slots,
	};

	session_format_instance(session, instance);
	status.features = request_table_features(&status.features_count);
	status.slots_count = status_copy_sessions(session, has_guest, texts, slots, &busy);
	status_count_workers(board, busy, &status);
	status.slots_count = status_copy_journals(board, status.slots_count, texts, slots);
	if (has_guest) {
		/* The root may be of a server that has gone. */
		watchdog_set(STATUS_FIGURES_MAX_MS);
		figures_read(proc_dir_fd(), &room);
		watchdog_set(0);
		status.guest = room.figures;
	}
	status_count_sessions(board, &status);
	status_fill_quiesce(&board->quiesce, &status);
	return status_format(&status, ret_len);
}

static void
status_answer(struct session *session, bool has_guest)
{
	size_t most = session->board->workers + STATUS_ENTRIES_MORE;
	struct status_slot *slots = calloc(most, sizeof(*slots));
	struct status_texts *texts = calloc(most, sizeof(*texts));
	char *text = NULL;
	size_t text_len = 0;

	if (slots != NULL && texts != NULL)
		text = status_collect(session, has_guest, slots, texts, &text_len);
	if (session_send_status(session, text, text_len))
		session_send_exit(session, VMM_GUEST_EXIT_OK, 0);
	free(texts);
	free(slots);
}

void
status_serve(struct session *session, uint8_t type, const uint8_t *payload, size_t len)
{
	struct control_status request;
	struct json_error error;

	(void)type;
	if (control_status_parse((const char *)payload, len, &request, &error) < 0)
		session_refuse_bad(session, "STATUS_REQ", &error);
	else
		status_answer(session, request.guest);
}
