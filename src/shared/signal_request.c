/*
 * SPDX-License-Identifier: MIT
 */
#include "shared/signal_request.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#include "platform/backoff.h"
#include "platform/clock.h"

/* A word: whether it was sent, the signal, the number of the session. 0: none yet. */
#define SIGNAL_REQUEST_DONE (UINT64_C(1) << 63)
#define SIGNAL_REQUEST_SIGNAL_SHIFT 56
#define SIGNAL_REQUEST_SIGNAL_MASK UINT64_C(0x7f)
#define SIGNAL_REQUEST_SESSION_MASK ((UINT64_C(1) << SIGNAL_REQUEST_SIGNAL_SHIFT) - 1)

/* The time between two looks: no event tells of the answer. */
#define SIGNAL_REQUEST_FIRST_MS 1
#define SIGNAL_REQUEST_MAX_MS 16

static void
signal_request_pause(struct backoff *backoff)
{
	(void)poll(
	    NULL, 0, (int)backoff_next_ms(backoff, SIGNAL_REQUEST_FIRST_MS, SIGNAL_REQUEST_MAX_MS));
}

static uint64_t
signal_request_word(uint64_t session, int signal)
{
	return (uint64_t)signal << SIGNAL_REQUEST_SIGNAL_SHIFT |
	       (session & SIGNAL_REQUEST_SESSION_MASK);
}

static bool
signal_request_is_of(uint64_t word, uint64_t session)
{
	return word != 0 &&
	       (word & SIGNAL_REQUEST_SESSION_MASK) == (session & SIGNAL_REQUEST_SESSION_MASK);
}

int
signal_request_ask(_Atomic uint64_t *place, uint64_t session, int signal, uint64_t deadline_ms)
{
	uint64_t word = atomic_load(place);
	struct backoff backoff = { 0 };

	for (;;) {
		bool is_pending =
		    signal_request_is_of(word, session) && (word & SIGNAL_REQUEST_DONE) == 0;

		if (!is_pending && atomic_compare_exchange_strong(
				       place, &word, signal_request_word(session, signal)))
			return 0;
		if (clock_mono_ms() >= deadline_ms)
			return -ETIMEDOUT;
		if (is_pending)
			signal_request_pause(&backoff);
		word = atomic_load(place);
	}
}

/* Whether WORD shows that WANTED was sent: it is marked, or a later request has come. */
static bool
signal_request_was_sent(uint64_t word, uint64_t wanted, uint64_t session)
{
	return word != wanted && signal_request_is_of(word, session);
}

int
signal_request_await(const _Atomic uint64_t *place, const _Atomic uint64_t *current,
    uint64_t session, int signal, uint64_t deadline_ms)
{
	uint64_t wanted = signal_request_word(session, signal);
	struct backoff backoff = { 0 };

	for (;;) {
		/* In this order: what was sent is said before the session is over. */
		bool is_over = atomic_load(current) != session || clock_mono_ms() >= deadline_ms;
		uint64_t word = atomic_load(place);

		if (signal_request_was_sent(word, wanted, session))
			return 0;
		if (is_over || word != wanted)
			return -ESRCH;
		signal_request_pause(&backoff);
	}
}

int
signal_request_look(_Atomic uint64_t *place, uint64_t session)
{
	uint64_t word = atomic_load_explicit(place, memory_order_relaxed);

	if (word == 0 || (word & SIGNAL_REQUEST_DONE) != 0)
		return 0;
	if (signal_request_is_of(word, session))
		return (int)(word >> SIGNAL_REQUEST_SIGNAL_SHIFT & SIGNAL_REQUEST_SIGNAL_MASK);
	(void)atomic_compare_exchange_strong(place, &word, 0);
	return 0;
}

void
signal_request_done(_Atomic uint64_t *place, uint64_t session, int signal)
{
	uint64_t word = signal_request_word(session, signal);

	(void)atomic_compare_exchange_strong(place, &word, word | SIGNAL_REQUEST_DONE);
}
