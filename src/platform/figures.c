/*
 * SPDX-License-Identifier: MIT
 */
#include "platform/figures.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "platform/compat.h"
#include "platform/stream.h"
#include "platform/text.h"

/* A line that is longer counts as several. */
#define FIGURES_LINE_MAX 256
#define FIGURES_LINES_MAX 512

#define FIGURES_PATH_MAX 64
#define FIGURES_SECTOR 512
#define FIGURES_KIB 1024

/* USER_HZ is 100 wherever this is built for. */
#define FIGURES_MS_PER_TICK 10

/* Takes what LINE has to say into PLACE. */
typedef void figures_take_fn(const char *line, void *place);

static int
figures_open(int dir_fd, const char *path)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC, .resolve = RESOLVE_NO_XDEV };
	int fd = (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));

	return fd < 0 && errno == ENOSYS ? openat(dir_fd, path, O_RDONLY | O_CLOEXEC) : fd;
}

/* Returns whether there was anything. */
static bool
figures_read_lines(int dir_fd, const char *path, figures_take_fn *take, void *place)
{
	FILE CLEANUP_FILE *file = NULL;
	char line[FIGURES_LINE_MAX];
	int fd = figures_open(dir_fd, path);
	int count = 0;

	if (fd < 0 || stream_take(fd, &file) < 0)
		return false;
	while (count < FIGURES_LINES_MAX && fgets(line, sizeof(line), file) != NULL) {
		take(line, place);
		count++;
	}
	return count > 0;
}

/* ---- the guest ----------------------------------------------------------- */

static void
figures_take_kernel(const char *line, void *place)
{
	struct figures_room *room = place;

	(void)text_format(
	    room->kernel, sizeof(room->kernel), "%.*s", (int)strcspn(line, "\n"), line);
}

static void
figures_take_cpu(const char *line, void *place)
{
	struct figures *figures = &((struct figures_room *)place)->figures;
	uint64_t *ms = figures->cpu_ms;

	if (strncmp(line, "cpu", 3) != 0)
		return;
	if (line[3] != ' ') {
		figures->cpus++;
		return;
	}
	(void)sscanf(line + 3,
	    "%" SCNu64 "%" SCNu64 "%" SCNu64 "%" SCNu64 "%" SCNu64 "%" SCNu64 "%" SCNu64 "%" SCNu64,
	    &ms[0], &ms[1], &ms[2], &ms[3], &ms[4], &ms[5], &ms[6], &ms[7]);
	for (int i = 0; i < FIGURES_CPU_COUNT; i++)
		ms[i] *= FIGURES_MS_PER_TICK;
}

static void
figures_take_memory(const char *line, void *place)
{
	static const char names[FIGURES_MEMORY_COUNT][16] = {
		[FIGURES_TOTAL] = "MemTotal",
		[FIGURES_FREE] = "MemFree",
		[FIGURES_AVAILABLE] = "MemAvailable",
		[FIGURES_SWAP_TOTAL] = "SwapTotal",
		[FIGURES_SWAP_FREE] = "SwapFree",
	};
	struct figures *figures = &((struct figures_room *)place)->figures;
	char name[FIGURES_NAME_MAX];
	uint64_t kib;

	if (sscanf(line, "%31[^:]: %" SCNu64, name, &kib) != 2)
		return;
	for (int i = 0; i < FIGURES_MEMORY_COUNT; i++) {
		if (strcmp(name, names[i]) == 0)
			figures->memory[i] = kib * FIGURES_KIB;
	}
}

/* Whether NAME is that of a part of DISK, which stands in front of its parts: "vda1" and
 * "nvme0n1p1" are, "sdaa" and "loop10" are not. */
static bool
figures_is_part(const char *name, const char *disk)
{
	size_t len = strlen(disk);

	if (len == 0 || strncmp(name, disk, len) != 0)
		return false;
	if (isdigit((unsigned char)disk[len - 1]) && name[len++] != 'p')
		return false;
	return isdigit((unsigned char)name[len]) != 0;
}

static void
figures_take_disk(const char *line, void *place)
{
	struct figures_room *room = place;
	size_t count = room->figures.disks_count;
	struct figures_disk *disk = &room->disks[count];

	if (count == FIGURES_DISKS_MAX ||
	    sscanf(line,
		"%*u %*u %31s %" SCNu64 " %*u %" SCNu64 " %*u %" SCNu64 " %*u %" SCNu64
		" %*u %*u %" SCNu64,
		disk->text, &disk->reads, &disk->read_bytes, &disk->writes, &disk->written_bytes,
		&disk->busy_ms) != 6)
		return;
	if ((disk->reads | disk->writes) == 0 ||
	    (count > 0 && figures_is_part(disk->text, room->disks[count - 1].text)))
		return;
	disk->name = disk->text;
	disk->read_bytes *= FIGURES_SECTOR;
	disk->written_bytes *= FIGURES_SECTOR;
	room->figures.disks_count++;
}

static void
figures_take_link(const char *line, void *place)
{
	struct figures_room *room = place;
	size_t count = room->figures.links_count;
	struct figures_link *link = &room->links[count];

	if (count == FIGURES_LINKS_MAX ||
	    sscanf(line, " %31[^: ]: %" SCNu64 " %*u %*u %*u %*u %*u %*u %*u %" SCNu64, link->text,
		&link->received_bytes, &link->sent_bytes) != 3)
		return;
	link->name = link->text;
	room->figures.links_count++;
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0", and the same with "full". */
static void
figures_take_stall(const char *line, void *place)
{
	uint64_t *stall = place;

	(void)sscanf(line, "%*s %*s %*s %*s total=%" SCNu64,
	    &stall[line[0] == 'f' ? FIGURES_FULL : FIGURES_SOME]);
}

static void
figures_look_at_root(struct figures *figures)
{
	struct statfs status;

	if (statfs("/", &status) < 0)
		return;
	figures->root.bytes = (uint64_t)status.f_blocks * (uint64_t)status.f_bsize;
	figures->root.free_bytes = (uint64_t)status.f_bavail * (uint64_t)status.f_bsize;
	figures->root.inodes = status.f_files;
	figures->root.free_inodes = status.f_ffree;
}

void
figures_read(int proc_fd, struct figures_room *room)
{
	static const struct {
		const char *path;
		figures_take_fn *take;
		size_t offset;
	} files[] = {
		{ "sys/kernel/osrelease", figures_take_kernel, 0 },
		{ "stat", figures_take_cpu, 0 },
		{ "meminfo", figures_take_memory, 0 },
		{ "diskstats", figures_take_disk, 0 },
		{ "net/dev", figures_take_link, 0 },
		{ "pressure/cpu", figures_take_stall,
		    offsetof(struct figures_room, figures.cpu_stall_us) },
		{ "pressure/memory", figures_take_stall,
		    offsetof(struct figures_room, figures.memory_stall_us) },
		{ "pressure/io", figures_take_stall,
		    offsetof(struct figures_room, figures.io_stall_us) },
	};
	struct figures *figures = &room->figures;
	struct timespec up = { 0 };

	*room = (struct figures_room){ 0 };
	figures->kernel = room->kernel;
	figures->disks = room->disks;
	figures->links = room->links;
	(void)clock_gettime(CLOCK_BOOTTIME, &up);
	figures->uptime_ms = (uint64_t)up.tv_sec * 1000 + (uint64_t)up.tv_nsec / 1000000;
	/* The last one is of pressure; with psi=0 it is there, and can't be read. */
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		figures->has_pressure = figures_read_lines(
		    proc_fd, files[i].path, files[i].take, (char *)room + files[i].offset);
	figures_look_at_root(figures);
}

/* ---- a session ----------------------------------------------------------- */

static void
figures_take_usage(const char *line, void *place)
{
	struct figures_session *session = place;

	if (sscanf(line, "usage_usec %" SCNu64, &session->cpu_us) == 1)
		session->has_cpu = true;
}

static void
figures_take_current(const char *line, void *place)
{
	struct figures_session *session = place;

	session->has_memory = sscanf(line, "%" SCNu64, &session->memory_bytes) == 1;
}

/* By one path from a directory that was opened before: the session's own may be mounted over. */
static void
figures_read_of(int cgroups_fd, uint64_t number, const char *file, figures_take_fn *take,
    struct figures_session *ret)
{
	char path[FIGURES_PATH_MAX];

	(void)text_format(path, sizeof(path), "%" PRIu64 "/%s", number, file);
	(void)figures_read_lines(cgroups_fd, path, take, ret);
}

void
figures_read_session(int cgroups_fd, uint64_t number, struct figures_session *ret)
{
	*ret = (struct figures_session){ 0 };
	figures_read_of(cgroups_fd, number, "memory.current", figures_take_current, ret);
	figures_read_of(cgroups_fd, number, "cpu.stat", figures_take_usage, ret);
}
