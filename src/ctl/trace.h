/*
 * trace: the frames of all connections on standard error, one a line, to look for a
 * fault by:
 *
 *   vmm-guest-ctl: -> START, 24 bytes: {"argv":["true"]}
 *   vmm-guest-ctl: <- EXIT, 8 bytes: 00 00 00 00 00 00 00 00
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_TRACE_H
#define CTL_TRACE_H

#include "ctl/core/client.h"

/* Of the longest line, with the NUL and without the end of line. */
#define TRACE_LINE_MAX 256

/* Writes the line of FRAME, cut where it would be longer, to TEXT of TRACE_LINE_MAX
 * bytes: text without control characters, numbers as bytes. */
void trace_format(const struct client_frame *frame, char *text);

/* Writes it to standard error, by one write(2); whole lines also from many threads, and
 * on a terminal in raw mode. */
void trace_frame(const struct client_frame *frame);

#endif
