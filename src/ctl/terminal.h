/*
 * terminal: the terminal that this program was started on: its size, and raw mode,
 * which is taken back whatever ends the program (but SIGKILL).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_TERMINAL_H
#define CTL_TERMINAL_H

#include <stdbool.h>

#include "protocol/frame.h"

/* The size of the terminal on descriptor 0, 1 or 2, the first that is one and
 * knows it. Returns whether there is one. */
bool terminal_get_size(struct frame_resize *ret);

/* Puts the terminal on descriptor 0 into raw mode: what is typed comes as it is,
 * what is written goes out as it is. No effect where it is none. It may be called
 * again, after a stop. */
void terminal_make_raw(void);

/* Has single keys come from the terminal on descriptor 0 as they are typed, without an echo; what
 * is written goes out as ever, and Ctrl-C is a signal. No effect where it is none. */
void terminal_take_keys(void);

/* Whether it is raw now: then a line end alone does not begin a line at its first column. */
bool terminal_is_raw(void);

/* Has the screen as it was before a program came that goes on elsewhere: the ordinary
 * screen, the cursor shown, and the mouse's and the clipboard's ways as before, if TERM is
 * one that knows this; and a new line begun. For a terminal on descriptor 1. */
void terminal_leave_screen(void);

/* Back to what it was; no effect where it was not made raw. */
void terminal_restore(void);

#endif
