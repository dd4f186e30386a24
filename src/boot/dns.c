/*
 * boot_dns: the guest's name servers, from the kernel command line.
 *
 * SPDX-License-Identifier: MIT
 */
#include "boot/step.h"

#include <errno.h>
#include <stddef.h>

#include "platform/log.h"
#include "platform/etc_file.h"
#include "protocol/name_servers.h"

void
boot_dns(const struct boot_settings *settings)
{
	char problem[NAME_SERVERS_PROBLEM_SIZE];
	char text[NAME_SERVERS_TEXT_SIZE];
	struct name_servers servers;
	int r;

	r = name_servers_at_boot(settings->dns,
	    settings->kernel_ip[0] != '\0' ? settings->kernel_ip : NULL, &servers, problem);
	if (r == -EINVAL)
		log_warnx("boot: name servers are left alone: %s", problem);
	if (r < 0)
		return;
	name_servers_format(&servers, text);
	r = etc_file_write(&etc_file_resolv_conf, text);
	if (r == -ENOENT)
		log_warnx("boot: no /etc/resolv.conf, and none can be made: the root is read-only");
	else if (r < 0)
		log_error(r, "boot: can't write /etc/resolv.conf");
}
