/*
 * status_text: the agent's STATUS, asked for and printed: as a table for people, or
 * for Prometheus.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_STATUS_TEXT_H
#define CTL_STATUS_TEXT_H

#include "protocol/status.h"

/* Asks for STATUS. Returns the exit status, 0 with *RET for status_done(), or
 * after a complaint. */
int status_text_ask(struct status *ret);

/* The agent as a whole, and its sessions, one a line. These return the exit status. */
int status_text_print(const struct status *status);
int status_text_print_sessions(const struct status *status);

/* All of it in the text exposition format of Prometheus, version 0.0.4. */
int status_text_print_metrics(const struct status *status);

#endif
