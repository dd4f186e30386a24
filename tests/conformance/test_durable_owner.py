# SPDX-License-Identifier: MIT
"""The worker that runs a durable session: its own connection, which is one reader of
several, what it keeps while nobody is there, and how the session ends."""

import os
import re
import signal
import socket
import time

import codec
import durable
import pytest
from agent import Agent, TimedOut, wait_until
from durable import sh, start

FORGETS_DURABLE = True
MIB = 1024 * 1024


@pytest.fixture
def name(request):
    """The name of a session that no other test has."""
    return request.node.name[5:][:64]


# ---- the connection that it was started on ------------------------------------------


def test_a_durable_session_ends_as_a_plain_one(agent, name):
    reader = sh(agent, "echo out; echo err >&2; cat; exit 7", name)
    reader.stdin(b"in\n")
    reader.eof()
    reader.finish()
    assert (reader.exit, reader.out, reader.err) == ((7, 0), b"out\nin\n", b"err\n")


def test_started_names_session_and_instance(agent, name):
    reader = start(agent, ["true"], name)
    assert reader.started["session"] > 0 and reader.started["pid"] > 0
    assert len(reader.started["instance"]) == 32 and int(reader.started["instance"], 16) >= 0
    assert reader.finish().exit == (0, 0)


def test_exited_is_reported_where_it_was_asked_for(agent, name):
    reader = sh(agent, "exit 3", name, report=True).finish()
    assert reader.event("exited")["code"] == 3 and reader.event("exited")["reason"] == "exited"
    assert sh(agent, "exit 3", name + "-2").finish().all_events("exited") == []


def test_all_output_comes_in_its_order(agent, name):
    size = 8 * MIB
    reader = start(agent, ["head", "-c", str(size), "/dev/zero"], name).finish()
    assert reader.exit == (0, 0) and len(reader.out) == size and not reader.lost


def test_a_name_is_given_back_before_the_host_hears_that_the_start_failed(agent, name):
    for _ in range(20):
        words = agent.run(["/nope"], name=name, durable={})
        assert words.code == 127 and "no such program" in words.text, words
    assert start(agent, ["true"], name).finish().exit == (0, 0)


def test_a_name_that_runs_is_refused(agent, name):
    reader = start(agent, ["cat"], name)
    words = durable.start_refused(agent, ["true"], name)
    assert words == "EEXIST: session '%s' is there (number %d, running)\n" % (name, reader.started["session"])
    reader.eof()
    reader.finish()
    assert durable.start_refused(agent, ["true"], name).endswith(", ended)\n")


def test_with_few_workers_there_are_no_durable_sessions():
    with Agent("--workers=3") as few:
        assert durable.start_refused(few, ["true"], "x").startswith("durable sessions are off: ")
        assert few.run(["true"], name="x").code == 0


# ---- while it goes, and after -------------------------------------------------------


def test_the_program_and_its_input_outlive_a_connection_that_closes(agent, name):
    reader = sh(agent, "read a; read b; echo $a$b; exit 5", name)
    reader.stdin(b"one\n")
    reader.close()
    durable.wait_alone(agent, name)
    with durable.attach(agent, name) as back:
        assert back.attached["stdin_bytes"] == 4 and back.attached["stdin_open"] and back.attached["running"]
        back.stdin(b"two\n")
        assert back.finish().exit == (5, 0) and back.out == b"onetwo\n"


def test_what_came_before_the_close_is_acted_on(agent, name, tmp_path):
    """More than the agent holds, for a program that does not read yet."""
    out = tmp_path / "out"
    reader = sh(agent, "trap 'echo usr1 >$1.usr1' USR1; echo up; while [ ! -e $1.go ]; do sleep 0.1; done; exec cat >$1",
                name, str(out))
    reader.read_until(b"up\n")
    reader.signal(signal.SIGUSR1)
    sent = os.urandom(8 * MIB)
    count = reader.conn.sock.send(codec.encode(codec.STDIN, sent)[:5])
    reader.conn.sock.settimeout(2)
    with pytest.raises(TimedOut):
        for at in range(0, len(sent), 4096):
            count = at + reader.conn.sock.send(sent[at:at + 4096])
    sent = sent[:count]
    assert MIB < len(sent) < 8 * MIB
    reader.close()
    wait_until(lambda: os.path.exists(f"{out}.usr1"), message="the signal")
    open(f"{out}.go", "w").close()
    wait_until(lambda: out.exists() and out.stat().st_size == len(sent), message="all of the input")
    assert out.read_bytes() == sent
    with durable.attach(agent, name) as back:
        assert back.attached["stdin_bytes"] == len(sent)
        back.eof()
        assert back.finish().exit == (0, 0)


def test_detach_is_answered_behind_the_input_and_the_connection_closes(agent, name):
    reader = sh(agent, "echo hello; cat; exit 9", name)
    reader.read_until(b"hello\n")
    reader.stdin(b"in")
    said = reader.detach()
    assert said["offset"] >= 6 and "why" not in said
    with durable.attach(agent, name, at=0) as back:
        assert back.attached["stdin_bytes"] == 2
        back.eof()
        assert back.finish().exit == (9, 0) and back.out == b"hello\nin"


def test_a_worker_without_its_connection_says_nothing_more_on_it(agent, name):
    """The supervisor has a duplicate of it, which would keep it open."""
    reader = start(agent, ["cat"], name)
    begun = time.monotonic()
    reader.detach()
    assert time.monotonic() - begun < 20 and reader.closed
    assert durable.sessions(agent)[name]["running"]


def test_a_frame_that_is_too_long_costs_the_connection_and_not_the_session(agent, name):
    reader = sh(agent, "read a; exit 4", name)
    reader.conn.send_raw(b"\x02\xff\xff\xff\xff")
    reader.finish()
    assert reader.event("detached")["why"].startswith("a frame was announced") and reader.exit is None
    with durable.attach(agent, name) as back:
        back.stdin(b"\n")
        assert back.finish().exit == (4, 0)


def test_a_host_whose_input_was_taken_is_a_spectator(agent, name):
    first = start(agent, ["cat"], name)
    first.stdin(b"1")
    first.read_until(b"1")
    with durable.attach(agent, name) as second:
        first.until_event("input_taken")
        first.stdin(b"x" * MIB)
        first.eof()
        first.signal(signal.SIGKILL)
        second.stdin(b"2")
        second.read_until(b"2")
        second.eof()
        assert second.finish().exit == (0, 0)
    assert first.finish().exit == (0, 0) and first.out == b"12"


# ---- who holds back, and who does not ------------------------------------------------


def test_a_holder_that_stands_still_leaves_the_program_as_much_as_is_kept(agent, name):
    reader = sh(agent, "head -c 8000000 /dev/zero", name, buffer_bytes=2 * MIB)
    wait_until(lambda: durable.sessions(agent)[name]["offset"] >= 2 * MIB - 65536, message="what is kept")
    time.sleep(0.5)
    assert durable.sessions(agent)[name]["running"]
    assert reader.finish().exit == (0, 0) and len(reader.out) == 8000000 and not reader.lost


@pytest.mark.parametrize("full", ["attached", "wait"])
def test_an_end_does_not_wait_for_a_host_that_stands_still(agent, name, full):
    """The last that it wrote is in its pipes when there is no room."""
    name = name.partition("[")[0][:50] + full
    size = 65536 + 65536 - 16384
    reader = sh(agent, "head -c $1 /dev/zero; head -c 60000 /dev/zero >&2; exit 6", name, str(size),
                buffer_bytes=65536, when_full=full)
    slot = durable.wait_ended(agent, name, served=True)
    assert slot["offset"] == size + 60000
    assert reader.finish().exit == (6, 0)
    assert (len(reader.out), len(reader.err), reader.lost) == (size, 60000, [])


# ---- how it ends ----------------------------------------------------------------------


def test_a_session_that_is_alone_for_its_time_is_abandoned(agent, name):
    reader = sh(agent, "trap 'echo hup; exit 3' HUP; echo up; while :; do sleep 0.1; done", name, alone_seconds=1)
    reader.read_until(b"up\n")
    time.sleep(1.5)
    assert durable.sessions(agent)[name]["running"]
    reader.close()
    durable.wait_ended(agent, name)
    with durable.attach(agent, name, at=0, report=True) as back:
        back.finish()
        assert (back.exit, back.out) == ((3, 0), b"up\nhup\n")
        assert back.event("exited")["reason"] == "abandoned"


def test_whoever_comes_in_time_has_the_time_alone_begin_anew(agent, name):
    start(agent, ["sleep", "600"], name, alone_seconds=8).close()
    for _ in range(3):
        time.sleep(3)
        durable.attach(agent, name, input=False).close()
    assert durable.sessions(agent)[name]["running"]
    assert durable.wait_ended(agent, name)["signal"] in (signal.SIGHUP, signal.SIGKILL)


def test_what_is_abandoned_in_wait_ends_though_nobody_acknowledges(agent, name):
    sh(agent, "head -c 10000000 /dev/zero", name, buffer_bytes=65536, when_full="wait", alone_seconds=1).close()
    slot = durable.wait_ended(agent, name)
    assert slot["offset"] >= 65536


def test_timeout_and_kill_end_it_as_any(agent, name):
    reader = start(agent, ["sleep", "600"], name, report=True, members={"timeout_seconds": 1}).finish()
    assert reader.exit == (137, 9) and reader.event("exited")["reason"] == "timeout"
    reader = start(agent, ["sleep", "600"], name + "2", report=True)
    reader.close()
    assert agent.request(codec.KILL, {"session": reader.started["session"], "signal": 9}).code == 0
    assert durable.wait_ended(agent, name + "2")["signal"] == 9


@pytest.mark.ends_agent
def test_an_agent_that_is_told_to_stop_ends_it(start_agent, name):
    agent = start_agent("--workers=6")
    reader = sh(agent, "trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done", name, report=True)
    reader.read_until(b"up\n")
    agent.process.send_signal(signal.SIGTERM)
    reader.finish()
    assert reader.exit == (7, 0) and reader.event("exited")["reason"] == "shutdown"


def test_a_worker_that_is_told_to_leave_does_so_after_the_end(start_agent, name):
    agent = start_agent("--workers=6")
    start(agent, ["cat"], name).close()
    owner = durable.owner_pid(agent, name)
    agent.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(set(agent.worker_pids()) - {owner}) >= 5, message="new workers")
    time.sleep(0.3)
    assert owner in agent.worker_pids() and durable.sessions(agent)[name]["running"]
    with durable.attach(agent, name) as back:
        back.eof()
        assert back.finish().exit == (0, 0)
    wait_until(lambda: owner not in agent.worker_pids(), message="the worker has left")


def test_a_host_that_takes_nothing_more_is_read_for_what_it_had_sent(agent, name):
    reader = sh(agent, "read a; echo x; read b; echo $a$b; exit 2", name)
    reader.conn.sock.shutdown(socket.SHUT_RD)
    reader.stdin(b"one\n")
    wait_until(lambda: durable.sessions(agent)[name]["attached"] == 0, message="it has left")
    with durable.attach(agent, name, at=0) as back:
        assert back.attached["stdin_bytes"] == 4
        back.stdin(b"two\n")
        assert back.finish().exit == (2, 0) and back.out == b"x\nonetwo\n"
    reader.close()


# ---- whose memory it is ---------------------------------------------------------------------


def journals_in_memory(pid):
    """[(rights, flags)] of what PID has mapped of journals."""
    with open("/proc/%d/smaps" % pid) as smaps:
        return re.findall(r"^\S+ (\S+) \S+ \S+ \d+ +/memfd:journal[^\n]*$.*?^VmFlags: ([^\n]*)$", smaps.read(), re.M | re.S)


def test_a_sessions_output_is_in_the_memory_of_its_worker_alone_and_in_no_core_dump(agent, name):
    with sh(agent, "echo out; cat", name) as holder, durable.attach(agent, name, input=False) as reader:
        holder.read_until(b"out\n")
        reader.read_until(b"out\n")
        owner = durable.owner_pid(agent, name)
        (rights, flags), = journals_in_memory(owner)
        assert rights == "rw-s" and "dd" in flags.split(), (rights, flags)
        others = [agent.pid, *agent.worker_pids()]
        others.remove(owner)
        assert [pid for pid in others if journals_in_memory(pid)] == []
        holder.eof()
        assert holder.finish().exit == reader.finish().exit == (0, 0)
    wait_until(lambda: not journals_in_memory(owner), message="it is given back")
