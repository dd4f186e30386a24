/*
 * supervisor: the process that keeps the pool.
 *
 * One loop: it waits for a signal (signalfd; where that can't be had it looks for them), the power
 * key, a host that is being told of us, a worker's watchdog, or the time at which a worker or the
 * listeners are due, and nothing else can wake it. Nothing that it meets
 * after it began makes it exit but a shutdown.
 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/log.h"
#include "platform/tracee.h"
#include "platform/watchdog.h"
#include "session/host_clock.h"
#include "supervisor/own_fd.h"
#include "supervisor/released.h"
#include "supervisor/scoreboard_log.h"
#include "supervisor/supervisor_state.h"

#define SUPERVISOR_US_PER_MS 1000.0

/* Signals, or children, that one turn of the loop deals with. */
#define SUPERVISOR_TURN_MAX 256

/* Workers that one turn forks. The first is all that a host needs to be served, and
 * gets a turn of its own. */
#define SUPERVISOR_FORKS_MAX 8
#define SUPERVISOR_FORKS_FIRST 1

/* Between two logs of the scoreboard, or of what HUP does. */
#define SUPERVISOR_SHOW_MS 200

static struct log_limit supervisor_listen_limit = { .burst = 1, .period_ms = 60000 };
static struct log_limit supervisor_signal_limit = { .burst = 1, .period_ms = 60000 };

/* ---- serving ----------------------------------------------------------- */

/* Tells all who want to know that they can come: once a worker is there. The others
 * follow while the host is on its way, and connections wait in the listen queue. */
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
		log_warnx("can't tell %s: %s", settings->notify_socket, strerror(-r));
	if (host.port != 0)
		readiness_dial(&supervisor->readiness, &host, "R");
	if (settings->notify.port != 0)
		readiness_dial(&supervisor->readiness, &settings->notify, "READY=1");
	log_info("ready: %u workers, %u reserved, after %.1f ms", supervisor->board->workers,
	    supervisor->board->reserved, (double)ready_us / SUPERVISOR_US_PER_MS);
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
	if (r < 0 && settings->listen.kind == ADDRESS_UNIX && !settings->is_init) {
		errno = -r;
		fatal("can't listen on unix:%s", settings->listen.path);
	}
	if (r < 0) {
		supervisor->listen_at_ms = now + supervisor->listeners.retry_ms;
		log_limited(
		    &supervisor_listen_limit, "can't listen yet: %s; trying again", strerror(-r));
		return;
	}
	r = pool_init(&supervisor->pool, &settings->worker, supervisor->board,
	    supervisor->listeners.list, supervisor->listeners.count);
	if (r < 0) {
		listeners_close(&supervisor->listeners, &settings->listen);
		supervisor->listen_at_ms = now + LISTENERS_RETRY_MAX_MS;
		log_limited(&supervisor_listen_limit, "no memory for the pool; trying again");
		return;
	}
	supervisor->is_serving = true;
}

/* The end begins when we say so. What a worker that ran wild has written there would
 * send its successors away at once, and theirs. */
static void
supervisor_deny_end(struct supervisor *supervisor)
{
	if (atomic_load(&supervisor->board->shutdown.stage) != SCOREBOARD_RUNNING)
		atomic_store(&supervisor->board->shutdown.stage, SCOREBOARD_RUNNING);
}

/* Forks whom it is time for. Returns when the next is due. */
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

/* Buries one child that has ended: a worker, or an orphan of the guest; or wakes one
 * that was stopped. Returns false where there is none. */
static bool
supervisor_reap_one(struct supervisor *supervisor)
{
	siginfo_t info = { .si_pid = 0 };

	if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
		return false;
	if (info.si_code == CLD_STOPPED) {
		(void)waitid(P_PID, (id_t)info.si_pid, &info, WSTOPPED | WNOHANG);
		if (supervisor->is_serving)
			pool_wake(&supervisor->pool, info.si_pid);
		return true;
	}
	if (info.si_code == CLD_TRAPPED) {
		/* It has made us its tracer (PTRACE_TRACEME), and has not ended. */
		tracee_let_go(&info);
		return true;
	}
	if (supervisor->is_serving)
		pool_bury(&supervisor->pool, &info);
	released_bury(supervisor->board, info.si_pid);
	(void)waitpid(info.si_pid, NULL, WNOHANG);
	return true;
}

/* Reaps all, or as many as one turn may hold: orphans can end faster than we reap,
 * and workers are to be replaced in between. */
static void
supervisor_reap(struct supervisor *supervisor)
{
	int count = 0;

	while (count < SUPERVISOR_TURN_MAX && supervisor_reap_one(supervisor))
		count++;
	supervisor->is_behind = count == SUPERVISOR_TURN_MAX;
	if (count == 0)
		return;
	released_strike(supervisor->board, supervisor->settings->worker.session.cells_fd);
	if (supervisor->is_serving)
		released_obey(supervisor->board, &supervisor->pool);
}

/* Whether there may be a log of what a signal asked for: not more often than a person
 * could read, as a session of root's can ask too. */
static bool
supervisor_may_log(uint64_t *after_ms)
{
	uint64_t now = clock_mono_ms();

	if (now < *after_ms)
		return false;
	*after_ms = now + SUPERVISOR_SHOW_MS;
	return true;
}

static void
supervisor_on_signal(struct supervisor *supervisor, int signal)
{
	switch (signal) {
	case SIGTERM:
	case SIGINT:
	case SIGPWR:
		supervisor->stop_signal = signal;
		break;
	case SIGUSR2:
		/* Workers have left word in the scoreboard. */
		if (scoreboard_is_end_asked(
			supervisor->board, &supervisor->end_action, &supervisor->end_grace_ms))
			supervisor->stop_signal = signal;
		if (supervisor->is_serving)
			released_obey(supervisor->board, &supervisor->pool);
		break;
	case SIGHUP:
		if (supervisor_may_log(&supervisor->replace_log_after_ms))
			log_info("replacing all workers");
		if (supervisor->is_serving)
			pool_replace_all(&supervisor->pool);
		break;
	case SIGUSR1:
		if (supervisor_may_log(&supervisor->show_after_ms))
			scoreboard_log(supervisor->board);
		break;
	default:
		break; /* SIGCHLD is looked at in any case; others are nothing to us */
	}
}

/* Whether there is a descriptor that wakes us for a signal. Without one we look for
 * them, and for it. */
static bool
supervisor_is_woken(struct supervisor *supervisor)
{
	int fd;

	if (supervisor->signal_fd >= 0)
		return true;
	fd = signalfd(-1, &supervisor->signals, SFD_CLOEXEC);
	if (fd < 0)
		log_limited(&supervisor_signal_limit, "can't wait for signals: %s; trying again",
		    strerror(errno));
	else
		supervisor->signal_fd = own_fd_hide(fd);
	return fd >= 0;
}

void
supervisor_wait(struct supervisor *supervisor, uint64_t next_ms)
{
	struct pollfd polls[2 + POWER_KEY_POLLS_MAX + READINESS_DIALS];
	uint64_t give_up_ms = readiness_step(&supervisor->readiness);
	uint64_t again_ms = pool_kill_again(&supervisor->pool, clock_mono_ms());
	uint64_t watch_ms = CLOCK_NEVER;
	const struct timespec at_once = { 0 };
	int count = 2;
	int signal;

	if (!supervisor_is_woken(supervisor) && next_ms > clock_mono_ms() + SUPERVISOR_AGAIN_MS)
		next_ms = clock_mono_ms() + SUPERVISOR_AGAIN_MS;
	polls[0] = (struct pollfd){ .fd = supervisor->signal_fd, .events = POLLIN };
	polls[1] = (struct pollfd){ .fd = -1, .events = POLLIN };
	if (supervisor->is_serving) {
		watch_ms = pool_watch(&supervisor->pool, clock_mono_ms());
		polls[1].fd = supervisor->pool.watchdogs.wait_fd;
	}
	count += power_key_list(&supervisor->power_key, polls + count);
	count += readiness_list(&supervisor->readiness, polls + count);
	if (give_up_ms < next_ms)
		next_ms = give_up_ms;
	if (again_ms < next_ms)
		next_ms = again_ms;
	if (watch_ms < next_ms)
		next_ms = watch_ms;
	if (supervisor->is_behind)
		next_ms = 0;
	(void)poll(polls, (nfds_t)count, clock_poll_timeout(clock_mono_ms(), next_ms));
	(void)readiness_step(&supervisor->readiness);
	if (power_key_is_pressed(&supervisor->power_key)) {
		log_info("the power key was pressed");
		supervisor->stop_signal = SIGPWR;
	}
	for (int i = 0; i < SUPERVISOR_TURN_MAX; i++) {
		signal = sigtimedwait(&supervisor->signals, NULL, &at_once);
		if (signal < 0)
			break;
		supervisor_on_signal(supervisor, signal);
	}
	supervisor_reap(supervisor);
}

static void
supervisor_serve(struct supervisor *supervisor)
{
	while (supervisor->stop_signal == 0) {
		uint64_t now = clock_mono_ms();
		uint64_t next;

		supervisor_try_listen(supervisor, now);
		next = supervisor->is_serving ? supervisor_fork_workers(supervisor, now)
					      : supervisor->listen_at_ms;
		supervisor_wait(supervisor, next);
	}
}

_Noreturn void
supervisor_run(const struct supervisor_settings *settings)
{
	struct supervisor supervisor = { .settings = settings };

	log_set_process("supervisor");
	setproctitle("supervisor");
	supervisor_take_signals(&supervisor);
	if (!settings->is_init && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		log_warn("can't become the reaper of what sessions leave");
	supervisor_make_board(&supervisor);
	readiness_init(&supervisor.readiness,
	    settings->listen.kind == ADDRESS_UNIX ? settings->listen.path : NULL);
	power_key_init(&supervisor.power_key);
	if (settings->is_init)
		power_key_open(&supervisor.power_key);
	host_clock_init();
	host_clock_look(supervisor.board);
	host_clock_log();
	supervisor_serve(&supervisor);
	supervisor_end(&supervisor);
}

_Noreturn void
supervisor_run_once(const struct supervisor_settings *settings)
{
	struct supervisor supervisor = { .settings = settings };
	struct worker_options options = {
		.settings = &settings->worker,
		.queue_read_fd = -1,
		.queue_write_fd = -1,
		/* Nobody waits for it; but what a session costs is counted here. */
		.watchdog_fd = watchdog_open(),
	};
	int r;

	supervisor_make_board(&supervisor);
	r = listeners_open(&supervisor.listeners, &settings->listen, settings->worker.exec_port,
	    settings->worker.file_port);
	errno = -r;
	if (r < 0)
		fatal("can't listen");
	options.board = supervisor.board;
	memcpy(options.listeners, supervisor.listeners.list, sizeof(options.listeners));
	options.listeners_count = supervisor.listeners.count;
	atomic_store(&supervisor.board->slots[0].worker_pid, getpid());
	log_info("ready: one connection");
	r = worker_run_once(&options);
	listeners_close(&supervisor.listeners, &settings->listen);
	errno = -r;
	if (r < 0)
		fatal("can't serve");
	exit(0);
}
