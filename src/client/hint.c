/*
 * SPDX-License-Identifier: MIT
 */
#include "client/hint.h"

#include <errno.h>

const char *
hint_unreached(int error, bool is_vsock)
{
	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		return "; is the VM running?";
	case ECONNRESET:
		return is_vsock ? "; the VM runs, but no agent listens (yet?)" : "";
	case ENODEV:
		return "; is a VM with this CID running?";
	case EACCES:
	case EPERM:
		return "; may this user open it?";
	case EAFNOSUPPORT:
		return "; this kernel has no vsock (modprobe vhost_vsock)";
	default:
		return "";
	}
}
