# SPDX-License-Identifier: MIT
"""CLOCK_SYNC and STATUS_REQ.

The clock is this machine's own: it is set only to the time that it has, and
only a few times."""

import os
import time

import pytest

import codec
from agent import wait_until
from faults import mounted
from answers import control_failed
from traces import Trace, times_set


@pytest.mark.parametrize("length", [0, 1, 4, 8, 11])
def test_clock_sync_under_12_bytes_is_an_error(agent, length):
    control_failed(agent.request(codec.CLOCK_SYNC, codec.clock_sync(2**31, 0)[:length]))


@pytest.mark.parametrize("seconds,nanoseconds", [(-1, 2**32 - 1), (-2**63, 2**32 - 1), (-5, 10**9)])
def test_clock_sync_to_what_is_no_time_is_an_error(agent, seconds, nanoseconds):
    control_failed(agent.request(codec.CLOCK_SYNC, codec.clock_sync(seconds, nanoseconds)))


def test_a_failed_clock_sync_leaves_its_reason_in_the_log(agent):
    start = len(agent.log())
    control_failed(agent.request(codec.CLOCK_SYNC, b"short"))
    wait_until(lambda: "clock" in agent.log()[start:].lower(), message="a line about the clock")


@pytest.mark.parametrize("entropy", [b"", os.urandom(64), os.urandom(4000)],
                         ids=["as_h1_and_h2", "64_bytes_of_entropy", "4000_bytes_of_entropy"])
def test_clock_sync_sets_the_clock_and_answers_exit_0_alone(agent, entropy):
    before = agent.status()["clock_syncs"]
    with Trace(agent.worker_pids(), "clock_settime") as trace:
        seconds, nanoseconds = divmod(time.time_ns(), 10**9)
        result = agent.request(codec.CLOCK_SYNC, codec.clock_sync(seconds, nanoseconds, entropy))
    assert [f.type for f in result.frames] == [codec.EXIT]
    assert codec.exit_status(result.frames[0].payload) == (0, 0)
    assert times_set(trace) == [(seconds, nanoseconds)]
    assert agent.status()["clock_syncs"] == before + 1


# ---- STATUS -------------------------------------------------------------------

NUMBERS = {
    None: ("protocol", "pid", "uptime_ms", "boot_ms", "clock_syncs", "shm_bytes", "max_file_bytes"),
    "workers": ("configured", "idle", "exec", "file", "control", "reserved"),
    "sessions": ("started", "exited", "signaled", "timeouts", "oom", "refused", "bad_requests", "stalled"),
    "worker_deaths": ("total", "last_signal", "last_unix_ms"),
}


@pytest.mark.parametrize("group", NUMBERS)
def test_status_has_every_number_of_the_contract(agent, group):
    status = agent.status()
    part = status if group is None else status[group]
    for name in NUMBERS[group]:
        assert isinstance(part[name], (int, float)) and part[name] >= 0, (name, part)


def test_status_shows_what_an_ended_session_left_in_dev_shm(start_agent, monkeypatch, tmp_path):
    mounted(monkeypatch, tmp_path, "mount -t tmpfs -o size=64M none /dev/shm")
    agent = start_agent("--workers=4")
    before = agent.status()["shm_bytes"]
    assert agent.sh("head -c 5000000 /dev/zero >/dev/shm/left").code == 0
    there = agent.status()["shm_bytes"]
    assert 5000000 <= there - before < 6000000
    # Whatever stands over it by now.
    assert agent.sh("mount -t tmpfs none /dev/shm").code == 0
    assert agent.status()["shm_bytes"] == there
    assert agent.sh("umount /dev/shm && rm /dev/shm/left").code == 0
    assert agent.status()["shm_bytes"] == before


def test_status_tells_the_largest_file_in_bytes(start_agent):
    assert start_agent("--workers=4", "--max-file-mib=3").status()["max_file_bytes"] == 3 << 20


def test_status_is_one_frame_then_exit_0(agent):
    result = agent.request(codec.STATUS_REQ)
    assert [f.type for f in result.frames] == [codec.STATUS, codec.EXIT] and result.code == 0


def ask_for_guest(agent):
    result = agent.request(codec.STATUS_REQ, {"guest": True})
    assert result.code == 0 and len(result.statuses) == 1, result
    return result.statuses[0]


def test_figures_of_the_guest_are_told_to_who_asks_for_them(agent):
    """They are this machine's: what its kernel says before and after lies around what the agent says."""
    assert "guest" not in agent.status()
    assert "guest" not in agent.request(codec.STATUS_REQ, {"guest": False}).statuses[0]
    with open("/proc/meminfo") as meminfo:
        total = next(int(line.split()[1]) * 1024 for line in meminfo if line.startswith("MemTotal"))

    def user_ms():
        with open("/proc/stat") as stat:
            return int(stat.readline().split()[1]) * 10

    before = user_ms()
    guest = ask_for_guest(agent)["guest"]
    assert before <= guest["cpu"]["user_ms"] <= user_ms()
    assert guest["kernel"] == os.uname().release
    assert guest["cpus"] == os.sysconf("SC_NPROCESSORS_ONLN")
    assert guest["memory"]["total_bytes"] == total
    assert 0 < guest["memory"]["available_bytes"] <= total
    assert guest["root"]["total_bytes"] == os.statvfs("/").f_blocks * os.statvfs("/").f_frsize
    assert "lo" in [link["name"] for link in guest["network"]]


def test_what_the_guest_counts_only_rises(agent):
    def counted():
        guest = ask_for_guest(agent)["guest"]
        return [guest["uptime_ms"], guest["cpu"]["user_ms"], *(guest.get("pressure") or {}).values()]

    first = counted()
    assert all(later >= earlier for earlier, later in zip(first, counted()))


def test_status_req_that_cannot_be_read_is_refused(agent):
    for payload in (b"{", b"[]", b'{"guest":1}', b'{"guest":null}'):
        control_failed(agent.request(codec.STATUS_REQ, payload))
    # A member that nobody knows is ignored.
    assert agent.request(codec.STATUS_REQ, {"nothing": 1}).code == 0


def test_figures_cost_no_system_call_where_nobody_asked(start_agent):
    """The usual STATUS opens no file, but for json-c before 0.16, which begins with a seed."""
    agent = start_agent("--workers=2")

    def opened(payload):
        with Trace(agent.worker_pids(), "open,openat,openat2") as trace:
            agent.request(codec.STATUS_REQ, payload)
        return len([call for calls in trace.calls().values() for call in calls if "/dev/urandom" not in call])

    assert opened(b"") == 0
    assert opened({"guest": True}) >= 4


def test_status_says_who_it_is(agent):
    status = agent.status()
    assert status["protocol"] == 1 and status["pid"] == agent.pid
    assert isinstance(status["version"], str) and status["version"]
    assert "by_signal" in status["worker_deaths"]
    assert status["workers"]["configured"] == len(agent.worker_pids())


def test_status_names_the_frames_that_are_served(agent):
    """All that a host may send, by the names of the contract."""
    features = agent.status()["features"]
    assert len(features) == len(set(features))
    assert set(features) == {
        "START", "STDIN", "RESIZE", "EOF", "CLOCK_SYNC", "NET_RECONFIG", "SIGNAL", "WAIT_PORT",
        "STATUS_REQ", "SHUTDOWN", "CONNECT", "RESTORED", "KILL", "FILE_WRITE_REQ", "FILE_READ_REQ",
        "FILE_STAT_REQ", "FILE_LIST_REQ", "FILE_MKDIR_REQ", "FILE_REMOVE_REQ", "FILE_MOVE_REQ",
        "FILE_WATCH_REQ", "FILE_SYMLINK_REQ", "FILE_SET_REQ", "ATTACH", "DETACH", "FORGET", "QUIESCE",
        "THAW", "OUTPUT_ACK", "FILE_TREE_REQ", "FILE_LINK_REQ", "more", "hole"}


def test_status_counts_each_worker_once(agent, tmp_path):
    held = [agent.start(["sh", "-c", "echo up; exec cat"]) for _ in range(2)]
    for conn in held:
        conn.read_output(b"up\n")
    upload = agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "a")})

    def settled():
        """The upload has its place, and who answered the last look is idle again."""
        found = agent.status()
        counted = [found["workers"][kind] for kind in ("exec", "file", "control")]
        return found if counted == [2, 1, 1] else None

    status = wait_until(settled, message="two programs, an upload, and who tells of them")
    workers = status["workers"]
    assert workers["idle"] == workers["configured"] - 4
    assert sorted(s["kind"] for s in status["slots"]) == ["exec", "exec", "status", "write"]
    upload.send(codec.FILE_DONE)
    upload.result()
    for conn in held:
        conn.send(codec.EOF)
        conn.result()


def test_status_tells_of_each_slot_all_of_the_contract(agent):
    for slot in agent.status()["slots"]:
        assert {"kind", "session", "pid", "user", "command", "age_ms", "bytes_in", "bytes_out"} <= set(slot)


def test_boot_ms_is_the_time_until_it_listened(agent):
    status = agent.status()
    assert 0 < status["boot_ms"] < status["uptime_ms"]


def test_status_knows_a_running_session(agent):
    conn = agent.start(["sh", "-c", "echo $$; cat; " + ": " * 300], user="daemon")
    pid = int(conn.read_output(b"\n"))
    conn.send(codec.STDIN, b"x" * 1000)
    conn.read_output(b"x" * 1000)

    def own():
        slots = [s for s in agent.status()["slots"] if s.get("pid") == pid]
        assert len(slots) == 1, slots
        return slots[0]

    # A worker counts what it has sent after that has gone.
    wait_until(lambda: own()["bytes_out"] >= 1000, message="its output is counted")
    slot = own()
    assert slot["kind"] == "exec" and slot["user"] == "daemon" and slot["session"] > 0
    assert slot["command"].startswith("sh") and len(slot["command"].encode()) <= 256
    assert 0 <= slot["age_ms"] < 60000
    assert slot["bytes_in"] >= 1000
    conn.send(codec.EOF)
    conn.result()


def test_a_command_that_is_cut_stays_utf8(agent):
    """256 bytes end in the middle of a two-byte character."""
    for pad in ("", "x"):
        conn = agent.start(["sh", "-c", "echo up; exec cat", pad + "é" * 300])
        conn.read_output(b"up\n")
        assert any("é" in s["command"] for s in agent.status()["slots"])
        conn.send(codec.EOF)
        conn.result()


def test_counts_rise_with_what_happens(agent):
    def change(action):
        before = agent.status()["sessions"]
        action()
        after = agent.status()["sessions"]
        return {k: after[k] - before[k] for k in after if after[k] != before[k]}

    seen = change(lambda: agent.run(["true"]))
    assert seen["started"] == 1 and seen["exited"] == 1 and "signaled" not in seen
    seen = change(lambda: agent.sh("kill -9 $$"))
    assert seen["started"] == 1 and seen["signaled"] == 1
    seen = change(lambda: agent.run(["sleep", "9"], timeout_seconds=1))
    assert seen["timeouts"] == 1
    seen = change(lambda: agent.request(codec.START, b"{"))
    assert seen.get("bad_requests") == 1 and "started" not in seen


def test_session_numbers_are_never_given_twice(agent):
    seen = set()
    for _ in range(5):
        conn = agent.start(["sh", "-c", "echo $$; exec cat"])
        pid = int(conn.read_output(b"\n"))
        number = [s["session"] for s in agent.status()["slots"] if s.get("pid") == pid][0]
        assert number not in seen
        seen.add(number)
        conn.send(codec.EOF)
        conn.result()


def test_uptime_rises(agent):
    first = agent.status()["uptime_ms"]
    time.sleep(0.05)
    assert agent.status()["uptime_ms"] >= first + 40


def test_net_reconfig_that_cannot_be_read_is_exit_minus_1_and_changes_nothing(agent):
    """Only what can't be carried out: this is the machine's own network."""
    bad = [b"", b"{", b"[]", b"null", b"{}", b'{"ip":1,"netmask":2,"gateway":3}',
           b'{"ip":"a.b.c.d","netmask":"x","gateway":"y"}', b'{"ip":"300.1.1.1","netmask":"","gateway":""}',
           b'{"ip":"","netmask":"255.255.255.0","gateway":"10.0.0.1"}',
           b'{"ip":"10.0.0.1.2","netmask":"255.255.255.0","gateway":"10.0.0.1"}',
           b'{"ip":null,"netmask":"255.255.255.0","gateway":"10.0.0.1"}',
           b'{"netmask":"255.255.255.0","gateway":"10.0.0.1"}',
           b'{"ip":"10.0.0.1 ","netmask":"255.255.255.0","gateway":"10.0.0.1"}']
    with open("/proc/net/route") as f:
        before = f.read()
    for payload in bad:
        control_failed(agent.request(codec.NET_RECONFIG, payload))
    with open("/proc/net/route") as f:
        assert f.read() == before
