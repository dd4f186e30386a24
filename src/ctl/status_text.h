/*
 * status_text: the agent's STATUS, asked for and printed: as a table for people, or
 * for Prometheus.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_STATUS_TEXT_H
#define CTL_STATUS_TEXT_H

#include "ctl/core/control.h"
#include "protocol/status.h"

/* Asks for STATUS. Both return the exit status: 0 with *RET, which is for status_done()
 * or has a STATUS; or another after a complaint. *RET of the second is for
 * control_answer_done() in any case. */
int status_text_ask(struct status *ret);
int status_text_ask_json(struct control_answer *ret);

/* The agent as a whole, and its sessions, one a line. These return the exit status. */
int status_text_print(const struct status *status);
int status_text_print_sessions(const struct status *status);

/* All of it in the text exposition format of Prometheus, version 0.0.4. */
int status_text_print_metrics(const struct status *status);

#endif
