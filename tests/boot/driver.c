/*
 * driver: single boot steps, for the tests in this folder: those that change
 * nothing but the namespaces that they are run in. Then becomes a program.
 *
 *     driver [STEP…] -- PROGRAM [ARGUMENT…]
 *
 * STEP: close, mounts, links, console, loopback, address, hosts, hostname=NAME, dns=OPTION;
 * ip=VALUE stands for the kernel's in the steps behind it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "boot/step.h"
#include "platform/fd.h"
#include "platform/netif.h"
#include "platform/proc.h"

static struct boot_settings driver_settings = { .hostname = "", .dns = "", .kernel_ip = "" };

/* As the kernel starts an init for which it found no console. */
static void
driver_close(const char *unused)
{
	(void)unused;
	(void)close(0);
	(void)close(1);
	(void)close(2);
	fd_open_standard(true);
}

static void
driver_loopback(const char *unused)
{
	(void)unused;
	if (netif_set_up("lo") < 0)
		(void)fprintf(stderr, "driver: lo\n");
}

static void
driver_set_ip(const char *value)
{
	driver_settings.kernel_ip = value;
}

static void
driver_hostname(const char *value)
{
	driver_settings.hostname = value;
	boot_hostname(&driver_settings);
}

static void
driver_hosts(const char *unused)
{
	(void)unused;
	(void)proc_init();
	boot_hosts(&driver_settings);
}

static void
driver_dns(const char *value)
{
	driver_settings.dns = value;
	boot_dns(&driver_settings);
}

static const struct {
	const char *name;
	void (*run)(const char *value);
	boot_step_fn *step; /* where it takes no value */
} driver_steps[] = {
	{ .name = "close", .run = driver_close },
	{ .name = "mounts", .step = boot_mounts },
	{ .name = "links", .step = boot_links },
	{ .name = "console", .step = boot_console },
	{ .name = "loopback", .run = driver_loopback },
	{ .name = "address", .step = boot_address },
	{ .name = "ip=", .run = driver_set_ip },
	{ .name = "hosts", .run = driver_hosts },
	{ .name = "hostname=", .run = driver_hostname },
	{ .name = "dns=", .run = driver_dns },
};

static int
driver_run_step(const char *text)
{
	for (size_t i = 0; i < sizeof(driver_steps) / sizeof(driver_steps[0]); i++) {
		size_t len = strlen(driver_steps[i].name);

		if (strncmp(text, driver_steps[i].name, len) != 0)
			continue;
		if (driver_steps[i].step != NULL)
			driver_steps[i].step(&driver_settings);
		else
			driver_steps[i].run(text + len);
		return 0;
	}
	return -1;
}

int
main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (driver_run_step(argv[i]) < 0) {
			(void)fprintf(stderr, "driver: no step %s\n", argv[i]);
			return 2;
		}
	}
	if (i + 1 >= argc)
		return 2;
	(void)execv(argv[i + 1], &argv[i + 1]);
	perror(argv[i + 1]);
	return 2;
}
