/*
 * What doctor makes of what a guest, or a kernel's configuration, says.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "ctl/doctor/check.h"
#include "ctl/doctor/gunzip.h"
#include "ctl/doctor/kernel_config.h"
#include "platform/clock.h"
#include "protocol/frame.h"

#define HOST_MS 1000000000000

/* A guest in which all is well. */
static const char *const test_well[FACTS_COUNT] = {
	[FACTS_STAT] = "cpu 1 2 3\nbtime 999999900\nprocesses 5\n",
	[FACTS_UPTIME] = "100.00 50.00\n",
	[FACTS_RELEASE] = "6.1.0\n",
	[FACTS_MODULES] = "",
	[FACTS_MOUNTS] = "/dev/vda / ext4 rw,relatime 0 0\nproc /proc proc rw 0 0\n"
			 "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n"
			 "devpts /dev/pts devpts rw,ptmxmode=666 0 0\n",
	[FACTS_OWN_CGROUP] = "0::/agent\n",
	[FACTS_SESSION_CONTROLLERS] = "cpu memory pids\n",
	[FACTS_DEV] = "null\nptmx\npts\nvsock\n",
	[FACTS_PTS] = "0\nptmx\n",
	[FACTS_VSOCK_VIRTIO] = "bind\nuevent\nunbind\nvirtio3\n",
	[FACTS_PTP0] = "KVM virtual PTP\n",
	[FACTS_RNG] = "virtio_rng.0\n",
	[FACTS_ENTROPY] = "256\n",
	[FACTS_MEMORY] = "MemTotal: 1048576 kB\nMemFree: 1 kB\nMemAvailable: 524288 kB\n",
	[FACTS_LOAD] = "0.00 0.01 0.05 1/123 4567\n",
	[FACTS_PID_MAX] = "32768\n",
	[FACTS_THREADS_MAX] = "7000\n",
	[FACTS_LIMITS] =
	    "Limit                     Soft Limit           Hard Limit           Units\n"
	    "Max open files            1024                 524288               files\n",
	[FACTS_OPEN_FILES] = "1024\t0\t9223372036854775807\n",
	[FACTS_HOSTS] = "127.0.0.1\tlocalhost\n127.0.1.1 box.example box # us\n",
	[FACTS_HOSTNAME] = "box\n",
	[FACTS_RESOLV] = "# made\nnameserver 10.0.0.1\n",
	[FACTS_NETWORK] = "Inter-| Receive\n face |bytes\n    lo: 0\n  eth0: 12\n",
};

static struct facts facts;

static int
test_begin(void **state)
{
	(void)state;
	facts = (struct facts){ .has_status = true, .client_version = "1.0" };
	for (int i = 0; i < FACTS_COUNT; i++) {
		facts.files[i].path = "/path";
		facts.files[i].text = (char *)test_well[i];
		facts.files[i].error = test_well[i] == NULL ? -ENOENT : 0;
		facts.files[i].asked_ms = HOST_MS;
		facts.files[i].told_ms = HOST_MS;
	}
	facts.status.version = "1.0";
	facts.status.workers.configured = 4;
	facts.status.workers.idle = 3;
	facts.status.has_guest = true;
	facts.status.guest.root.bytes = 1ull << 30;
	facts.status.guest.root.free_bytes = 1ull << 29;
	facts.status.guest.root.inodes = 65536;
	facts.status.guest.root.free_inodes = 60000;
	return 0;
}

static struct finding
test_run(const char *name)
{
	struct finding finding = { 0 };

	for (unsigned i = 0; i < check_count; i++) {
		if (strcmp(check_table[i].name, name) != 0)
			continue;
		check_run(&check_table[i], &facts, &finding);
		assert_string_equal(finding.name, name);
		return finding;
	}
	fail_msg("there is no check '%s'", name);
	return finding;
}

/* What NAME says where the text of FILE is TEXT; NULL: it is not there. */
static void
assert_finds(const char *name, enum facts_file file, const char *text, enum diagnosis verdict,
    const char *seen)
{
	const struct facts_text before = facts.files[file];
	struct finding finding;

	facts.files[file].text = (char *)text;
	facts.files[file].error = text == NULL ? -ENOENT : 0;
	finding = test_run(name);
	if (strstr(finding.seen, seen) == NULL)
		fail_msg("%s: '%s' has no '%s'", name, finding.seen, seen);
	assert_int_equal(finding.verdict, verdict);
	if (verdict == DIAGNOSIS_ODD || verdict == DIAGNOSIS_WRONG)
		assert_non_null(finding.to_do);
	else
		assert_null(finding.to_do);
	facts.files[file] = before;
}

static void
assert_says(const char *name, enum diagnosis verdict, const char *seen)
{
	assert_finds(name, FACTS_RELEASE, test_well[FACTS_RELEASE], verdict, seen);
}

static void
test_a_guest_in_which_all_is_well_has_nothing_wrong_or_odd(void **state)
{
	(void)state;
	for (unsigned i = 0; i < check_count; i++) {
		struct finding finding = test_run(check_table[i].name);

		if (finding.verdict != DIAGNOSIS_OK)
			fail_msg("%s: %s", finding.name, finding.seen);
	}
}

static void
test_what_can_not_be_read_is_unknown_and_never_wrong(void **state)
{
	(void)state;
	facts.has_status = false;
	for (int i = 0; i < FACTS_COUNT; i++) {
		facts.files[i].text = NULL;
		facts.files[i].error = -EREMOTEIO;
	}
	for (unsigned i = 0; i < check_count; i++) {
		struct finding finding = test_run(check_table[i].name);

		if (strcmp(finding.name, "agent") == 0)
			assert_int_equal(finding.verdict, DIAGNOSIS_ODD);
		else
			assert_int_equal(finding.verdict, DIAGNOSIS_UNKNOWN);
	}
}

static void
test_an_empty_file_breaks_no_check(void **state)
{
	(void)state;
	for (int i = 0; i < FACTS_COUNT; i++)
		facts.files[i].text = (char *)"";
	for (unsigned i = 0; i < check_count; i++)
		assert_string_not_equal(test_run(check_table[i].name).seen, "");
}

static void
test_an_agent_of_another_version_is_odd(void **state)
{
	(void)state;
	facts.status.version = "0.9";
	assert_says("agent", DIAGNOSIS_ODD, "0.9");
	facts.has_status = false;
	assert_says("agent", DIAGNOSIS_ODD, "too old");
}

static void
test_lost_and_busy_workers_and_a_guest_that_stands_still_are_odd(void **state)
{
	(void)state;
	facts.status.workers.idle = 0;
	assert_says("workers", DIAGNOSIS_ODD, "all 4 are busy");
	facts.status.worker_deaths.total = 2;
	facts.status.worker_deaths.last_signal = 11;
	assert_says("workers", DIAGNOSIS_ODD, "2 were lost, the last by SIGSEGV");
	facts.status.is_quiesced = true;
	facts.status.quiesce.phase = "held";
	assert_says("quiesce", DIAGNOSIS_ODD, "held");
}

static void
test_a_kernel_before_5_10_is_wrong(void **state)
{
	(void)state;
	assert_finds("kernel", FACTS_RELEASE, "5.9.99-x\n", DIAGNOSIS_WRONG, "5.9.99-x");
	assert_finds("kernel", FACTS_RELEASE, "4.19.0\n", DIAGNOSIS_WRONG, "4.19");
	assert_finds("kernel", FACTS_RELEASE, "5.10.0\n", DIAGNOSIS_OK, "5.10.0");
	assert_finds("kernel", FACTS_RELEASE, "10.0\n", DIAGNOSIS_OK, "10.0");
	assert_finds("kernel", FACTS_RELEASE, "new\n", DIAGNOSIS_UNKNOWN, "new");
}

static void
test_a_guest_without_vsock_is_reached_by_another_way(void **state)
{
	(void)state;
	assert_finds("vsock", FACTS_DEV, "null\nvsockets\n", DIAGNOSIS_ODD, "no /dev/vsock");
	assert_finds(
	    "vsock", FACTS_VSOCK_VIRTIO, "bind\nunbind\n", DIAGNOSIS_ODD, "no vsock device");
	assert_finds("vsock", FACTS_VSOCK_VIRTIO, NULL, DIAGNOSIS_ODD, "no vsock device");
}

static void
test_a_vsock_that_is_not_virtios_is_as_good(void **state)
{
	(void)state;
	facts.files[FACTS_VSOCK_VIRTIO] = (struct facts_text){ .error = -ENOENT };
	assert_says("vsock", DIAGNOSIS_ODD, "no vsock device");
	assert_finds(
	    "vsock", FACTS_VSOCK_VMCI, "bind\nmodule\nunbind\n", DIAGNOSIS_ODD, "no vsock");
	assert_finds("vsock", FACTS_VSOCK_VMCI, "0000:00:07.7\nbind\n", DIAGNOSIS_OK, "by VMCI");
	assert_finds("vsock", FACTS_VSOCK_HYPERV, "bind\nunbind\n", DIAGNOSIS_OK, "by Hyper-V");
	assert_finds("vsock", FACTS_MODULES, "ext4 1 0 -\nvsock_loopback 16384 0 - Live 0x0\n",
	    DIAGNOSIS_ODD, "by loopback alone");
	assert_finds("vsock", FACTS_MODULES, "vsock 1 2 vsock_loopback ,\n", DIAGNOSIS_ODD,
	    "no vsock device");
}

static void
test_sessions_without_cgroups_or_a_controller_are_wrong(void **state)
{
	(void)state;
	assert_finds("cgroups", FACTS_MOUNTS, "cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n",
	    DIAGNOSIS_WRONG, "no cgroup2");
	assert_finds("cgroups", FACTS_SESSION_CONTROLLERS, NULL, DIAGNOSIS_WRONG, "no cgroup to");
	assert_finds(
	    "cgroups", FACTS_SESSION_CONTROLLERS, "cpu pids\n", DIAGNOSIS_WRONG, "'memory'");
	assert_finds(
	    "cgroups", FACTS_SESSION_CONTROLLERS, "cpuset memory pids\n", DIAGNOSIS_WRONG, "'cpu'");
}

static void
test_the_sessions_controllers_stand_beside_the_agents_cgroup(void **state)
{
	static const char mounts[] = "a / ext4 rw 0 0\nc /cg cgroup2 rw 0 0\n";
	char path[128];

	(void)state;
	assert_true(facts_controllers_path(mounts, "0::/agent\n", path, sizeof(path)));
	assert_string_equal(path, "/cg/sessions/cgroup.subtree_control");
	assert_true(facts_controllers_path(
	    mounts, "1:cpu:/\n0::/system.slice/a.service/agent\n", path, sizeof(path)));
	assert_string_equal(path, "/cg/system.slice/a.service/sessions/cgroup.subtree_control");
	assert_false(facts_controllers_path(mounts, "0::/\n", path, sizeof(path)));
	assert_false(facts_controllers_path(mounts, "", path, sizeof(path)));
	assert_false(
	    facts_controllers_path("a / ext4 rw 0 0\n", "0::/agent\n", path, sizeof(path)));
	assert_false(facts_controllers_path(" cgroup2 ", "0::/agent\n", path, sizeof(path)));
	assert_false(facts_controllers_path(mounts, "0::/agent\n", path, 16));
	assert_false(facts_controllers_path(NULL, NULL, path, sizeof(path)));
}

static void
test_a_clock_is_wrong_only_when_no_moment_of_the_question_explains_it(void **state)
{
	struct facts_text *uptime = &facts.files[FACTS_UPTIME];

	(void)state;
	assert_finds("clock", FACTS_STAT, "btime 999999850\n", DIAGNOSIS_WRONG, "49 s behind");
	assert_finds("clock", FACTS_STAT, "btime 999999950\n", DIAGNOSIS_WRONG, "50 s before");
	/* The question took a minute: the answer may be of any moment of it. */
	uptime->asked_ms = HOST_MS - 60000;
	assert_finds("clock", FACTS_STAT, "btime 999999850\n", DIAGNOSIS_OK, "as this host's");
	assert_finds("clock", FACTS_STAT, "btime x\n", DIAGNOSIS_UNKNOWN, "does not tell");
	assert_finds(
	    "clock", FACTS_STAT, "btime 99999999999999999999\n", DIAGNOSIS_UNKNOWN, "not tell");
	assert_finds("clock", FACTS_UPTIME, "-\n", DIAGNOSIS_UNKNOWN, "does not tell");
}

static void
test_no_ptp_and_no_entropy_of_the_hosts_are_odd_and_none_at_all_is_wrong(void **state)
{
	(void)state;
	assert_finds("host's clock", FACTS_PTP0, "another\n", DIAGNOSIS_ODD, "no PTP");
	assert_finds("host's clock", FACTS_PTP0, NULL, DIAGNOSIS_ODD, "no PTP");
	assert_finds("entropy", FACTS_ENTROPY, "12\n", DIAGNOSIS_WRONG, "12 bits");
	assert_finds("entropy", FACTS_RNG, NULL, DIAGNOSIS_ODD, "no device");
	assert_finds("entropy", FACTS_RNG, "none\n", DIAGNOSIS_ODD, "no device");
}

static void
test_a_disk_whose_file_system_can_not_be_frozen_is_named(void **state)
{
	(void)state;
	assert_finds("freezing", FACTS_MOUNTS,
	    "/dev/vda / ext4 rw 0 0\n/dev/vdb /data vfat rw,sync 0 0\n", DIAGNOSIS_ODD,
	    "/data is vfat");
	assert_finds(
	    "freezing", FACTS_MOUNTS, "/dev/vdb /data vfat ro 0 0\n", DIAGNOSIS_OK, "no file");
	assert_finds("freezing", FACTS_MOUNTS, "/dev/vdb /data extra4ext4 rw 0 0\n", DIAGNOSIS_ODD,
	    "/data is extra4ext4");
	assert_finds("freezing", FACTS_MOUNTS, "rootfs / rootfs rw 0 0\n", DIAGNOSIS_OK, "no file");
}

static void
test_little_is_odd_and_nothing_is_wrong(void **state)
{
	(void)state;
	assert_finds("memory", FACTS_MEMORY, "MemTotal: 1048576 kB\nMemAvailable: 81920 kB\n",
	    DIAGNOSIS_ODD, "80 MiB of 1.0 GiB");
	assert_finds("memory", FACTS_MEMORY, "MemTotal: 65536 kB\nMemAvailable: 16000 kB\n",
	    DIAGNOSIS_WRONG, "16 MiB of 64 MiB");
	assert_finds("memory", FACTS_MEMORY, "MemTotal: 5 kB\n", DIAGNOSIS_UNKNOWN, "not tell");
	facts.status.guest.root.free_bytes = 1u << 20;
	facts.status.guest.root.free_inodes = 3000;
	assert_says("disk", DIAGNOSIS_WRONG, "1.0 MiB of 1.0 GiB");
	assert_says("inodes", DIAGNOSIS_ODD, "3000 of 65536");
	facts.status.guest.root.free_inodes = 0;
	assert_says("inodes", DIAGNOSIS_WRONG, "0 of 65536");
	facts.status.guest.root.bytes = 0;
	facts.status.guest.root.inodes = 0;
	assert_says("disk", DIAGNOSIS_OK, "not on a disk");
	assert_says("inodes", DIAGNOSIS_OK, "does not count");
	facts.status.has_guest = false;
	assert_says("disk", DIAGNOSIS_UNKNOWN, "does not tell");
	assert_says("inodes", DIAGNOSIS_UNKNOWN, "does not tell");
	facts.status.shm_bytes = 300u << 20;
	assert_says("/dev/shm", DIAGNOSIS_ODD, "300 MiB");
}

static void
test_processes_and_open_files_have_the_smallest_of_their_limits(void **state)
{
	(void)state;
	assert_finds("processes", FACTS_LOAD, "0 0 0 1/6990 7\n", DIAGNOSIS_WRONG, "at most 7000");
	assert_finds("processes", FACTS_PID_MAX, "130\n", DIAGNOSIS_ODD, "at most 130");
	assert_finds("processes", FACTS_PID_MAX, "100\n", DIAGNOSIS_WRONG, "at most 100");
	assert_finds("processes", FACTS_LOAD, "0 0\n", DIAGNOSIS_UNKNOWN, "not tell");
	assert_finds("open files", FACTS_LIMITS, "Max open files 1024 4096 files\n", DIAGNOSIS_ODD,
	    "no more than 4096");
	assert_finds("open files", FACTS_LIMITS, "Max open files 1024 unlimited files\n",
	    DIAGNOSIS_OK, "1024 in");
	assert_finds(
	    "open files", FACTS_OPEN_FILES, "990 0 1000\n", DIAGNOSIS_WRONG, "at most 1000");
	assert_finds("open files", FACTS_OPEN_FILES, "990\n", DIAGNOSIS_UNKNOWN, "not tell");
	/* As PID 1 it gives sessions another limit than its own. */
	facts.status.pid = 1;
	assert_finds("open files", FACTS_LIMITS, "Max open files 8192 8192 files\n", DIAGNOSIS_OK,
	    "1024 in");
}

static void
test_a_guest_without_devpts_has_no_terminals(void **state)
{
	(void)state;
	assert_finds("terminals", FACTS_MOUNTS, "a / ext4 rw 0 0\n", DIAGNOSIS_WRONG, "no devpts");
	assert_finds("terminals", FACTS_PTS, "0\n", DIAGNOSIS_WRONG, "no devpts");
	assert_finds("terminals", FACTS_DEV, "pts\n", DIAGNOSIS_WRONG, "no /dev/ptmx");
}

static void
test_names_that_lead_nowhere_are_found(void **state)
{
	(void)state;
	assert_finds("/etc/hosts", FACTS_HOSTS, NULL, DIAGNOSIS_WRONG, "not there");
	assert_finds("/etc/hosts", FACTS_HOSTS, "#127.0.0.1 localhost\n10.0.0.1 localhost\n",
	    DIAGNOSIS_WRONG, "'localhost' leads");
	assert_finds(
	    "/etc/hosts", FACTS_HOSTS, "::1 ip6-localhost localhost\n", DIAGNOSIS_ODD, "'box'");
	assert_finds(
	    "/etc/hosts", FACTS_HOSTS, "127.0.0.1 localhost # box\n", DIAGNOSIS_ODD, "'box'");
	assert_finds("resolv.conf", FACTS_RESOLV, "nameserver\n# nameserver 1.1.1.1\n",
	    DIAGNOSIS_WRONG, "no name server");
	assert_finds("resolv.conf", FACTS_RESOLV, NULL, DIAGNOSIS_WRONG, "no name server");
	facts.files[FACTS_NETWORK].text = (char *)"Inter-|\n face |bytes\n lo: 0\n";
	assert_finds("resolv.conf", FACTS_RESOLV, NULL, DIAGNOSIS_OK, "no network");
}

/* ---- the time that it may take --------------------------------------------- */

/* Less than a connection is waited for, and more than STATUS takes on any machine. */
#define TEST_DEADLINE_MS 3000

/* An agent that has no STATUS, and then does not take another connection. */
_Noreturn static void
test_serve_once(int listener)
{
	uint8_t bytes[256] = { 0 };
	int conn = accept(listener, NULL, NULL);
	size_t len = 0;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (len == 0 || memchr(bytes, '\n', len) == NULL) {
		ssize_t n = read(conn, bytes + len, sizeof(bytes) - len);

		if (n <= 0)
			_exit(1);
		len += (size_t)n;
	}
	(void)!write(conn, "OK 1\n", 5);
	/* The request may have come with the handshake. */
	if (bytes[len - 1] == '\n')
		(void)!read(conn, bytes, sizeof(bytes));
	frame_header_format(bytes, VMM_GUEST_EXIT, VMM_GUEST_EXIT_LEN);
	frame_exit_format(bytes + VMM_GUEST_HEADER_LEN, (struct frame_exit){ .code = -1 });
	(void)!write(conn, bytes, VMM_GUEST_HEADER_LEN + VMM_GUEST_EXIT_LEN);
	(void)close(conn);
	for (;;)
		(void)pause();
}

static void
test_no_question_goes_on_beyond_the_time_for_all_of_them(void **state)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "/tmp/vga-doctor-XXXXXX" };
	char address[sizeof(name.sun_path) + 8];
	const struct client_target target = { .address = address, .cancel_fd = -1 };
	struct client_error error = { "" };
	struct facts found;
	uint64_t begun = clock_mono_ms();
	pid_t child;
	int listener;

	(void)state;
	assert_non_null(mkdtemp(name.sun_path));
	(void)strcat(name.sun_path, "/s");
	(void)snprintf(address, sizeof(address), "unix:%s", name.sun_path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(listener, 8), 0);
	child = fork();
	if (child == 0)
		test_serve_once(listener);
	assert_int_equal(facts_ask(&target, TEST_DEADLINE_MS, &found, &error), 0);
	assert_in_range(clock_mono_ms() - begun, TEST_DEADLINE_MS, CLIENT_CONNECT_MS - 1);
	for (int i = 0; i < FACTS_COUNT; i++) {
		assert_null(found.files[i].text);
		assert_true(i == FACTS_SESSION_CONTROLLERS || found.files[i].error == -ETIMEDOUT ||
			    found.files[i].error == -ETIME);
	}
	facts_done(&found);
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
	(void)close(listener);
	(void)unlink(name.sun_path);
	*strrchr(name.sun_path, '/') = '\0';
	(void)rmdir(name.sun_path);
}

/* ---- kernel options ------------------------------------------------------- */

static const struct kernel_option *
test_option(const char *name)
{
	for (unsigned i = 0; i < kernel_config_count; i++) {
		if (strcmp(kernel_config_options[i].names[0], name) == 0)
			return &kernel_config_options[i];
	}
	fail_msg("there is no option '%s'", name);
	return NULL;
}

static void
assert_option(const char *name, const char *text, const char *modules, enum diagnosis verdict)
{
	struct finding finding;

	assert_true(kernel_config_judge(test_option(name), text, modules, &finding));
	if (finding.verdict != verdict)
		fail_msg("%s: %s", name, finding.seen);
}

static void
test_an_option_is_what_its_own_line_sets(void **state)
{
	(void)state;
	assert_option("VSOCKETS", "CONFIG_VSOCKETS=y\n", NULL, DIAGNOSIS_OK);
	assert_option("VSOCKETS", "CONFIG_X=y\nCONFIG_VSOCKETS=y\n", NULL, DIAGNOSIS_OK);
	assert_option("VSOCKETS", "# CONFIG_VSOCKETS is not set\n", NULL, DIAGNOSIS_WRONG);
	assert_option("VSOCKETS", "# CONFIG_VSOCKETS=y\n", NULL, DIAGNOSIS_WRONG);
	assert_option("VSOCKETS", "CONFIG_VSOCKETS_DIAG=y\n", NULL, DIAGNOSIS_WRONG);
	assert_option("VSOCKETS", "CONFIG_VSOCKETS=n\n", NULL, DIAGNOSIS_WRONG);
	assert_option("MEMCG", "", NULL, DIAGNOSIS_ODD);
}

static void
test_a_module_is_odd_until_it_is_loaded(void **state)
{
	static const char text[] = "CONFIG_VIRTIO_VSOCKETS=m\n";

	(void)state;
	assert_option("VIRTIO_VSOCKETS", text, NULL, DIAGNOSIS_ODD);
	assert_option("VIRTIO_VSOCKETS", text, "vsock 1 0 - Live 0x0\n", DIAGNOSIS_ODD);
	assert_option("VIRTIO_VSOCKETS", text,
	    "vsock 1 0\nvmw_vsock_virtio_transport 1 0 - Live 0x0\n", DIAGNOSIS_OK);
	assert_option(
	    "VIRTIO_VSOCKETS", text, "vmw_vsock_virtio_transport_common 1 0\n", DIAGNOSIS_ODD);
}

static void
test_one_of_several_transports_is_enough(void **state)
{
	(void)state;
	assert_option("VIRTIO_MMIO", "CONFIG_VIRTIO_PCI=y\n", NULL, DIAGNOSIS_OK);
	assert_option(
	    "VIRTIO_MMIO", "CONFIG_VIRTIO_MMIO=m\nCONFIG_VIRTIO_PCI=y\n", NULL, DIAGNOSIS_OK);
	assert_option("VIRTIO_MMIO", "CONFIG_VIRTIO_MMIO=m\nCONFIG_VIRTIO_PCI=m\n",
	    "virtio_pci 1 0\n", DIAGNOSIS_OK);
	assert_option("VIRTIO_MMIO", "CONFIG_VIRTIO_MENU=y\n", NULL, DIAGNOSIS_WRONG);
	assert_option("VIRTIO_MMIO", "CONFIG_HYPERV=y\n", NULL, DIAGNOSIS_OK);
	assert_option("VIRTIO_VSOCKETS", "CONFIG_HYPERV_VSOCKETS=y\n", NULL, DIAGNOSIS_OK);
	assert_option("VIRTIO_VSOCKETS", "CONFIG_VMWARE_VMCI_VSOCKETS=m\n",
	    "vmw_vsock_vmci_transport 1 0 - Live 0x0\n", DIAGNOSIS_OK);
}

static void
test_an_option_of_another_architecture_is_passed_over(void **state)
{
	struct finding finding;

	(void)state;
	assert_option("ACPI_BUTTON", "CONFIG_X86=y\n", NULL, DIAGNOSIS_ODD);
	assert_false(
	    kernel_config_judge(test_option("ACPI_BUTTON"), "CONFIG_ARM64=y\n", NULL, &finding));
	assert_option("GPIO_PL061", "CONFIG_ARM64=y\n", NULL, DIAGNOSIS_ODD);
	assert_false(
	    kernel_config_judge(test_option("GPIO_PL061"), "CONFIG_X86=y\n", NULL, &finding));
}

static void
test_each_option_says_what_is_lost_and_what_to_do(void **state)
{
	(void)state;
	for (unsigned i = 0; i < kernel_config_count; i++) {
		assert_non_null(kernel_config_options[i].names[0]);
		assert_non_null(kernel_config_options[i].without);
		assert_non_null(kernel_config_options[i].to_do);
		assert_true(kernel_config_options[i].verdict == DIAGNOSIS_ODD ||
			    kernel_config_options[i].verdict == DIAGNOSIS_WRONG);
	}
	assert_true(kernel_config_is_one("CONFIG_X=y\n"));
	assert_true(kernel_config_is_one("#\n# x\nCONFIG_X=y\n"));
	assert_false(kernel_config_is_one("root:x:0:0 CONFIG_\n"));
}

/* ---- gzip ------------------------------------------------------------------ */

static void
test_what_is_packed_is_unpacked_and_what_is_broken_refused(void **state)
{
	/* printf 'CONFIG_X=y\n' | gzip -n */
	static const unsigned char packed[] = { 0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x03, 0x73, 0xf6, 0xf7, 0x73, 0xf3, 0x74, 0x8f, 0x8f, 0xb0, 0xad, 0xe4, 0x02,
		0x00, 0x9b, 0xa9, 0x91, 0xf7, 0x0b, 0x00, 0x00, 0x00 };
	char *text = NULL;
	size_t len = 0;

	(void)state;
	assert_true(gunzip_is_packed((const char *)packed, sizeof(packed)));
	assert_false(gunzip_is_packed("CONFIG", 6));
	assert_int_equal(gunzip((const char *)packed, sizeof(packed), &text, &len), 0);
	assert_string_equal(text, "CONFIG_X=y\n");
	assert_int_equal(len, strlen(text));
	free(text);
	assert_int_equal(gunzip((const char *)packed, 20, &text, &len), -EBADMSG);
	assert_int_equal(gunzip("CONFIG_X=y\n", 11, &text, &len), -EBADMSG);
}

#define TEST(name) cmocka_unit_test_setup(name, test_begin)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_guest_in_which_all_is_well_has_nothing_wrong_or_odd),
		TEST(test_what_can_not_be_read_is_unknown_and_never_wrong),
		TEST(test_an_empty_file_breaks_no_check),
		TEST(test_an_agent_of_another_version_is_odd),
		TEST(test_lost_and_busy_workers_and_a_guest_that_stands_still_are_odd),
		TEST(test_a_kernel_before_5_10_is_wrong),
		TEST(test_a_guest_without_vsock_is_reached_by_another_way),
		TEST(test_a_vsock_that_is_not_virtios_is_as_good),
		TEST(test_sessions_without_cgroups_or_a_controller_are_wrong),
		TEST(test_the_sessions_controllers_stand_beside_the_agents_cgroup),
		TEST(test_a_clock_is_wrong_only_when_no_moment_of_the_question_explains_it),
		TEST(test_no_ptp_and_no_entropy_of_the_hosts_are_odd_and_none_at_all_is_wrong),
		TEST(test_a_disk_whose_file_system_can_not_be_frozen_is_named),
		TEST(test_little_is_odd_and_nothing_is_wrong),
		TEST(test_processes_and_open_files_have_the_smallest_of_their_limits),
		TEST(test_a_guest_without_devpts_has_no_terminals),
		TEST(test_names_that_lead_nowhere_are_found),
		TEST(test_no_question_goes_on_beyond_the_time_for_all_of_them),
		TEST(test_an_option_is_what_its_own_line_sets),
		TEST(test_a_module_is_odd_until_it_is_loaded),
		TEST(test_one_of_several_transports_is_enough),
		TEST(test_an_option_of_another_architecture_is_passed_over),
		TEST(test_each_option_says_what_is_lost_and_what_to_do),
		TEST(test_what_is_packed_is_unpacked_and_what_is_broken_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
