/*
 * What compat has for an older C library does as the newer one: it is built here in any case,
 * under names of its own, and held against what this one has.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/close_range.h>
#include <malloc.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "scratch.h"

#ifdef HAVE_STRERRORNAME_NP
static const char *
system_error_name(int error)
{
	return strerrorname_np(error);
}
#endif

#ifdef HAVE_SIGABBREV_NP
static const char *
system_signal_name(int signal)
{
	return sigabbrev_np(signal);
}
#endif

#ifdef HAVE_FGETPWENT_R
static int
system_next_user(FILE *file, struct passwd *storage, char *line, size_t size, struct passwd **ret)
{
	return fgetpwent_r(file, storage, line, size, ret);
}

static int
system_next_group(FILE *file, struct group *storage, char *line, size_t size, struct group **ret)
{
	return fgetgrent_r(file, storage, line, size, ret);
}
#endif

#define COMPAT_FACCESSAT
#undef HAVE_SYS_PIDFD_H
#undef HAVE_CLOSE_RANGE
#undef HAVE_STRUCT_STATX_STX_MNT_ID
#undef HAVE_MALLOC_TRIM
#define pidfd_open own_pidfd_open
#define pidfd_send_signal own_pidfd_send_signal
#define close_range own_close_range
#define malloc_trim own_malloc_trim
#define strerrorname_np own_error_name
#define sigabbrev_np own_signal_name
#define fgetpwent_r own_next_user
#define fgetgrent_r own_next_group
#ifdef HAVE_STRERRORNAME_NP
#define SYSTEM_HAS_ERROR_NAMES
#undef HAVE_STRERRORNAME_NP
#endif
#ifdef HAVE_SIGABBREV_NP
#define SYSTEM_HAS_SIGNAL_NAMES
#undef HAVE_SIGABBREV_NP
#endif
#ifdef HAVE_FGETPWENT_R
#define SYSTEM_READS_USERS
#undef HAVE_FGETPWENT_R
#endif
#include "platform/compat.c"

#define LINE_MAX_HERE 256

#define PASSWD                                                                                     \
	"# a comment\n"                                                                            \
	"  root:x:0:0:root:/root:/bin/bash\n"                                                      \
	"\n"                                                                                       \
	"short:x\n"                                                                                \
	"wrong:x:one:2:::\n"                                                                       \
	"few:x:1:2\n"                                                                              \
	"more:x:3:4:a:b:c:d\n"                                                                     \
	"most:x:4294967295:4294967295:::\n"                                                        \
	"last:x:5:6::/:/bin/sh"

#define GROUP                                                                                      \
	"#\n"                                                                                      \
	"root:x:0:\n"                                                                              \
	"one:x:1:a\n"                                                                              \
	"two:x:2:a,b\n"                                                                            \
	"wrong:x:q:a\n"                                                                            \
	"most:x:4294967295:a\n"                                                                    \
	"last:x:60:a,bc"

typedef int next_user(FILE *, struct passwd *, char *, size_t, struct passwd **);
typedef int next_group(FILE *, struct group *, char *, size_t, struct group **);

/* All users of the file, as text. */
static void
read_users(next_user *next, char *text, size_t size)
{
	FILE *file = fopen(scratch_path("passwd"), "re");
	char line[LINE_MAX_HERE];
	struct passwd storage;
	struct passwd *user;
	size_t len = 0;
	int r;

	assert_non_null(file);
	while ((r = next(file, &storage, line, sizeof(line), &user)) == 0)
		len += (size_t)snprintf(text + len, size - len, "%s|%s|%u|%u|%s|%s|%s\n",
		    user->pw_name, user->pw_passwd, user->pw_uid, user->pw_gid, user->pw_gecos,
		    user->pw_dir, user->pw_shell);
	(void)snprintf(text + len, size - len, "%s", strerror(r));
	assert_null(user);
	(void)fclose(file);
}

static void
read_groups(next_group *next, size_t line_size, char *text, size_t size)
{
	FILE *file = fopen(scratch_path("group"), "re");
	char line[LINE_MAX_HERE];
	struct group storage;
	struct group *group;
	size_t len = 0;
	int r;

	assert_non_null(file);
	while ((r = next(file, &storage, line, line_size, &group)) == 0) {
		len += (size_t)snprintf(text + len, size - len, "%s|%s|%u", group->gr_name,
		    group->gr_passwd, group->gr_gid);
		for (char **member = group->gr_mem; *member != NULL; member++)
			len += (size_t)snprintf(text + len, size - len, "|%s", *member);
		len += (size_t)snprintf(text + len, size - len, "\n");
	}
	(void)snprintf(text + len, size - len, "%s", strerror(r));
	(void)fclose(file);
}

static void
test_every_error_has_the_name_that_it_has_in_c(void **state)
{
	(void)state;
	assert_string_equal(own_error_name(EPERM), "EPERM");
	assert_string_equal(own_error_name(EAGAIN), "EAGAIN");
	assert_string_equal(own_error_name(EPROTONOSUPPORT), "EPROTONOSUPPORT");
	assert_string_equal(own_error_name(EHWPOISON), "EHWPOISON");
	assert_null(own_error_name(-1));
	assert_null(own_error_name(EHWPOISON + 1));
	assert_null(own_error_name(INT_MAX));
	assert_null(own_error_name(41));
#ifdef SYSTEM_HAS_ERROR_NAMES
	for (int error = 1; error <= EHWPOISON + 1; error++) {
		const char *name = system_error_name(error);

		if (name == NULL)
			assert_null(own_error_name(error));
		else
			assert_string_equal(own_error_name(error), name);
	}
#endif
}

static void
test_every_signal_has_its_name(void **state)
{
	(void)state;
	assert_string_equal(own_signal_name(SIGHUP), "HUP");
	assert_string_equal(own_signal_name(SIGSTKFLT), "STKFLT");
	assert_string_equal(own_signal_name(SIGSYS), "SYS");
	assert_null(own_signal_name(-1));
	assert_null(own_signal_name(0));
	assert_null(own_signal_name(SIGSYS + 1));
#ifdef SYSTEM_HAS_SIGNAL_NAMES
	for (int signal = 0; signal <= SIGSYS + 1; signal++) {
		const char *name = system_signal_name(signal);

		if (name == NULL)
			assert_null(own_signal_name(signal));
		else
			assert_string_equal(own_signal_name(signal), name);
	}
#endif
}

static void
test_users_are_read_as_the_library_reads_them(void **state)
{
	char own[1024];

	(void)state;
	scratch_write("passwd", PASSWD, 0644);
	read_users(own_next_user, own, sizeof(own));
	assert_string_equal(own, "root|x|0|0|root|/root|/bin/bash\n"
				 "few|x|1|2|||\n"
				 "more|x|3|4|a|b|c:d\n"
				 "most|x|4294967295|4294967295|||\n"
				 "last|x|5|6||/|/bin/sh\n"
				 "No such file or directory");
#ifdef SYSTEM_READS_USERS
	char system[1024];

	read_users(system_next_user, system, sizeof(system));
	assert_string_equal(own, system);
#endif
}

static void
test_groups_are_read_as_the_library_reads_them(void **state)
{
	char own[1024];

	(void)state;
	scratch_write("group", GROUP, 0644);
	read_groups(own_next_group, LINE_MAX_HERE, own, sizeof(own));
	assert_string_equal(own, "root|x|0\n"
				 "one|x|1|a\n"
				 "two|x|2|a|b\n"
				 "most|x|4294967295|a\n"
				 "last|x|60|a|bc\n"
				 "No such file or directory");
#ifdef SYSTEM_READS_USERS
	char system[1024];

	read_groups(system_next_group, LINE_MAX_HERE, system, sizeof(system));
	assert_string_equal(own, system);
#endif
}

/* Older ones take the largest that there is for it. */
static void
test_an_id_that_is_too_large_makes_a_line_useless(void **state)
{
	char text[1024];

	(void)state;
	scratch_write("passwd", "a:x:4294967296:1:::\nb:x:1:99999999999999999999:::\n", 0644);
	read_users(own_next_user, text, sizeof(text));
	assert_string_equal(text, strerror(ENOENT));
}

static void
test_a_line_that_does_not_fit_is_an_error(void **state)
{
	char text[1024];
	char line[LINE_MAX_HERE + 64];

	(void)state;
	memset(line, 'a', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	scratch_write("passwd", line, 0644);
	read_users(own_next_user, text, sizeof(text));
	assert_string_equal(text, strerror(ERANGE));
	scratch_write("group", line, 0644);
	read_groups(own_next_group, LINE_MAX_HERE, text, sizeof(text));
	assert_string_equal(text, strerror(ERANGE));
}

/* "g:x:1:a,b,c,d" is 13 bytes; the five members of the array do not fit behind it. */
static void
test_a_group_whose_members_do_not_fit_is_an_error_and_no_overflow(void **state)
{
	char text[1024];

	(void)state;
	scratch_write("group", "g:x:1:a,b,c,d\n", 0644);
	for (size_t size = 16; size < 16 + 5 * sizeof(char *); size++) {
		read_groups(own_next_group, size, text, sizeof(text));
		assert_string_equal(text, strerror(ERANGE));
	}
	read_groups(own_next_group, 32 + 6 * sizeof(char *), text, sizeof(text));
	assert_string_equal(text, "g|x|1|a|b|c|d\nNo such file or directory");
}

static void
test_statx_tells_what_stat_tells(void **state)
{
	struct statx found;
	struct stat status;

	(void)state;
	scratch_write("file", "12345", 0640);
	assert_int_equal(
	    statx(AT_FDCWD, scratch_path("file"), AT_STATX_DONT_SYNC, 0x7ff, &found), 0);
	assert_int_equal(stat(scratch_path("file"), &status), 0);
	assert_int_equal(found.stx_size, 5);
	assert_int_equal(found.stx_mode, status.st_mode);
	assert_int_equal(found.stx_ino, status.st_ino);
	assert_int_equal(found.stx_mtime.tv_sec, status.st_mtim.tv_sec);
	assert_int_equal(statx(AT_FDCWD, "/proc", 0, STATX_MNT_ID, &found), 0);
	assert_true(found.stx_mask & STATX_MNT_ID);
	assert_true(found.stx_mnt_id > 0);
	assert_true(found.stx_attributes & STATX_ATTR_MOUNT_ROOT);
	assert_int_equal(statx(AT_FDCWD, scratch_path("none"), 0, 0, &found), -1);
	assert_int_equal(errno, ENOENT);
}

/* Root's, by its mode; the kernel lets nobody write. */
static void
test_the_kernel_decides_on_access(void **state)
{
	(void)state;
	assert_int_equal(
	    compat_faccessat(AT_FDCWD, "/proc/sys/kernel/ostype", R_OK, AT_EACCESS), 0);
	assert_int_equal(
	    compat_faccessat(AT_FDCWD, "/proc/sys/kernel/ostype", W_OK, AT_EACCESS), -1);
	assert_int_equal(errno, EACCES);
}

static void
test_a_process_is_opened_and_signalled(void **state)
{
	int status;
	int fd;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		(void)pause();
		_exit(1);
	}
	fd = own_pidfd_open(child, 0);
	assert_true(fd >= 0);
	assert_int_equal(own_pidfd_send_signal(fd, SIGKILL, NULL, 0), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(own_pidfd_send_signal(fd, SIGKILL, NULL, 0), -1);
	assert_int_equal(errno, ESRCH);
	assert_int_equal(close(fd), 0);
}

static void
test_a_range_of_descriptors_is_closed(void **state)
{
	int first = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 700);
	int second = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 701);
	int third = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 702);

	(void)state;
	assert_int_equal(third - first, 2);
	assert_int_equal(own_close_range((unsigned)first, (unsigned)second, 0), 0);
	assert_int_equal(fcntl(first, F_GETFD), -1);
	assert_int_equal(fcntl(second, F_GETFD), -1);
	assert_int_equal(fcntl(third, F_GETFD), FD_CLOEXEC);
	assert_int_equal(close(third), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_error_has_the_name_that_it_has_in_c),
		cmocka_unit_test(test_every_signal_has_its_name),
		cmocka_unit_test(test_users_are_read_as_the_library_reads_them),
		cmocka_unit_test(test_groups_are_read_as_the_library_reads_them),
		cmocka_unit_test(test_an_id_that_is_too_large_makes_a_line_useless),
		cmocka_unit_test(test_a_line_that_does_not_fit_is_an_error),
		cmocka_unit_test(test_a_group_whose_members_do_not_fit_is_an_error_and_no_overflow),
		cmocka_unit_test(test_statx_tells_what_stat_tells),
		cmocka_unit_test(test_the_kernel_decides_on_access),
		cmocka_unit_test(test_a_process_is_opened_and_signalled),
		cmocka_unit_test(test_a_range_of_descriptors_is_closed),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
