/*
 * Sources: sethostname(2), hosts(5), machine-id(5).
 *
 * SPDX-License-Identifier: MIT
 */
#include "session/control/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/entropy.h"
#include "platform/etc_file.h"
#include "platform/hosts_file.h"
#include "platform/text.h"
#include "platform/watchdog.h"

/* How long a file system may take. */
#define IDENTITY_FILE_MAX_MS 10000

#define IDENTITY_BYTES (VMM_GUEST_MACHINE_ID_LEN / 2)

static const struct etc_file identity_machine_id = {
	.path = "/etc/machine-id",
	.run_path = "/run/vmm-guest/machine-id",
	.mode = 0444,
};

static const struct etc_file identity_dbus_machine_id = {
	.path = "/var/lib/dbus/machine-id",
	.run_path = "/run/vmm-guest/dbus-machine-id",
	.mode = 0444,
};

/* ---- the name ------------------------------------------------------------ */

bool
identity_has_own_hosts(void)
{
	bool is_own;

	watchdog_set(IDENTITY_FILE_MAX_MS);
	is_own = hosts_file_is_own();
	watchdog_set(0);
	return is_own;
}

int
identity_set_hostname(const char *name, const char **ret_problem)
{
	int r;

	*ret_problem = NULL;
	if (sethostname(name, strlen(name)) < 0)
		return -errno;
	watchdog_set(IDENTITY_FILE_MAX_MS);
	r = hosts_file_write(name);
	watchdog_set(0);
	if (r < 0)
		*ret_problem = "it is set, but /etc/hosts can't be written";
	return r;
}

/* ---- the machine-id ------------------------------------------------------ */

/* Random, marked as such as a UUID of version 4 is (RFC 9562), which machine-id(5) asks for. The
 * other clones have the same pool, where the host gave no entropy; the generator seeds itself
 * anew with what the processor has beside that. */
static int
identity_draw(char text[VMM_GUEST_MACHINE_ID_LEN + 1])
{
	uint8_t bytes[IDENTITY_BYTES] = { 0 };
	int r;

	(void)entropy_credit(bytes, 0);
	r = entropy_draw(bytes, sizeof(bytes));
	if (r < 0)
		return r;
	bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
	bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof(bytes); i++)
		(void)text_format(text + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

/* Mostly it is a link to /etc/machine-id. */
static bool
identity_dbus_has_own(void)
{
	struct stat status;

	return fstatat(AT_FDCWD, identity_dbus_machine_id.path, &status, AT_SYMLINK_NOFOLLOW) ==
		   0 &&
	       S_ISREG(status.st_mode);
}

static int
identity_write_machine_id(const char *line, const char **ret_problem)
{
	int r = etc_file_write(&identity_machine_id, line);

	if (r < 0) {
		*ret_problem = "/etc/machine-id can't be written";
	} else if (identity_dbus_has_own()) {
		r = etc_file_write(&identity_dbus_machine_id, line);
		if (r < 0)
			*ret_problem = "/var/lib/dbus/machine-id can't be written";
	}
	return r;
}

int
identity_set_machine_id(const char id[VMM_GUEST_MACHINE_ID_LEN + 1], const char **ret_problem)
{
	char drawn[VMM_GUEST_MACHINE_ID_LEN + 1];
	char line[VMM_GUEST_MACHINE_ID_LEN + 2];
	int r;

	*ret_problem = NULL;
	if (id[0] == '\0') {
		r = identity_draw(drawn);
		if (r < 0)
			return r;
		id = drawn;
	}
	(void)text_format(line, sizeof(line), "%s\n", id);
	watchdog_set(IDENTITY_FILE_MAX_MS);
	r = identity_write_machine_id(line, ret_problem);
	watchdog_set(0);
	return r;
}
