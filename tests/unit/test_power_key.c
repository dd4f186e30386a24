/*
 * What the power key's device says; a pipe stands for the device.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "supervisor/power_key.h"

struct device {
	int read_fd;
	int write_fd;
};

static void
open_device(struct device *device)
{
	int pair[2];

	assert_int_equal(pipe2(pair, O_NONBLOCK | O_CLOEXEC), 0);
	*device = (struct device){ .read_fd = pair[0], .write_fd = pair[1] };
}

static void
close_device(const struct device *device)
{
	(void)close(device->read_fd);
	if (device->write_fd >= 0)
		(void)close(device->write_fd);
}

static void
say(const struct device *device, uint16_t type, uint16_t code, int32_t value)
{
	struct input_event event = { .type = type, .code = code, .value = value };

	assert_int_equal(write(device->write_fd, &event, sizeof(event)), sizeof(event));
}

static bool
is_pressed(const struct device *device)
{
	bool pressed = false;

	assert_int_equal(power_key_read(device->read_fd, &pressed), 0);
	return pressed;
}

static void
test_the_key_going_down_is_a_press(void **state)
{
	struct device device;

	(void)state;
	open_device(&device);
	say(&device, EV_KEY, KEY_POWER, 1);
	say(&device, EV_SYN, SYN_REPORT, 0);
	assert_true(is_pressed(&device));
	assert_false(is_pressed(&device));
	close_device(&device);
}

static void
test_the_key_going_up_or_repeating_is_none(void **state)
{
	struct device device;

	(void)state;
	open_device(&device);
	say(&device, EV_KEY, KEY_POWER, 0);
	say(&device, EV_KEY, KEY_POWER, 2);
	assert_false(is_pressed(&device));
	close_device(&device);
}

static void
test_other_keys_and_other_events_of_its_number_are_none(void **state)
{
	struct device device;

	(void)state;
	open_device(&device);
	say(&device, EV_KEY, KEY_A, 1);
	say(&device, EV_KEY, KEY_SLEEP, 1);
	say(&device, EV_REL, KEY_POWER, 1);
	assert_false(is_pressed(&device));
	close_device(&device);
}

static void
test_a_press_is_found_behind_more_than_one_read(void **state)
{
	struct device device;

	(void)state;
	open_device(&device);
	say(&device, EV_KEY, KEY_POWER, 1);
	for (int i = 0; i < 100; i++)
		say(&device, EV_KEY, KEY_A, i % 2);
	assert_true(is_pressed(&device));
	for (int i = 0; i < 100; i++)
		say(&device, EV_KEY, KEY_A, i % 2);
	say(&device, EV_KEY, KEY_POWER, 1);
	assert_true(is_pressed(&device));
	close_device(&device);
}

static void
test_a_device_that_is_gone_is_closed_and_the_others_stay(void **state)
{
	struct pollfd polls[POWER_KEY_POLLS_MAX];
	struct device gone;
	struct device there;
	struct power_key key;

	(void)state;
	open_device(&gone);
	open_device(&there);
	power_key_init(&key);
	assert_int_equal(power_key_list(&key, polls), 0);
	key.devices[key.count++] = gone.read_fd;
	key.devices[key.count++] = there.read_fd;
	assert_int_equal(power_key_list(&key, polls), 2);
	(void)close(gone.write_fd);
	assert_false(power_key_is_pressed(&key));
	assert_int_equal(power_key_list(&key, polls), 1);
	assert_int_equal(polls[0].fd, there.read_fd);
	assert_int_equal(fcntl(gone.read_fd, F_GETFD), -1);
	say(&there, EV_KEY, KEY_POWER, 1);
	assert_true(power_key_is_pressed(&key));
	close_device(&there);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_key_going_down_is_a_press),
		cmocka_unit_test(test_the_key_going_up_or_repeating_is_none),
		cmocka_unit_test(test_other_keys_and_other_events_of_its_number_are_none),
		cmocka_unit_test(test_a_press_is_found_behind_more_than_one_read),
		cmocka_unit_test(test_a_device_that_is_gone_is_closed_and_the_others_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
