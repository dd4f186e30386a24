/*
 * delegate: what a service manager does for a service with Delegate=yes: makes
 * CGROUP, says by ATTRIBUTE that it is delegated ("-": does not), moves into it, or
 * into its LEAF, and becomes the service.
 *
 *     delegate ATTRIBUTE CGROUP[//LEAF] COMMAND [ARGUMENT...]
 *
 * SPDX-License-Identifier: MIT
 */
#include <err.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static void
make(const char *path)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		err(1, "%s", path);
}

static void
enter(const char *path)
{
	FILE *file;

	if (chdir(path) < 0)
		err(1, "%s", path);
	file = fopen("cgroup.procs", "we");
	if (file == NULL || fputs("0", file) < 0 || fclose(file) != 0 || chdir("/") < 0)
		err(1, "%s/cgroup.procs", path);
}

int
main(int argc, char **argv)
{
	char path[PATH_MAX];
	char *leaf;

	if (argc < 4)
		errx(2, "usage: delegate ATTRIBUTE CGROUP[//LEAF] COMMAND [ARGUMENT...]");
	(void)snprintf(path, sizeof(path), "%s", argv[2]);
	leaf = strstr(path, "//");
	if (leaf != NULL)
		*leaf = '\0';
	make(path);
	if (strcmp(argv[1], "-") != 0 && setxattr(path, argv[1], "1", 1, 0) < 0)
		err(1, "setxattr %s", argv[1]);
	if (leaf != NULL) {
		*leaf = '/';
		make(path);
	}
	enter(path);
	(void)execvp(argv[3], argv + 3);
	err(1, "%s", argv[3]);
}
