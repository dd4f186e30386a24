/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/signals.h"

#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIGNALS_COUNT 64

void
signals_reset(void)
{
	/* SIG_DFL, no flags and an empty mask, as the kernel lays them out. */
	static const unsigned char action[64];

	for (int signal = 1; signal <= SIGNALS_COUNT; signal++)
		(void)syscall(SYS_rt_sigaction, signal, action, NULL, SIGNALS_COUNT / 8);
}
