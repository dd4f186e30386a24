/*
 * preload: a library that is loaded in front of the C library, and makes what fails in
 * this process fail:
 *
 *     FAULT_BOARD=FILE     an allocation, or a close(2), that another process chooses and
 *                          counts by way of FILE (struct board, mapped); board.py is
 *                          its other side
 *     FAULT_SHORT=1        streams and regular files give and take one byte a call
 *
 * What fails does not happen, but for close: that closes, as Linux does whatever it returns.
 * Roles are those of inject.c. A connection that is accepted has FAULT_SHORT_CALLS calls
 * that are cut short, and then all the room it wants: a test has an end.
 *
 * SPDX-License-Identifier: MIT
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#define FAULT_SHORT_CALLS 20000

enum board_what {
	BOARD_NOTHING,
	BOARD_ALLOCATION,
	BOARD_CLOSE,
	BOARD_WHATS,
};

enum board_role {
	BOARD_MAIN,
	BOARD_WORKER,
	BOARD_CHILD,
	BOARD_ROLES,
};

struct board {
	_Atomic uint32_t what; /* enum board_what, that fails */
	_Atomic uint32_t role; /* enum board_role, of who it fails */
	_Atomic uint32_t nth;  /* from 1 */
	_Atomic uint32_t error;
	_Atomic uint32_t hits;
	_Atomic uint32_t counts[BOARD_WHATS][BOARD_ROLES];
};

static struct board *board;
static pid_t board_main;
static bool short_is_on;
static int short_left = FAULT_SHORT_CALLS;

/* The C library's own, by the names that it keeps for those who take its place. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

__attribute__((constructor)) static void
board_open(void)
{
	/* Who stands in front of the agent until it is started is not meant. */
	bool is_meant = strncmp(program_invocation_short_name, "vmm-guest-", 10) == 0;
	const char *path = is_meant ? getenv("FAULT_BOARD") : NULL;
	int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
	void *found;

	short_is_on = is_meant && getenv("FAULT_SHORT") != NULL;
	board_main = getpid();
	if (fd < 0)
		return;
	found = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (found != MAP_FAILED)
		board = found;
	(void)syscall(SYS_close, fd);
}

static enum board_role
board_role(void)
{
	if (getpid() == board_main)
		return BOARD_MAIN;
	return getppid() == board_main ? BOARD_WORKER : BOARD_CHILD;
}

/* Whether this call is the one. */
static bool
board_fails(enum board_what what)
{
	enum board_role role;
	uint32_t count;

	if (board == NULL)
		return false;
	role = board_role();
	count = atomic_fetch_add(&board->counts[what][role], 1) + 1;
	if (atomic_load(&board->what) != what || atomic_load(&board->role) != role ||
	    atomic_load(&board->nth) != count)
		return false;
	(void)atomic_fetch_add(&board->hits, 1);
	errno = (int)atomic_load(&board->error);
	return true;
}

/* ---- memory ------------------------------------------------------------- */

void *
malloc(size_t size)
{
	return board_fails(BOARD_ALLOCATION) ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
	return board_fails(BOARD_ALLOCATION) ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *old, size_t size)
{
	return board_fails(BOARD_ALLOCATION) ? NULL : __libc_realloc(old, size);
}

void *
memalign(size_t alignment, size_t size)
{
	return board_fails(BOARD_ALLOCATION) ? NULL : __libc_memalign(alignment, size);
}

void *
aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

int
posix_memalign(void **ret, size_t alignment, size_t size)
{
	void *found = memalign(alignment, size);

	if (found == NULL)
		return ENOMEM;
	*ret = found;
	return 0;
}

/* ---- descriptors -------------------------------------------------------- */

int
close(int fd)
{
	int r = (int)syscall(SYS_close, fd);

	return r == 0 && board_fails(BOARD_CLOSE) ? -1 : r;
}

/* ---- one byte a call ---------------------------------------------------- */

static bool
short_is_stream(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

/* A terminal, either end of it. */
static bool
short_is_terminal(dev_t device)
{
	return (major(device) >= 136 && major(device) <= 143) || device == makedev(5, 2);
}

/* What the kernel makes itself has files that are read and written whole. */
static bool
short_is_stored(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type != PROC_SUPER_MAGIC && fs.f_type != SYSFS_MAGIC &&
	       fs.f_type != CGROUP2_SUPER_MAGIC && fs.f_type != CGROUP_SUPER_MAGIC;
}

/* Whether FD is one from which the kernel may take or give a part. */
static bool
short_may_be_cut(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	if (S_ISSOCK(st.st_mode))
		return short_is_stream(fd);
	if (S_ISCHR(st.st_mode))
		return short_is_terminal(st.st_rdev);
	return S_ISFIFO(st.st_mode) || (S_ISREG(st.st_mode) && short_is_stored(fd));
}

/* How much of LEN is to be asked for. errno stays. */
static size_t
short_cut(int fd, size_t len)
{
	int saved = errno;

	if (!short_is_on || len <= 1 || short_left <= 0 || !short_may_be_cut(fd)) {
		errno = saved;
		return len;
	}
	errno = saved;
	short_left--;
	return 1;
}

static size_t
short_total(const struct iovec *pieces, size_t count)
{
	size_t total = 0;

	for (size_t i = 0; i < count; i++)
		total += pieces[i].iov_len;
	return total;
}

/* The first byte of what PIECES are; there is one. */
static struct iovec
short_first(const struct iovec *pieces)
{
	while (pieces->iov_len == 0)
		pieces++;
	return (struct iovec){ .iov_base = pieces->iov_base, .iov_len = 1 };
}

static struct msghdr
short_message(int fd, const struct msghdr *message, struct iovec *piece)
{
	struct msghdr one = *message;
	size_t len = short_total(message->msg_iov, message->msg_iovlen);

	/* Descriptors come and go with a message that is whole. */
	if (message->msg_controllen > 0 || short_cut(fd, len) == len)
		return one;
	*piece = short_first(message->msg_iov);
	one.msg_iov = piece;
	one.msg_iovlen = 1;
	return one;
}

int
accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	short_left = FAULT_SHORT_CALLS;
	return (int)syscall(SYS_accept4, fd, address, len, flags);
}

ssize_t
read(int fd, void *buffer, size_t len)
{
	return syscall(SYS_read, fd, buffer, short_cut(fd, len));
}

ssize_t
write(int fd, const void *buffer, size_t len)
{
	return syscall(SYS_write, fd, buffer, short_cut(fd, len));
}

ssize_t
pread(int fd, void *buffer, size_t len, off_t offset)
{
	return syscall(SYS_pread64, fd, buffer, short_cut(fd, len), offset);
}

ssize_t
pwrite(int fd, const void *buffer, size_t len, off_t offset)
{
	return syscall(SYS_pwrite64, fd, buffer, short_cut(fd, len), offset);
}

ssize_t
recv(int fd, void *buffer, size_t len, int flags)
{
	return syscall(SYS_recvfrom, fd, buffer, short_cut(fd, len), flags, NULL, NULL);
}

ssize_t
send(int fd, const void *buffer, size_t len, int flags)
{
	return syscall(SYS_sendto, fd, buffer, short_cut(fd, len), flags, NULL, 0);
}

ssize_t
readv(int fd, const struct iovec *pieces, int count)
{
	size_t len = short_total(pieces, (size_t)count);
	struct iovec piece;

	if (short_cut(fd, len) == len)
		return syscall(SYS_readv, fd, pieces, count);
	piece = short_first(pieces);
	return syscall(SYS_readv, fd, &piece, 1);
}

ssize_t
writev(int fd, const struct iovec *pieces, int count)
{
	size_t len = short_total(pieces, (size_t)count);
	struct iovec piece;

	if (short_cut(fd, len) == len)
		return syscall(SYS_writev, fd, pieces, count);
	piece = short_first(pieces);
	return syscall(SYS_writev, fd, &piece, 1);
}

ssize_t
recvmsg(int fd, struct msghdr *message, int flags)
{
	struct iovec piece;
	struct msghdr one = short_message(fd, message, &piece);
	ssize_t n = syscall(SYS_recvmsg, fd, &one, flags);

	message->msg_controllen = one.msg_controllen;
	message->msg_flags = one.msg_flags;
	message->msg_namelen = one.msg_namelen;
	return n;
}

ssize_t
sendmsg(int fd, const struct msghdr *message, int flags)
{
	struct iovec piece;
	struct msghdr one = short_message(fd, message, &piece);

	return syscall(SYS_sendmsg, fd, &one, flags);
}

ssize_t
sendfile(int out_fd, int in_fd, off_t *offset, size_t len)
{
	return syscall(SYS_sendfile, out_fd, in_fd, offset, short_cut(out_fd, len));
}

ssize_t
splice(int in_fd, off64_t *in, int out_fd, off64_t *out, size_t len, unsigned flags)
{
	return syscall(SYS_splice, in_fd, in, out_fd, out, short_cut(in_fd, len), flags);
}

ssize_t
copy_file_range(int in_fd, off64_t *in, int out_fd, off64_t *out, size_t len, unsigned flags)
{
	return syscall(SYS_copy_file_range, in_fd, in, out_fd, out, short_cut(out_fd, len), flags);
}

/* As they are called where the compiler knows how large the buffer is. */
ssize_t __read_chk(int fd, void *buffer, size_t len, size_t room);
ssize_t __recv_chk(int fd, void *buffer, size_t len, size_t room, int flags);
ssize_t __pread_chk(int fd, void *buffer, size_t len, off_t offset, size_t room);

ssize_t
__read_chk(int fd, void *buffer, size_t len, size_t room)
{
	return len > room ? (abort(), -1) : read(fd, buffer, len);
}

ssize_t
__recv_chk(int fd, void *buffer, size_t len, size_t room, int flags)
{
	return len > room ? (abort(), -1) : recv(fd, buffer, len, flags);
}

ssize_t
__pread_chk(int fd, void *buffer, size_t len, off_t offset, size_t room)
{
	return len > room ? (abort(), -1) : pread(fd, buffer, len, offset);
}
