/*
 * SPDX-License-Identifier: MIT
 */
#include "client/agent_address.h"

#include <errno.h>

int
agent_address_parse(const char *text, struct address *ret, const char **ret_why)
{
	struct address address;
	int r = address_parse(text, &address);

	/* One without a CID is where an agent listens. */
	if (r == 0 && (address.kind == ADDRESS_UNIX || address.cid != UINT32_MAX)) {
		*ret = address;
		return 0;
	}
	*ret_why = r == -ENAMETOOLONG ? "the path is too long for a Unix socket"
				      : "it should be unix:PATH or vsock:CID";
	return -EINVAL;
}
