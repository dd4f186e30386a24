/*
 * step: the steps of the boot, one function and one file each, all of one shape. Each
 * can be done again without harm, logs its own failure, and stops none of the others.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BOOT_STEP_H
#define BOOT_STEP_H

#include <stdint.h>

#include "boot/boot.h"

typedef void boot_step_fn(const struct boot_settings *settings);

struct boot_step {
	const char *name;
	boot_step_fn *run;
	uint64_t took_us;
};

/* ---- before the configuration is known: SETTINGS is NULL --------------- */

/* Mounts what is not there yet. Needs no /proc. */
boot_step_fn boot_mounts;

/* Makes the links in /dev that are missing, and puts right those that lead elsewhere. */
boot_step_fn boot_links;

/* Replaces what fd_open_standard() put in place of closed descriptors, now that
 * there is a /dev: 0 and 1 by /dev/null, and for PID 1 2 by the console. */
boot_step_fn boot_console;

/* ---- after it ------------------------------------------------------------ */

/* Gives the card that ip= names, else the guest's first, its address, netmask and
 * default route, if it has no address yet and ip= has all three. A guest without a card is not an
 * error. */
boot_step_fn boot_address;

/* Sets the hostname: the operator's, else the fifth field of ip=, else the first line
 * of /etc/hostname that is not a comment. Where there is none of these the name is left
 * as the kernel has it. Source: hostname(5), sethostname(2). */
boot_step_fn boot_hostname;

/* Makes /etc/hosts where there is none, or an empty one, or one that is ours: localhost, and
 * the guest's own name, which boot_hostname() has set. Needs proc_init(). */
boot_step_fn boot_hosts;

/* Writes /etc/resolv.conf as the operator (see protocol/name_servers.h) and ip= say. */
boot_step_fn boot_dns;

/* Makes the cgroups "agent" and "sessions" at the root of the hierarchy, unless the
 * operator wants none; see cgroups.h. */
boot_step_fn boot_cgroups;

/* Sets fs.protected_symlinks, _hardlinks, _fifos and _regular to 1, and
 * kernel.pty.reserve to what the host's terminals want; one that is as much already is
 * left alone. Where the agent logs to the kernel, takes the limit of
 * kernel.printk_devkmsg away too. Needs proc_init(). */
boot_step_fn boot_sysctl;

#endif
