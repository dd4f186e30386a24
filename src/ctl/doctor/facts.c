/*
 * doctor/facts: which files are asked for, and how much of each is taken.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/doctor/facts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/errno_name.h"
#include "ctl/core/control.h"
#include "ctl/core/guest_file.h"
#include "ctl/doctor/gunzip.h"
#include "platform/clock.h"
#include "platform/text.h"
#include "protocol/control_request.h"
#include "protocol/file_entry.h"

#define FACTS_CONFIG_GZ "/proc/config.gz"
#define FACTS_CONFIG_GZ_MAX (2ul << 20)

static const struct {
	const char *path; /* NULL: it is made of what other files say */
	bool is_directory;
} facts_table[FACTS_COUNT] = {
	[FACTS_STAT] = { .path = "/proc/stat" },
	[FACTS_UPTIME] = { .path = "/proc/uptime" },
	[FACTS_RELEASE] = { .path = "/proc/sys/kernel/osrelease" },
	[FACTS_MODULES] = { .path = "/proc/modules" },
	[FACTS_MOUNTS] = { .path = "/proc/self/mounts" },
	[FACTS_OWN_CGROUP] = { .path = "/proc/self/cgroup" },
	[FACTS_DEV] = { .path = "/dev", .is_directory = true },
	[FACTS_PTS] = { .path = "/dev/pts", .is_directory = true },
	[FACTS_VSOCK_VIRTIO] = { .path = "/sys/bus/virtio/drivers/vmw_vsock_virtio_transport",
	    .is_directory = true },
	[FACTS_VSOCK_VMCI] = { .path = "/sys/bus/pci/drivers/vmw_vmci", .is_directory = true },
	[FACTS_VSOCK_HYPERV] = { .path = "/sys/bus/vmbus/drivers/hv_sock", .is_directory = true },
	[FACTS_PTP0] = { .path = "/sys/class/ptp/ptp0/clock_name" },
	[FACTS_PTP1] = { .path = "/sys/class/ptp/ptp1/clock_name" },
	[FACTS_RNG] = { .path = "/sys/class/misc/hw_random/rng_current" },
	[FACTS_ENTROPY] = { .path = "/proc/sys/kernel/random/entropy_avail" },
	[FACTS_MEMORY] = { .path = "/proc/meminfo" },
	[FACTS_LOAD] = { .path = "/proc/loadavg" },
	[FACTS_PID_MAX] = { .path = "/proc/sys/kernel/pid_max" },
	[FACTS_THREADS_MAX] = { .path = "/proc/sys/kernel/threads-max" },
	[FACTS_LIMITS] = { .path = "/proc/self/limits" },
	[FACTS_OPEN_FILES] = { .path = "/proc/sys/fs/file-nr" },
	[FACTS_HOSTS] = { .path = "/etc/hosts" },
	[FACTS_HOSTNAME] = { .path = "/proc/sys/kernel/hostname" },
	[FACTS_RESOLV] = { .path = "/etc/resolv.conf" },
	[FACTS_NETWORK] = { .path = "/proc/net/dev" },
};

/* ---- one file ------------------------------------------------------------ */

/* Puts LEN bytes at the end of FILE's text. Returns 0, -EFBIG when MAX is reached, or -ENOMEM. */
static int
facts_take(struct facts_text *file, const uint8_t *data, size_t len, size_t max)
{
	size_t room = max - file->len;
	size_t taken = len < room ? len : room;
	char *grown = realloc(file->text, file->len + taken + 1);

	if (grown == NULL)
		return -ENOMEM;
	file->text = grown;
	memcpy(file->text + file->len, data, taken);
	file->len += taken;
	file->text[file->len] = '\0';
	return taken < len ? -EFBIG : 0;
}

/* The names of a listing, a line each; those that have a line end in them are nobody we look
 * for. */
static int
facts_take_names(struct facts_text *file, const char *text, size_t len, size_t max)
{
	struct file_listing CLEANUP_LISTING listing = { 0 };
	struct json_error error = { 0 };
	int r = file_listing_parse(text, len, &listing, &error);

	for (size_t i = 0; r == 0 && i < listing.count; i++) {
		const char *name = listing.entries[i].name;

		r = facts_take(file, (const uint8_t *)name, strlen(name), max);
		if (r == 0)
			r = facts_take(file, (const uint8_t *)"\n", 1, max);
	}
	return r;
}

/* What came of the operation in the end. */
static int
facts_result(const struct guest *guest)
{
	const char *words = vmm_guest_refusal(guest->handle);
	int error = words != NULL ? errno_name_parse(words) : 0;

	if (words == NULL)
		return guest_error(guest);
	return error > 0 ? -error : -EREMOTEIO;
}

/* Takes the answer, of no more than MAX bytes. */
static int
facts_receive(struct guest *guest, struct facts_text *file, size_t max)
{
	int r = facts_take(file, (const uint8_t *)"", 0, max);
	const void *data;
	size_t len;

	while (r == 0) {
		switch (guest_wait(guest, &data, &len)) {
		case VMM_GUEST_EVENT_DATA:
			r = facts_take(file, data, len, max);
			break;
		case VMM_GUEST_EVENT_ENTRY:
			r = facts_take_names(file, data, len, max);
			break;
		case VMM_GUEST_EVENT_END:
			return facts_result(guest);
		default:
			break;
		}
	}
	return r;
}

static void
facts_forget(struct facts_text *file)
{
	free(file->text);
	file->text = NULL;
	file->len = 0;
}

/* Asks TARGET for it, which has LEFT_MS to answer. */
static int
facts_ask_file(const struct client_target *target, int left_ms, struct facts_text *file,
    bool is_directory, size_t max)
{
	const struct file_request request = {
		.path = file->path, .user = "", .length = UINT64_MAX
	};
	struct client_target within = *target;
	struct guest CLEANUP_GUEST guest = { 0 };
	struct client_error error = { "" };
	int r;

	if (within.answer_ms == 0 || within.answer_ms > left_ms)
		within.answer_ms = left_ms;
	r = guest_open(&guest, &within, &error);
	if (r == 0)
		r = vmm_guest_set(guest.handle, "timeout_ms", left_ms);
	if (r == 0)
		r = guest_file_begin(&guest,
		    is_directory ? VMM_GUEST_FILE_LIST_REQ : VMM_GUEST_FILE_READ_REQ, &request,
		    &error);
	return r < 0 ? r : facts_receive(&guest, file, max);
}

/* Of what is longer than MAX the beginning is taken where IS_CUT, and else nothing. */
static void
facts_read(const struct client_target *target, uint64_t deadline_ms, struct facts_text *file,
    bool is_directory, size_t max, bool is_cut)
{
	int left_ms = clock_poll_timeout(clock_mono_ms(), deadline_ms);
	int r = -ETIMEDOUT;

	file->asked_ms = clock_wall_ms();
	if (left_ms > 0)
		r = facts_ask_file(target, left_ms, file, is_directory, max);
	file->told_ms = clock_wall_ms();
	if (r == -EFBIG && is_cut)
		r = 0;
	file->error = r;
	if (r < 0)
		facts_forget(file);
}

/* ---- those whose path depends on others ---------------------------------- */

bool
facts_controllers_path(const char *mounts, const char *own, char *path, size_t size)
{
	static const char leaf[] = "/agent";
	const char *type = mounts != NULL ? strstr(mounts, " cgroup2 ") : NULL;
	const char *line = type;
	const char *start;
	int mount_len;
	int own_len;

	if (type == NULL || own == NULL)
		return false;
	while (line > mounts && line[-1] != '\n')
		line--;
	start = line + strcspn(line, " ") + 1;
	mount_len = (int)strcspn(start, " ");
	own = strncmp(own, "0::", 3) == 0 ? own : strstr(own, "\n0::");
	if (own == NULL || start > type)
		return false;
	own = strchr(own, '/');
	own_len = own != NULL ? (int)strcspn(own, "\n") : 0;
	own_len -= (int)sizeof(leaf) - 1;
	if (own_len < 0 || strncmp(own + own_len, leaf, sizeof(leaf) - 1) != 0)
		return false;
	return text_format(path, size, "%.*s%.*s/sessions/cgroup.subtree_control", mount_len, start,
		   own_len, own) < size - 1;
}

static void
facts_read_controllers(
    const struct client_target *target, uint64_t deadline_ms, struct facts *facts)
{
	struct facts_text *file = &facts->files[FACTS_SESSION_CONTROLLERS];

	file->error = -ENOENT;
	if (!facts_controllers_path(facts->files[FACTS_MOUNTS].text,
		facts->files[FACTS_OWN_CGROUP].text, facts->controllers_path,
		sizeof(facts->controllers_path)))
		return;
	file->path = facts->controllers_path;
	facts_read(target, deadline_ms, file, false, FACTS_TEXT_MAX, true);
}

static void
facts_unpack(struct facts_text *file)
{
	struct facts_text packed = *file;

	file->text = NULL;
	file->error = gunzip(packed.text, packed.len, &file->text, &file->len);
	free(packed.text);
}

/* As the kernel gives it, and as distributions lay it down beside the kernel. */
static void
facts_read_config(const struct client_target *target, uint64_t deadline_ms, struct facts *facts)
{
	static const struct {
		const char *before;
		const char *behind;
	} places[] = { { "/boot/config-", "" }, { "/lib/modules/", "/config" } };
	const char *release = facts->files[FACTS_RELEASE].text;
	struct facts_text *file = &facts->files[FACTS_CONFIG];

	file->path = FACTS_CONFIG_GZ;
	facts_read(target, deadline_ms, file, false, FACTS_CONFIG_GZ_MAX, false);
	if (file->error == 0)
		facts_unpack(file);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (file->error != -ENOENT || release == NULL)
			return;
		(void)text_format(facts->config_path, sizeof(facts->config_path), "%s%.*s%s",
		    places[i].before, (int)strcspn(release, "\n"), release, places[i].behind);
		file->path = facts->config_path;
		facts_read(target, deadline_ms, file, false, GUNZIP_MAX, false);
	}
}

/* ---- all ----------------------------------------------------------------- */

/* An agent that has no STATUS closes, or says that it does not know it. */
static int
facts_ask_status(const struct client_target *target, int timeout_ms, struct facts *facts,
    struct client_error *error)
{
	const struct control_status request = { .guest = true };
	struct control_answer CLEANUP_ANSWER answer = { 0 };
	struct json_error json_error = { 0 };
	size_t len;
	char *json = control_status_format(&request, &len);
	int r;

	if (json == NULL) {
		client_fail(error, "out of memory");
		return -ENOMEM;
	}
	r = guest_open(&answer.guest, target, error);
	if (r == 0) {
		guest_limit(&answer.guest, timeout_ms);
		guest_expect(&answer.guest);
		r = control_ask_guest(&answer, "STATUS_REQ", json, error);
	}
	free(json);
	if (r < 0)
		return r == -ENODATA ? 0 : r;
	facts->has_status = answer.status != NULL && status_parse(answer.status, answer.status_len,
							 &facts->status, &json_error) == 0;
	return 0;
}

int
facts_ask(const struct client_target *target, int timeout_ms, struct facts *ret,
    struct client_error *error)
{
	uint64_t deadline_ms = clock_mono_ms() + (uint64_t)timeout_ms;
	int r;

	*ret = (struct facts){ .client_version = PACKAGE_VERSION };
	r = facts_ask_status(target, timeout_ms, ret, error);
	if (r < 0)
		return r;
	for (int i = 0; i < FACTS_COUNT; i++) {
		ret->files[i].path = facts_table[i].path;
		if (facts_table[i].path != NULL)
			facts_read(target, deadline_ms, &ret->files[i], facts_table[i].is_directory,
			    FACTS_TEXT_MAX, true);
	}
	facts_read_controllers(target, deadline_ms, ret);
	facts_read_config(target, deadline_ms, ret);
	return 0;
}

void
facts_done(struct facts *facts)
{
	for (int i = 0; i < FACTS_COUNT; i++)
		facts_forget(&facts->files[i]);
	if (facts->has_status)
		status_done(&facts->status);
}
