/*
 * users: the user that a session runs as, from passwd and group files.
 *
 * SPDX-License-Identifier: MIT
 */
#include "platform/users.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "platform/compat.h"
#include "platform/fd.h"
#include "platform/memory.h"
#include "platform/stream.h"

/* A line of passwd or group with all its members must fit. */
#define USERS_LINE_MAX (256 * 1024)

#define USERS_DEFAULT_SHELL "/bin/sh"
#define USERS_DEFAULT_HOME "/"

/* What setresuid(2) takes for "leave it as it is", which would be our own; a line
 * of passwd or group may have it all the same. */
#define USERS_NO_ID UINT32_MAX

static MEMORY_LARGE char users_line[USERS_LINE_MAX];

/* The guest may have put a FIFO or a device in the file's place. */
static int
users_open(const char *directory, const char *name, FILE **ret)
{
	int CLEANUP_FD dir_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int CLEANUP_FD fd = -1;
	struct stat status;

	if (dir_fd >= 0)
		fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	return stream_take(fd_steal(&fd), ret);
}

/* Digits only, and not the id that means "no id". */
static bool
users_parse_id(const char *text, uint32_t *ret)
{
	const char *error;
	long long id;

	if (text[0] < '0' || text[0] > '9')
		return false;
	id = strtonum(text, 0, USERS_NO_ID - 1, &error);
	if (error != NULL)
		return false;
	*ret = (uint32_t)id;
	return true;
}

/* Whether a line of this NAME is one of NIS (nsswitch.conf(5), "compat"). It describes no
 * user: the C library gives the fields that it lacks as 0, or as NULL. */
static bool
users_is_compat(const char *name)
{
	return name[0] == '+' || name[0] == '-';
}

static void
users_take_passwd(struct run_as *user, const struct passwd *entry)
{
	user->uid = entry->pw_uid;
	user->gid = entry->pw_gid;
	(void)strlcpy(user->name, entry->pw_name, sizeof(user->name));
	if (entry->pw_dir[0] != '\0')
		(void)strlcpy(user->home, entry->pw_dir, sizeof(user->home));
	if (entry->pw_shell[0] != '\0')
		(void)strlcpy(user->shell, entry->pw_shell, sizeof(user->shell));
}

/* Looks for the line of NAME, or where there is none, the first one of uid NAME.
 * Returns 1 if found, 0 if not, or -errno. */
static int
users_find_passwd(const char *directory, const char *name, struct run_as *user)
{
	FILE *CLEANUP_FILE file = NULL;
	struct passwd storage;
	struct passwd *entry;
	uint32_t uid = 0;
	bool numeric = users_parse_id(name, &uid);
	bool found = false;
	int r = users_open(directory, "passwd", &file);

	if (r < 0)
		return r == -ENOENT || r == -ENOTDIR ? 0 : r;
	while ((r = fgetpwent_r(file, &storage, users_line, sizeof(users_line), &entry)) == 0) {
		if (users_is_compat(entry->pw_name))
			continue;
		if (strcmp(entry->pw_name, name) == 0) {
			users_take_passwd(user, entry);
			return 1;
		}
		if (numeric && !found && entry->pw_uid == uid) {
			users_take_passwd(user, entry);
			found = true;
		}
	}
	return r == ENOENT ? found : -r;
}

/* The next line of FILE that describes a group. */
static int
users_next_group(FILE *file, struct group *storage, struct group **ret)
{
	int r;

	do
		r = fgetgrent_r(file, storage, users_line, sizeof(users_line), ret);
	while (r == 0 && ((*ret)->gr_gid == USERS_NO_ID || users_is_compat((*ret)->gr_name)));
	return r;
}

/* The gid of the group NAME (a name or a number). */
static int
users_find_group(const char *directory, const char *name, gid_t *ret)
{
	FILE *CLEANUP_FILE file = NULL;
	struct group storage;
	struct group *entry;
	uint32_t gid;
	int r = users_open(directory, "group", &file);

	while (r == 0) {
		r = users_next_group(file, &storage, &entry);
		if (r == 0 && strcmp(entry->gr_name, name) == 0) {
			*ret = entry->gr_gid;
			return 0;
		}
	}
	if (!users_parse_id(name, &gid))
		return -ESRCH;
	*ret = gid;
	return 0;
}

static bool
users_is_member(const struct group *entry, const char *name)
{
	for (char **member = entry->gr_mem; *member != NULL; member++) {
		if (strcmp(*member, name) == 0)
			return true;
	}
	return false;
}

/* All groups that list the user. */
static int
users_collect_groups(const char *directory, struct run_as *user)
{
	FILE *CLEANUP_FILE file = NULL;
	struct group storage;
	struct group *entry;
	int r = users_open(directory, "group", &file);

	if (r < 0)
		return r == -ENOENT || r == -ENOTDIR ? 0 : r;
	while ((r = users_next_group(file, &storage, &entry)) == 0) {
		if (entry->gr_gid == user->gid || !users_is_member(entry, user->name))
			continue;
		if (user->groups_count == USERS_GROUPS_MAX)
			return -E2BIG;
		user->groups[user->groups_count++] = entry->gr_gid;
	}
	return r == ENOENT ? 0 : -r;
}

static int
users_resolve(const char *directory, char *name, const char *group, struct run_as *user,
    const char **ret_problem)
{
	uint32_t uid;
	int found = users_find_passwd(directory, name, user);

	if (found < 0) {
		*ret_problem = "/etc/passwd can't be read";
		return found;
	}
	if (found == 0) {
		if (!users_parse_id(name, &uid)) {
			*ret_problem = "no such user in /etc/passwd";
			return -ESRCH;
		}
		user->uid = uid;
		(void)strlcpy(user->name, name, sizeof(user->name));
	}
	if (group != NULL) {
		if (users_find_group(directory, group, &user->gid) < 0) {
			*ret_problem = "no such group in /etc/group";
			return -ESRCH;
		}
		return 0;
	}
	if (found == 0)
		return 0;
	*ret_problem = "/etc/group can't be read";
	return users_collect_groups(directory, user);
}

int
users_lookup(const char *directory, const char *spec, struct run_as *ret, const char **ret_problem)
{
	char name[USERS_NAME_MAX];
	char *group;
	int r;

	*ret_problem = "not of the form user or user:group";
	if (strlcpy(name, spec, sizeof(name)) >= sizeof(name))
		return -EINVAL;
	group = strchr(name, ':');
	if (group != NULL)
		*group++ = '\0';
	if (name[0] == '\0' || (group != NULL && group[0] == '\0'))
		return -EINVAL;
	ret->uid = 0;
	ret->gid = 0;
	ret->groups_count = 0;
	(void)strlcpy(ret->home, USERS_DEFAULT_HOME, sizeof(ret->home));
	(void)strlcpy(ret->shell, USERS_DEFAULT_SHELL, sizeof(ret->shell));
	r = users_resolve(directory, name, group, ret, ret_problem);
	if (r == 0 && (ret->uid == USERS_NO_ID || ret->gid == USERS_NO_ID)) {
		*ret_problem = "its line in /etc/passwd has no id that can be used";
		r = -EINVAL;
	}
	return r;
}
