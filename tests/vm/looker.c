/*
 * looker: looks who and when it is, without end, and writes each answer that differs from the
 * one before as a line into FILE: the time in seconds, the hostname, the machine-id, the address
 * of eth0, and 64 random bytes. It looks at the clock first, and draws the bytes last.
 *
 *     looker FILE
 *
 * SPDX-License-Identifier: MIT
 */
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ID_LEN 32
#define RANDOM_LEN 64

struct look {
	long long seconds;
	char hostname[HOST_NAME_MAX + 1];
	char machine_id[ID_LEN + 1];
	char address[INET_ADDRSTRLEN];
};

static void
look_at_address(int socket_fd, char *address)
{
	struct ifreq request = { .ifr_name = "eth0" };
	struct sockaddr_in found = { 0 };

	if (ioctl(socket_fd, SIOCGIFADDR, &request) < 0)
		return;
	memcpy(&found, &request.ifr_addr, sizeof(found));
	(void)inet_ntop(AF_INET, &found.sin_addr, address, INET_ADDRSTRLEN);
}

static void
look(int socket_fd, struct look *ret)
{
	struct timespec now;
	int fd;

	memset(ret, 0, sizeof(*ret));
	(void)clock_gettime(CLOCK_REALTIME, &now);
	ret->seconds = now.tv_sec;
	(void)gethostname(ret->hostname, sizeof(ret->hostname) - 1);
	fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, ret->machine_id, ID_LEN) < 0)
		err(1, "/etc/machine-id");
	(void)close(fd);
	look_at_address(socket_fd, ret->address);
}

static void
tell(int fd, const struct look *found)
{
	unsigned char bytes[RANDOM_LEN];
	char hex[2 * RANDOM_LEN + 1];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		err(1, "getrandom");
	for (size_t i = 0; i < sizeof(bytes); i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
	if (dprintf(fd, "%lld %s %s %s %s\n", found->seconds, found->hostname, found->machine_id,
		found->address, hex) < 0)
		err(1, "write");
}

int
main(int argc, char **argv)
{
	struct look before = { 0 };
	int socket_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int fd;

	if (argc != 2)
		errx(2, "usage: looker FILE");
	fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0 || socket_fd < 0)
		err(1, "%s", argv[1]);
	for (;;) {
		struct look now;

		look(socket_fd, &now);
		if (memcmp(&now, &before, sizeof(now)) == 0)
			continue;
		tell(fd, &now);
		before = now;
	}
}
