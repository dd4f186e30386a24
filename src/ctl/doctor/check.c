/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/doctor/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BIT(file) (1u << (file))

const struct check check_table[] = {
	{ "agent", .judge = check_agent },
	{ "workers", .needs_status = true, .judge = check_workers },
	{ "quiesce", .needs_status = true, .judge = check_quiesce },
	{ "kernel", .needs = BIT(FACTS_RELEASE), .judge = check_kernel },
	{ "vsock", .needs = BIT(FACTS_DEV),
	    .looks_at = BIT(FACTS_VSOCK_VIRTIO) | BIT(FACTS_VSOCK_VMCI) | BIT(FACTS_VSOCK_HYPERV) |
			BIT(FACTS_MODULES),
	    .judge = check_vsock },
	{ "cgroups", .needs = BIT(FACTS_MOUNTS) | BIT(FACTS_OWN_CGROUP),
	    .looks_at = BIT(FACTS_SESSION_CONTROLLERS), .judge = check_cgroups },
	{ "clock", .needs = BIT(FACTS_STAT) | BIT(FACTS_UPTIME), .judge = check_clock },
	{ "host's clock", .looks_at = BIT(FACTS_PTP0) | BIT(FACTS_PTP1), .judge = check_ptp },
	{ "entropy", .needs = BIT(FACTS_ENTROPY), .looks_at = BIT(FACTS_RNG),
	    .judge = check_entropy },
	{ "freezing", .needs = BIT(FACTS_MOUNTS), .judge = check_freeze },
	{ "memory", .needs = BIT(FACTS_MEMORY), .judge = check_memory },
	{ "/dev/shm", .needs_status = true, .needs = BIT(FACTS_MEMORY), .judge = check_shm },
	{ "disk", .needs_status = true, .judge = check_disk },
	{ "inodes", .needs_status = true, .judge = check_inodes },
	{ "processes", .needs = BIT(FACTS_LOAD) | BIT(FACTS_PID_MAX) | BIT(FACTS_THREADS_MAX),
	    .judge = check_processes },
	{ "open files", .needs = BIT(FACTS_LIMITS) | BIT(FACTS_OPEN_FILES), .judge = check_limits },
	{ "terminals", .needs = BIT(FACTS_DEV) | BIT(FACTS_MOUNTS), .looks_at = BIT(FACTS_PTS),
	    .judge = check_devpts },
	{ "/etc/hosts", .needs = BIT(FACTS_HOSTNAME), .looks_at = BIT(FACTS_HOSTS),
	    .judge = check_hosts },
	{ "resolv.conf", .needs = BIT(FACTS_NETWORK), .looks_at = BIT(FACTS_RESOLV),
	    .judge = check_resolv },
};
const unsigned check_count = sizeof(check_table) / sizeof(check_table[0]);

_Static_assert(FACTS_COUNT <= 32, "a bit for each file");

static const char *
check_why(int error)
{
	switch (-error) {
	case ETIMEDOUT:
	case ETIME:
		return "no answer in time";
	case EREMOTEIO:
	case ENODATA:
	case EMSGSIZE:
		return "the agent would not tell";
	default:
		return strerror(-error);
	}
}

void
check_run(const struct check *check, const struct facts *facts, struct finding *ret)
{
	*ret = (struct finding){ .name = check->name };
	if (check->needs_status && !facts->has_status) {
		finding_set(ret, DIAGNOSIS_UNKNOWN, NULL, "the agent does not tell");
		return;
	}
	for (int i = 0; i < FACTS_COUNT; i++) {
		const struct facts_text *file = &facts->files[i];
		bool is_needed = (check->needs & BIT(i)) != 0;

		if (file->text != NULL || ((check->needs | check->looks_at) & BIT(i)) == 0)
			continue;
		/* A name on the way to it that is no directory is as good as none. */
		if (!is_needed && (file->error == -ENOENT || file->error == -ENOTDIR))
			continue;
		finding_set(ret, DIAGNOSIS_UNKNOWN, NULL, "%s can't be read: %s", file->path,
		    check_why(file->error));
		return;
	}
	check->judge(facts, ret);
}

const char *
check_text(const struct facts *facts, enum facts_file file)
{
	return facts->files[file].text != NULL ? facts->files[file].text : "";
}

bool
check_number(const char *text, const char *key, uint64_t *ret)
{
	size_t len = strlen(key);

	for (; *text != '\0'; text += strcspn(text, "\n"), text += *text != '\0') {
		unsigned long long number;

		if (strncmp(text, key, len) != 0)
			continue;
		text += len;
		text += strspn(text, " \t");
		if (*text < '0' || *text > '9')
			return false;
		errno = 0;
		number = strtoull(text, NULL, 10);
		if (errno != 0)
			return false;
		*ret = number;
		return true;
	}
	return false;
}

bool
check_has_word(const char *text, size_t len, const char *word)
{
	size_t word_len = strlen(word);
	const char *end = text + len;

	while (text < end) {
		size_t n = strcspn(text, " \t\n");

		n = n < (size_t)(end - text) ? n : (size_t)(end - text);
		if (n == word_len && memcmp(text, word, n) == 0)
			return true;
		text += n + 1;
	}
	return false;
}

bool
check_has_line(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (; *text != '\0'; text += strcspn(text, "\n"), text += *text != '\0') {
		if (strcspn(text, "\n") == len && memcmp(text, name, len) == 0)
			return true;
	}
	return false;
}
