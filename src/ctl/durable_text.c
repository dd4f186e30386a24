/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/durable_text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "ctl/command.h"
#include "ctl/core/guest_features.h"
#include "ctl/target.h"
#include "ctl/terminal.h"

#define DURABLE_TEXT_MAX 1024

const char *
durable_text_which(const struct session_id *id, char *text)
{
	if (id->name[0] != '\0')
		(void)snprintf(text, DURABLE_TEXT_WHICH_MAX, "'%s'", id->name);
	else
		(void)snprintf(
		    text, DURABLE_TEXT_WHICH_MAX, "number %llu", (unsigned long long)id->number);
	return text;
}

void
durable_text_say(const char *format, ...)
{
	char text[DURABLE_TEXT_MAX];
	char printable[DURABLE_TEXT_MAX];
	bool is_raw = terminal_is_raw();
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	command_make_printable(text, printable, sizeof(printable));
	/* What stood on the terminal's line is the program's. */
	(void)fprintf(stderr, "%s" COMMAND_PROGRAM ": %s%s", is_raw ? "\r\n" : "", printable,
	    is_raw ? "\r\n" : "\n");
}

void
durable_text_refusal(const struct attach_durable *durable, int refusal, const char *words,
    struct client_error *error)
{
	char which[DURABLE_TEXT_WHICH_MAX];
	struct client_error ignored;

	(void)durable_text_which(&durable->id, which);
	if (refusal == -ESTALE)
		client_fail(error,
		    "session %s has gone with its agent: the one that answers at %s was started "
		    "later",
		    which, target_agent()->address);
	else if (refusal == -ESRCH && durable->is_known)
		client_fail(error,
		    "session %s is no longer there: it has ended and was forgotten, or its end was "
		    "kept for no longer",
		    which);
	else if (refusal == -ESRCH)
		client_fail(
		    error, "there is no durable session %s (see 'vmm-guest-ctl sessions')", which);
	else if (refusal != -EBUSY && refusal != -ERANGE &&
		 guest_features_have(target_agent(), GUEST_FEATURES_DURABLE, &ignored) == 0)
		client_fail(error, "the agent is too old for durable sessions");
	else
		client_fail(error, "the agent would not let us to session %s: %s", which, words);
}
