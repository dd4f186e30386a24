# SPDX-License-Identifier: MIT
"""Who a guest is after RESTORED: its hostname and its machine-id, in mount and host name spaces
of their own."""

import os
import pathlib
import re
import socket

import pytest

import codec
from agent import Agent
from faults import mounted
from traces import Trace, name_of

OLD, NEW = "0" * 31 + "1", "0123456789abcdef" * 2
MARK = b"# Written by vmm-guest-agent.\n"
OWN = "mount -t tmpfs lib /var/lib; mount -t tmpfs run /run; mkdir /var/lib/dbus"
READ_ONLY = "mount -o remount,ro /etc; mount -o remount,ro /var/lib"


@pytest.fixture
def start(monkeypatch, tmp_path):
    """start(SCRIPT): an agent whose /etc, /var/lib and /run are its own, and as SCRIPT made them."""
    started = []

    def begin(script="true"):
        monkeypatch.setenv("VMM_GUEST_AGENT", os.environ["VMM_GUEST_BUILD"] + "/vmm-guest-agent")
        mounted(monkeypatch, tmp_path, f"mount -t tmpfs etc /etc; {OWN}; {script}")
        started.append(Agent("--workers=3"))
        return started[-1].__enter__()

    name = socket.gethostname()
    yield begin
    for agent in started:
        agent.__exit__(None, None, None)
    socket.sethostname(name)


def restored(agent, **members):
    """The errors; EXIT and the times must be right for them."""
    result = agent.request(codec.RESTORED, members)
    told = result.event("restored")
    assert result.code == (-1 if told["errors"] else 0)
    for member in members:
        assert told[member + "_us"] > 0
    return told["errors"]


def mounts_on(agent, path):
    return pathlib.Path(f"/proc/{agent.pid}/mounts").read_text().count(f" {path} ")


# ---- hostname ----------------------------------------------------------------------


def test_a_program_sees_the_new_hostname(start):
    agent = start()
    for name in ("clone-7", "x" * 64, "A.b_c-9"):
        assert restored(agent, hostname=name) == []
        assert agent.run(["uname", "-n"]).stdout.decode() == name + "\n"


@pytest.mark.parametrize("there", ["true", "touch /etc/hosts"])
def test_hosts_has_the_hostname_where_there_was_none_or_an_empty_one(start, there):
    agent = start(there)
    for name in ("a-name-that-is-long", "short"):
        assert restored(agent, hostname=name) == []
        hosts = agent.read_file("/etc/hosts")
        assert hosts == MARK + b"127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.1.1\t%s\n" % name.encode()


def test_hosts_that_somebody_else_wrote_is_left_alone(start):
    agent = start('echo "10.0.0.1 mine" >/etc/hosts')
    assert restored(agent, hostname="clone") == []
    assert agent.read_file("/etc/hosts") == b"10.0.0.1 mine\n"


def test_an_empty_hosts_that_cannot_be_written_gets_one_of_run(start):
    agent = start("touch /etc/hosts; " + READ_ONLY)
    for name in ("one", "another"):
        assert restored(agent, hostname=name) == []
        assert agent.read_file("/etc/hosts").endswith(b"\t%s\n" % name.encode())
    assert mounts_on(agent, "/etc/hosts") == 1


def test_no_hosts_where_none_can_be_made_is_no_error(start):
    agent = start(READ_ONLY)
    assert restored(agent, hostname="clone") == []
    assert socket.gethostname() == "clone"


def test_hosts_that_cannot_be_replaced_is_told_and_the_hostname_set(start):
    agent = start("touch /etc/hosts; umount /run; mount -t tmpfs -o ro run /run; " + READ_ONLY)
    errors = restored(agent, hostname="clone")
    assert len(errors) == 1
    assert errors[0].startswith("hostname: it is set, but /etc/hosts can't be written: ")
    assert socket.gethostname() == "clone"


@pytest.mark.parametrize("bad", ["", "x" * 65, "a b", "a\nb", "-a", ".a", "a#b", "ä", 5, None])
def test_what_is_not_a_hostname_changes_nothing(start, bad):
    agent = start()
    before = socket.gethostname()
    result = agent.request(codec.RESTORED, {"hostname": bad})
    assert result.code == -1 and result.event("restored")["hostname_us"] == 0
    assert result.event("restored")["errors"][0].startswith("hostname: member 'hostname': ")
    assert socket.gethostname() == before


# ---- machine-id --------------------------------------------------------------------


def test_a_machine_id_is_the_hosts_or_a_new_one(start):
    agent = start(f"echo {OLD} >/etc/machine-id")
    assert restored(agent, machine_id=NEW.upper()) == []
    assert agent.read_file("/etc/machine-id").decode() == NEW + "\n"
    seen = {OLD, NEW}
    for _ in range(3):
        assert restored(agent, machine_id=True) == []
        drawn = agent.read_file("/etc/machine-id").decode().rstrip("\n")
        assert re.fullmatch("[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", drawn)
        assert drawn not in seen
        seen.add(drawn)
    assert agent.sh("stat -c %a /etc/machine-id; ls -A /etc").stdout == b"444\nmachine-id\n"


def test_a_machine_id_is_drawn_from_a_generator_that_has_seeded_itself_anew(start):
    """The other clones of a snapshot have the same pool, where the host gives no entropy."""
    agent = start()
    with Trace(agent.worker_pids(), "ioctl,getrandom") as trace:
        assert restored(agent, machine_id=True) == []
    calls = [call for of_one in trace.calls().values() for call in of_one]
    reseeds = [i for i, call in enumerate(calls) if "RNDRESEEDCRNG" in call]
    draws = [i for i, call in enumerate(calls) if name_of(call) == "getrandom" and ", 16, " in call]
    assert reseeds and draws and reseeds[0] < draws[0], calls


def test_a_copy_for_dbus_that_is_a_file_is_the_same(start):
    agent = start(f"echo {OLD} >/etc/machine-id; echo {OLD} >/var/lib/dbus/machine-id")
    assert restored(agent, machine_id=True) == []
    assert agent.read_file("/var/lib/dbus/machine-id") == agent.read_file("/etc/machine-id")


@pytest.mark.parametrize("there", ["true", "ln -s /etc/machine-id /var/lib/dbus/machine-id"])
def test_a_link_for_dbus_stays_and_no_copy_is_made(start, there):
    agent = start(there)
    before = agent.sh("ls -l /var/lib/dbus").stdout
    assert restored(agent, machine_id=NEW) == []
    assert agent.sh("ls -l /var/lib/dbus").stdout == before


def test_where_etc_cannot_be_written_files_of_run_are_bound_over_both(start):
    agent = start(f"echo {OLD} >/etc/machine-id; echo {OLD} >/var/lib/dbus/machine-id; {READ_ONLY}")
    for _ in range(2):
        assert restored(agent, machine_id=True) == []
        line = agent.read_file("/etc/machine-id")
        assert len(line) == 33 and line != OLD.encode() + b"\n"
        assert agent.read_file("/var/lib/dbus/machine-id") == line
    assert mounts_on(agent, "/etc/machine-id") == mounts_on(agent, "/var/lib/dbus/machine-id") == 1


def test_one_that_init_has_bound_read_only_is_bound_over(start):
    """As systemd does where /etc was read-only at boot."""
    agent = start(
        f"touch /etc/machine-id; echo {OLD} >/run/machine-id; mount --bind /run/machine-id /etc/machine-id; "
        "mount -o remount,bind,ro /etc/machine-id"
    )
    assert restored(agent, machine_id=NEW) == []
    assert agent.read_file("/etc/machine-id").decode() == NEW + "\n"


def test_no_machine_id_where_none_can_be_made_is_told(start):
    assert restored(start(READ_ONLY), machine_id=True) == [
        "machine-id: /etc/machine-id can't be written: No such file or directory"
    ]


@pytest.mark.parametrize("bad", ["", NEW[1:], NEW + "0", "g" * 32, "0" * 32, False, None, 1, []])
def test_what_is_not_a_machine_id_changes_nothing(start, bad):
    agent = start(f"echo {OLD} >/etc/machine-id")
    result = agent.request(codec.RESTORED, {"machine_id": bad})
    assert result.code == -1 and result.event("restored")["machine_id_us"] == 0
    assert result.event("restored")["errors"][0].startswith("machine-id: member 'machine_id': ")
    assert agent.read_file("/etc/machine-id").decode() == OLD + "\n"


# ---- both --------------------------------------------------------------------------


def test_steps_are_done_in_their_order(start):
    agent = start(f"echo {OLD} >/etc/machine-id")
    with Trace(agent.worker_pids(), "ioctl,sethostname,renameat") as trace:
        restored(agent, machine_id=True, hostname="clone", entropy="AAAA")
    said = "\n".join(call for of_one in trace.calls().values() for call in of_one)
    marks = ["RNDADDENTROPY", 'sethostname("clone"', '"hosts"', '"machine-id"']
    assert all(mark in said for mark in marks), said
    assert sorted(marks, key=said.index) == marks, said


def test_one_that_fails_stops_no_other(start):
    agent = start(READ_ONLY)
    result = agent.request(codec.RESTORED, {"hostname": "clone", "machine_id": True, "entropy": "AAAA"})
    told = result.event("restored")
    assert result.code == -1 and [e.split(":")[0] for e in told["errors"]] == ["machine-id"]
    assert told["entropy_us"] > 0 and told["hostname_us"] > 0
    assert socket.gethostname() == "clone"
