/*
 * SPDX-License-Identifier: MIT
 */
#include "shared/quiesce.h"

#include <errno.h>
#include <string.h>

#include "platform/backoff.h"
#include "platform/bell.h"
#include "platform/clock.h"

/* The word: number, holder, phase. The ask: number, kind, reason. */
#define QUIESCE_BYTE 8
#define QUIESCE_BYTE_MASK 0xffu
#define QUIESCE_HOLDER_MASK 0xffffu
#define QUIESCE_NUMBER_SHIFT 24

/* Between two looks. */
#define QUIESCE_LOOK_FIRST_MS 1
#define QUIESCE_LOOK_MAX_MS 16

static uint64_t
quiesce_word(uint64_t number, uint32_t holder, enum quiesce_phase phase)
{
	return number << QUIESCE_NUMBER_SHIFT | (uint64_t)holder << QUIESCE_BYTE | (uint64_t)phase;
}

static uint32_t
quiesce_holder_of(uint64_t word)
{
	return (uint32_t)(word >> QUIESCE_BYTE & QUIESCE_HOLDER_MASK);
}

static enum quiesce_phase
quiesce_phase_of(uint64_t word)
{
	return (enum quiesce_phase)(word & QUIESCE_BYTE_MASK);
}

enum quiesce_phase
quiesce_phase(const struct quiesce *quiesce)
{
	return quiesce_phase_of(atomic_load(&quiesce->word));
}

uint64_t
quiesce_number(const struct quiesce *quiesce)
{
	return atomic_load(&quiesce->word) >> QUIESCE_NUMBER_SHIFT;
}

uint32_t
quiesce_holder(const struct quiesce *quiesce)
{
	return quiesce_holder_of(atomic_load(&quiesce->word));
}

bool
quiesce_is_raised(const struct quiesce *quiesce)
{
	return quiesce_word_is_raised(atomic_load_explicit(&quiesce->word, memory_order_relaxed));
}

/* ---- for workers --------------------------------------------------------- */

int
quiesce_claim(struct quiesce *quiesce, uint32_t index, const struct quiesce_order *order,
    uint64_t *ret_number)
{
	uint64_t word = atomic_load(&quiesce->word);
	uint64_t number = (word >> QUIESCE_NUMBER_SHIFT) + 1;

	/* Whose the claim is stands in the same word: it may die right after. */
	if (quiesce_phase_of(word) != QUIESCE_NONE ||
	    !atomic_compare_exchange_strong(
		&quiesce->word, &word, quiesce_word(number, index + 1, QUIESCE_CLAIMED)))
		return -EBUSY;
	quiesce->order = *order;
	memset(&quiesce->report, 0, sizeof(quiesce->report));
	atomic_store(&quiesce->hold_until_ms, 0);
	atomic_store(&quiesce->word, quiesce_word(number, index + 1, QUIESCE_ASKED));
	*ret_number = number;
	return 0;
}

int
quiesce_ask(struct quiesce *quiesce, enum quiesce_ask_kind kind, enum quiesce_thaw_why why)
{
	uint64_t word = atomic_load(&quiesce->word);
	uint64_t number = word >> QUIESCE_NUMBER_SHIFT;
	uint64_t ask = (number << QUIESCE_BYTE | (uint64_t)kind) << QUIESCE_BYTE | (uint64_t)why;
	uint64_t standing = atomic_load(&quiesce->ask);

	if (quiesce_phase_of(word) < QUIESCE_ASKED)
		return -ENODATA;
	do {
		/* What was left of an earlier number is nobody's. The end goes before all. */
		if (standing >> 2 * QUIESCE_BYTE == number && standing != 0) {
			if ((standing >> QUIESCE_BYTE & QUIESCE_BYTE_MASK) == QUIESCE_ASK_THAW)
				return 0;
			if (kind != QUIESCE_ASK_THAW)
				return -EBUSY;
		}
	} while (!atomic_compare_exchange_weak(&quiesce->ask, &standing, ask));
	return 0;
}

bool
quiesce_is_over(const struct quiesce *quiesce, uint64_t number)
{
	uint64_t word = atomic_load(&quiesce->word);

	return word >> QUIESCE_NUMBER_SHIFT != number || quiesce_phase_of(word) == QUIESCE_NONE;
}

/* Whether there is time for another look, before which it pauses: no event tells of the end to
 * those that do not stand still, nor of an answer. */
static bool
quiesce_pause(struct backoff *backoff, uint64_t deadline_ms)
{
	if (clock_mono_ms() >= deadline_ms)
		return false;
	clock_sleep_ms(backoff_next_ms(backoff, QUIESCE_LOOK_FIRST_MS, QUIESCE_LOOK_MAX_MS));
	return true;
}

int
quiesce_ask_and_wait(struct quiesce *quiesce, enum quiesce_ask_kind kind, enum quiesce_thaw_why why,
    int bell_fd, uint64_t deadline_ms)
{
	uint64_t number = quiesce_number(quiesce);
	uint32_t answer = atomic_load(&quiesce->answer);
	struct backoff backoff = { 0 };
	int r = quiesce_ask(quiesce, kind, why);

	if (r < 0)
		return r;
	while (kind == QUIESCE_ASK_THAW || atomic_load(&quiesce->answer) == answer) {
		/* Again and again, as nobody knows which one is heard. */
		bell_ring(bell_fd);
		if (quiesce_is_over(quiesce, number))
			return kind == QUIESCE_ASK_THAW ? 0 : -ENODATA;
		if (!quiesce_pause(&backoff, deadline_ms))
			return -ETIMEDOUT;
	}
	return 0;
}

/* ---- for the supervisor and the switch ----------------------------------- */

void
quiesce_bury(struct quiesce *quiesce, uint32_t index)
{
	uint64_t word = atomic_load(&quiesce->word);

	/* The switch may say how far it is meanwhile. */
	while (quiesce_phase_of(word) != QUIESCE_NONE && quiesce_holder_of(word) == index + 1) {
		enum quiesce_phase phase = quiesce_phase_of(word);
		uint64_t without = quiesce_word(word >> QUIESCE_NUMBER_SHIFT, 0,
		    phase == QUIESCE_CLAIMED ? QUIESCE_NONE : phase);

		(void)atomic_compare_exchange_weak(&quiesce->word, &word, without);
	}
}

void
quiesce_set_phase(struct quiesce *quiesce, uint64_t number, enum quiesce_phase phase)
{
	uint64_t word = atomic_load(&quiesce->word);

	/* Its holder may be buried meanwhile. */
	while (!atomic_compare_exchange_weak(
	    &quiesce->word, &word, quiesce_word(number, quiesce_holder_of(word), phase)))
		;
}

enum quiesce_ask_kind
quiesce_take_ask(struct quiesce *quiesce, uint64_t number, enum quiesce_thaw_why *ret_why)
{
	uint64_t ask = atomic_exchange(&quiesce->ask, 0);
	uint64_t why = ask & QUIESCE_BYTE_MASK;
	uint64_t kind = ask >> QUIESCE_BYTE & QUIESCE_BYTE_MASK;

	if (ask >> 2 * QUIESCE_BYTE != number || kind > QUIESCE_ASK_HOLD)
		return QUIESCE_ASK_NONE;
	*ret_why = why < QUIESCE_THAW_OTHER ? (enum quiesce_thaw_why)why : QUIESCE_THAW_OTHER;
	return (enum quiesce_ask_kind)kind;
}

void
quiesce_end(struct quiesce *quiesce, uint64_t number, enum quiesce_thaw_why why)
{
	atomic_store(&quiesce->why, (uint32_t)why);
	atomic_store(&quiesce->ask, 0);
	atomic_store(&quiesce->word, quiesce_word(number, 0, QUIESCE_NONE));
}

/* ---- the report ------------------------------------------------------------ */

void
quiesce_report_step(struct quiesce_report *report, enum quiesce_report_step_name step, uint64_t us,
    const char *error)
{
	report->steps[step].us = us;
	(void)strlcpy(report->steps[step].error, error, QUIESCE_ERROR_MAX);
	report->steps_count = (uint32_t)step + 1;
}

void
quiesce_report_place(
    struct quiesce_report *report, const char *path, const char *type, const char *why)
{
	/* A worker may have written a number there, and may be writing another. */
	uint32_t count = __atomic_load_n(&report->places_count, __ATOMIC_RELAXED);
	struct quiesce_report_place *place;

	/* What is skipped leaves room for what is not. */
	if (count >=
	    (why[0] == '\0' ? QUIESCE_PLACES_MAX : QUIESCE_PLACES_MAX - VMM_GUEST_FSFREEZE_MAX))
		return;
	report->places_count = count + 1;
	place = &report->places[count];
	(void)strlcpy(place->path, path, sizeof(place->path));
	(void)strlcpy(place->type, type, sizeof(place->type));
	(void)strlcpy(place->why, why, sizeof(place->why));
}
