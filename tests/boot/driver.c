/*
 * driver: single boot steps, for the tests in this folder: those that change
 * nothing but the namespaces that they are run in. Then becomes a program.
 *
 *     driver [STEP…] -- PROGRAM [ARGUMENT…]
 *
 * STEP: close, mounts, links, console, loopback, address, hostname=NAME, dns=OPTION;
 * ip=VALUE stands for the kernel's in the steps behind it.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "platform/fd.h"
#include "platform/netif.h"
#include "boot/address.h"
#include "boot/console.h"
#include "boot/dns.h"
#include "boot/hostname.h"
#include "boot/links.h"
#include "boot/mounts.h"

static const char *driver_ip = "";

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
driver_mounts(const char *unused)
{
	(void)unused;
	boot_mounts_run();
}

static void
driver_links(const char *unused)
{
	(void)unused;
	boot_links_run();
}

static void
driver_console(const char *unused)
{
	(void)unused;
	boot_console_run();
}

static void
driver_loopback(const char *unused)
{
	(void)unused;
	if (netif_set_up("lo") < 0)
		(void)fprintf(stderr, "driver: lo\n");
}

static void
driver_address(const char *unused)
{
	(void)unused;
	boot_address_run(driver_ip);
}

static void
driver_set_ip(const char *value)
{
	driver_ip = value;
}

static void
driver_hostname(const char *value)
{
	boot_hostname_run(value, driver_ip);
}

static void
driver_dns(const char *value)
{
	boot_dns_run(value, driver_ip);
}

static const struct {
	const char *name;
	void (*run)(const char *value);
} driver_steps[] = {
	{ "close", driver_close },
	{ "mounts", driver_mounts },
	{ "links", driver_links },
	{ "console", driver_console },
	{ "loopback", driver_loopback },
	{ "address", driver_address },
	{ "ip=", driver_set_ip },
	{ "hostname=", driver_hostname },
	{ "dns=", driver_dns },
};

static int
driver_run_step(const char *text)
{
	for (size_t i = 0; i < sizeof(driver_steps) / sizeof(driver_steps[0]); i++) {
		size_t len = strlen(driver_steps[i].name);

		if (strncmp(text, driver_steps[i].name, len) == 0) {
			driver_steps[i].run(text + len);
			return 0;
		}
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
