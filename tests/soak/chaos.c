/*
 * chaos: what happens to the workers meanwhile. In each slot one dies no more often than
 * the back-off forgets: the next is to start at once, each time.
 *
 * SPDX-License-Identifier: MIT
 */
#include "chaos.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "talk.h"

#define CHAOS_TURN_US 20000
#define CHAOS_FORGET_MS 11000
#define CHAOS_STOP_MS 150

/* So often in so many turns. */
#define CHAOS_TURNS 100
#define CHAOS_KILLS 40
#define CHAOS_STOPS 20
#define CHAOS_HUPS 2

static uint32_t
chaos_draw(struct chaos *chaos, uint32_t limit)
{
	chaos->random ^= chaos->random >> 12;
	chaos->random ^= chaos->random << 25;
	chaos->random ^= chaos->random >> 27;
	return (uint32_t)((chaos->random * 0x2545f4914f6cdd1dull) >> 33) % limit;
}

/* On a busy machine a death is noticed late. The time until the next one in its slot begins
 * when another worker is there. */
static void
chaos_see_successors(struct chaos *chaos, const pid_t *pids)
{
	for (unsigned i = 0; i < chaos->host->workers; i++) {
		if (chaos->victims[i] == 0)
			continue;
		chaos->replaced_ms[i] = talk_now_ms();
		if (pids[i] != 0 && pids[i] != chaos->victims[i])
			chaos->victims[i] = 0;
	}
}

static void
chaos_kill(struct chaos *chaos, const pid_t *pids)
{
	unsigned slot = chaos_draw(chaos, chaos->host->workers);
	uint64_t now = talk_now_ms();

	if (pids[slot] == 0 || chaos->victims[slot] != 0 || chaos->kills == CHAOS_KILLS_MAX ||
	    (chaos->replaced_ms[slot] != 0 && now - chaos->replaced_ms[slot] < CHAOS_FORGET_MS))
		return;
	if (kill(pids[slot], chaos_draw(chaos, 3) == 0 ? SIGSEGV : SIGKILL) < 0)
		return;
	chaos->victims[slot] = pids[slot];
	chaos->killed[chaos->kills++] = pids[slot];
}

static void
chaos_stop(struct chaos *chaos, const pid_t *pids)
{
	unsigned slot = chaos_draw(chaos, chaos->host->workers);

	if (pids[slot] == 0 || chaos->stopped[slot] != 0 || kill(pids[slot], SIGSTOP) < 0)
		return;
	chaos->stopped[slot] = pids[slot];
	chaos->stopped_until_ms[slot] = talk_now_ms() + chaos_draw(chaos, CHAOS_STOP_MS);
	chaos->stops++;
}

/* Those whose time is over, or all of them, go on. */
static void
chaos_continue(struct chaos *chaos, bool all)
{
	uint64_t now = talk_now_ms();

	for (unsigned i = 0; i < chaos->host->workers; i++) {
		if (chaos->stopped[i] == 0 || (!all && now < chaos->stopped_until_ms[i]))
			continue;
		(void)kill(chaos->stopped[i], SIGCONT);
		chaos->stopped[i] = 0;
	}
}

void *
chaos_run(void *argument)
{
	struct chaos *chaos = argument;
	pid_t pids[HOST_WORKERS_MAX];

	while (!atomic_load(&chaos->is_over)) {
		uint32_t drawn = chaos_draw(chaos, CHAOS_TURNS);

		chaos_continue(chaos, false);
		host_find_workers(chaos->host, pids);
		chaos_see_successors(chaos, pids);
		if (drawn < CHAOS_KILLS) {
			chaos_kill(chaos, pids);
		} else if (drawn < CHAOS_KILLS + CHAOS_STOPS) {
			chaos_stop(chaos, pids);
		} else if (drawn < CHAOS_KILLS + CHAOS_STOPS + CHAOS_HUPS) {
			(void)kill(chaos->host->pid, SIGHUP);
			chaos->hups++;
		}
		(void)usleep(CHAOS_TURN_US);
	}
	chaos_continue(chaos, true);
	return NULL;
}
