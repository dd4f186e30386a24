/*
 * boot_hosts: /etc/hosts, where the image has none. Source: hosts(5).
 *
 * SPDX-License-Identifier: MIT
 */
#include "boot/step.h"

#include <string.h>

#include "platform/fd.h"
#include "platform/hosts_file.h"
#include "platform/log.h"
#include "platform/proc.h"
#include "protocol/session_name.h"
#include "vmm-guest/protocol.h"

void
boot_hosts(const struct boot_settings *settings)
{
	char name[VMM_GUEST_HOSTNAME_MAX + 2];
	int r;

	(void)settings;
	if (fd_read_file(proc_dir_fd(), "sys/kernel/hostname", name, sizeof(name)) < 0)
		name[0] = '\0';
	name[strcspn(name, "\n")] = '\0';
	/* The kernel's "(none)" is no name, and an operator's may be anything. */
	if (!session_name_is_valid(name) || strcmp(name, "localhost") == 0)
		name[0] = '\0';
	r = hosts_file_write(name);
	if (r < 0)
		log_error(r, "boot: can't write /etc/hosts");
}
