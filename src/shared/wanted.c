/*
 * wanted: how KILL asks for a signal.
 */
#include "shared/wanted.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#include "platform/clock.h"

/* A word: whether it was sent, the signal, the number of the session. 0: none yet. */
#define WANTED_DONE (UINT64_C(1) << 63)
#define WANTED_SIGNAL_SHIFT 56
#define WANTED_SIGNAL_MASK UINT64_C(0x7f)
#define WANTED_SESSION_MASK ((UINT64_C(1) << WANTED_SIGNAL_SHIFT) - 1)

#define WANTED_LOOK_MS 1

static uint64_t
wanted_word(uint64_t session, int signal)
{
	return (uint64_t)signal << WANTED_SIGNAL_SHIFT | (session & WANTED_SESSION_MASK);
}

static bool
wanted_is_of(uint64_t word, uint64_t session)
{
	return word != 0 && (word & WANTED_SESSION_MASK) == (session & WANTED_SESSION_MASK);
}

int
wanted_ask(_Atomic uint64_t *place, uint64_t session, int signal, uint64_t deadline_ms)
{
	uint64_t word = atomic_load(place);

	for (;;) {
		bool is_pending = wanted_is_of(word, session) && (word & WANTED_DONE) == 0;

		if (!is_pending &&
		    atomic_compare_exchange_strong(place, &word, wanted_word(session, signal)))
			return 0;
		if (clock_mono_ms() >= deadline_ms)
			return -ETIMEDOUT;
		if (is_pending)
			(void)poll(NULL, 0, WANTED_LOOK_MS);
		word = atomic_load(place);
	}
}

/* Whether WORD says that WANTED was sent: itself, or by one that has come after it. */
static bool
wanted_was_sent(uint64_t word, uint64_t wanted, uint64_t session)
{
	return word != wanted && wanted_is_of(word, session);
}

int
wanted_await(const _Atomic uint64_t *place, const _Atomic uint64_t *current, uint64_t session,
    int signal, uint64_t deadline_ms)
{
	uint64_t wanted = wanted_word(session, signal);

	for (;;) {
		/* In this order: what was sent is said before the session is over. */
		bool is_over = atomic_load(current) != session || clock_mono_ms() >= deadline_ms;
		uint64_t word = atomic_load(place);

		if (wanted_was_sent(word, wanted, session))
			return 0;
		if (is_over || word != wanted)
			return -ESRCH;
		(void)poll(NULL, 0, WANTED_LOOK_MS);
	}
}

int
wanted_look(_Atomic uint64_t *place, uint64_t session)
{
	uint64_t word = atomic_load_explicit(place, memory_order_relaxed);

	if (word == 0 || (word & WANTED_DONE) != 0)
		return 0;
	if (wanted_is_of(word, session))
		return (int)(word >> WANTED_SIGNAL_SHIFT & WANTED_SIGNAL_MASK);
	(void)atomic_compare_exchange_strong(place, &word, 0);
	return 0;
}

void
wanted_done(_Atomic uint64_t *place, uint64_t session, int signal)
{
	uint64_t word = wanted_word(session, signal);

	(void)atomic_compare_exchange_strong(place, &word, word | WANTED_DONE);
}
