/*
 * top_text: two looks at a guest as a table: what it and its sessions used between them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_TOP_TEXT_H
#define CTL_TOP_TEXT_H

#include <stddef.h>
#include <stdio.h>

#include "protocol/status.h"

/* Lines above the sessions, and that of their table's head. */
#define TOP_TEXT_LINES 7u

/* Two answers of one guest. */
struct top_looks {
	const struct status *before; /* NULL: there was none */
	const struct status *now;
	FILE *out; /* where they are shown */
};

/* Prints what LOOKS come to, and of the sessions, those first that use most, at most ROOM. Returns
 * 0, or the status of a command that has failed, which was told. */
int top_text_print(const struct top_looks *looks, size_t room);

#endif
