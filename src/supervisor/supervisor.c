/*
 * supervisor: the process that keeps the pool.
 *
 * One loop, whether it serves or ends: what is due is done, then one turn (turn.h) waits
 * for whatever comes next. Nothing that it meets after it began makes it exit but a
 * shutdown.
 *
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/log.h"
#include "platform/watchdog.h"
#include "shared/host_clock.h"
#include "supervisor/begin.h"
#include "supervisor/ending.h"
#include "supervisor/turn.h"

#define SUPERVISOR_US_PER_MS 1000.0

/* Workers that one turn forks. The first is all that a host needs to be served, and
 * gets a turn of its own. */
#define SUPERVISOR_FORKS_MAX 8
#define SUPERVISOR_FORKS_FIRST 1

/* Between two tries to listen. */
#define SUPERVISOR_LISTEN_FIRST_MS 10
#define SUPERVISOR_LISTEN_MAX_MS 1000

static struct log_limit supervisor_listen_limit = { .burst = 1, .period_ms = 60000 };

/* ---- serving ----------------------------------------------------------- */

/* Tells the host and the service manager that the agent serves, once there is a worker.
 * The other workers follow meanwhile; connections wait in the listen queue. */
static void
supervisor_tell_ready(struct supervisor *supervisor)
{
	const struct supervisor_settings *settings = supervisor->settings;
	struct address_port host = { .cid = VMM_GUEST_HOST_CID, .port = settings->ready_port };
	uint64_t ready_us = clock_mono_us() - settings->started_us;
	int r;

	supervisor->is_ready = true;
	atomic_store(&supervisor->board->ready_us, ready_us);
	r = readiness_notify(settings->notify_socket, "READY=1");
	if (r < 0)
		log_error(r, "can't tell %s", settings->notify_socket);
	if (host.port != 0)
		readiness_dial(&supervisor->readiness, &host, "R");
	if (settings->notify.port != 0)
		readiness_dial(&supervisor->readiness, &settings->notify, "READY=1");
	log_info("ready: %u workers, %u reserved, after %.1f ms", supervisor->board->workers,
	    supervisor->board->reserved, (double)ready_us / SUPERVISOR_US_PER_MS);
}

static void
supervisor_listen_later(struct supervisor *supervisor, uint64_t now)
{
	supervisor->listen_at_ms = now + backoff_next_ms(&supervisor->listen_backoff,
					     SUPERVISOR_LISTEN_FIRST_MS, SUPERVISOR_LISTEN_MAX_MS);
}

/* Opens the listeners if it is time; the first success begins the service. */
static void
supervisor_try_listen(struct supervisor *supervisor, uint64_t now)
{
	const struct supervisor_settings *settings = supervisor->settings;
	int r;

	if (supervisor->is_serving || now < supervisor->listen_at_ms)
		return;
	r = listeners_open(&supervisor->listeners, &settings->listen, settings->worker.exec_port,
	    settings->worker.file_port);
	if (r < 0 && settings->listen.kind == ADDRESS_UNIX && !settings->is_init)
		fatal_error(r, "can't listen on unix:%s", settings->listen.path);
	if (r < 0) {
		supervisor_listen_later(supervisor, now);
		log_limited(
		    &supervisor_listen_limit, "can't listen yet: %s; trying again", strerror(-r));
		return;
	}
	r = pool_init(&supervisor->pool, &settings->worker, supervisor->board,
	    supervisor->listeners.list, supervisor->listeners.count);
	if (r < 0) {
		listeners_close(&supervisor->listeners, &settings->listen);
		supervisor_listen_later(supervisor, now);
		log_limited(&supervisor_listen_limit, "no memory for the pool; trying again");
		return;
	}
	supervisor->pool.options.parking_fd = supervisor->parked.workers_fd;
	supervisor->is_serving = true;
}

/* The supervisor alone decides that the end begins. What a worker that ran wild has
 * written there would make every new worker leave at once. */
static void
supervisor_deny_end(struct supervisor *supervisor)
{
	if (atomic_load(&supervisor->board->shutdown.stage) != SCOREBOARD_RUNNING)
		atomic_store(&supervisor->board->shutdown.stage, SCOREBOARD_RUNNING);
}

/* Forks the workers that are due. Returns when the next is due. */
static uint64_t
supervisor_fork_workers(struct supervisor *supervisor, uint64_t now)
{
	uint64_t next;

	supervisor_deny_end(supervisor);
	next = pool_fork_due(&supervisor->pool, now,
	    supervisor->is_ready ? SUPERVISOR_FORKS_MAX : SUPERVISOR_FORKS_FIRST);

	if (!supervisor->is_ready && pool_count(&supervisor->pool) > 0)
		supervisor_tell_ready(supervisor);
	pool_replace_step(&supervisor->pool);
	return next;
}

/* Does what is due while it serves. Returns when the next thing is. */
static uint64_t
supervisor_serve(struct supervisor *supervisor)
{
	uint64_t now = clock_mono_ms();

	supervisor_try_listen(supervisor, now);
	return supervisor->is_serving ? supervisor_fork_workers(supervisor, now)
				      : supervisor->listen_at_ms;
}

/* The loop. It ends where the last stage of the end does: ending.h. */
static _Noreturn void
supervisor_loop(struct supervisor *supervisor)
{
	for (;;) {
		uint64_t next = supervisor->stop_signal == 0 ? supervisor_serve(supervisor)
							     : ending_step(supervisor);

		supervisor_turn(supervisor, next);
	}
}

static void
supervisor_open_parked(struct supervisor *supervisor)
{
	int r = parked_open(&supervisor->parked, supervisor->board,
	    supervisor->settings->worker.first_frame_timeout_ms);

	if (r < 0)
		log_error(r, "no connection can be parked");
}

_Noreturn void
supervisor_run(const struct supervisor_settings *settings)
{
	struct supervisor supervisor = { .settings = settings };

	log_set_process("supervisor");
	setproctitle("supervisor");
	supervisor_take_signals(&supervisor);
	if (!settings->is_init && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		log_error(-errno, "can't become the reaper of what sessions leave");
	supervisor_make_board(&supervisor);
	journals_open(supervisor.board, settings->journals_max);
	supervisor_open_parked(&supervisor);
	readiness_init(&supervisor.readiness,
	    settings->listen.kind == ADDRESS_UNIX ? settings->listen.path : NULL);
	power_key_init(&supervisor.power_key);
	if (settings->is_init)
		power_key_open(&supervisor.power_key);
	host_clock_init();
	host_clock_look(supervisor.board);
	host_clock_log();
	supervisor_loop(&supervisor);
}

_Noreturn void
supervisor_run_once(const struct supervisor_settings *settings)
{
	struct supervisor supervisor = { .settings = settings };
	struct worker_options options = {
		.settings = &settings->worker,
		.queue_read_fd = -1,
		.queue_write_fd = -1,
		.parking_fd = -1,
		/* Nobody waits for it; but what a session costs is counted here. */
		.watchdog_fd = watchdog_open(),
	};
	int r;

	supervisor_make_board(&supervisor);
	/* There is nobody who could freeze. */
	fd_close(&supervisor.board->quiesce_bell_fd);
	journals_open(supervisor.board, 0);
	r = listeners_open(&supervisor.listeners, &settings->listen, settings->worker.exec_port,
	    settings->worker.file_port);
	if (r < 0)
		fatal_error(r, "can't listen");
	options.board = supervisor.board;
	memcpy(options.listeners, supervisor.listeners.list, sizeof(options.listeners));
	options.listeners_count = supervisor.listeners.count;
	atomic_store(&supervisor.board->slots[0].worker_pid, getpid());
	log_info("ready: one connection");
	r = worker_run_once(&options);
	listeners_close(&supervisor.listeners, &settings->listen);
	if (r < 0)
		fatal_error(r, "can't serve");
	exit(0);
}
