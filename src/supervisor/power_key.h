/*
 * power_key: the power key, by which QEMU and Cloud Hypervisor ask a guest for
 * its end. Source: the kernel's Documentation/input/input.rst.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SUPERVISOR_POWER_KEY_H
#define SUPERVISOR_POWER_KEY_H

#include <poll.h>
#include <stdbool.h>

#define POWER_KEY_DEVICES_MAX 8
#define POWER_KEY_POLLS_MAX (POWER_KEY_DEVICES_MAX + 1)

struct power_key {
	int watch_fd; /* inotify(7): devices that come late; -1: none come */
	int devices[POWER_KEY_DEVICES_MAX];
	int count;
};

/* Watches nothing. */
void power_key_init(struct power_key *key);

/* Opens each /dev/input/event* that has such a key, and watches for new ones. With
 * neither a device nor inotify, no key is ever pressed. */
void power_key_open(struct power_key *key);

/* Puts the descriptors to wait for into POLLS, POWER_KEY_POLLS_MAX long. Returns how
 * many there are. */
int power_key_list(const struct power_key *key, struct pollfd *polls);

/* Whether a key was pressed since the last look, and opens devices that have come.
 * Never waits. */
bool power_key_is_pressed(struct power_key *key);

/* Reads all events of the device FD (non-blocking), and says in *RET_PRESSED whether its
 * key was pressed. Returns 0, or -errno where FD is of no more use. */
int power_key_read(int fd, bool *ret_pressed);

#endif
