/*
 * doctor/check_agent: the agent itself, how it is reached, and what it can hold its sessions by.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "ctl/doctor/check.h"
#include "ctl/quantity.h"
#include "ctl/signal_name.h"

void
check_agent(const struct facts *facts, struct finding *ret)
{
	char uptime[QUANTITY_MAX];

	if (!facts->has_status) {
		finding_set(ret, DIAGNOSIS_ODD, "install the agent of this client's version",
		    "it is too old to tell its status; this client is %s", facts->client_version);
		return;
	}
	quantity_format_ms(uptime, facts->status.uptime_ms);
	if (strcmp(facts->status.version, facts->client_version) == 0)
		finding_set(ret, DIAGNOSIS_OK, NULL, "vmm-guest-agent %.64s, up %s",
		    facts->status.version, uptime);
	else
		finding_set(ret, DIAGNOSIS_ODD,
		    "install both of one version, as each may lack what the other can do",
		    "vmm-guest-agent %.64s, up %s; this client is %s", facts->status.version,
		    uptime, facts->client_version);
}

void
check_workers(const struct facts *facts, struct finding *ret)
{
	const struct status *status = &facts->status;
	char name[SIGNAL_NAME_MAX] = "an error";

	if (status->worker_deaths.last_signal > 0)
		signal_name_format(status->worker_deaths.last_signal, name);
	if (status->worker_deaths.total > 0)
		finding_set(ret, DIAGNOSIS_ODD,
		    "look into the agent's log: SIGKILL is mostly a lack of memory, others are a "
		    "defect",
		    "%llu were lost, the last by %s",
		    (unsigned long long)status->worker_deaths.total, name);
	else if (status->workers.idle == 0)
		finding_set(ret, DIAGNOSIS_ODD,
		    "see 'vmm-guest-ctl ps' for who has them, or give the agent more (--workers)",
		    "all %u are busy", status->workers.configured);
	else
		finding_set(ret, DIAGNOSIS_OK, NULL, "%u, of which %u are idle",
		    status->workers.configured, status->workers.idle);
}

void
check_quiesce(const struct facts *facts, struct finding *ret)
{
	if (facts->status.is_quiesced)
		finding_set(ret, DIAGNOSIS_ODD, "if no snapshot is being taken: vmm-guest-ctl thaw",
		    "the guest stands still (%.32s)", facts->status.quiesce.phase);
	else
		finding_set(ret, DIAGNOSIS_OK, NULL, "the guest runs");
}

/* The transport whose driver has a device, by vsock's own name for it; NULL: none has. */
static const char *
check_transport(const struct facts *facts)
{
	static const struct {
		enum facts_file driver;
		const char *device; /* a part of its name, beside which others stand there */
		const char *name;
	} transports[] = {
		{ FACTS_VSOCK_VIRTIO, "virtio", "virtio" },
		{ FACTS_VSOCK_VMCI, ":", "VMCI (VMware)" },
		/* It has a device for each connection. */
		{ FACTS_VSOCK_HYPERV, "", "Hyper-V" },
	};

	for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++) {
		const char *driver = facts->files[transports[i].driver].text;

		if (driver != NULL && strstr(driver, transports[i].device) != NULL)
			return transports[i].name;
	}
	return NULL;
}

static bool
check_has_module(const struct facts *facts, const char *name)
{
	const char *modules = check_text(facts, FACTS_MODULES);
	const char *found = strstr(modules, name);

	return found != NULL && (found == modules || found[-1] == '\n');
}

void
check_vsock(const struct facts *facts, struct finding *ret)
{
	const char *transport = check_transport(facts);

	if (!check_has_line(check_text(facts, FACTS_DEV), "vsock"))
		finding_set(ret, DIAGNOSIS_ODD,
		    "set CONFIG_VSOCKETS=y in the kernel, or load vmw_vsock_virtio_transport",
		    "there is no /dev/vsock: the agent is reached by another way");
	else if (transport != NULL)
		finding_set(ret, DIAGNOSIS_OK, NULL, "/dev/vsock, by %s", transport);
	else if (check_has_module(facts, "vsock_loopback "))
		finding_set(ret, DIAGNOSIS_ODD,
		    "give the VM a vsock device, and its kernel CONFIG_VIRTIO_VSOCKETS=y",
		    "/dev/vsock, by loopback alone: this machine's own programs reach the agent, "
		    "no host does");
	else
		finding_set(ret, DIAGNOSIS_ODD,
		    "give the VM a vsock device, and its kernel CONFIG_VIRTIO_VSOCKETS=y",
		    "no vsock device: the agent is reached by another way");
}

static void
check_controllers(const char *controllers, struct finding *ret)
{
	static const struct {
		const char *name;
		const char *option;
	} wanted[] = {
		{ "memory", "CONFIG_MEMCG" },
		{ "pids", "CONFIG_CGROUP_PIDS" },
		{ "cpu", "CONFIG_CFS_BANDWIDTH" },
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (check_has_word(controllers, strlen(controllers), wanted[i].name))
			continue;
		finding_set(ret, DIAGNOSIS_WRONG,
		    "set its option in the kernel, and have nobody else take the controller: no "
		    "cgroup_disable=, and no cgroup of version 1 that has it",
		    "no controller '%s' (%s) for sessions, and so none of its limits",
		    wanted[i].name, wanted[i].option);
		return;
	}
	finding_set(ret, DIAGNOSIS_OK, NULL, "each session has one, with memory, pids and cpu");
}

void
check_cgroups(const struct facts *facts, struct finding *ret)
{
	if (strstr(check_text(facts, FACTS_MOUNTS), " cgroup2 ") == NULL)
		finding_set(ret, DIAGNOSIS_WRONG,
		    "set CONFIG_CGROUPS=y in the kernel; under another init, have it mount version "
		    "2",
		    "no cgroup2 file system is mounted: sessions have no limits");
	else if (facts->files[FACTS_SESSION_CONTROLLERS].text == NULL)
		finding_set(ret, DIAGNOSIS_WRONG,
		    "in the agent's unit: Delegate=yes; as PID 1, the agent's log says what failed",
		    "the agent has no cgroup to make those of sessions in: they have no limits");
	else
		check_controllers(check_text(facts, FACTS_SESSION_CONTROLLERS), ret);
}
