/*
 * writer: writes the numbers from 1 on into FILE, each in a line, and says one once it is on
 * the disk. It ends at the first error, with its words.
 *
 *     writer FILE
 *
 * SPDX-License-Identifier: MIT
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	int fd;

	if (argc != 2)
		errx(2, "usage: writer FILE");
	fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0)
		err(1, "%s", argv[1]);
	for (unsigned long number = 1;; number++) {
		if (dprintf(fd, "%lu\n", number) < 0 || fsync(fd) < 0)
			err(1, "%s: %lu", argv[1], number);
		if (printf("%lu\n", number) < 0 || fflush(stdout) != 0)
			err(1, "standard output");
	}
}
