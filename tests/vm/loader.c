/*
 * loader: PID 1 of a guest that is to hold nothing but the agent: loads the modules
 * that /lib/modules/order lists, which is more than a guest needs whose kernel has
 * them built in, removes these and itself, and becomes the agent. test_root=ro makes
 * the root read-only instead of the latter (what runs keeps it busy once it has no
 * name), test_close=1 leaves the agent without any descriptor.
 * Static, as it has no other file to go by.
 *
 * SPDX-License-Identifier: MIT
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/compat.h"

#define FOLDER "/lib/modules/"

static char agent[] = "/sbin/vmm-guest-agent";

static void
load(const char *name)
{
	char path[512];
	int fd;

	(void)snprintf(path, sizeof(path), FOLDER "%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) < 0)
		warn("%s", path);
	(void)close(fd);
	(void)unlink(path);
}

static void
load_all(void)
{
	FILE *order = fopen(FOLDER "order", "re");
	char name[256];

	if (order == NULL)
		err(1, FOLDER "order");
	while (fscanf(order, "%255s", name) == 1)
		load(name);
	(void)fclose(order);
	(void)unlink(FOLDER "order");
	(void)rmdir("/lib/modules");
	(void)rmdir("/lib");
}

int
main(int argc, char **argv)
{
	const char *root = getenv("test_root");

	(void)argc;
	load_all();
	if (root == NULL || strcmp(root, "ro") != 0)
		(void)unlink("/init");
	else if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
		warn("can't make the root read-only");
	if (getenv("test_close") != NULL)
		(void)close_range(0, 2, 0);
	argv[0] = agent;
	(void)execv(agent, argv);
	err(1, "%s", agent);
}
