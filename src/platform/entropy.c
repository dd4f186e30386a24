/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/entropy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/random.h>

#include "platform/fd.h"

#define ENTROPY_BITS_PER_BYTE 8

int
entropy_credit(const uint8_t *bytes, size_t len)
{
	union {
		struct rand_pool_info info;
		char room[sizeof(struct rand_pool_info) + ENTROPY_MAX];
	} request;
	int CLEANUP_FD fd = -1;
	int r = 0;

	if (len > ENTROPY_MAX)
		len = ENTROPY_MAX;
	fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	request.info.entropy_count = (int)(len * ENTROPY_BITS_PER_BYTE);
	request.info.buf_size = (int)len;
	memcpy(request.room + sizeof(request.info), bytes, len);
	if (ioctl(fd, RNDADDENTROPY, &request) < 0)
		r = -errno;
	else if (ioctl(fd, RNDRESEEDCRNG) < 0)
		r = -errno;
	explicit_bzero(&request, sizeof(request));
	return r;
}

int
entropy_draw(void *bytes, size_t len)
{
	ssize_t n = getrandom(bytes, len, GRND_NONBLOCK);

	if (n < 0)
		n = getrandom(bytes, len, GRND_INSECURE);
	return n < 0 ? -errno : 0;
}
