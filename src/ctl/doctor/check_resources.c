/*
 * doctor/check_resources: what there is of memory, disk, processes and descriptors.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/doctor/check.h"
#include "ctl/quantity.h"

#define CHECK_KIB 1024ull
#define CHECK_MIB (1024ull * 1024)

/* Less than this of memory or disk, and what is started may fail. */
#define CHECK_MEMORY_MIN (16 * CHECK_MIB)
#define CHECK_DISK_MIN (8 * CHECK_MIB)

/* Less than a tenth of the whole is little, less than a fiftieth is nothing. */
#define CHECK_LITTLE 10
#define CHECK_NOTHING 50

/* What daemons of today want to be able to open; the kernel's own default is less. */
#define CHECK_NOFILE_MIN 65536

static enum diagnosis
check_left(uint64_t left, uint64_t whole)
{
	if (left < whole / CHECK_NOTHING)
		return DIAGNOSIS_WRONG;
	return left < whole / CHECK_LITTLE ? DIAGNOSIS_ODD : DIAGNOSIS_OK;
}

static void
check_set_left(
    struct finding *ret, enum diagnosis verdict, const char *to_do, uint64_t left, uint64_t whole)
{
	char left_text[QUANTITY_MAX];
	char whole_text[QUANTITY_MAX];

	quantity_format_bytes(left_text, left);
	quantity_format_bytes(whole_text, whole);
	finding_set(ret, verdict, verdict == DIAGNOSIS_OK ? NULL : to_do, "%s of %s left",
	    left_text, whole_text);
}

static bool
check_kib(const struct facts *facts, const char *key, uint64_t *ret)
{
	uint64_t kib;

	if (!check_number(check_text(facts, FACTS_MEMORY), key, &kib) ||
	    kib > UINT64_MAX / CHECK_KIB)
		return false;
	*ret = kib * CHECK_KIB;
	return true;
}

void
check_memory(const struct facts *facts, struct finding *ret)
{
	uint64_t available;
	uint64_t total;
	enum diagnosis verdict;

	if (!check_kib(facts, "MemTotal:", &total) ||
	    !check_kib(facts, "MemAvailable:", &available)) {
		finding_set(ret, DIAGNOSIS_UNKNOWN, NULL, "/proc/meminfo does not tell");
		return;
	}
	verdict = check_left(available, total);
	if (available < CHECK_MEMORY_MIN)
		verdict = DIAGNOSIS_WRONG;
	check_set_left(ret, verdict,
	    "see 'vmm-guest-ctl ps' and 'top' for who has it, or give the VM more", available,
	    total);
}

/* A tmpfs takes half of memory at most, and no end of a session empties it. */
void
check_shm(const struct facts *facts, struct finding *ret)
{
	uint64_t used = facts->status.shm_bytes;
	char text[QUANTITY_MAX];
	uint64_t total;

	quantity_format_bytes(text, used);
	if (check_kib(facts, "MemTotal:", &total) && used > total / 4)
		finding_set(ret, DIAGNOSIS_ODD,
		    "vmm-guest-ctl ls -l /dev/shm, and remove what is of no use",
		    "%s lie there, which is memory that no end of a session frees", text);
	else
		finding_set(ret, DIAGNOSIS_OK, NULL, "%s lie there", text);
}

void
check_disk(const struct facts *facts, struct finding *ret)
{
	uint64_t whole = facts->status.guest.root.bytes;
	uint64_t left = facts->status.guest.root.free_bytes;
	enum diagnosis verdict = check_left(left, whole);

	if (!facts->status.has_guest)
		finding_set(ret, DIAGNOSIS_UNKNOWN, NULL, "the agent does not tell");
	else if (whole == 0)
		finding_set(
		    ret, DIAGNOSIS_OK, NULL, "/ is not on a disk, or does not tell its size");
	else
		check_set_left(ret,
		    left < CHECK_DISK_MIN && left < whole / 2 ? DIAGNOSIS_WRONG : verdict,
		    "make room at /, or give the VM a larger disk", left, whole);
}

void
check_inodes(const struct facts *facts, struct finding *ret)
{
	uint64_t whole = facts->status.guest.root.inodes;
	uint64_t left = facts->status.guest.root.free_inodes;
	enum diagnosis verdict = check_left(left, whole);

	if (!facts->status.has_guest)
		finding_set(ret, DIAGNOSIS_UNKNOWN, NULL, "the agent does not tell");
	else if (whole == 0)
		finding_set(ret, DIAGNOSIS_OK, NULL, "/ does not count them");
	else
		finding_set(ret, verdict,
		    verdict == DIAGNOSIS_OK
			? NULL
			: "remove small files at /, or make that file system with more (mkfs -N)",
		    "%llu of %llu left at /", (unsigned long long)left, (unsigned long long)whole);
}

/* "0.00 0.01 0.05 1/123 4567": the second number behind the slash is of all tasks. */
void
check_processes(const struct facts *facts, struct finding *ret)
{
	const char *slash = strchr(check_text(facts, FACTS_LOAD), '/');
	uint64_t pid_max;
	uint64_t threads_max;
	uint64_t most;
	uint64_t used;
	enum diagnosis verdict;

	if (slash == NULL || !check_number(slash + 1, "", &used) ||
	    !check_number(check_text(facts, FACTS_PID_MAX), "", &pid_max) ||
	    !check_number(check_text(facts, FACTS_THREADS_MAX), "", &threads_max)) {
		finding_set(
		    ret, DIAGNOSIS_UNKNOWN, NULL, "the kernel does not tell how many there are");
		return;
	}
	most = pid_max < threads_max ? pid_max : threads_max;
	verdict = check_left(used < most ? most - used : 0, most);
	finding_set(ret, verdict,
	    verdict == DIAGNOSIS_OK ? NULL
				    : "see 'vmm-guest-ctl ps' for who has them, limit sessions "
				      "(exec --limit pids=N), or raise kernel.pid_max",
	    "%llu, and at most %llu", (unsigned long long)used, (unsigned long long)most);
}

/* "Max open files            1024                 4096                 files". Returns false
 * where there is no such line; "unlimited" is UINT64_MAX. */
static bool
check_hard_limit(const char *text, const char *key, uint64_t *ret)
{
	size_t len = strlen(key);

	for (; *text != '\0'; text += strcspn(text, "\n"), text += *text != '\0') {
		if (strncmp(text, key, len) != 0)
			continue;
		text += len;
		text += strspn(text, " ");
		text += strcspn(text, " \n");
		text += strspn(text, " ");
		*ret = strncmp(text, "unlimited", 9) == 0 ? UINT64_MAX : 0;
		return *ret != 0 || check_number(text, "", ret);
	}
	return false;
}

/* "1024\t0\t9223372036854775807": allocated, free, and the most; proc(5). A service's sessions
 * have its own limit; as PID 1 the agent gives them another, which nothing shows from here. */
void
check_limits(const struct facts *facts, struct finding *ret)
{
	const char *numbers = check_text(facts, FACTS_OPEN_FILES);
	unsigned long long used = 0;
	unsigned long long most = 0;
	uint64_t hard;

	if (sscanf(numbers, "%19llu %*u %19llu", &used, &most) != 2 ||
	    !check_hard_limit(check_text(facts, FACTS_LIMITS), "Max open files", &hard))
		finding_set(
		    ret, DIAGNOSIS_UNKNOWN, NULL, "the kernel does not tell how many there are");
	else if (check_left(used < most ? most - used : 0, most) != DIAGNOSIS_OK)
		finding_set(ret, DIAGNOSIS_WRONG, "raise fs.file-max, or end who has them open",
		    "%llu in the whole guest, and at most %llu", used, most);
	else if (facts->has_status && facts->status.pid == 1)
		finding_set(ret, DIAGNOSIS_OK, NULL, "%llu in the whole guest", used);
	else if (hard < CHECK_NOFILE_MIN)
		finding_set(ret, DIAGNOSIS_ODD, "in the agent's unit: LimitNOFILE=1024:524288",
		    "no more than %llu a process, however much a program asks for",
		    (unsigned long long)hard);
	else
		finding_set(ret, DIAGNOSIS_OK, NULL,
		    "%llu in the whole guest; up to %llu a process", used,
		    (unsigned long long)hard);
}
