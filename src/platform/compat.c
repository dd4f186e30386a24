/*
 * compat: each function stands here for the C library that lacks it. An error name or a
 * signal's is an array in place, so that it takes no relocation.
 *
 * SPDX-License-Identifier: MIT
 */
#include "platform/compat.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A file must declare something, also where nothing is missing. */
_Static_assert(sizeof(long) == 8, "configure lets no other machine pass");

#ifndef HAVE_SYS_PIDFD_H
int
pidfd_open(pid_t pid, unsigned flags)
{
	return (int)syscall(SYS_pidfd_open, pid, flags);
}

int
pidfd_send_signal(int pid_fd, int signal, siginfo_t *info, unsigned flags)
{
	return (int)syscall(SYS_pidfd_send_signal, pid_fd, signal, info, flags);
}
#endif

#ifndef HAVE_CLOSE_RANGE
int
close_range(unsigned first, unsigned last, int flags)
{
	return (int)syscall(SYS_close_range, first, last, flags);
}
#endif

#ifdef COMPAT_FACCESSAT
int
faccessat(int dir_fd, const char *path, int mode, int flags)
{
	int r = (int)syscall(SYS_faccessat2, dir_fd, path, mode, flags);

	/* Before Linux 5.8. */
#undef faccessat
	return r < 0 && errno == ENOSYS ? faccessat(dir_fd, path, mode, flags) : r;
}
#endif

#ifndef HAVE_STRUCT_STATX_STX_MNT_ID
int
statx(int dir_fd, const char *path, int flags, unsigned mask, struct statx *ret)
{
	return (int)syscall(SYS_statx, dir_fd, path, flags, mask, ret);
}
#endif

#ifndef HAVE_FGETPWENT_R
/* The next line that is neither empty nor a comment, without its end. */
static int
compat_line(FILE *file, char *buffer, size_t size, char **ret)
{
	do {
		buffer[size - 1] = '\n'; /* and so it stays, but where the line fills the buffer */
		if (fgets(buffer, (int)size, file) == NULL)
			return ferror(file) ? errno : ENOENT;
		if (buffer[size - 1] != '\n')
			return ERANGE;
		buffer[strcspn(buffer, "\n")] = '\0';
		*ret = buffer + strspn(buffer, " \t");
	} while (**ret == '\0' || **ret == '#');
	return 0;
}

/* Takes what is before the next SEPARATOR or the end off *LINE. */
static char *
compat_field(char **line, const char *separator)
{
	char *field = *line;

	*line += strcspn(field, separator);
	if (**line != '\0')
		*(*line)++ = '\0';
	return field;
}

/* Takes an id off *LINE; false if there is none, or one that is too large. */
static bool
compat_id(char **line, uint32_t *ret)
{
	const char *field = compat_field(line, ":");
	unsigned long id;

	if (field[0] == '\0' || field[strspn(field, "0123456789")] != '\0')
		return false;
	id = strtoul(field, NULL, 10);
	*ret = (uint32_t)id;
	return id <= UINT32_MAX;
}

int
fgetpwent_r(FILE *file, struct passwd *storage, char *buffer, size_t size, struct passwd **ret)
{
	char *line;
	int r;

	*ret = NULL;
	while ((r = compat_line(file, buffer, size, &line)) == 0) {
		storage->pw_name = compat_field(&line, ":");
		storage->pw_passwd = compat_field(&line, ":");
		if (!compat_id(&line, &storage->pw_uid) || !compat_id(&line, &storage->pw_gid))
			continue;
		storage->pw_gecos = compat_field(&line, ":");
		storage->pw_dir = compat_field(&line, ":");
		storage->pw_shell = line;
		*ret = storage;
		return 0;
	}
	return r;
}

/* The members of a group, of which LINE is the list, as an array behind it, up to END. */
static int
compat_members(char *line, const char *end, char ***ret)
{
	uintptr_t at = (uintptr_t)(line + strlen(line) + sizeof(char *)) & ~(sizeof(char *) - 1);
	char **members = (char **)at;
	size_t most = at < (uintptr_t)end ? ((uintptr_t)end - at) / sizeof(char *) : 0;
	size_t count = 0;

	*ret = members;
	while (*line != '\0') {
		char *member = compat_field(&line, ",");

		if (member[0] == '\0')
			continue;
		if (count + 1 >= most)
			return ERANGE;
		members[count++] = member;
	}
	if (count >= most)
		return ERANGE;
	members[count] = NULL;
	return 0;
}

int
fgetgrent_r(FILE *file, struct group *storage, char *buffer, size_t size, struct group **ret)
{
	char *line;
	int r;

	*ret = NULL;
	while ((r = compat_line(file, buffer, size, &line)) == 0) {
		storage->gr_name = compat_field(&line, ":");
		storage->gr_passwd = compat_field(&line, ":");
		if (!compat_id(&line, &storage->gr_gid))
			continue;
		r = compat_members(line, buffer + size, &storage->gr_mem);
		if (r == 0)
			*ret = storage;
		return r;
	}
	return r;
}
#endif

#ifndef HAVE_STRERRORNAME_NP
#define COMPAT_ERROR(error) [error] = #error

/* clang-format off */
static const char compat_errors[][sizeof("EPROTONOSUPPORT")] = {
	COMPAT_ERROR(EPERM), COMPAT_ERROR(ENOENT), COMPAT_ERROR(ESRCH), COMPAT_ERROR(EINTR),
	COMPAT_ERROR(EIO), COMPAT_ERROR(ENXIO), COMPAT_ERROR(E2BIG), COMPAT_ERROR(ENOEXEC),
	COMPAT_ERROR(EBADF), COMPAT_ERROR(ECHILD), COMPAT_ERROR(EAGAIN), COMPAT_ERROR(ENOMEM),
	COMPAT_ERROR(EACCES), COMPAT_ERROR(EFAULT), COMPAT_ERROR(ENOTBLK), COMPAT_ERROR(EBUSY),
	COMPAT_ERROR(EEXIST), COMPAT_ERROR(EXDEV), COMPAT_ERROR(ENODEV), COMPAT_ERROR(ENOTDIR),
	COMPAT_ERROR(EISDIR), COMPAT_ERROR(EINVAL), COMPAT_ERROR(ENFILE), COMPAT_ERROR(EMFILE),
	COMPAT_ERROR(ENOTTY), COMPAT_ERROR(ETXTBSY), COMPAT_ERROR(EFBIG), COMPAT_ERROR(ENOSPC),
	COMPAT_ERROR(ESPIPE), COMPAT_ERROR(EROFS), COMPAT_ERROR(EMLINK), COMPAT_ERROR(EPIPE),
	COMPAT_ERROR(EDOM), COMPAT_ERROR(ERANGE), COMPAT_ERROR(EDEADLK), COMPAT_ERROR(ENAMETOOLONG),
	COMPAT_ERROR(ENOLCK), COMPAT_ERROR(ENOSYS), COMPAT_ERROR(ENOTEMPTY), COMPAT_ERROR(ELOOP),
	COMPAT_ERROR(ENOMSG), COMPAT_ERROR(EIDRM), COMPAT_ERROR(ECHRNG), COMPAT_ERROR(EL2NSYNC),
	COMPAT_ERROR(EL3HLT), COMPAT_ERROR(EL3RST), COMPAT_ERROR(ELNRNG), COMPAT_ERROR(EUNATCH),
	COMPAT_ERROR(ENOCSI), COMPAT_ERROR(EL2HLT), COMPAT_ERROR(EBADE), COMPAT_ERROR(EBADR),
	COMPAT_ERROR(EXFULL), COMPAT_ERROR(ENOANO), COMPAT_ERROR(EBADRQC), COMPAT_ERROR(EBADSLT),
	COMPAT_ERROR(EBFONT), COMPAT_ERROR(ENOSTR), COMPAT_ERROR(ENODATA), COMPAT_ERROR(ETIME),
	COMPAT_ERROR(ENOSR), COMPAT_ERROR(ENONET), COMPAT_ERROR(ENOPKG), COMPAT_ERROR(EREMOTE),
	COMPAT_ERROR(ENOLINK), COMPAT_ERROR(EADV), COMPAT_ERROR(ESRMNT), COMPAT_ERROR(ECOMM),
	COMPAT_ERROR(EPROTO), COMPAT_ERROR(EMULTIHOP), COMPAT_ERROR(EDOTDOT), COMPAT_ERROR(EBADMSG),
	COMPAT_ERROR(EOVERFLOW), COMPAT_ERROR(ENOTUNIQ), COMPAT_ERROR(EBADFD),
	COMPAT_ERROR(EREMCHG), COMPAT_ERROR(ELIBACC), COMPAT_ERROR(ELIBBAD), COMPAT_ERROR(ELIBSCN),
	COMPAT_ERROR(ELIBMAX), COMPAT_ERROR(ELIBEXEC), COMPAT_ERROR(EILSEQ), COMPAT_ERROR(ERESTART),
	COMPAT_ERROR(ESTRPIPE), COMPAT_ERROR(EUSERS), COMPAT_ERROR(ENOTSOCK),
	COMPAT_ERROR(EDESTADDRREQ), COMPAT_ERROR(EMSGSIZE), COMPAT_ERROR(EPROTOTYPE),
	COMPAT_ERROR(ENOPROTOOPT), COMPAT_ERROR(EPROTONOSUPPORT), COMPAT_ERROR(ESOCKTNOSUPPORT),
	COMPAT_ERROR(EOPNOTSUPP), COMPAT_ERROR(EPFNOSUPPORT), COMPAT_ERROR(EAFNOSUPPORT),
	COMPAT_ERROR(EADDRINUSE), COMPAT_ERROR(EADDRNOTAVAIL), COMPAT_ERROR(ENETDOWN),
	COMPAT_ERROR(ENETUNREACH), COMPAT_ERROR(ENETRESET), COMPAT_ERROR(ECONNABORTED),
	COMPAT_ERROR(ECONNRESET), COMPAT_ERROR(ENOBUFS), COMPAT_ERROR(EISCONN),
	COMPAT_ERROR(ENOTCONN), COMPAT_ERROR(ESHUTDOWN), COMPAT_ERROR(ETOOMANYREFS),
	COMPAT_ERROR(ETIMEDOUT), COMPAT_ERROR(ECONNREFUSED), COMPAT_ERROR(EHOSTDOWN),
	COMPAT_ERROR(EHOSTUNREACH), COMPAT_ERROR(EALREADY), COMPAT_ERROR(EINPROGRESS),
	COMPAT_ERROR(ESTALE), COMPAT_ERROR(EUCLEAN), COMPAT_ERROR(ENOTNAM), COMPAT_ERROR(ENAVAIL),
	COMPAT_ERROR(EISNAM), COMPAT_ERROR(EREMOTEIO), COMPAT_ERROR(EDQUOT),
	COMPAT_ERROR(ENOMEDIUM), COMPAT_ERROR(EMEDIUMTYPE), COMPAT_ERROR(ECANCELED),
	COMPAT_ERROR(ENOKEY), COMPAT_ERROR(EKEYEXPIRED), COMPAT_ERROR(EKEYREVOKED),
	COMPAT_ERROR(EKEYREJECTED), COMPAT_ERROR(EOWNERDEAD), COMPAT_ERROR(ENOTRECOVERABLE),
	COMPAT_ERROR(ERFKILL), COMPAT_ERROR(EHWPOISON),
};
/* clang-format on */

const char *
strerrorname_np(int error)
{
	if (error < 0 || (size_t)error >= sizeof(compat_errors) / sizeof(compat_errors[0]) ||
	    compat_errors[error][0] == '\0')
		return NULL;
	return compat_errors[error];
}
#endif

#ifndef HAVE_SIGABBREV_NP
#define COMPAT_SIGNAL(name) [SIG##name] = #name

/* clang-format off */
static const char compat_signals[][sizeof("STKFLT")] = {
	COMPAT_SIGNAL(HUP), COMPAT_SIGNAL(INT), COMPAT_SIGNAL(QUIT), COMPAT_SIGNAL(ILL),
	COMPAT_SIGNAL(TRAP), COMPAT_SIGNAL(ABRT), COMPAT_SIGNAL(BUS), COMPAT_SIGNAL(FPE),
	COMPAT_SIGNAL(KILL), COMPAT_SIGNAL(USR1), COMPAT_SIGNAL(SEGV), COMPAT_SIGNAL(USR2),
	COMPAT_SIGNAL(PIPE), COMPAT_SIGNAL(ALRM), COMPAT_SIGNAL(TERM), COMPAT_SIGNAL(STKFLT),
	COMPAT_SIGNAL(CHLD), COMPAT_SIGNAL(CONT), COMPAT_SIGNAL(STOP), COMPAT_SIGNAL(TSTP),
	COMPAT_SIGNAL(TTIN), COMPAT_SIGNAL(TTOU), COMPAT_SIGNAL(URG), COMPAT_SIGNAL(XCPU),
	COMPAT_SIGNAL(XFSZ), COMPAT_SIGNAL(VTALRM), COMPAT_SIGNAL(PROF), COMPAT_SIGNAL(WINCH),
	COMPAT_SIGNAL(POLL), COMPAT_SIGNAL(PWR), COMPAT_SIGNAL(SYS),
};
/* clang-format on */

const char *
sigabbrev_np(int signal)
{
	if (signal < 0 || (size_t)signal >= sizeof(compat_signals) / sizeof(compat_signals[0]) ||
	    compat_signals[signal][0] == '\0')
		return NULL;
	return compat_signals[signal];
}
#endif

#ifndef HAVE_MALLOC_TRIM
int
malloc_trim(size_t keep)
{
	(void)keep;
	return 0;
}
#endif
