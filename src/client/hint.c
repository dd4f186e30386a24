/*
 * SPDX-License-Identifier: MIT
 */
#include "client/hint.h"

#include <errno.h>

const char *
hint_unreached(int error)
{
	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		return "; is the VM running?";
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
