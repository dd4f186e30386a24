/*
 * ptp_clock: the clock of /dev/ptp0, by clock_gettime(2) and clock_settime(2). With
 * an argument it is set to the guest's own time and so many seconds, which may be a
 * fraction, or negative; then its time is printed. For the VM tests; it shares no
 * code with what they test.
 *
 * SPDX-License-Identifier: MIT
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NS_PER_S 1000000000LL

/* FD_TO_CLOCKID of the kernel's linux/posix-timers.h. */
static clockid_t
open_clock(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s", path);
	return (clockid_t)((~(unsigned)fd << 3) | 3);
}

int
main(int argc, char **argv)
{
	clockid_t clock = open_clock("/dev/ptp0");
	struct timespec now;

	if (argc > 1) {
		double ahead = strtod(argv[1], NULL);
		long long ns;

		(void)clock_gettime(CLOCK_REALTIME, &now);
		ns = now.tv_sec * NS_PER_S + now.tv_nsec + (long long)(ahead * (double)NS_PER_S);
		now.tv_sec = ns / NS_PER_S;
		now.tv_nsec = ns % NS_PER_S;
		if (clock_settime(clock, &now) < 0)
			err(1, "can't set it");
	}
	if (clock_gettime(clock, &now) < 0)
		err(1, "can't read it");
	(void)printf("%lld.%09ld\n", (long long)now.tv_sec, now.tv_nsec);
	return 0;
}
