/*
 * status: STATUS's JSON, both ways.
 *
 * SPDX-License-Identifier: MIT
 */
#include "protocol/status.h"

#include <errno.h>
#include <stdlib.h>

#include "platform/text.h"
#include "protocol/message.h"

#define AT(member) MESSAGE_AT(struct status, member)
#define NUMBER(member) .kind = MESSAGE_UNSIGNED, AT(member), .flags = MESSAGE_ALWAYS
#define OBJECT(message) .kind = MESSAGE_OBJECT, .flags = MESSAGE_ALWAYS, .more = &(message)

static const struct message_member status_workers_table[] = {
	{ "configured", NUMBER(workers.configured) },
	{ "idle", NUMBER(workers.idle) },
	{ "exec", NUMBER(workers.exec) },
	{ "look", NUMBER(workers.look) },
	{ "file", NUMBER(workers.file) },
	{ "control", NUMBER(workers.control) },
	{ "reserved", NUMBER(workers.reserved) },
};
static const struct message status_workers = MESSAGE_OF(status_workers_table);

static const struct message_member status_sessions_table[] = {
	{ "started", NUMBER(sessions.started) },
	{ "exited", NUMBER(sessions.exited) },
	{ "signaled", NUMBER(sessions.signaled) },
	{ "timeouts", NUMBER(sessions.timeouts) },
	{ "oom", NUMBER(sessions.oom) },
	{ "refused", NUMBER(sessions.refused) },
	{ "bad_requests", NUMBER(sessions.bad_requests) },
	{ "stalled", NUMBER(sessions.stalled) },
};
static const struct message status_sessions = MESSAGE_OF(status_sessions_table);

static message_read_fn status_read_by_signal;
static message_make_fn status_make_by_signal;
static const struct message_kind status_by_signal = { status_read_by_signal, status_make_by_signal,
	NULL };

static const struct message_member status_deaths_table[] = {
	{ "total", NUMBER(worker_deaths.total) },
	{ "by_signal", .kind = MESSAGE_CUSTOM, .flags = MESSAGE_ALWAYS, .more = &status_by_signal },
	{ "last_signal", NUMBER(worker_deaths.last_signal), .most = MESSAGE_PIDS },
	{ "last_unix_ms", .kind = MESSAGE_SIGNED, AT(worker_deaths.last_unix_ms),
	    .flags = MESSAGE_ALWAYS },
};
static const struct message status_deaths = MESSAGE_OF(status_deaths_table);

#define SLOT(member) MESSAGE_AT(struct status_slot, member), .flags = MESSAGE_ALWAYS
#define WITH(member, has)                                                                          \
	MESSAGE_AT(struct status_slot, member), .flags = MESSAGE_OPTIONAL,                         \
						.beside = offsetof(struct status_slot, has)
#define DURABLE(member) WITH(member, is_durable)
#define ENDED(member) WITH(member, has_ended)
#define COUNTED(member, has)                                                                       \
	.kind = MESSAGE_UNSIGNED, WITH(figures.member, figures.has), .bit = true

static const struct message_member status_slot_table[] = {
	{ "kind", .kind = MESSAGE_BYTES, SLOT(kind) },
	{ "session", .kind = MESSAGE_UNSIGNED, SLOT(session) },
	{ "pid", .kind = MESSAGE_UNSIGNED, SLOT(pid), .most = MESSAGE_PIDS },
	{ "user", .kind = MESSAGE_BYTES, SLOT(user) },
	{ "command", .kind = MESSAGE_BYTES, SLOT(command) },
	{ "age_ms", .kind = MESSAGE_UNSIGNED, SLOT(age_ms) },
	{ "bytes_in", .kind = MESSAGE_UNSIGNED, SLOT(bytes_in) },
	{ "bytes_out", .kind = MESSAGE_UNSIGNED, SLOT(bytes_out) },
	{ "name", .kind = MESSAGE_BYTES, MESSAGE_AT(struct status_slot, name) },
	{ "attached_to", .kind = MESSAGE_UNSIGNED, MESSAGE_AT(struct status_slot, attached_to) },
	{ "durable", .kind = MESSAGE_FLAG, MESSAGE_AT(struct status_slot, is_durable) },
	{ "attached", .kind = MESSAGE_UNSIGNED, DURABLE(attached) },
	{ "offset", .kind = MESSAGE_UNSIGNED, DURABLE(offset) },
	{ "running", .kind = MESSAGE_FLAG, DURABLE(running) },
	{ "code", .kind = MESSAGE_SIGNED, ENDED(code), .bit = true },
	{ "signal", .kind = MESSAGE_SIGNED, ENDED(signal) },
	{ "memory_bytes", COUNTED(memory_bytes, has_memory) },
	{ "cpu_us", COUNTED(cpu_us, has_cpu) },
};
static const struct message status_slot = MESSAGE_OF(status_slot_table);

static const struct message_member status_quiesce_table[] = {
	{ "number", NUMBER(quiesce.number) },
	{ "phase", .kind = MESSAGE_TEXT, AT(quiesce.phase), .flags = MESSAGE_ALWAYS },
	{ "hold_left_ms", NUMBER(quiesce.hold_left_ms) },
};
static const struct message status_quiesce = MESSAGE_OF(status_quiesce_table);

/* ---- figures of the guest ------------------------------------------------ */

static const struct message_member status_cpu_table[] = {
	{ "user_ms", NUMBER(guest.cpu_ms[FIGURES_USER]) },
	{ "nice_ms", NUMBER(guest.cpu_ms[FIGURES_NICE]) },
	{ "system_ms", NUMBER(guest.cpu_ms[FIGURES_SYSTEM]) },
	{ "idle_ms", NUMBER(guest.cpu_ms[FIGURES_IDLE]) },
	{ "iowait_ms", NUMBER(guest.cpu_ms[FIGURES_IOWAIT]) },
	{ "irq_ms", NUMBER(guest.cpu_ms[FIGURES_IRQ]) },
	{ "softirq_ms", NUMBER(guest.cpu_ms[FIGURES_SOFTIRQ]) },
	{ "steal_ms", NUMBER(guest.cpu_ms[FIGURES_STEAL]) },
};
static const struct message status_cpu = MESSAGE_OF(status_cpu_table);

static const struct message_member status_memory_table[] = {
	{ "total_bytes", NUMBER(guest.memory[FIGURES_TOTAL]) },
	{ "free_bytes", NUMBER(guest.memory[FIGURES_FREE]) },
	{ "available_bytes", NUMBER(guest.memory[FIGURES_AVAILABLE]) },
	{ "swap_total_bytes", NUMBER(guest.memory[FIGURES_SWAP_TOTAL]) },
	{ "swap_free_bytes", NUMBER(guest.memory[FIGURES_SWAP_FREE]) },
};
static const struct message status_memory = MESSAGE_OF(status_memory_table);

static const struct message_member status_root_table[] = {
	{ "total_bytes", NUMBER(guest.root.bytes) },
	{ "free_bytes", NUMBER(guest.root.free_bytes) },
	{ "inodes", NUMBER(guest.root.inodes) },
	{ "free_inodes", NUMBER(guest.root.free_inodes) },
};
static const struct message status_root = MESSAGE_OF(status_root_table);

static const struct message_member status_pressure_table[] = {
	{ "cpu_some_us", NUMBER(guest.cpu_stall_us[FIGURES_SOME]) },
	{ "cpu_full_us", NUMBER(guest.cpu_stall_us[FIGURES_FULL]) },
	{ "memory_some_us", NUMBER(guest.memory_stall_us[FIGURES_SOME]) },
	{ "memory_full_us", NUMBER(guest.memory_stall_us[FIGURES_FULL]) },
	{ "io_some_us", NUMBER(guest.io_stall_us[FIGURES_SOME]) },
	{ "io_full_us", NUMBER(guest.io_stall_us[FIGURES_FULL]) },
};
static const struct message status_pressure = MESSAGE_OF(status_pressure_table);

#define OF(type, member) MESSAGE_AT(struct type, member), .flags = MESSAGE_ALWAYS

static const struct message_member status_disk_table[] = {
	{ "name", .kind = MESSAGE_BYTES, OF(figures_disk, name) },
	{ "reads", .kind = MESSAGE_UNSIGNED, OF(figures_disk, reads) },
	{ "read_bytes", .kind = MESSAGE_UNSIGNED, OF(figures_disk, read_bytes) },
	{ "writes", .kind = MESSAGE_UNSIGNED, OF(figures_disk, writes) },
	{ "written_bytes", .kind = MESSAGE_UNSIGNED, OF(figures_disk, written_bytes) },
	{ "busy_ms", .kind = MESSAGE_UNSIGNED, OF(figures_disk, busy_ms) },
};
static const struct message status_disk = MESSAGE_OF(status_disk_table);

static const struct message_member status_link_table[] = {
	{ "name", .kind = MESSAGE_BYTES, OF(figures_link, name) },
	{ "received_bytes", .kind = MESSAGE_UNSIGNED, OF(figures_link, received_bytes) },
	{ "sent_bytes", .kind = MESSAGE_UNSIGNED, OF(figures_link, sent_bytes) },
};
static const struct message status_link = MESSAGE_OF(status_link_table);

#define OBJECTS(type, member, count)                                                               \
	.kind = MESSAGE_OBJECTS, .size = sizeof(struct type),                                      \
	.offset = offsetof(struct status, member), .beside = offsetof(struct status, count),       \
	.flags = MESSAGE_ALWAYS

static const struct message_member status_guest_table[] = {
	{ "kernel", .kind = MESSAGE_BYTES, AT(guest.kernel), .flags = MESSAGE_ALWAYS },
	{ "uptime_ms", NUMBER(guest.uptime_ms) },
	{ "cpus", NUMBER(guest.cpus) },
	{ "cpu", OBJECT(status_cpu) },
	{ "memory", OBJECT(status_memory) },
	{ "root", OBJECT(status_root) },
	{ "pressure", .kind = MESSAGE_OBJECT, .flags = MESSAGE_OPTIONAL,
	    .beside = offsetof(struct status, guest.has_pressure), .bit = true,
	    .more = &status_pressure },
	{ "disks", OBJECTS(figures_disk, guest.disks, guest.disks_count), .more = &status_disk },
	{ "network", OBJECTS(figures_link, guest.links, guest.links_count), .more = &status_link },
};
static const struct message status_guest = MESSAGE_OF(status_guest_table);

/* ---- all of it ----------------------------------------------------------- */

static const struct message_member status_table[] = {
	{ "version", .kind = MESSAGE_TEXT, AT(version), .flags = MESSAGE_ALWAYS },
	{ "protocol", NUMBER(protocol) },
	{ "instance", .kind = MESSAGE_TEXT, AT(instance) },
	{ "features", .kind = MESSAGE_TEXTS, AT(features),
	    .beside = offsetof(struct status, features_count), .flags = MESSAGE_ALWAYS },
	{ "pid", NUMBER(pid), .most = MESSAGE_PIDS },
	{ "uptime_ms", NUMBER(uptime_ms) },
	{ "boot_ms", .kind = MESSAGE_REAL, AT(boot_ms), .flags = MESSAGE_ALWAYS },
	{ "workers", OBJECT(status_workers) },
	{ "sessions", OBJECT(status_sessions) },
	{ "worker_deaths", OBJECT(status_deaths) },
	{ "clock_syncs", NUMBER(clock_syncs) },
	{ "generation", .kind = MESSAGE_UNSIGNED, AT(generation), .flags = MESSAGE_OPTIONAL,
	    .beside = offsetof(struct status, has_generation), .bit = true },
	{ "quiesce", .kind = MESSAGE_OBJECT, .flags = MESSAGE_OPTIONAL,
	    .beside = offsetof(struct status, is_quiesced), .bit = true, .more = &status_quiesce },
	{ "shm_bytes", NUMBER(shm_bytes) },
	{ "max_file_bytes", NUMBER(max_file_bytes) },
	{ "guest", .kind = MESSAGE_OBJECT, .flags = MESSAGE_OPTIONAL,
	    .beside = offsetof(struct status, has_guest), .bit = true, .more = &status_guest },
	{ "slots", OBJECTS(status_slot, slots, slots_count), .more = &status_slot },
};
static const struct message status_message = MESSAGE_OF(status_table);

/* The names of by_signal's members, which are numbers. */
static const char *
status_signal_name(int signal)
{
	static char names[STATUS_SIGNAL_MAX][4];

	(void)text_format(names[signal], sizeof(names[signal]), "%d", signal);
	return names[signal];
}

/* One member: a signal's number, and how many. A name that is not a signal's number is left out. */
static void
status_read_signal(
    struct status *status, const char *name, struct json_object *count, struct json_error *error)
{
	const char *problem;
	long long signal = strtonum(name, 0, STATUS_SIGNAL_MAX - 1, &problem);

	if (!json_object_is_type(count, json_type_int) || json_object_get_int64(count) < 0 ||
	    json_object_get_uint64(count) > UINT32_MAX)
		json_fail(error, "member '%.64s': out of range, 0 to %u", name, UINT32_MAX);
	else if (problem == NULL)
		status->worker_deaths.by_signal[signal] = (uint32_t)json_object_get_uint64(count);
}

static void
status_read_by_signal(const struct message_member *member, struct json_object *value, void *base,
    struct json_error *error)
{
	if (!json_object_is_type(value, json_type_object)) {
		json_fail_member(error, member->name, "an object is needed");
		return;
	}
	json_object_object_foreach(value, signal, count)
	{
		status_read_signal(base, signal, count, error);
	}
}

static struct json_object *
status_make_by_signal(const struct message_member *member, const void *base)
{
	const struct status *status = base;
	struct json_object *made = json_object_new_object();
	int r = made != NULL ? 0 : -ENOMEM;

	(void)member;
	for (int i = 0; r == 0 && i < STATUS_SIGNAL_MAX; i++) {
		uint32_t count = status->worker_deaths.by_signal[i];

		if (count > 0)
			r = json_add(made, status_signal_name(i), json_object_new_uint64(count));
	}
	if (r < 0)
		json_put(&made);
	return made;
}

char *
status_slot_format(const struct status_slot *slot, size_t *ret_len)
{
	return message_format(&status_slot, slot, ret_len);
}

char *
status_format(const struct status *status, size_t *ret_len)
{
	return message_format(&status_message, status, ret_len);
}

int
status_parse(const char *text, size_t len, struct status *ret, struct json_error *error)
{
	struct status status = { .version = NULL };
	int r = message_parse(&status_message, text, len, &status, &status.json, error);

	if (r < 0)
		return r;
	*ret = status;
	return 0;
}

void
status_done(struct status *status)
{
	json_put(&status->json);
	*status = (struct status){ 0 };
}
