/*
 * How a machine ends, by what it says that it is.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "supervisor/shutdown_choice.h"

/* Fields of the ACPI table; see "Fixed ACPI Description Table" in its specification. */
#define FACP_LEN 276
#define FACP_FLAGS_BYTE_2 114
#define FACP_HW_REDUCED 0x10
#define FACP_SLEEP_CONTROL_ADDRESS 248

static const struct {
	enum shutdown_action asked;
	const char *vendor;
	bool can_power_off;
	enum shutdown_action done;
} choices[] = {
	{ SHUTDOWN_AUTO, "QEMU\n", true, SHUTDOWN_POWEROFF },
	{ SHUTDOWN_AUTO, "QEMU", true, SHUTDOWN_POWEROFF },
	{ SHUTDOWN_AUTO, "Cloud Hypervisor\n", true, SHUTDOWN_POWEROFF },
	/* Firecracker says nothing. */
	{ SHUTDOWN_AUTO, "", true, SHUTDOWN_REBOOT },
	{ SHUTDOWN_AUTO, "", false, SHUTDOWN_REBOOT },
	{ SHUTDOWN_AUTO, "Amazon EC2\n", true, SHUTDOWN_REBOOT },
	{ SHUTDOWN_AUTO, "qemu\n", true, SHUTDOWN_REBOOT },
	{ SHUTDOWN_AUTO, "My QEMU\n", true, SHUTDOWN_REBOOT },
	{ SHUTDOWN_AUTO, "QEMU\n", false, SHUTDOWN_REBOOT },
	{ SHUTDOWN_POWEROFF, "", true, SHUTDOWN_POWEROFF },
	{ SHUTDOWN_POWEROFF, "", false, SHUTDOWN_REBOOT },
	{ SHUTDOWN_POWEROFF, "QEMU\n", false, SHUTDOWN_REBOOT },
	{ SHUTDOWN_REBOOT, "QEMU\n", true, SHUTDOWN_REBOOT },
	{ SHUTDOWN_HALT, "QEMU\n", true, SHUTDOWN_HALT },
	{ SHUTDOWN_HALT, "", false, SHUTDOWN_HALT },
};

static void
test_each_monitor_gets_the_end_that_it_understands(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
		assert_int_equal(
		    shutdown_choose(choices[i].asked, choices[i].vendor, choices[i].can_power_off),
		    choices[i].done);
}

/* systemd(1), busybox's init, sysvinit: what their programs send a PID 1. */
static void
test_signal_has_the_meaning_that_it_has_for_other_inits(void **state)
{
	(void)state;
	assert_int_equal(shutdown_signal_action(37), SHUTDOWN_HALT);
	assert_int_equal(shutdown_signal_action(38), SHUTDOWN_POWEROFF);
	assert_int_equal(shutdown_signal_action(39), SHUTDOWN_REBOOT);
	assert_int_equal(shutdown_signal_action(SIGUSR2), SHUTDOWN_POWEROFF);
	assert_int_equal(shutdown_signal_action(SIGTERM), SHUTDOWN_AUTO);
	assert_int_equal(shutdown_signal_action(SIGINT), SHUTDOWN_AUTO);
	assert_int_equal(shutdown_signal_action(SIGPWR), SHUTDOWN_AUTO);
	assert_int_equal(shutdown_signal_action(SIGHUP), SHUTDOWN_AUTO);
	assert_int_equal(shutdown_signal_action(-1), SHUTDOWN_AUTO);
}

/* A service's manager, or a user, has them for other ends. */
static void
test_service_takes_no_signal_that_is_for_an_init(void **state)
{
	(void)state;
	for (int i = 0; i < SHUTDOWN_SIGNALS; i++)
		assert_int_equal(
		    shutdown_signals[i].is_for_init, shutdown_signals[i].action != SHUTDOWN_AUTO);
}

static void
test_a_machine_with_the_registers_of_a_pc_can_power_off(void **state)
{
	uint8_t facp[FACP_LEN] = "FACP";

	(void)state;
	assert_true(shutdown_facp_can_power_off(facp, sizeof(facp)));
	/* Of revision 1, which knows nothing of reduced hardware. */
	assert_true(shutdown_facp_can_power_off(facp, 116));
	assert_true(shutdown_facp_can_power_off(facp, 244));
}

/* Without those registers there must be another one: Cloud Hypervisor and QEMU's microvm
 * have it, Firecracker has not, and a guest that powers off there stops for ever. */
static void
test_reduced_hardware_needs_a_register_to_power_off(void **state)
{
	uint8_t facp[FACP_LEN] = "FACP";

	(void)state;
	facp[FACP_FLAGS_BYTE_2] = FACP_HW_REDUCED;
	assert_false(shutdown_facp_can_power_off(facp, sizeof(facp)));
	for (int i = 0; i < 8; i++) {
		memset(facp + FACP_SLEEP_CONTROL_ADDRESS, 0, 8);
		facp[FACP_SLEEP_CONTROL_ADDRESS + i] = 1;
		assert_true(shutdown_facp_can_power_off(facp, sizeof(facp)));
		assert_false(shutdown_facp_can_power_off(facp, FACP_SLEEP_CONTROL_ADDRESS + 7));
	}
}

static void
test_what_is_no_such_table_promises_nothing(void **state)
{
	uint8_t facp[FACP_LEN] = "FACP";

	(void)state;
	assert_false(shutdown_facp_can_power_off(facp, 115));
	assert_false(shutdown_facp_can_power_off(facp, 0));
	memcpy(facp, "DSDT", 4);
	assert_false(shutdown_facp_can_power_off(facp, sizeof(facp)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_monitor_gets_the_end_that_it_understands),
		cmocka_unit_test(test_signal_has_the_meaning_that_it_has_for_other_inits),
		cmocka_unit_test(test_service_takes_no_signal_that_is_for_an_init),
		cmocka_unit_test(test_a_machine_with_the_registers_of_a_pc_can_power_off),
		cmocka_unit_test(test_reduced_hardware_needs_a_register_to_power_off),
		cmocka_unit_test(test_what_is_no_such_table_promises_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
