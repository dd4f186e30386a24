# SPDX-License-Identifier: MIT
"""What the agent has made of the guest when it answers as PID 1."""

import json

import pytest
import state

MOUNTS = {
    "/proc": ("proc", {"nosuid", "nodev", "noexec"}),
    "/sys": ("sysfs", {"nosuid", "nodev", "noexec"}),
    "/dev": ("devtmpfs", {"nosuid", "mode=755"}),
    "/dev/pts": ("devpts", {"nosuid", "noexec", "gid=5", "mode=620", "ptmxmode=666", "max=2048"}),
    "/dev/pts-host": ("devpts", {"nosuid", "noexec", "gid=5", "mode=620", "ptmxmode=600"}),
    "/dev/shm": ("tmpfs", {"nosuid", "nodev"}),
    "/run": ("tmpfs", {"nosuid", "nodev", "mode=755"}),
    "/sys/fs/cgroup": ("cgroup2", {"nosuid", "nodev", "noexec", "nsdelegate"}),
}

LINKS = {
    "/dev/ptmx": "pts/ptmx",
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
}


def test_the_agent_is_process_1(guest):
    assert "vmm-guest-agent" in guest.output("readlink /proc/1/exe")
    assert state.status(guest)["pid"] == 1


@pytest.mark.parametrize("target", MOUNTS)
def test_file_system_is_mounted_with_its_type_and_flags(guest, target):
    kind, options = MOUNTS[target]
    found = [(k, o) for t, k, o in state.mounts(guest) if t == target]
    assert [k for k, _ in found] == [kind]
    assert options <= found[0][1]


def test_dev_takes_device_nodes_though_other_mounts_do_not(guest):
    options = {t: o for t, _, o in state.mounts(guest)}
    assert "nodev" not in options["/dev"] | options["/dev/pts"]


def test_shared_memory_is_open_to_all_and_sticky(guest):
    assert guest.output("stat -c %a /dev/shm") == "1777"


def test_tmp_that_can_be_written_is_left_alone(guest):
    assert "/tmp" not in [target for target, _, _ in state.mounts(guest)]


@pytest.mark.parametrize("link", LINKS)
def test_link_in_dev_points_where_programs_expect(guest, link):
    assert guest.output(f"readlink {link}") == LINKS[link]


def test_resolv_conf_holds_the_name_servers_of_ip(guest):
    lines = guest.output("cat /etc/resolv.conf").splitlines()
    servers = [line.split() for line in lines if not line.startswith("#")]
    assert servers == [["nameserver", "10.0.2.3"], ["nameserver", "10.0.2.4"]]


def test_resolv_conf_can_be_read_by_everyone(guest):
    assert guest.output("stat -c %a:%u:%g /etc/resolv.conf") == "644:0:0"


def test_host_name_is_the_one_of_ip(guest):
    assert guest.output("hostname") == "clone-7"


def test_loopback_can_be_used_from_the_start(guest):
    assert "127.0.0.1/8" in guest.output("ip -4 addr show up dev lo")


def test_worker_count_comes_from_the_kernel_command_line(guest):
    assert state.status(guest)["workers"]["configured"] == 5
    assert len(state.workers(guest)) == 5


def test_ready_line_tells_the_time_it_took(guest):
    assert guest.wait_console(r"ready: 5 workers.*\d")


def test_agent_is_the_last_that_the_kernel_would_kill_for_memory(guest):
    assert guest.output("cat /proc/1/oom_score_adj") == "-1000"
    worker = next(iter(state.workers(guest)))
    assert guest.output(f"cat /proc/{worker}/oom_score_adj") == "-900"


def test_agent_may_open_more_files_than_its_sessions(guest):
    soft, hard = guest.output("sed -n 's/^Max open files *//p' /proc/1/limits").split()[:2]
    assert int(soft) >= 8192 and int(hard) >= 8192
    limits = "sh -c 'ulimit -Sn; ulimit -Hn; ulimit -Sn 524288; ulimit -Sn'"
    assert guest.output(f"vmm-guest-ctl exec -u 1000 -- {limits}").split() == ["1024", "524288", "524288"]


def test_sessions_may_open_as_many_files_as_a_lower_limit_of_the_kernels_lets_them(boot):
    with boot("vmm_agent.peer=any sysctl.fs.nr_open=100000") as guest:
        guest.wait_ready()
        soft, hard = guest.output("vmm-guest-ctl exec -- sh -c 'ulimit -Sn; ulimit -Hn'").split()
        assert soft == "1024" and 50000 < int(hard) <= 100000
        assert "8192" in guest.output("grep 'open files' /proc/1/limits")


def test_ctrl_alt_del_is_the_agents_to_handle(guest):
    assert guest.output("cat /proc/sys/kernel/ctrl-alt-del") == "0"


def test_nothing_the_kernel_handed_init_stands_on_the_console_as_an_error(guest):
    assert "Kernel panic" not in guest.console()
    assert "Attempted to kill init" not in guest.console()


def test_doctor_finds_well_what_the_agent_has_made_and_changes_nothing(guest):
    modules = guest.output("cut -d ' ' -f 1 /proc/modules")
    lines = guest.run("vmm-guest-ctl doctor --json").output.splitlines()
    found = {one["check"]: one["verdict"] for one in map(json.loads, lines)}
    well = {"agent", "quiesce", "kernel", "cgroups", "clock", "freezing", "terminals", "/etc/hosts", "open files"}
    assert {check for check, verdict in found.items() if verdict == "ok"} >= well, lines
    assert [check for check, verdict in found.items() if verdict == "unknown"] in ([], ["kernel option"])
    assert guest.output("cut -d ' ' -f 1 /proc/modules") == modules


def test_shared_memory_has_a_quarter_and_what_is_left_there_is_shown(guest):
    size, total = (int(guest.output(command)) for command in (
        "df -k /dev/shm | sed -n 's/^tmpfs *\\([0-9]*\\) .*/\\1/p'", "sed -n 's/MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo"))
    assert total * 0.24 < size < total * 0.26
    before = state.status(guest)["shm_bytes"]
    guest.output("vmm-guest-ctl exec -u guest -- dd if=/dev/zero of=/dev/shm/left bs=1k count=5000 2>/dev/null")
    assert state.status(guest)["shm_bytes"] - before == 5000 * 1024
    guest.output("rm /dev/shm/left")
