/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/doctor/gunzip.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ctl/host_program.h"
#include "platform/fd.h"

bool
gunzip_is_packed(const char *data, size_t len)
{
	return len >= 2 && (unsigned char)data[0] == 0x1f && (unsigned char)data[1] == 0x8b;
}

/* From a file, as of two pipes one could be full while we wait at the other. */
static int
gunzip_put(const char *data, size_t len, int *ret_fd)
{
	int CLEANUP_FD fd = memfd_create("gunzip", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = fd_pwrite_full(fd, data, len, 0);
	if (r == 0)
		*ret_fd = fd_steal(&fd);
	return r;
}

int
gunzip(const char *data, size_t len, char **ret, size_t *ret_len)
{
	char name[] = "gzip";
	char options[] = "-dc";
	char *argv[] = { name, options, NULL };
	int CLEANUP_FD fd = -1;
	int status;
	int r;

	r = gunzip_put(data, len, &fd);
	if (r < 0)
		return r;
	r = host_program_read(argv, fd, GUNZIP_MAX, ret, ret_len, &status);
	if (r == -ENOENT || r == -EACCES || r == -ENOTDIR)
		return -ENOEXEC;
	if (r == 0 && status != 0) {
		free(*ret);
		*ret = NULL;
		return -EBADMSG;
	}
	return r;
}
