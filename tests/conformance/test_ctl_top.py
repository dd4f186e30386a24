# SPDX-License-Identifier: MIT
"""vmm-guest-ctl top, and the figures in status: against agents that say what the test
wants, so that what is shown is known to the last digit."""

import json
import re

import pytest

import codec
from client import Ctl, FakeAgent, Terminal
from test_ctl_agents import read_metrics

MIB = 1024 * 1024


def look(uptime_ms, cpu_us=0, user_ms=0, idle_ms=0, stall_us=0, disk=0, network=0, **more):
    """A STATUS of a guest with two CPUs, and two sessions."""
    return dict({
        "version": "1", "guest": {
            "kernel": "6.1.0", "uptime_ms": uptime_ms, "cpus": 2,
            "cpu": {"user_ms": user_ms, "idle_ms": idle_ms},
            "memory": {"total_bytes": 512 * MIB, "available_bytes": 128 * MIB},
            "root": {"total_bytes": 64 * MIB, "free_bytes": 16 * MIB},
            "pressure": {"cpu_some_us": stall_us},
            "disks": [{"name": "vda", "read_bytes": disk}, {"name": "vdb", "written_bytes": 3 * disk}],
            "network": [{"name": "lo", "sent_bytes": 99999 * network}, {"name": "eth0", "received_bytes": network}]},
        "slots": [
            {"kind": "exec", "session": 3, "pid": 30, "user": "app", "command": "idle one", "cpu_us": 7,
             "memory_bytes": 40 * MIB},
            {"kind": "exec", "session": 4, "pid": 40, "user": "app", "command": "busy one", "cpu_us": cpu_us,
             "memory_bytes": 20 * MIB},
            {"kind": "status", "session": 5, "command": "whoever asks"},
            {"kind": "read", "session": 6, "pid": 60, "command": "/a/file"}]}, **more)


class Guest(FakeAgent):
    """Answers STATUS_REQ by LOOKS in turn, the last of them again and again."""

    def __init__(self, *looks):
        self.looks, self.asked = looks, []
        super().__init__(self.answer, b"OK 7\n")

    def answer(self, peer):
        frame = peer.recv()
        self.asked.append((frame.type, json.loads(frame.payload) if frame.payload else None))
        peer.send(codec.STATUS, self.looks[min(len(self.asked), len(self.looks)) - 1])
        peer.exit(0)


def lines_of(text):
    return [line for line in text.splitlines() if line]


FIRST = look(10000, cpu_us=1000, user_ms=100, idle_ms=100)
SECOND = look(12000, cpu_us=1001000, user_ms=1100, idle_ms=3100, stall_us=500000, disk=4096, network=8192)


def test_top_shows_the_difference_of_two_looks():
    with Guest(FIRST, SECOND) as guest:
        done = Ctl(guest.path).run("top", "-d", "1")
        assert done.code == 0 and len(guest.asked) == 2, done.text
    assert all(request == {"guest": True} for _, request in guest.asked)
    text = done.stdout.decode()
    assert "\033" not in text
    lines = lines_of(text)
    assert lines[0].split() == "Guest Linux 6.1.0, 2 CPUs, up 12 s".split()
    # 1000 ms of user and 3000 of idle; half a second in two of the guest's; 1 s of CPU in 2 s.
    assert "25.0% user" in lines[1] and "75.0% idle" in lines[1]
    assert "128 MiB of 512 MiB available" in lines[2] and "16 MiB of 64 MiB free" in lines[2]
    assert "CPU 25.0%" in lines[3]
    assert "disks 2.0 KiB read, 6.0 KiB written" in lines[4] and "network 4.0 KiB in, 0 B out" in lines[4]
    assert [line.split()[0] for line in lines[6:]] == ["4", "3", "6"], "who uses most comes first"
    assert lines[6].split()[4:7] == ["50.0%", "20", "MiB"] and lines[6].endswith("busy one")
    assert lines[7].split()[4] == "0.0%" and lines[8].split()[4:6] == ["-", "-"]


def test_top_shows_as_many_tables_as_were_asked_for():
    with Guest(FIRST, SECOND) as guest:
        text = Ctl(guest.path).ok("top", "-d", "1", "-n", "2").decode()
        assert len(guest.asked) == 3 and text.count("SESSION") == 2


def test_a_session_that_began_between_two_looks_has_what_it_had():
    before = dict(FIRST, slots=[])
    with Guest(before, SECOND) as guest:
        assert "50.0%" in Ctl(guest.path).ok("top", "-d", "1").decode()


def test_a_counter_that_went_back_is_no_use_at_all():
    with Guest(SECOND, FIRST) as guest:
        done = Ctl(guest.path).run("top", "-d", "1")
        assert done.code == 0 and "-" in done.stdout.decode() and "e+" not in done.stdout.decode()


def test_top_of_an_older_agent_is_an_error_in_words():
    with Guest({"version": "0", "slots": []}) as guest:
        done = Ctl(guest.path).run("top")
        assert done.code == 1 and "too old" in done.text and len(guest.asked) == 1


@pytest.mark.parametrize("args", [("-d", "0"), ("-n", "0"), ("-d", "x"), ("operand",)])
def test_top_that_makes_no_sense_asks_nobody(args):
    with Guest(FIRST) as guest:
        assert Ctl(guest.path).run("top", *args).code == 2 and not guest.asked


def test_on_a_terminal_top_goes_on_until_q_and_leaves_it_as_it_was():
    with Guest(FIRST, SECOND) as guest, Terminal(Ctl(guest.path), "top", "-d", "60") as terminal:
        terminal.read_until(b"busy one")
        assert terminal.is_raw()
        # A blank does not wait for the minute to be over.
        terminal.type(b" ")
        terminal.read_until(b"50.0%")
        terminal.type(b"q")
        assert terminal.wait() == 0 and terminal.is_restored()
        assert terminal.output.rindex(b"\033[?25h") > terminal.output.rindex(b"\033[?25l"), "the cursor is back"


def test_ctrl_c_ends_top_and_leaves_the_terminal_as_it_was():
    with Guest(FIRST) as guest, Terminal(Ctl(guest.path), "top", "-d", "60") as terminal:
        terminal.read_until(b"busy one")
        terminal.type(b"\003")
        assert terminal.wait() == 0 and terminal.is_restored()


def test_no_more_sessions_are_shown_than_the_terminal_has_lines():
    many = dict(FIRST, slots=[{"kind": "exec", "session": n, "command": "number-%d." % n} for n in range(1, 100)])
    with Guest(many) as guest, Terminal(Ctl(guest.path), "top", "-d", "60", rows=20) as terminal:
        terminal.read_until(b"number-12.")
        terminal.type(b"q")
        assert terminal.wait() == 0
        assert terminal.output.count(b"\n") < 20 and b"number-13." not in terminal.output


@pytest.mark.parametrize("columns", [20, 60, 80, 120])
def test_no_line_is_longer_than_the_terminal_is_wide(columns):
    """One that is would have its end written over the last column."""
    guest = dict(SECOND, slots=[{"kind": "exec", "session": 1, "name": "ä" * 30, "command": "command " * 40}])
    with Guest(FIRST, guest) as agent, Terminal(Ctl(agent.path), "top", "-d", "60", columns=columns) as terminal:
        terminal.read_until(b"Guest")
        terminal.type(b" q")
        assert terminal.wait() == 0
    text = re.sub(r"\033\[\??[0-9]*[A-Za-z]", "", terminal.output.decode())
    lines = text.replace("\r", "").split("\n")
    assert max(map(len, lines)) <= columns and len(lines) > 8, lines
    if columns <= 60:
        assert "Per s     disks 2.0 KiB read, 6.0 KiB written; network 4.0 KiB in, 0 B out"[:columns] in lines


def test_the_time_between_two_looks_may_be_a_part_of_a_second():
    with Guest(FIRST, SECOND) as guest:
        assert "50.0%" in Ctl(guest.path).ok("top", "-d", "0.5").decode() and len(guest.asked) == 2
        assert Ctl(guest.path).run("top", "-d", "0.05").code == 2 and len(guest.asked) == 2


def test_what_the_guest_chose_does_nothing_to_the_terminal():
    evil = "\033]0;x\007\033[2J"
    bad = look(1, **{"slots": [{"kind": evil, "name": evil, "user": evil, "command": evil, "session": 1}]})
    bad["guest"]["kernel"] = evil
    with Guest(bad) as guest, Terminal(Ctl(guest.path), "top", "-d", "60") as terminal:
        terminal.read_until(b"AGE")
        terminal.type(b"q")
        assert terminal.wait() == 0 and b"\033]0" not in terminal.output and b"\007" not in terminal.output
    with Guest(bad) as guest:
        assert b"\033" not in Ctl(guest.path).ok("status")


def test_metrics_have_every_figure_of_the_guest():
    status = look(90500, cpu_us=1500000, user_ms=2500, idle_ms=3500, stall_us=250000, disk=512, network=7)
    status["guest"]["disks"].append({"name": "vda", "read_bytes": 1})
    status["slots"].append({"kind": "exec", "session": 4, "memory_bytes": 1})
    status["slots"][0]["name"] = 'a"b'
    with Guest(status) as guest:
        found = read_metrics(Ctl(guest.path).ok("status", "--prometheus").decode())
    wanted = {
        ("kernel_info", ("release", "6.1.0")): 1, ("system_uptime_seconds",): 90.5, ("cpus",): 2,
        ("cpu_seconds_total", ("mode", "user")): 2.5, ("cpu_seconds_total", ("mode", "idle")): 3.5,
        ("cpu_seconds_total", ("mode", "steal")): 0, ("memory_total_bytes",): 512 * MIB,
        ("memory_available_bytes",): 128 * MIB, ("swap_total_bytes",): 0, ("root_bytes",): 64 * MIB,
        ("root_free_bytes",): 16 * MIB, ("root_free_inodes",): 0,
        ("pressure_seconds_total", ("resource", "cpu"), ("share", "some")): 0.25,
        ("pressure_seconds_total", ("resource", "io"), ("share", "full")): 0,
        ("disk_read_bytes_total", ("disk", "vda")): 512, ("disk_written_bytes_total", ("disk", "vdb")): 1536,
        ("disk_busy_seconds_total", ("disk", "vda")): 0,
        ("network_received_bytes_total", ("interface", "eth0")): 7,
        ("network_sent_bytes_total", ("interface", "lo")): 99999 * 7,
        ("session_memory_bytes", ("session", "3"), ("name", 'a\\"b')): 40 * MIB,
        ("session_cpu_seconds_total", ("session", "4"), ("name", "")): 1.5,
    }
    for (name, *labels), value in wanted.items():
        assert found["vmm_guest_" + name, tuple(labels)] == value, name


def test_pressure_that_nobody_counts_is_no_metric():
    status = look(1)
    del status["guest"]["pressure"]
    with Guest(status) as guest:
        assert b"pressure" not in Ctl(guest.path).ok("status", "--prometheus")
        assert b"Pressure" not in Ctl(guest.path).ok("status")


def test_status_shows_the_guest_and_who_finds_a_session_does_not_ask_for_it(agent):
    ctl = Ctl(agent.path)
    text = ctl.ok("status").decode()
    assert "Linux " in text and "CPU time" in text and " free" in text
    assert "guest" in json.loads(ctl.ok("status", "--json"))
    with Guest(look(1)) as guest:
        Ctl(guest.path).ok("ps")
        assert guest.asked == [(codec.STATUS_REQ, None)]
