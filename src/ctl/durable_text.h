/*
 * durable_text: what befalls a durable session, in words for a person.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_DURABLE_TEXT_H
#define CTL_DURABLE_TEXT_H

#include "ctl/attach.h"

/* Room for a session's name or number in quotes. */
#define DURABLE_TEXT_WHICH_MAX (VMM_GUEST_NAME_MAX + 4)

/* "'NAME'", or "number 12" where there is no name yet. */
const char *durable_text_which(const struct session_id *id, char *text);

/* Prints one line to standard error, also on a terminal that is raw. */
void durable_text_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Why an ATTACH of DURABLE was refused by the agent's WORDS, which the library reads as REFUSAL, an
 * -errno; to ERROR. */
void durable_text_refusal(const struct attach_durable *durable, int refusal, const char *words,
    struct client_error *error);

#endif
