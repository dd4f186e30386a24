/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/oom_score.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/fd.h"
#include "platform/proc.h"

#define OOM_SCORE_FILE "self/oom_score_adj"
#define OOM_SCORE_NONE "0"

static struct {
	int fd; /* -1: nothing to do */
	char own[sizeof("-1000\n")];
} oom_score = { .fd = -1 };

static int
oom_score_write(const char *score)
{
	return pwrite(oom_score.fd, score, strlen(score), 0) < 0 ? -errno : 0;
}

int
oom_score_init(const char *score)
{
	int r = 0;

	fd_close(&oom_score.fd);
	if (score != NULL)
		(void)strlcpy(oom_score.own, score, sizeof(oom_score.own));
	else if (fd_read_file(proc_dir_fd(), OOM_SCORE_FILE, oom_score.own, sizeof(oom_score.own)) <
		 0)
		return -EIO;
	if (score == NULL && strtoul(oom_score.own, NULL, 10) == 0)
		return 0;
	oom_score.fd = openat(proc_dir_fd(), OOM_SCORE_FILE, O_WRONLY | O_CLOEXEC);
	if (oom_score.fd < 0)
		return -errno;
	if (score != NULL)
		r = oom_score_write(score);
	if (r < 0)
		fd_close(&oom_score.fd);
	return r;
}

void
oom_score_expose(void)
{
	if (oom_score.fd >= 0)
		(void)oom_score_write(OOM_SCORE_NONE);
}

void
oom_score_protect(void)
{
	if (oom_score.fd >= 0)
		(void)oom_score_write(oom_score.own);
}
