/*
 * shutdown_choice: what ends this machine.
 *
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/shutdown_choice.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "platform/fd.h"

#define SHUTDOWN_VENDOR_PATH "/sys/class/dmi/id/sys_vendor"
#define SHUTDOWN_FACP_PATH "/sys/firmware/acpi/tables/FACP"
#define SHUTDOWN_FACP_MAX 276

/* Offsets in the table. Bit 20 of its flags says that a PC's registers are missing. */
#define SHUTDOWN_FACP_FLAGS 112
#define SHUTDOWN_FACP_FLAGS_LEN 4
#define SHUTDOWN_FACP_HW_REDUCED_BYTE 2
#define SHUTDOWN_FACP_HW_REDUCED 0x10
#define SHUTDOWN_FACP_SLEEP_ADDRESS 248
#define SHUTDOWN_FACP_SLEEP_ADDRESS_LEN 8

bool
shutdown_facp_can_power_off(const uint8_t *facp, size_t len)
{
	static const uint8_t none[SHUTDOWN_FACP_SLEEP_ADDRESS_LEN];

	if (len < SHUTDOWN_FACP_FLAGS + SHUTDOWN_FACP_FLAGS_LEN || memcmp(facp, "FACP", 4) != 0)
		return false;
	if ((facp[SHUTDOWN_FACP_FLAGS + SHUTDOWN_FACP_HW_REDUCED_BYTE] &
		SHUTDOWN_FACP_HW_REDUCED) == 0)
		return true;
	return len >= SHUTDOWN_FACP_SLEEP_ADDRESS + sizeof(none) &&
	       memcmp(facp + SHUTDOWN_FACP_SLEEP_ADDRESS, none, sizeof(none)) != 0;
}

/* PWR is sysvinit's and the power key's, USR2 busybox's poweroff. The last are systemd's
 * real-time signals (systemd(1)), by number, as each libc keeps others for itself. */
const struct shutdown_signal shutdown_signals[SHUTDOWN_SIGNALS] = {
	{ SIGTERM, false, SHUTDOWN_AUTO },
	{ SIGINT, false, SHUTDOWN_AUTO },
	{ SIGPWR, false, SHUTDOWN_AUTO },
	{ SIGUSR2, true, SHUTDOWN_POWEROFF },
	{ 37, true, SHUTDOWN_HALT },
	{ 38, true, SHUTDOWN_POWEROFF },
	{ 39, true, SHUTDOWN_REBOOT },
};

enum shutdown_action
shutdown_signal_action(int signal)
{
	for (int i = 0; i < SHUTDOWN_SIGNALS; i++) {
		if (shutdown_signals[i].number == signal)
			return shutdown_signals[i].action;
	}
	return SHUTDOWN_AUTO;
}

static bool
shutdown_vendor_is(const char *vendor, const char *name)
{
	return strncmp(vendor, name, strlen(name)) == 0;
}

enum shutdown_action
shutdown_choose(enum shutdown_action action, const char *vendor, bool can_power_off)
{
	if (action == SHUTDOWN_AUTO)
		action = shutdown_vendor_is(vendor, "QEMU") ||
				 shutdown_vendor_is(vendor, "Cloud Hypervisor")
			     ? SHUTDOWN_POWEROFF
			     : SHUTDOWN_REBOOT;
	if (action == SHUTDOWN_POWEROFF && !can_power_off)
		action = SHUTDOWN_REBOOT;
	return action;
}

#if defined(__x86_64__)
static bool
shutdown_can_power_off(void)
{
	int CLEANUP_FD fd = open(SHUTDOWN_FACP_PATH, O_RDONLY | O_CLOEXEC);
	uint8_t facp[SHUTDOWN_FACP_MAX];
	ssize_t len = fd < 0 ? -1 : fd_read_full(fd, facp, sizeof(facp));

	return len >= 0 && shutdown_facp_can_power_off(facp, (size_t)len);
}

enum shutdown_action
shutdown_resolve(enum shutdown_action action)
{
	char vendor[64];

	if (fd_read_file(AT_FDCWD, SHUTDOWN_VENDOR_PATH, vendor, sizeof(vendor)) < 0)
		vendor[0] = '\0';
	return shutdown_choose(action, vendor, shutdown_can_power_off());
}
#else
/* PSCI: every monitor ends by its power-off, and few have a DMI to be known by. */
enum shutdown_action
shutdown_resolve(enum shutdown_action action)
{
	return action == SHUTDOWN_AUTO ? SHUTDOWN_POWEROFF : action;
}
#endif
