/*
 * SPDX-License-Identifier: MIT
 */
#include "protocol/session_name.h"

#include <string.h>

#include "vmm-guest/protocol.h"

bool
session_name_is_valid(const char *name)
{
	static const char characters[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = strlen(name);

	return len >= 1 && len <= VMM_GUEST_NAME_MAX && strspn(name, characters) == len;
}
