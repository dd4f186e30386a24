/*
 * shutdown_choice: what ends the machine that the agent is PID 1 of: each monitor
 * understands something else.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_SHUTDOWN_CHOICE_H
#define SUPERVISOR_SHUTDOWN_CHOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum shutdown_action {
	SHUTDOWN_AUTO = 0, /* whatever ends this machine's monitor */
	SHUTDOWN_REBOOT,
	SHUTDOWN_POWEROFF,
	SHUTDOWN_HALT,
};

/* A signal that tells us to end. */
struct shutdown_signal {
	uint8_t number;
	bool is_for_init; /* a service does not take it */
	uint8_t action;	  /* of the machine; AUTO: it says nothing of that */
};

#define SHUTDOWN_SIGNALS 7
extern const struct shutdown_signal shutdown_signals[SHUTDOWN_SIGNALS];

/* The action of SIGNAL; AUTO also for one that is not in the table. Pure. */
enum shutdown_action shutdown_signal_action(int signal);

/* The action that ACTION stands for on this machine: on x86 by /sys, elsewhere AUTO is
 * power-off, which ends a VM of any monitor there. */
enum shutdown_action shutdown_resolve(enum shutdown_action action);

/* The same for a machine whose DMI says VENDOR ("": it has none). AUTO is power-off where
 * that is QEMU or Cloud Hypervisor, else reboot, since on x86 only a reboot ends a
 * Firecracker VM; a power-off that the machine does not know is a reboot. Pure. */
enum shutdown_action shutdown_choose(
    enum shutdown_action action, const char *vendor, bool can_power_off);

/* Whether ACPI's fixed description table ("FACP", from its signature on, as far as it was
 * read) has a register by which to power off: that of a PC, or on reduced hardware the
 * sleep control register (ACPI specification, "Fixed ACPI Description Table"). Pure. */
bool shutdown_facp_can_power_off(const uint8_t *facp, size_t len);

#endif
