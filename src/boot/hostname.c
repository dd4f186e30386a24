/*
 * boot_hostname: the guest's name. Source: hostname(5), sethostname(2).
 *
 * SPDX-License-Identifier: MIT
 */
#include "boot/step.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "platform/fd.h"
#include "platform/log.h"
#include "protocol/ip_param.h"

#define BOOT_HOSTNAME_PATH "/etc/hostname"
#define BOOT_HOSTNAME_FILE_MAX 4096
#define BOOT_HOSTNAME_SPACE " \t\r\n"

/* The first word of the first line that has one and is not a comment; cuts TEXT. */
static const char *
boot_hostname_from_text(char *text)
{
	char *line;

	while ((line = strsep(&text, "\n")) != NULL) {
		line += strspn(line, BOOT_HOSTNAME_SPACE);
		line[strcspn(line, BOOT_HOSTNAME_SPACE)] = '\0';
		if (line[0] != '\0' && line[0] != '#')
			return line;
	}
	return "";
}

static void
boot_hostname_set(const char *name)
{
	if (name[0] != '\0' && sethostname(name, strlen(name)) < 0)
		log_error(-errno, "boot: can't set the hostname '%s'", name);
}

void
boot_hostname(const struct boot_settings *settings)
{
	char text[BOOT_HOSTNAME_FILE_MAX];
	struct ip_param param;
	ssize_t len;

	ip_param_parse(settings->kernel_ip, &param);
	if (settings->hostname[0] != '\0') {
		boot_hostname_set(settings->hostname);
		return;
	}
	if (param.field[IP_PARAM_HOSTNAME][0] != '\0') {
		boot_hostname_set(param.field[IP_PARAM_HOSTNAME]);
		return;
	}
	len = fd_read_file(AT_FDCWD, BOOT_HOSTNAME_PATH, text, sizeof(text));
	if (len >= 0)
		boot_hostname_set(boot_hostname_from_text(text));
	else if (len != -ENOENT)
		log_warnx("boot: can't read " BOOT_HOSTNAME_PATH ": %s", strerror((int)-len));
}
