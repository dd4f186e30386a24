/*
 * status_text: the agent's STATUS, asked for and printed: as a table for people, or
 * for Prometheus.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_STATUS_TEXT_H
#define CTL_STATUS_TEXT_H

#include "ctl/core/control.h"
#include "ctl/session_table.h"
#include "protocol/status.h"

/* Asks for STATUS; the last two also for what the guest's kernel counts, which an older agent
 * does not tell. They return the exit status: 0 with *RET, which is for status_done() or has a
 * STATUS; or another after a complaint. *RET of the last is for control_answer_done() in
 * any case. */
int status_text_ask(struct status *ret);
int status_text_ask_figures(struct status *ret);
int status_text_ask_json(struct control_answer *ret);

/* Whether SLOT is the connection that asked for STATUS. */
bool status_text_is_own(const struct status_slot *slot);

/* Fills in the first five cells of ROW, which say what session SLOT is: its number, its name, what
 * kind, its PID and its user. */
void status_text_fill_slot(struct session_table_row *row, const struct status_slot *slot);

/* The agent as a whole, and its sessions, one a line. These return the exit status. */
int status_text_print(const struct status *status);
int status_text_print_sessions(const struct status *status);

/* What the guest's kernel counts, if the agent told it. */
void status_text_print_guest(const struct status *status);

/* Bytes, of all disks, and of all interfaces but the guest's own loop. */
struct figures_traffic {
	uint64_t read_bytes;
	uint64_t written_bytes;
	uint64_t received_bytes;
	uint64_t sent_bytes;
};

void status_text_sum(const struct figures *guest, struct figures_traffic *ret);

/* All of it in the text exposition format of Prometheus, version 0.0.4. */
int status_text_print_metrics(const struct status *status);

#endif
