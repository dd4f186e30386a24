/*
 * SPDX-License-Identifier: MIT
 */
#include "session/control/restored_thaw.h"

#include <errno.h>

#include "platform/clock.h"

#define RESTORED_THAW_MAX_MS 10000

/* Between two looks at what others do. */
#define RESTORED_THAW_PAUSE_MS 2

int
restored_thaw(struct scoreboard *board, enum quiesce_ask_kind kind)
{
	struct quiesce *quiesce = &board->quiesce;
	uint64_t deadline = clock_mono_ms() + RESTORED_THAW_MAX_MS;
	int r = -EBUSY;

	/* Of a guest that is about to be held a hold would be the end. */
	while (kind == QUIESCE_ASK_HOLD && quiesce_phase(quiesce) != QUIESCE_NONE &&
	       quiesce_phase(quiesce) < QUIESCE_HELD && clock_mono_ms() < deadline)
		clock_sleep_ms(RESTORED_THAW_PAUSE_MS);
	while (r == -EBUSY && clock_mono_ms() < deadline) {
		r = quiesce_ask_and_wait(
		    quiesce, kind, QUIESCE_THAW_RESTORED, board->quiesce_bell_fd, deadline);
		if (r == -EBUSY)
			clock_sleep_ms(RESTORED_THAW_PAUSE_MS);
	}
	return r;
}

bool
restored_thaw_has_frozen(const struct scoreboard *board)
{
	const struct quiesce_report *report = &board->quiesce.report;
	bool is_frozen = false;

	if (!quiesce_is_raised(&board->quiesce))
		return false;
	for (uint32_t i = 0; i < report->places_count && i < QUIESCE_PLACES_MAX; i++)
		is_frozen = is_frozen || report->places[i].why[0] == '\0';
	return is_frozen;
}
