/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/io_result.h"

#include <errno.h>

int
io_result(int result)
{
	return result < 0 ? -errno : result;
}
