# SPDX-License-Identifier: MIT
"""ATTACH: what is refused and how, where a reader begins, what it is told, and how it ends;
and what a reader costs while nothing happens."""

import os
import re
import signal
import struct
import time

import pytest

import codec
import durable
from agent import wait_until
from traces import Trace, name_of

AGENT_OPTIONS = ("--workers=16", "--log=debug")
FORGETS_DURABLE = True


@pytest.fixture
def ended(agent):
    """A session that is over, of which 65536 + 256 KiB bytes at most are left."""
    durable.sh(agent, "head -c 1000000 /dev/zero | tr '\\0' x", "ended", buffer_bytes=65536, when_full="drop").finish()
    return agent


# ---- what is refused ------------------------------------------------------------------


def test_no_session_of_that_name_or_number_is_esrch(agent):
    assert durable.refused(agent, "nobody") == "ESRCH: there is no durable session 'nobody'\n"
    assert durable.refused(agent, session=77777) == "ESRCH: there is no durable session 77777\n"


def test_a_plain_session_is_none_to_attach_to(agent):
    with agent.start(["sleep", "600"], name="plain", report=True) as conn:
        conn.expect(codec.STATUS)
        slot, = [slot for slot in agent.status()["slots"] if slot.get("name") == "plain"]
        assert durable.refused(agent, "plain").startswith("ESRCH: ")
        assert durable.refused(agent, session=slot["session"]).startswith("ESRCH: ")


@pytest.mark.parametrize("members", [
    {}, {"name": "x", "session": 1}, {"name": "x", "at": 1, "tail": 1}, {"name": ""}, {"name": "a b"},
    {"name": "x" * 65}, {"session": -1}, {"session": "1"}, {"name": "x", "input": 1}, {"name": "x", "at": -1}])
def test_what_is_no_attach_is_einval(agent, members):
    assert durable.refused(agent, **members).startswith("EINVAL: bad ATTACH: ")


def test_bad_json_is_refused_in_words(agent):
    for kind, name in ((codec.ATTACH, "ATTACH"), (codec.FORGET, "FORGET")):
        words = durable.refusal(durable.request(agent, kind, b'{"name"').result())
        assert words.startswith("EINVAL: bad %s: JSON: " % name)


def test_from_beyond_the_end_is_erange_and_at_the_end_is_not(ended):
    assert durable.refused(ended, "ended", at=1000001) == "ERANGE: offset 1000001 is beyond the end, which is 1000000\n"
    reader = durable.attach(ended, "ended", at=1000000).finish()
    assert (reader.attached["offset"], reader.attached["lost"]) == (1000000, 0)
    assert reader.data == b"" and reader.exit == (0, 0)


def test_a_refused_attach_takes_the_input_from_nobody(agent):
    with durable.start(agent, ["cat"], "kept") as holder:
        durable.refused(agent, "kept", at=1)
        durable.refused(agent, "kept", instance="0" * 32)
        holder.stdin(b"x")
        holder.read_until(b"x")
        assert not holder.all_events("input_taken")
        assert durable.sessions(agent)["kept"]["attached"] == 1


# ---- where it begins ---------------------------------------------------------------------


def test_by_default_it_begins_with_the_oldest_byte_there_is(ended):
    reader = durable.attach(ended, "ended").finish()
    first = reader.attached["offset"]
    assert reader.attached["lost"] == first and 0 < first <= 1000000 - 65536
    assert reader.data == b"x" * (1000000 - first)


def test_what_was_asked_for_and_is_not_there_is_lost_to_the_byte(ended):
    oldest = durable.attach(ended, "ended", input=False).finish().attached["offset"]
    for at in (0, 1, oldest - 1, oldest, oldest + 1, 999999):
        reader = durable.attach(ended, "ended", at=at).finish()
        assert reader.attached["offset"] == max(at, oldest) and not reader.lost
        assert reader.attached["lost"] == max(oldest - at, 0)
        assert reader.offset == 1000000


def test_tail_counts_from_the_end(ended):
    for tail, lost in ((0, 0), (1, 0), (65536, 0), (1 << 60, None)):
        reader = durable.attach(ended, "ended", tail=tail).finish()
        if lost is None:
            lost = reader.attached["offset"]
        assert reader.attached["lost"] == lost
        assert len(reader.data) == min(tail, 1000000 - reader.attached["offset"])


def test_attached_says_what_the_session_is(agent):
    with durable.start(agent, ["cat"], "pipes") as holder:
        holder.stdin(b"four")
        holder.read_until(b"four")
        there = durable.attach(agent, "pipes", input=False).attached
        assert there == {
            "event": "attached", "session": holder.started["session"], "name": "pipes",
            "instance": agent.status()["instance"], "offset": 0, "lost": 0, "stdin_bytes": 4, "stdin_open": True,
            "running": True, "tty": False, "columns": 0, "rows": 0}
        holder.eof()
        holder.finish()
    there = durable.attach(agent, session=holder.started["session"], at=4).attached
    assert (there["running"], there["stdin_open"], there["stdin_bytes"], there["offset"]) == (False, False, 4, 4)


def test_attached_comes_first_and_exit_last(agent):
    durable.sh(agent, "echo out; echo err >&2; exit 9", "order").finish()
    conn = durable.request(agent, codec.ATTACH, {"name": "order", "report": True})
    kinds = [frame.type for frame in conn.result().frames]
    assert kinds[0] == codec.STATUS and kinds[-2:] == [codec.STATUS, codec.EXIT]
    assert sorted(kinds[1:-2]) == [codec.STDOUT, codec.STDERR]


# ---- what it may send ----------------------------------------------------------------------


def test_frames_that_it_does_not_know_are_skipped(agent):
    durable.start(agent, ["cat"], "skips").close()
    with durable.attach(agent, "skips") as reader:
        for kind in (codec.START, codec.FORGET, 0x3f, 0x4e, 0xff):
            reader.send(kind, b"y" * 100000)
        reader.send(codec.RESIZE, b"\1")
        reader.send(codec.SIGNAL, struct.pack("<i", 99))
        reader.send(codec.OUTPUT_ACK, b"\0" * 7)
        reader.send(codec.STDIN)
        reader.stdin(b"x")
        reader.eof()
        reader.finish()
        assert reader.data == b"x" and reader.exit == (0, 0)


@pytest.mark.parametrize("wants_input", [True, False])
def test_a_frame_above_the_limit_ends_the_connection_and_not_the_session(agent, wants_input):
    durable.start(agent, ["cat"], "limit").close()
    reader = durable.attach(agent, "limit", input=wants_input)
    reader.conn.send_raw(struct.pack("<BI", codec.STDIN, 16777217) + b"x" * 100)
    reader.finish()
    assert reader.exit is None and "more bytes" in reader.event("detached")["why"]
    with durable.attach(agent, "limit") as again:
        assert again.attached["stdin_bytes"] == 0
        again.stdin(b"y")
        again.read_until(b"y")


def test_two_eofs_on_a_terminal_are_two(agent):
    durable.sh(agent, "stty -echo; echo ready; cat; echo one; cat; echo two", "eofs", tty=True).close()
    with durable.attach(agent, "eofs", at=0) as reader:
        reader.read_until(b"ready")
        reader.eof()
        reader.stdin(b"a\n")
        reader.eof()
        reader.finish()
        assert reader.out.replace(b"\r", b"") == b"ready\none\na\ntwo\n" and reader.exit == (0, 0)


# ---- how it ends ------------------------------------------------------------------------------


@pytest.mark.parametrize("wants_input", [True, False])
def test_detach_says_where_to_go_on(agent, wants_input):
    durable.sh(agent, "seq 1 5; exec cat", "leaves").close()
    with durable.attach(agent, "leaves", at=0, input=wants_input) as reader:
        reader.read_until(b"5\n")
        assert reader.detach() == {"event": "detached", "offset": 10}
    with durable.attach(agent, "leaves", at=10) as reader:
        reader.stdin(b"x")
        reader.read_until(b"x")
        assert reader.data == b"x"


def test_nothing_behind_detach_is_acted_on(agent):
    durable.start(agent, ["cat"], "behind").close()
    reader = durable.attach(agent, "behind")
    reader.conn.send_raw(codec.encode(codec.STDIN, b"before") + codec.encode(codec.DETACH) +
                         codec.encode(codec.STDIN, b"behind") + codec.encode(codec.EOF))
    reader.finish()
    assert reader.event("detached") and reader.exit is None
    with durable.attach(agent, "behind", at=0) as reader:
        assert reader.attached["stdin_bytes"] == 6 and reader.attached["stdin_open"] is True
        reader.eof()
        assert reader.finish().data == b"before"


@pytest.mark.parametrize("wants_input", [True, False])
def test_half_close_is_a_detach(agent, wants_input):
    durable.start(agent, ["cat"], "half").close()
    reader = durable.attach(agent, "half", input=wants_input)
    reader.conn.half_close()
    reader.finish()
    assert reader.event("detached") == {"event": "detached", "offset": 0} and reader.exit is None
    durable.wait_alone(agent, "half")


def test_a_host_that_closes_lets_the_program_go_on_writing(agent):
    """It has not read what the program waits for it to read; nor does that read its input
    before it has written."""
    holder = durable.sh(agent, "read go; head -c 3000000 /dev/zero; exec wc -c >&2", "deadlock", buffer_bytes=65536)
    holder.stdin(b"go\n")
    wait_until(lambda: durable.sessions(agent)["deadlock"]["offset"] > 65536, message="it writes")
    holder.close()
    durable.wait_offset(agent, "deadlock", 3000000)
    holder = durable.sh(agent, "read go; head -c 3000000 /dev/zero; exec wc -c >&2", "again", buffer_bytes=65536)
    reader = durable.attach(agent, "again")
    reader.stdin(b"go\n")
    data = b"".join(codec.encode(codec.STDIN, bytes(60000)) for _ in range(10))
    reader.conn.send_raw(data)
    reader.send(codec.EOF)
    reader.close()
    holder.finish()
    assert holder.err == b"600000\n" and holder.exit == (0, 0)


def test_a_reader_serves_on_when_its_worker_is_to_leave(agent):
    """HUP replaces all workers: those that serve leave when they have done so."""
    durable.start(agent, ["cat"], "hup").close()
    with durable.attach(agent, "hup") as reader:
        pid = durable.reader_pid(agent, reader)
        agent.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(agent.worker_pids()) == 16 and durable.sessions(agent)["hup"]["running"],
                   message="the others are there")
        reader.stdin(b"still")
        reader.read_until(b"still")
        reader.eof()
        assert reader.finish().exit == (0, 0)
    wait_until(lambda: pid not in agent.worker_pids(), message="it leaves")


def test_a_worker_that_is_told_to_end_detaches_its_host(agent):
    with durable.start(agent, ["cat"], "term") as holder:
        reader = durable.attach(agent, "term", input=False)
        os.kill(durable.reader_pid(agent, reader), signal.SIGTERM)
        reader.finish()
        assert reader.event("detached")["why"] == "the agent is stopping" and reader.exit is None
        holder.stdin(b"x")
        holder.read_until(b"x")
        wait_until(lambda: len(agent.worker_pids()) == 16, message="another in its place")


# ---- places -----------------------------------------------------------------------------------


def test_spectators_have_places_of_their_own(start_agent):
    """Of eight workers two for those who look on."""
    agent = start_agent("--workers=8", "--log=debug")
    durable.start(agent, ["cat"], "looked-at").close()
    with durable.attach(agent, "looked-at", input=False), durable.attach(agent, "looked-at", input=False) as second:
        assert durable.refused(agent, "looked-at", input=False).startswith("busy: ")
        # Its holder has one laid by, and who held the input needs one.
        holder = durable.attach(agent, "looked-at")
        newer = durable.attach(agent, "looked-at")
        holder.finish()
        assert holder.events[-2:] == [{"event": "input_taken"},
                                      {"event": "detached", "offset": 0, "why": "no place"}]
        second.detach()
        newer.stdin(b"x")
        newer.read_until(b"x")
        newest = durable.attach(agent, "looked-at", at=0)
        newer.until_event("input_taken")
        newest.stdin(b"y")
        newer.read_until(b"y")
        for reader in (newer, newest):
            reader.close()
    durable.forget_all(agent)


# ---- what it costs ---------------------------------------------------------------------------


def test_an_idle_reader_asks_the_kernel_for_nothing(agent):
    """Not even where the session's owner has much to do for another."""
    with durable.start(agent, ["cat"], "idle"), durable.attach(agent, "idle", input=False) as one, \
            durable.attach(agent, "idle") as two:
        pids = [slot["pid"] for slot in durable.readers(agent, one.attached["session"])]
        two.stdin(b"x")
        for reader in (one, two):
            reader.read_until(b"x")
        agent.settle()
        with Trace(pids, "all") as trace:
            time.sleep(1)
        # What the trace itself interrupts is begun again.
        assert all(name_of(call) in ("ppoll", "restart_syscall") for calls in trace.calls().values() for call in calls)
        assert all(len(calls) <= 2 for calls in trace.calls().values()), trace.calls()


def test_a_reader_whose_host_takes_nothing_costs_the_owner_no_bell(agent):
    """It could not send what it would be woken for."""
    script = "read go; head -c 3000000 /dev/zero; echo done; exec cat"
    with durable.sh(agent, script, "bells", when_full="drop") as holder, \
            durable.attach(agent, "bells", input=False) as slow:
        holder.stdin(b"go\n")
        holder.read_until(b"done\n")
        agent.settle()          # the other's worker has sent what it can
        owner = durable.owner_pid(agent, "bells")
        with Trace(owner, "pidfd_send_signal") as trace:
            for i in range(100):
                holder.stdin(b"%d;" % i)
                holder.read_until(b"%d;" % i)
        assert trace.calls()[owner] == []
        slow.read_until(b"99;")
        assert slow.lost


def test_ps_and_status_show_who_is_attached_to_what(agent):
    with durable.start(agent, ["cat"], "shown") as holder, durable.attach(agent, "shown", input=False) as reader:
        slot, = durable.readers(agent, holder.started["session"])
        assert (slot["kind"], slot["attached_to"]) == ("attach", reader.attached["session"])
        assert slot["command"] == "shown" and slot["session"] != slot["attached_to"]
        with open("/proc/%d/cmdline" % slot["pid"]) as title:
            assert re.search(r"worker \d+: attach", title.read())
        assert durable.sessions(agent)["shown"]["attached"] == 2
