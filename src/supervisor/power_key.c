/*
 * SPDX-License-Identifier: MIT
 */
#include "supervisor/power_key.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/input.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/dir.h"
#include "platform/fd.h"
#include "platform/log.h"
#include "supervisor/own_fd.h"

#define POWER_KEY_FOLDER "/dev/input"
#define POWER_KEY_PARENT "/dev"
#define POWER_KEY_EVENTS_MAX 16
#define POWER_KEY_BITS_PER_BYTE 8

void
power_key_init(struct power_key *key)
{
	*key = (struct power_key){ .watch_fd = -1 };
}

/* ---- the devices ------------------------------------------------------- */

static bool
power_key_is_on(int fd)
{
	uint8_t keys[KEY_CNT / POWER_KEY_BITS_PER_BYTE] = { 0 };

	if (ioctl(fd, EVIOCGBIT(EV_KEY, sizeof(keys)), keys) < 0)
		return false;
	return (keys[KEY_POWER / POWER_KEY_BITS_PER_BYTE] >> KEY_POWER % POWER_KEY_BITS_PER_BYTE &
		   1) != 0;
}

static bool
power_key_is_known(const struct power_key *key, const struct stat *status)
{
	for (int i = 0; i < key->count; i++) {
		struct stat other;

		if (fstat(key->devices[i], &other) == 0 && other.st_rdev == status->st_rdev)
			return true;
	}
	return false;
}

static void
power_key_try(struct power_key *key, int folder_fd, const char *name)
{
	struct stat status;
	int CLEANUP_FD fd = -1;

	if (key->count == POWER_KEY_DEVICES_MAX ||
	    fstatat(folder_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISCHR(status.st_mode) || power_key_is_known(key, &status))
		return;
	fd = openat(folder_fd, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || !power_key_is_on(fd))
		return;
	log_debug("%s has a power key", name);
	key->devices[key->count++] = own_fd_hide(fd_steal(&fd));
}

static void
power_key_scan(struct power_key *key)
{
	DIR CLEANUP_DIR *folder = NULL;
	struct dirent *entry;
	int r = dir_open(AT_FDCWD, POWER_KEY_FOLDER, 0, &folder);

	while (r == 0 && (r = dir_next(folder, &entry)) == 0 && entry != NULL) {
		if (strncmp(entry->d_name, "event", strlen("event")) == 0)
			power_key_try(key, dirfd(folder), entry->d_name);
	}
	if (r < 0 && r != -ENOENT)
		log_error(r, "a power key may go unnoticed: %s", POWER_KEY_FOLDER);
}

/* Watches for devices, or for their folder as long as there is none. Adding a watch that
 * is there already changes nothing. */
static void
power_key_watch(const struct power_key *key)
{
	int parent;

	if (key->watch_fd < 0)
		return;
	parent = inotify_add_watch(key->watch_fd, POWER_KEY_PARENT, IN_CREATE | IN_ONLYDIR);
	if (inotify_add_watch(key->watch_fd, POWER_KEY_FOLDER, IN_CREATE | IN_ONLYDIR) >= 0)
		(void)inotify_rm_watch(key->watch_fd, parent);
}

void
power_key_open(struct power_key *key)
{
	key->watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (key->watch_fd >= 0)
		key->watch_fd = own_fd_hide(key->watch_fd);
	/* In this order: what comes in between is found by the scan. */
	power_key_watch(key);
	power_key_scan(key);
}

/* ---- the key ----------------------------------------------------------- */

int
power_key_list(const struct power_key *key, struct pollfd *polls)
{
	int count = 0;

	if (key->watch_fd >= 0)
		polls[count++] = (struct pollfd){ .fd = key->watch_fd, .events = POLLIN };
	for (int i = 0; i < key->count; i++)
		polls[count++] = (struct pollfd){ .fd = key->devices[i], .events = POLLIN };
	return count;
}

int
power_key_read(int fd, bool *ret_pressed)
{
	struct input_event events[POWER_KEY_EVENTS_MAX];
	bool is_pressed = false;
	ssize_t len;

	while ((len = read(fd, events, sizeof(events))) > 0) {
		for (size_t i = 0; i < (size_t)len / sizeof(events[0]); i++) {
			if (events[i].type == EV_KEY && events[i].code == KEY_POWER &&
			    events[i].value == 1)
				is_pressed = true;
		}
	}
	*ret_pressed = is_pressed;
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return len < 0 ? -errno : -ENODEV;
}

/* Whether anything appeared in the folder of devices; the scan will see what. */
static bool
power_key_has_news(const struct power_key *key)
{
	char events[sizeof(struct inotify_event) + NAME_MAX + 1]
	    __attribute__((aligned(__alignof__(struct inotify_event))));
	bool has_news = false;

	while (key->watch_fd >= 0 && read(key->watch_fd, events, sizeof(events)) > 0)
		has_news = true;
	return has_news;
}

bool
power_key_is_pressed(struct power_key *key)
{
	bool is_pressed = false;

	if (power_key_has_news(key)) {
		power_key_watch(key);
		power_key_scan(key);
	}
	for (int i = 0; i < key->count; i++) {
		bool is_this_pressed;

		if (power_key_read(key->devices[i], &is_this_pressed) < 0) {
			fd_close(&key->devices[i]);
			key->devices[i--] = key->devices[--key->count];
		}
		is_pressed = is_pressed || is_this_pressed;
	}
	return is_pressed;
}
