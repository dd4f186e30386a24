/*
 * SPDX-License-Identifier: MIT
 */
#include "session/file/user.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "platform/io_result.h"
#include "platform/users.h"
#include "session/file/reply.h"

/* What this process had before, read once: it is the same for every session. */
static struct {
	bool known;
	uid_t uid;
	gid_t gid;
	pid_t parent;
	int count;
	gid_t groups[USERS_GROUPS_MAX];
} file_user_own;

/* Too large for a stack that should stay small. */
static struct run_as file_user_found;

static int
file_user_remember_own(void)
{
	int count;

	if (file_user_own.known)
		return 0;
	count = getgroups(USERS_GROUPS_MAX, file_user_own.groups);
	if (count < 0)
		return -errno;
	file_user_own.parent = getppid();
	file_user_own.count = count;
	file_user_own.uid = geteuid();
	file_user_own.gid = getegid();
	file_user_own.known = true;
	return 0;
}

/* The uid goes last, as it takes the right to change the others with it. */
static int
file_user_take(const struct run_as *user)
{
	gid_t groups[1 + USERS_GROUPS_MAX];

	groups[0] = user->gid;
	for (size_t i = 0; i < user->groups_count; i++)
		groups[1 + i] = user->groups[i];
	if (setgroups(1 + user->groups_count, groups) < 0)
		return -errno;
	if (setresgid((gid_t)-1, user->gid, (gid_t)-1) < 0)
		return -errno;
	return io_result(setresuid((uid_t)-1, user->uid, (uid_t)-1));
}

int
file_user_enter_again(struct file_user *user)
{
	int r;

	user->entered = true;
	r = file_user_take(&file_user_found);
	if (r < 0)
		file_user_leave(user);
	return r;
}

int
file_user_enter(struct file_user *user, struct session *session, const char *spec)
{
	const char *problem = "";
	int r;

	if (spec[0] == '\0')
		return 0;
	r = users_lookup(USERS_DIRECTORY, spec, &file_user_found, &problem);
	if (r < 0) {
		file_reply_text(session, -EINVAL, "user '%.256s': %s", spec, problem);
		return r;
	}
	r = file_user_remember_own();
	if (r == 0)
		r = file_user_enter_again(user);
	if (r < 0)
		file_reply_text(session, r, "user '%.256s': its ids can't be taken on", spec);
	return r;
}

void
file_user_leave(struct file_user *user)
{
	if (!user->entered)
		return;
	user->entered = false;
	if (setresuid((uid_t)-1, file_user_own.uid, (uid_t)-1) < 0 ||
	    setresgid((gid_t)-1, file_user_own.gid, (gid_t)-1) < 0)
		_exit(EXIT_FAILURE);
	/* An agent that is not root never had the right to change them. */
	if (setgroups((size_t)file_user_own.count, file_user_own.groups) < 0 &&
	    file_user_own.uid == 0)
		_exit(EXIT_FAILURE);
	/* The kernel forgot it with the change of ids; see worker.c. */
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != file_user_own.parent)
		(void)kill(getpid(), SIGTERM);
}
