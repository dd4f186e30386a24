/*
 * doctor/check_kernel: what the guest's kernel is, and what it gives: time, chance, terminals,
 * file systems that can be frozen.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "ctl/doctor/check.h"
#include "ctl/quantity.h"

#define CHECK_KERNEL_MAJOR 5
#define CHECK_KERNEL_MINOR 10

/* The kernel begins to give out random bytes at so many bits; random(4). */
#define CHECK_ENTROPY_MIN 128

/* The boot time is whole seconds, and so less than one off. */
#define CHECK_CLOCK_GRAIN_MS 1000
#define CHECK_CLOCK_OFF_MS 1000

void
check_kernel(const struct facts *facts, struct finding *ret)
{
	const char *release = check_text(facts, FACTS_RELEASE);
	int len = (int)strcspn(release, "\n");
	unsigned major = 0;
	unsigned minor = 0;

	if (sscanf(release, "%5u.%5u", &major, &minor) != 2)
		finding_set(ret, DIAGNOSIS_UNKNOWN, NULL, "'%.*s' is not a Linux release",
		    len < 64 ? len : 64, release);
	else if (major < CHECK_KERNEL_MAJOR ||
		 (major == CHECK_KERNEL_MAJOR && minor < CHECK_KERNEL_MINOR))
		finding_set(ret, DIAGNOSIS_WRONG, "boot Linux 5.10 or later",
		    "Linux %.*s is older than what the agent was made for", len < 64 ? len : 64,
		    release);
	else
		finding_set(ret, DIAGNOSIS_OK, NULL, "Linux %.*s", len < 64 ? len : 64, release);
}

/* ---- time and chance ------------------------------------------------------ */

/* How far the guest is before the host (negative: behind), in ms, at the least that it can be. */
static int64_t
check_clock_offset(int64_t guest_ms, const struct facts_text *uptime)
{
	int64_t least = guest_ms - uptime->told_ms;
	int64_t most = guest_ms + CHECK_CLOCK_GRAIN_MS - uptime->asked_ms;

	if (least <= 0 && most >= 0)
		return 0;
	return least > 0 ? least : most;
}

/* The wall clock is the time of boot and the time since, proc(5). */
void
check_clock(const struct facts *facts, struct finding *ret)
{
	const char *uptime = check_text(facts, FACTS_UPTIME);
	unsigned long long seconds = 0;
	unsigned hundredths = 0;
	char off[QUANTITY_MAX];
	uint64_t boot;
	int64_t ms;

	if (!check_number(check_text(facts, FACTS_STAT), "btime", &boot) ||
	    sscanf(uptime, "%10llu.%2u", &seconds, &hundredths) != 2 || boot > UINT32_MAX) {
		finding_set(ret, DIAGNOSIS_UNKNOWN, NULL, "the guest does not tell the time");
		return;
	}
	ms = check_clock_offset(
	    (int64_t)(boot * 1000 + seconds * 1000 + hundredths * 10), &facts->files[FACTS_UPTIME]);
	quantity_format_ms(off, (uint64_t)(ms < 0 ? -ms : ms));
	if (ms > CHECK_CLOCK_OFF_MS || ms < -CHECK_CLOCK_OFF_MS)
		finding_set(ret, DIAGNOSIS_WRONG, "vmm-guest-ctl clock-sync", "%s %s this host's",
		    off, ms < 0 ? "behind" : "before");
	else
		finding_set(ret, DIAGNOSIS_OK, NULL, "as this host's, within two seconds");
}

void
check_ptp(const struct facts *facts, struct finding *ret)
{
	static const char name[] = "KVM virtual PTP";

	if (check_has_line(check_text(facts, FACTS_PTP0), name) ||
	    check_has_line(check_text(facts, FACTS_PTP1), name))
		finding_set(ret, DIAGNOSIS_OK, NULL, "the agent reads it by %s", name);
	else
		finding_set(ret, DIAGNOSIS_ODD,
		    "set CONFIG_PTP_1588_CLOCK_KVM=y in the kernel; or, after each pause and "
		    "restore, "
		    "vmm-guest-ctl clock-sync",
		    "the agent can't read it: no PTP device of KVM's");
}

void
check_entropy(const struct facts *facts, struct finding *ret)
{
	const char *source = check_text(facts, FACTS_RNG);
	int len = (int)strcspn(source, "\n");
	uint64_t bits;

	if (!check_number(check_text(facts, FACTS_ENTROPY), "", &bits))
		finding_set(
		    ret, DIAGNOSIS_UNKNOWN, NULL, "the kernel does not tell how much it has");
	else if (bits < CHECK_ENTROPY_MIN)
		finding_set(ret, DIAGNOSIS_WRONG,
		    "give the VM a virtio-rng device, or start it with random.trust_cpu=on",
		    "%llu bits: programs that ask for random numbers wait",
		    (unsigned long long)bits);
	else if (len == 0 || check_has_line(source, "none"))
		finding_set(ret, DIAGNOSIS_ODD,
		    "give the VM a virtio-rng device; after a restore, vmm-guest-ctl restored",
		    "%llu bits, but no device of the host's to have more from",
		    (unsigned long long)bits);
	else
		finding_set(ret, DIAGNOSIS_OK, NULL, "%llu bits, and %.*s",
		    (unsigned long long)bits, len < 64 ? len : 64, source);
}

/* ---- files ---------------------------------------------------------------- */

/* Of what stands on a block device, and is written to: the one that FIFREEZE refuses first. */
struct check_mount {
	const char *place;
	int place_len;
	const char *type;
	int type_len;
	unsigned freezable;
};

static bool
check_can_freeze(const char *type, size_t len)
{
	/* Those whose driver has a freeze_fs or freeze_super. */
	static const char types[] =
	    "bcachefs btrfs ext2 ext3 ext4 f2fs gfs2 jfs nilfs2 reiserfs xfs zonefs";
	char word[16];

	if (len >= sizeof(word))
		return false;
	memcpy(word, type, len);
	word[len] = '\0';
	return check_has_word(types, sizeof(types) - 1, word);
}

/* LINE: "/dev/vda / ext4 rw,relatime 0 0". */
static void
check_see_mount(const char *line, struct check_mount *found)
{
	const char *place = line + strcspn(line, " \n");
	const char *type;
	const char *options;

	place += strspn(place, " ");
	type = place + strcspn(place, " \n");
	type += strspn(type, " ");
	options = type + strcspn(type, " \n");
	options += strspn(options, " ");
	if (strncmp(line, "/dev/", 5) != 0 || strncmp(options, "rw", 2) != 0)
		return;
	if (check_can_freeze(type, strcspn(type, " \n"))) {
		found->freezable++;
	} else if (found->type == NULL) {
		found->place = place;
		found->place_len = (int)strcspn(place, " \n");
		found->type = type;
		found->type_len = (int)strcspn(type, " \n");
	}
}

void
check_freeze(const struct facts *facts, struct finding *ret)
{
	const char *line = check_text(facts, FACTS_MOUNTS);
	struct check_mount found = { 0 };

	for (; *line != '\0'; line += strcspn(line, "\n"), line += *line != '\0')
		check_see_mount(line, &found);
	if (found.type != NULL)
		finding_set(ret, DIAGNOSIS_ODD,
		    "have it on ext4 or xfs, or quiesce without --fsfreeze (it is flushed all the "
		    "same)",
		    "%.*s is %.*s, which can't be frozen",
		    found.place_len < 128 ? found.place_len : 128, found.place,
		    found.type_len < 32 ? found.type_len : 32, found.type);
	else if (found.freezable == 0)
		finding_set(ret, DIAGNOSIS_OK, NULL, "no file system on a disk is written to");
	else
		finding_set(ret, DIAGNOSIS_OK, NULL,
		    "mounts of disks that are written to, which can all be frozen: %u",
		    found.freezable);
}

void
check_devpts(const struct facts *facts, struct finding *ret)
{
	bool is_mounted = strstr(check_text(facts, FACTS_MOUNTS), " /dev/pts devpts ") != NULL;

	if (!is_mounted || !check_has_line(check_text(facts, FACTS_PTS), "ptmx"))
		finding_set(ret, DIAGNOSIS_WRONG,
		    "mount -t devpts devpts /dev/pts -o mode=0620,ptmxmode=0666",
		    "no devpts at /dev/pts: neither shell nor exec -t");
	else if (!check_has_line(check_text(facts, FACTS_DEV), "ptmx"))
		finding_set(ret, DIAGNOSIS_WRONG, "ln -s pts/ptmx /dev/ptmx",
		    "no /dev/ptmx: programs can't open terminals");
	else
		finding_set(ret, DIAGNOSIS_OK, NULL, "devpts at /dev/pts");
}
