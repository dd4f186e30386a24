/*
 * name_server: a name server at 127.0.0.1 that finds every name at ADDRESS (RFC 1035). It serves
 * when this returns.
 *
 *     name_server ADDRESS
 *
 * SPDX-License-Identifier: MIT
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT 53
#define MESSAGE_MAX 512
#define HEADER_LEN 12

/* A response to a recursive query, with one question and one answer: type A, class IN, a minute,
 * of the name that stands behind the header. */
static const uint8_t flags_and_counts[] = { 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0 };
static const uint8_t answer[] = { 0xc0, HEADER_LEN, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4 };

static void
serve_one(int fd, in_addr_t address)
{
	uint8_t message[MESSAGE_MAX + sizeof(answer) + sizeof(address)];
	struct sockaddr_in peer;
	socklen_t peer_len = sizeof(peer);
	ssize_t n = recvfrom(fd, message, MESSAGE_MAX, 0, (struct sockaddr *)&peer, &peer_len);

	if (n < HEADER_LEN)
		return;
	memcpy(message + 2, flags_and_counts, sizeof(flags_and_counts));
	memcpy(message + n, answer, sizeof(answer));
	memcpy(message + n + sizeof(answer), &address, sizeof(address));
	(void)sendto(fd, message, (size_t)n + sizeof(answer) + sizeof(address), 0,
	    (const struct sockaddr *)&peer, peer_len);
}

int
main(int argc, char **argv)
{
	const struct sockaddr_in own = { .sin_family = AF_INET,
		.sin_port = htons(PORT),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	in_addr_t address = argc == 2 ? inet_addr(argv[1]) : INADDR_NONE;

	if (address == INADDR_NONE)
		errx(2, "usage: name_server ADDRESS");
	if (fd < 0 || bind(fd, (const struct sockaddr *)&own, sizeof(own)) < 0)
		err(1, "port %d", PORT);
	if (daemon(0, 0) < 0)
		err(1, "daemon");
	for (;;)
		serve_one(fd, address);
}
