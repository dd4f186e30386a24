/*
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/pool.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/bell.h"
#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/fdpass.h"
#include "platform/log.h"
#include "platform/text.h"
#include "platform/watchdog.h"
#include "shared/cgroup_number.h"
#include "shared/generation.h"
#include "shared/given_env.h"
#include "shared/admission.h"
#include "supervisor/cut.h"
#include "supervisor/journals.h"
#include "supervisor/lost_reply.h"
#include "supervisor/own_fd.h"

#define POOL_FORK_RETRY_MS 500
#define POOL_CAUSE_MAX 96

static struct log_limit pool_fork_limit = { .burst = 1, .period_ms = 60000 };

static bool
pool_spare(void *context, uint32_t index, int timer_fd)
{
	struct pool *pool = context;
	struct pool_worker *worker = &pool->workers[index];
	struct slot *slot = &pool->board->slots[index];

	/* One of the times is over. */
	if (atomic_exchange(&slot->is_flushing, 0) != 0) {
		watchdog_set_other(
		    timer_fd, (uint32_t)pool->options.settings->session.stall_timeout_ms *
				  (SLOT_FLUSH_TIMES - 1));
		return true;
	}
	return cut_start(slot, worker->pid, timer_fd, WATCHDOGS_DEATH_MS, &worker->cut_session);
}

int
pool_init(struct pool *pool, const struct worker_settings *settings, struct scoreboard *board,
    const struct worker_listener *listeners, int listeners_count)
{
	int r;

	*pool = (struct pool){
		.options = { .settings = settings,
		    .board = board,
		    .listeners_count = listeners_count,
		    .queue_read_fd = -1,
		    .queue_write_fd = -1,
		    .parking_fd = -1,
		    .watchdog_fd = -1 },
		.board = board,
		.count = board->workers,
		.workers = calloc(board->workers, sizeof(struct pool_worker)),
	};
	r = pool->workers == NULL ? -ENOMEM : watchdogs_init(&pool->watchdogs, pool->count);
	if (r < 0) {
		free(pool->workers);
		*pool = (struct pool){ 0 };
		return r;
	}
	pool->watchdogs.spare = pool_spare;
	pool->watchdogs.spare_context = pool;
	for (int i = 0; i < listeners_count; i++)
		pool->options.listeners[i] = listeners[i];
	for (uint32_t i = 0; i < pool->count; i++)
		pool->workers[i].queue_fd = -1;
	return 0;
}

/* ---- births ------------------------------------------------------------ */

/* Opens the queue of a worker that is about to be forked. */
static int
pool_open_queue(struct pool_worker *worker, int *ret_write_fd)
{
	int CLEANUP_FD read_fd = -1;
	int CLEANUP_FD write_fd = -1;
	int r = fdpass_open(&read_fd, &write_fd);

	if (r < 0)
		return r;
	r = own_fd_copy(read_fd);
	if (r < 0)
		return r;
	worker->queue_fd = r;
	*ret_write_fd = fd_steal(&write_fd);
	return 0;
}

static int
pool_fork(struct pool *pool, uint32_t index)
{
	struct pool_worker *worker = &pool->workers[index];
	int CLEANUP_FD write_fd = -1;
	int CLEANUP_FD watchdog_fd = -1;
	pid_t pid;
	int r = pool_open_queue(worker, &write_fd);

	if (r == 0)
		r = watchdogs_open(&pool->watchdogs, index, &watchdog_fd);
	pid = r < 0 ? -1 : fork();
	if (pid < 0) {
		r = r < 0 ? r : -errno;
		fd_close(&worker->queue_fd);
		watchdogs_close(&pool->watchdogs, index);
		return r;
	}
	if (pid == 0) {
		struct worker_options options = pool->options;

		/* Before it serves: we may be late with it, and without it nobody can wake it. */
		atomic_store(&pool->board->slots[index].worker_pid, getpid());
		options.index = index;
		options.queue_read_fd = worker->queue_fd;
		options.queue_write_fd = fd_steal(&write_fd);
		options.watchdog_fd = fd_steal(&watchdog_fd);
		own_fd_close_others(OWN_FD_MIN, &worker->queue_fd, 1);
		worker_run(&options);
	}
	worker->pid = pid;
	worker->is_stale = false;
	watchdogs_start(&pool->watchdogs, index, pid);
	atomic_store(&pool->board->slots[index].worker_pid, pid);
	return 0;
}

uint64_t
pool_fork_due(struct pool *pool, uint64_t now_ms, uint32_t max)
{
	uint64_t next = CLOCK_NEVER;
	uint32_t forked = 0;

	for (uint32_t i = 0; i < pool->count && !pool->is_closing; i++) {
		struct pool_worker *worker = &pool->workers[i];
		int r;

		if (worker->pid != 0)
			continue;
		if (worker->start_at_ms <= now_ms && forked == max)
			return now_ms;
		if (worker->start_at_ms <= now_ms) {
			r = pool_fork(pool, i);
			forked += r == 0;
			if (r == 0)
				continue;
			worker->start_at_ms = now_ms + POOL_FORK_RETRY_MS;
			log_limited(&pool_fork_limit, "can't fork worker %u: %s; trying again", i,
			    strerror(-r));
		}
		if (worker->start_at_ms < next)
			next = worker->start_at_ms;
	}
	return next;
}

/* ---- deaths ------------------------------------------------------------ */

static struct pool_worker *
pool_find(const struct pool *pool, pid_t pid)
{
	for (uint32_t i = 0; i < pool->count; i++) {
		if (pool->workers[i].pid == pid)
			return &pool->workers[i];
	}
	return NULL;
}

bool
pool_owns(const struct pool *pool, pid_t pid)
{
	return pool_find(pool, pid) != NULL || pid == pool->switch_pid ||
	       watchdogs_has_lost(&pool->watchdogs, pid);
}

/* Kills the process group of a lost session's main process. The number came from a dead
 * worker, so it is believed only if it is now an unreaped child of ours. */
static void
pool_kill_session(struct pool *pool, int32_t child)
{
	siginfo_t info;

	if (child <= 1 || pool_owns(pool, child))
		return;
	if (waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return;
	(void)kill(child, SIGKILL);
	(void)kill(-child, SIGKILL);
}

int
pool_kill_cgroup(struct pool *pool, int cgroup_fd)
{
	return cgroup_reaper_add(&pool->reaper, own_fd_hide(cgroup_fd), clock_mono_ms());
}

uint64_t
pool_kill_again(struct pool *pool, uint64_t now_ms)
{
	return cgroup_reaper_step(&pool->reaper, now_ms);
}

/* Kills what is in a dead worker's session cgroup, by the number that it left, unless
 * another worker has that number: its session must not end. A later worker, in whatever
 * slot, removes the cgroup. */
static void
pool_kill_cgroup_of(struct pool *pool, uint32_t index, uint64_t number)
{
	int fd;

	for (uint32_t i = 0; i < pool->count; i++) {
		if (i != index && atomic_load(&pool->board->slots[i].cgroup) == number)
			return;
	}
	fd = cgroup_number_open(pool->options.settings->session.session_cgroups_fd, number);
	if (fd >= 0)
		(void)pool_kill_cgroup(pool, fd);
}

static void
pool_describe_death(
    const siginfo_t *info, bool is_stuck, bool is_spawning, char *cause, size_t size)
{
	if (info->si_code == CLD_EXITED)
		(void)text_format(cause, size, "exit status %d", info->si_status);
	else
		(void)text_format(cause, size, "signal %d (%s)%s%s", info->si_status,
		    strsignal(info->si_status), is_stuck ? ", stuck in the kernel" : "",
		    is_spawning ? " while starting the program" : "");
}

static void
pool_count_death(struct scoreboard *board, const siginfo_t *info)
{
	int signal = info->si_code == CLD_EXITED ? 0 : info->si_status;

	(void)atomic_fetch_add(&board->deaths.total, 1);
	if (signal >= 0 && signal < SCOREBOARD_SIGNAL_MAX)
		(void)atomic_fetch_add(&board->deaths.by_signal[signal], 1);
	atomic_store(&board->deaths.last_signal, signal);
	atomic_store(&board->deaths.last_unix_ms, clock_wall_ms());
}

/* INFO as of waitid(2). A worker that IS_STUCK was killed and does not die: it counts as
 * dead. */
static void
pool_bury_worker(
    struct pool *pool, struct pool_worker *worker, const siginfo_t *info, bool is_stuck)
{
	uint32_t index = (uint32_t)(worker - pool->workers);
	struct slot *slot = &pool->board->slots[index];
	bool is_clean = info->si_code == CLD_EXITED && info->si_status == 0;
	bool was_killed = watchdogs_has_killed(&pool->watchdogs, index);
	uint64_t now = clock_mono_ms();
	char cause[POOL_CAUSE_MAX];
	bool had_session;

	pool_describe_death(
	    info, is_stuck, atomic_load(&slot->spawning) != 0, cause, sizeof(cause));
	pool_kill_session(pool, atomic_load(&slot->child_pid));
	/* Without clone3(2) a child writes its number when it first runs, and may not have. */
	if (atomic_load(&slot->child_pid) != 0 || atomic_load(&slot->spawning) != 0)
		pool_kill_cgroup_of(pool, index, atomic_load(&slot->cgroup));
	journals_bury(pool->board, index, cause);
	admission_free_dead(pool->board, index);
	generation_free_dead(pool->board, index);
	given_env_free_dead(pool->board, index);
	quiesce_bury(&pool->board->quiesce, index);
	/* A file of the guest's that does not answer is not the agent's fault. */
	if (!is_clean && was_killed)
		(void)atomic_fetch_add(&pool->board->counts.stalled, 1);
	else if (!is_clean)
		pool_count_death(pool->board, info);
	/* Its host asks at once for what it held, and how many have died. */
	had_session = lost_reply_send(worker->queue_fd, slot, cause);
	fd_close(&worker->queue_fd);
	watchdogs_close(&pool->watchdogs, index);
	scoreboard_clear_slot(slot);
	/* Nobody waits until it rests. */
	if (quiesce_is_raised(&pool->board->quiesce))
		bell_ring(pool->board->quiesce_bell_fd);
	atomic_store(&slot->cgroup, 0);
	atomic_store(&slot->worker_pid, 0);
	atomic_store(&slot->sessions_served, 0);
	worker->pid = 0;
	worker->start_at_ms = now + restart_delay_ms(&worker->restart, is_clean || was_killed, now);
	if (is_clean)
		return;
	log_warnx("worker %u (pid %d) %s: %s%s; the next starts in %u ms", index, (int)info->si_pid,
	    was_killed ? "was stalled, and killed" : "died", cause,
	    had_session ? "; its session was told" : "", (unsigned)(worker->start_at_ms - now));
}

void
pool_bury(struct pool *pool, const siginfo_t *info)
{
	struct pool_worker *worker = pool_find(pool, info->si_pid);

	if (worker != NULL) {
		pool_bury_worker(pool, worker, info, false);
		return;
	}
	watchdogs_forget(&pool->watchdogs, info->si_pid);
	/* An orphan. If a slot names it, its worker is dying: kill its process group while the
	 * number can't be another's. */
	for (uint32_t i = 0; i < pool->count; i++) {
		if (atomic_load(&pool->board->slots[i].child_pid) == info->si_pid)
			pool_kill_session(pool, info->si_pid);
	}
}

uint64_t
pool_watch(struct pool *pool, uint64_t now_ms)
{
	bool given_up = false;
	uint32_t index;

	while (watchdogs_step(&pool->watchdogs, now_ms, &index)) {
		siginfo_t info = { .si_code = CLD_KILLED };

		info.si_pid = pool->workers[index].pid;
		info.si_status = SIGKILL;
		pool_bury_worker(pool, &pool->workers[index], &info, true);
		given_up = true;
	}
	return given_up ? now_ms : watchdogs_next_ms(&pool->watchdogs);
}

void
pool_wake(const struct pool *pool, pid_t pid)
{
	if (pid > 0 && pool_owns(pool, pid))
		(void)kill(pid, SIGCONT);
}

/* ---- all of them ------------------------------------------------------- */

void
pool_signal(const struct pool *pool, int signal)
{
	for (uint32_t i = 0; i < pool->count; i++) {
		if (pool->workers[i].pid != 0)
			(void)kill(pool->workers[i].pid, signal);
	}
}

void
pool_replace_all(struct pool *pool)
{
	for (uint32_t i = 0; i < pool->count; i++)
		pool->workers[i].is_stale = pool->workers[i].pid != 0;
	pool_replace_step(pool);
}

/* Whether the idle worker that was told to leave has no successor yet. */
static bool
pool_is_awaiting(const struct pool *pool)
{
	const struct pool_worker *worker = &pool->workers[pool->awaited];

	if (!pool->is_awaiting || pool->is_closing)
		return false;
	if (worker->pid == 0)
		return true;
	return worker->pid == pool->awaited_pid &&
	       atomic_load(&pool->board->slots[pool->awaited].phase) == SLOT_IDLE;
}

void
pool_replace_step(struct pool *pool)
{
	if (pool_is_awaiting(pool))
		return;
	pool->is_awaiting = false;
	for (uint32_t i = 0; i < pool->count; i++) {
		struct pool_worker *worker = &pool->workers[i];

		if (!worker->is_stale || worker->pid == 0)
			continue;
		worker->is_stale = false;
		(void)kill(worker->pid, SIGHUP);
		if (atomic_load(&pool->board->slots[i].phase) != SLOT_IDLE)
			continue;
		pool->is_awaiting = true;
		pool->awaited = i;
		pool->awaited_pid = worker->pid;
		return;
	}
}

uint32_t
pool_count(const struct pool *pool)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < pool->count; i++)
		count += pool->workers[i].pid != 0;
	return count;
}

void
pool_close(struct pool *pool)
{
	pool->is_closing = true;
}
