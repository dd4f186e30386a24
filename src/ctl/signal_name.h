/*
 * signal_name: signals by name and number. See signal(7).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_SIGNAL_NAME_H
#define CTL_SIGNAL_NAME_H

#define SIGNAL_NAME_MAX 24

#define SIGNAL_NAME_LAST 64 /* the largest number of one */

/* "SIGTERM", or "signal 40" for one with no name, to TEXT of SIGNAL_NAME_MAX bytes. */
void signal_name_format(int signal, char *text);

/* Reads "TERM", "SIGTERM", "sigterm" or "15", from 1 to 64. Returns it or -EINVAL. */
int signal_name_parse(const char *text);

#endif
