/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/doctor/kernel_config.h"

#include <stddef.h>
#include <string.h>

#include "platform/text.h"

#define KERNEL_CONFIG_PREFIX "CONFIG_"
#define KERNEL_CONFIG_LINE_MAX 128

#define BUILD_IT "set it to y, and build the kernel anew"
#define NEEDED(what) .verdict = DIAGNOSIS_WRONG, .without = (what), .to_do = BUILD_IT
#define WANTED(what) .verdict = DIAGNOSIS_ODD, .without = (what), .to_do = BUILD_IT

const struct kernel_option kernel_config_options[] = {
	{ { "VSOCKETS" }, { "vsock" }, NEEDED("no host can reach the agent") },
	{ { "VIRTIO_VSOCKETS", "VMWARE_VMCI_VSOCKETS", "HYPERV_VSOCKETS" },
	    { "vmw_vsock_virtio_transport", "vmw_vsock_vmci_transport", "hv_sock" },
	    NEEDED("no host can reach the agent") },
	{ { "VIRTIO_MMIO", "VIRTIO_PCI", "VMWARE_VMCI", "HYPERV" },
	    { "virtio_mmio", "virtio_pci", "vmw_vmci", "hv_vmbus" },
	    NEEDED("no device of the VM is found, vsock's among them") },
	{ { "DEVTMPFS" }, .verdict = DIAGNOSIS_WRONG, .without = "/dev is empty",
	    .to_do = BUILD_IT },
	{ { "TMPFS" }, NEEDED("no /run and no /dev/shm") },
	{ { "PROC_FS" }, NEEDED("no /proc") },
	{ { "SYSFS" }, NEEDED("no /sys") },
	{ { "UNIX98_PTYS" }, NEEDED("no session has a terminal (exec -t, shell)") },
	{ { "EPOLL" }, NEEDED("the agent does not start") },
	{ { "SIGNALFD" }, NEEDED("the agent does not start") },
	{ { "EVENTFD" }, NEEDED("the agent does not start") },
	{ { "TIMERFD" }, NEEDED("quiesce does not end by itself") },
	{ { "MEMFD_CREATE" }, WANTED("no durable sessions") },
	{ { "UNIX" }, { "unix" }, NEEDED("the agent does not start") },
	{ { "MULTIUSER" }, NEEDED("no program runs as another user than root") },
	{ { "BINFMT_ELF" }, NEEDED("no program runs") },
	{ { "BINFMT_SCRIPT" }, { "binfmt_script" },
	    WANTED("scripts that begin with #! don't run") },
	{ { "INOTIFY_USER" }, WANTED("'vmm-guest-ctl watch' sees nothing") },
	{ { "INET" }, WANTED("no 'vmm-guest-ctl forward', no network") },
	{ { "CGROUPS" },
	    WANTED("sessions have no limits, and what leaves its process tree stays") },
	{ { "MEMCG" }, WANTED("sessions have no limit of memory") },
	{ { "CGROUP_PIDS" }, WANTED("sessions have no limit of processes") },
	{ { "CFS_BANDWIDTH" }, WANTED("sessions have no limit of CPU time") },
	{ { "PSI" }, WANTED("'status' and 'top' show no pressure") },
	{ { "INPUT_EVDEV" }, { "evdev" }, WANTED("the monitor's power key does nothing") },
	{ { "ACPI_BUTTON" }, { "button" }, KERNEL_CONFIG_X86,
	    WANTED("the monitor's power key does nothing") },
	{ { "KEYBOARD_GPIO" }, { "gpio_keys" }, KERNEL_CONFIG_ARM64,
	    WANTED("the monitor's power key does nothing") },
	{ { "GPIO_PL061" }, { "gpio_pl061" }, KERNEL_CONFIG_ARM64,
	    WANTED("the monitor's power key does nothing") },
	{ { "PTP_1588_CLOCK_KVM" }, { "ptp_kvm" },
	    WANTED("the agent can't read the host's clock: after a pause the host has to set it") },
	{ { "HW_RANDOM_VIRTIO" }, { "virtio_rng" },
	    WANTED("the host can't give entropy by a device") },
};
const unsigned kernel_config_count =
    sizeof(kernel_config_options) / sizeof(kernel_config_options[0]);

/* What NAME is set to: 'y', 'm', or 0 where it is not. */
static char
kernel_config_find(const char *text, const char *name)
{
	char wanted[KERNEL_CONFIG_LINE_MAX];
	size_t len = text_format(wanted, sizeof(wanted), "\n" KERNEL_CONFIG_PREFIX "%s=", name);
	const char *found;

	if (strncmp(text, wanted + 1, len - 1) == 0)
		found = text + len - 1;
	else {
		found = strstr(text, wanted);
		found = found != NULL ? found + len : "";
	}
	return *found == 'y' || *found == 'm' ? *found : 0;
}

bool
kernel_config_is_one(const char *text)
{
	return strncmp(text, KERNEL_CONFIG_PREFIX, strlen(KERNEL_CONFIG_PREFIX)) == 0 ||
	       strstr(text, "\n" KERNEL_CONFIG_PREFIX) != NULL;
}

static bool
kernel_config_concerns(const struct kernel_option *option, const char *text)
{
	static const char *const names[] = {
		[KERNEL_CONFIG_X86] = "X86",
		[KERNEL_CONFIG_ARM64] = "ARM64",
	};

	return option->arch == KERNEL_CONFIG_ALL ||
	       kernel_config_find(text, names[option->arch]) == 'y';
}

/* Whether a line of /proc/modules begins with NAME. */
static bool
kernel_config_is_loaded(const char *modules, const char *name)
{
	size_t len = strlen(name);

	while (modules != NULL) {
		if (strncmp(modules, name, len) == 0 && modules[len] == ' ')
			return true;
		modules = strchr(modules, '\n');
		modules = modules != NULL ? modules + 1 : NULL;
	}
	return false;
}

static void
kernel_config_judge_module(
    const struct kernel_option *option, unsigned which, const char *modules, struct finding *ret)
{
	const char *module = option->modules[which];

	if (modules != NULL && module != NULL && kernel_config_is_loaded(modules, module))
		finding_set(ret, DIAGNOSIS_OK, NULL,
		    KERNEL_CONFIG_PREFIX "%s is a module, which is loaded", option->names[which]);
	else
		finding_set(ret, DIAGNOSIS_ODD,
		    "set it to y, or have the guest's init load the module before the agent",
		    KERNEL_CONFIG_PREFIX "%s is a module%s: until it is loaded, %s",
		    option->names[which], modules != NULL ? " that is not loaded" : "",
		    option->without);
}

/* The first is what is to be set; any of the others would have done. */
static void
kernel_config_miss(const struct kernel_option *option, struct finding *ret)
{
	char others[KERNEL_CONFIG_LINE_MAX] = "";
	size_t len = 0;

	for (unsigned i = 1; i < KERNEL_CONFIG_NAMES_MAX && option->names[i] != NULL; i++)
		len += text_format(others + len, sizeof(others) - len, " or %s", option->names[i]);
	finding_set(ret, option->verdict, option->to_do, KERNEL_CONFIG_PREFIX "%s%s is not set: %s",
	    option->names[0], others, option->without);
}

bool
kernel_config_judge(
    const struct kernel_option *option, const char *text, const char *modules, struct finding *ret)
{
	int module = -1;

	if (!kernel_config_concerns(option, text))
		return false;
	ret->name = KERNEL_CONFIG_CHECK;
	for (unsigned i = 0; i < KERNEL_CONFIG_NAMES_MAX && option->names[i] != NULL; i++) {
		switch (kernel_config_find(text, option->names[i])) {
		case 'y':
			finding_set(ret, DIAGNOSIS_OK, NULL, KERNEL_CONFIG_PREFIX "%s is set",
			    option->names[i]);
			return true;
		case 'm':
			/* One that is loaded is as good as any. */
			if (module < 0 || (modules != NULL && option->modules[i] != NULL &&
					      kernel_config_is_loaded(modules, option->modules[i])))
				module = (int)i;
			break;
		default:
			break;
		}
	}
	if (module >= 0)
		kernel_config_judge_module(option, (unsigned)module, modules, ret);
	else
		kernel_config_miss(option, ret);
	return true;
}
