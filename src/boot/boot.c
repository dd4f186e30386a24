/*
 * boot: the steps in their order, and how long each took.
 *
 * SPDX-License-Identifier: MIT
 */
#include "boot/boot.h"

#include <errno.h>
#include <stdint.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "boot/step.h"
#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/log.h"
#include "platform/netif.h"
#include "platform/proc.h"

/* At this oom_score_adj the OOM killer never picks a process. */
#define BOOT_OOM_SCORE "-1000"

static void
boot_proc(const struct boot_settings *settings)
{
	int r = proc_init();

	(void)settings;
	if (r < 0)
		log_error(r, "boot: can't open /proc");
}

/* Ctrl-Alt-Del, by which Firecracker asks for a clean stop, becomes SIGINT to PID 1. If
 * that is another process, it decides. */
static void
boot_ctrl_alt_del(const struct boot_settings *settings)
{
	(void)settings;
	if (getpid() == 1 && reboot(RB_DISABLE_CAD) < 0)
		log_error(-errno, "boot: can't take Ctrl-Alt-Del");
}

static void
boot_oom_score(const struct boot_settings *settings)
{
	int r = fd_write_file(proc_dir_fd(), "self/oom_score_adj", BOOT_OOM_SCORE);

	(void)settings;
	if (r < 0)
		log_error(r, "boot: can't set oom_score_adj");
}

static void
boot_loopback(const struct boot_settings *settings)
{
	int r = netif_set_up("lo");

	(void)settings;
	if (r < 0)
		log_error(r, "boot: can't set lo up");
}

static struct boot_step boot_first_steps[] = {
	{ .name = "mounts", .run = boot_mounts },
	{ .name = "links", .run = boot_links },
	{ .name = "console", .run = boot_console },
	{ .name = "proc", .run = boot_proc },
};

static struct boot_step boot_other_steps[] = {
	{ .name = "ctrl-alt-del", .run = boot_ctrl_alt_del },
	{ .name = "oom score", .run = boot_oom_score },
	{ .name = "loopback", .run = boot_loopback },
	{ .name = "address", .run = boot_address },
	{ .name = "hostname", .run = boot_hostname },
	{ .name = "hosts", .run = boot_hosts },
	{ .name = "dns", .run = boot_dns },
	{ .name = "cgroups", .run = boot_cgroups },
	{ .name = "sysctl", .run = boot_sysctl },
};

#define BOOT_COUNT(steps) (sizeof(steps) / sizeof((steps)[0]))

static void
boot_run_steps(struct boot_step *steps, size_t count, const struct boot_settings *settings)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t start = clock_mono_us();

		steps[i].run(settings);
		steps[i].took_us = clock_mono_us() - start;
	}
}

static void
boot_log_steps(const struct boot_step *steps, size_t count)
{
	for (size_t i = 0; i < count; i++)
		log_debug("boot: %s: %llu µs", steps[i].name, (unsigned long long)steps[i].took_us);
}

void
boot_begin(void)
{
	boot_run_steps(boot_first_steps, BOOT_COUNT(boot_first_steps), NULL);
}

void
boot_finish(const struct boot_settings *settings)
{
	boot_run_steps(boot_other_steps, BOOT_COUNT(boot_other_steps), settings);
	boot_log_steps(boot_first_steps, BOOT_COUNT(boot_first_steps));
	boot_log_steps(boot_other_steps, BOOT_COUNT(boot_other_steps));
}
