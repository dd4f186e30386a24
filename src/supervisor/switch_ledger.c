/*
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/switch_ledger.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

int
switch_ledger_new(struct switch_ledger **ret)
{
	void *ledger = mmap(NULL, sizeof(struct switch_ledger), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (ledger == MAP_FAILED)
		return -errno;
	switch_ledger_lend(ledger, false);
	*ret = ledger;
	return 0;
}

void
switch_ledger_lend(struct switch_ledger *ledger, bool is_lent)
{
	(void)madvise(ledger, sizeof(*ledger), is_lent ? MADV_DOFORK : MADV_DONTFORK);
}

void
switch_ledger_free(struct switch_ledger **ledger)
{
	if (*ledger != NULL)
		(void)munmap(*ledger, sizeof(**ledger));
	*ledger = NULL;
}

bool
switch_ledger_may_be_frozen(const struct switch_ledger *ledger, uint32_t index)
{
	uint32_t state = atomic_load(&ledger->states[index]);

	return state == SWITCH_LEDGER_FREEZING || state == SWITCH_LEDGER_FROZEN;
}

bool
switch_ledger_is_clear(const struct switch_ledger *ledger)
{
	uint32_t i = 0;

	while (i < FD_KEEP_MAX && !switch_ledger_may_be_frozen(ledger, i))
		i++;
	return i == FD_KEEP_MAX && atomic_load(&ledger->has_sessions) == 0;
}
