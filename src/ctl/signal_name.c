/*
 * signal_name: sigabbrev_np(3), both ways.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/signal_name.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "ctl/command.h"
#include "platform/compat.h"

void
signal_name_format(int signal, char *text)
{
	const char *name = sigabbrev_np(signal);

	if (name != NULL)
		(void)snprintf(text, SIGNAL_NAME_MAX, "SIG%s", name);
	else
		(void)snprintf(text, SIGNAL_NAME_MAX, "signal %d", signal);
}

int
signal_name_parse(const char *text)
{
	uint64_t number;

	if (command_parse_number(text, 1, SIGNAL_NAME_LAST, &number) == 0)
		return (int)number;
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (int signal = 1; signal <= SIGNAL_NAME_LAST; signal++) {
		const char *name = sigabbrev_np(signal);

		if (name != NULL && strcasecmp(name, text) == 0)
			return signal;
	}
	return -EINVAL;
}
