# SPDX-License-Identifier: MIT
"""The agent as a service of a real systemd, in a Debian with the unit, and all else, that
`make install` puts there: what the unit says is what systemd does."""

import json
import re

import debian_guest
import pytest
import state

AGENT = "vmm-guest-agent"


@pytest.fixture(scope="module")
def files(pytestconfig, tmp_path_factory):
    return debian_guest.write(tmp_path_factory.mktemp("debian"), pytestconfig.build)


@pytest.fixture(scope="module")
def hosted(hosting, files):
    initrd, devices = files
    with hosting("systemd.journald.forward_to_console=1", initrd=initrd, devices=devices) as started:
        wait_up(started)
        yield started


def wait_up(hosted):
    done = hosted.ctl("wait", "--timeout", "55")
    assert done.returncode == 0, (done.stderr, hosted.guest.report(), journal(hosted))


def journal(hosted):
    return hosted.guest.output(f"journalctl -q --no-pager -o cat -u {AGENT}")


def shown(hosted, name):
    """A property of the unit."""
    return hosted.guest.output(f"systemctl show --value -p {name} {AGENT}")


def count(hosted, pattern):
    """How many processes have PATTERN in their command lines."""
    return len(hosted.guest.run(f"grep -l '{pattern}' /proc/[0-9]*/cmdline").output.split())


def test_systemd_waits_for_ready_and_is_told(hosted):
    assert shown(hosted, "Type") == "notify"
    state.wait_until(lambda: shown(hosted, "ActiveState") == "active", 60)
    assert shown(hosted, "SubState") == "running"
    assert int(shown(hosted, "MainPID")) == hosted.status()["pid"]


def test_module_of_vsock_is_there_before_the_unit_looks_for_its_device(hosted):
    assert shown(hosted, "ConditionResult") == "yes"
    assert "systemd-modules-load.service" in shown(hosted, "After").split()
    said = hosted.guest.output("journalctl -q --no-pager -o cat")
    assert "Inserted module 'vmw_vsock_virtio_transport'" in said


def test_each_session_has_a_cgroup_of_its_own_below_the_service(hosted):
    service = shown(hosted, "ControlGroup")
    conns = [hosted.start("cat /proc/self/cgroup; exec sleep 60") for _ in range(2)]
    cgroups = {conn.read_output(b"\n").decode() for conn in conns}
    assert len(cgroups) == 2
    assert all(path.startswith(f"0::{service}/sessions/") for path in cgroups)
    assert "process group" not in journal(hosted)
    for conn in conns:
        conn.close()


def test_limits_of_a_session_are_kept(hosted):
    script = "cd /sys/fs/cgroup$(sed s/^0::// /proc/self/cgroup) && cat memory.max pids.max cpu.max"
    conn = hosted.start(script, limits={"memory_bytes": 64 << 20, "pids": 20, "cpu_percent": 50})
    assert conn.result().stdout.split() == [b"67108864", b"20", b"50000", b"100000"]


def test_journal_gets_the_log(hosted):
    assert re.search(r"ready: \d+ workers", journal(hosted))


def answering(hosted):
    """The agent's process, None while there is no answer."""
    done = hosted.ctl("status", "--json")
    return json.loads(done.stdout)["pid"] if done.returncode == 0 else None


def test_supervisor_that_was_killed_is_started_again_with_nothing_of_the_old_one(hosted):
    conn = hosted.start("setsid sleep 4731 & exec sleep 4732")
    state.wait_until(lambda: count(hosted, "473[12]") == 2)
    before = hosted.status()["pid"]
    hosted.guest.output(f"kill -9 {before}")
    conn.result()
    # Its workers may answer for a moment longer.
    state.wait_until(lambda: answering(hosted) not in (None, before))
    assert hosted.status()["pid"] == int(shown(hosted, "MainPID"))
    assert int(shown(hosted, "NRestarts")) >= 1
    assert count(hosted, "473[12]") == 0
    path = hosted.ctl("exec", "--", "cat", "/proc/self/cgroup").stdout.strip()
    assert path.startswith(f"0::{shown(hosted, 'ControlGroup')}/sessions/")


def test_worker_that_was_killed_is_not_systemds_business(hosted):
    before = hosted.status()["pid"], shown(hosted, "NRestarts")
    assert hosted.start("kill -9 $PPID; sleep 60").result().code == 125
    assert hosted.ctl("exec", "--", "true").returncode == 0
    assert before == (hosted.status()["pid"], shown(hosted, "NRestarts"))


def test_stop_ends_the_sessions_and_leaves_nothing(hosted):
    conn = hosted.start("setsid sleep 4733 & exec sleep 4734")
    state.wait_until(lambda: count(hosted, "473[34]") == 2)
    hosted.guest.output(f"systemctl stop {AGENT}")
    assert conn.result().code == 128 + 15
    assert shown(hosted, "Result") == "success"
    assert count(hosted, "473[34]") == 0
    hosted.guest.output(f"systemctl start {AGENT}")
    assert hosted.ctl("exec", "--", "echo", "again").stdout == "again\n"


def test_shutdown_ends_the_guest_by_systemd_which_ends_the_agent(hosted):
    """The last one: there is no guest behind it. An agent that systemd does not tell of the
    end waits for 30 s, and says so."""
    assert hosted.ctl("shutdown").returncode == 0
    hosted.guest.wait_end(120)
    console = hosted.guest.console()
    assert "Kernel panic" not in console
    assert "shutting down: the host asked for it" in console, "the journal is shown there"
    assert "init does not end us" not in console
