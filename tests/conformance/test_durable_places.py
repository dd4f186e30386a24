# SPDX-License-Identifier: MIT
"""What durable sessions may have of an agent: names, places, journals, memory; and who is
refused, in which words."""

import os
import signal
import time

import pytest

import codec
import durable
from agent import kill_hard, wait_until

AGENT_OPTIONS = ("--workers=16", "--log=debug")
FORGETS_DURABLE = True
MIB = 1 << 20


# ---- names ------------------------------------------------------------------------------


def test_name_of_a_plain_session_is_a_label_and_no_more(agent):
    conns = [agent.start(["sleep", "600"], name="label") for _ in range(3)]
    durable.start(agent, ["sleep", "600"], "label").close()     # it is in nobody's way either
    wait_until(lambda: [slot.get("name") for slot in agent.status()["slots"]].count("label") == 4, message="four")
    slots = [slot for slot in agent.status()["slots"] if slot.get("name") == "label"]
    assert [slot.get("durable") for slot in slots].count(True) == 1
    plain = [slot["session"] for slot in slots if not slot.get("durable")]
    for session in plain:
        assert durable.refused(agent, session=session).startswith("ESRCH: ")
        assert durable.forget(agent, session=session).code == 1
    os.kill(agent.pid, signal.SIGUSR1)
    agent.wait_log(", label\n")
    for session in plain:
        agent.request(codec.KILL, {"session": session, "signal": 9})
    for conn in conns:
        result = conn.result()
        assert result.code == 137 and not result.statuses, result


@pytest.mark.parametrize("name", ["a", "A-b_c.9", "x" * 64, ".", "-"])
def test_names_that_are_right(agent, name):
    assert durable.sh(agent, "echo x", name).finish().out == b"x\n"
    assert durable.sessions(agent)[name]["code"] == 0
    assert durable.attach(agent, name).finish().out == b"x\n"


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "a/b", "\u00e4", "a\n", "a:b"])
def test_names_that_are_wrong(agent, name):
    for members in ({}, {"durable": {}}):
        result = agent.run(["true"], name=name, **members)
        assert result.code == 125 and "member 'name'" in result.text, result
    assert "'name'" in durable.refused(agent, name)


@pytest.mark.parametrize("members", [
    {"durable": {}}, {"name": "x", "durable": {}, "detach": True}, {"name": "x", "durable": {"when_full": "never"}},
    {"name": "x", "durable": {"buffer_bytes": 65535}}, {"name": "x", "durable": {"keep_seconds": 0}},
    {"name": "x", "durable": {"buffer_bytes": 16 * MIB + 1}}, {"name": "x", "durable": {"keep_seconds": 604801}},
    {"name": "x", "durable": True}])
def test_what_does_not_go_together_is_refused_in_words(agent, members):
    result = agent.run(["true"], **members)
    assert durable.refusal(result).startswith("bad START: ")
    assert not durable.sessions(agent)


@pytest.mark.parametrize("members", [{}, {"name": "x", "session": 1}, {"name": "x", "from": 1, "tail": 1},
                                     {"name": "x", "from": -1}, {"session": "x"}, {"name": "x", "input": 1}])
def test_attach_that_makes_no_sense_is_refused_in_words(agent, members):
    durable.sh(agent, "exec sleep 600", "x").close()
    text = durable.refusal(durable.request(agent, codec.ATTACH, members).result())
    assert "EINVAL" in text or "bad ATTACH" in text, text


# ---- ATTACH: where it begins, and what it says ------------------------------------------


def settled_oldest(agent, name):
    """The oldest byte, once the owner has made room for what it may read next."""
    agent.settle()
    with durable.attach(agent, name, input=False) as reader:
        return reader.attached["offset"]


def test_attach_begins_where_it_was_asked_to(agent):
    text = b"0123456789" * 20000
    with durable.start(agent, ["cat"], "begin", buffer_bytes=65536) as holder:
        holder.stdin(text)
        holder.read_to(len(text))
        end = len(text)
        first = settled_oldest(agent, "begin")
        oldest = durable.attach(agent, "begin", input=False)
        assert oldest.attached["offset"] == first
        assert oldest.attached["lost"] == first and end - first >= 65536
        oldest.read_to(end)
        assert oldest.data == text[first:]
        for more, at, lost in [({"at": end - 7}, end - 7, 0), ({"at": end}, end, 0), ({"at": first}, first, 0),
                               ({"at": 0}, first, first), ({"at": first - 1}, first, 1), ({"tail": 0}, end, 0),
                               ({"tail": 10}, end - 10, 0), ({"tail": 1 << 63}, first, first),
                               ({"tail": end - first + 5}, first, 5)]:
            reader = durable.attach(agent, "begin", input=False, **more)
            assert (reader.attached["offset"], reader.attached["lost"]) == (at, lost), (more, reader.attached)
            reader.read_to(end)
            assert reader.data == text[at:], more
            reader.close()
            wait_until(lambda: len(durable.readers(agent, holder.started["session"])) < 2, message="it has gone")
        for at in (end + 1, (1 << 64) - 1):
            assert durable.refused(agent, "begin", at=at).startswith("ERANGE: ")


def test_attached_says_all_that_a_host_must_know(agent):
    start = durable.sh(agent, "echo x; exec cat", "all", tty=True, members={"tty_width": 91, "tty_height": 33})
    start.read_until(b"x\r\n")
    reader = durable.attach(agent, "all", input=False)
    assert reader.attached == {
        "event": "attached", "session": start.started["session"], "name": "all",
        "instance": start.started["instance"], "offset": 0, "lost": 0, "stdin_bytes": 0, "stdin_open": True,
        "running": True, "tty": True, "columns": 91, "rows": 33}
    slot, = durable.readers(agent, start.started["session"])
    assert slot["kind"] == "attach" and slot["attached_to"] == start.started["session"]
    with open("/proc/%d/cmdline" % slot["pid"]) as title:
        assert "attach" in title.read()
    assert durable.sessions(agent)["all"]["attached"] == 2
    reader.close()
    start.signal(9)
    start.finish()
    pipes = durable.sh(agent, "exit 3", "pipes").finish()
    ended = durable.attach(agent, "pipes")
    assert ended.attached == {
        "event": "attached", "session": pipes.started["session"], "name": "pipes",
        "instance": pipes.started["instance"], "offset": 0, "lost": 0, "stdin_bytes": 0, "stdin_open": False,
        "running": False, "tty": False, "columns": 0, "rows": 0} | {"stdin_open": ended.attached["stdin_open"]}
    assert ended.finish().exit == (3, 0)


def test_nobody_is_there_by_that_name_or_number(agent):
    for whom in ({"name": "nobody"}, {"session": 1 << 40}, {"session": 0}):
        assert durable.refused(agent, **whom).startswith("ESRCH: ")
        assert durable.forget(agent, **whom).code == 1


# ---- alone ---------------------------------------------------------------------------------


def test_who_is_alone_for_alone_seconds_is_ended_as_by_a_disconnect(agent):
    script = "trap 'echo hup; exit 7' HUP; echo up; while :; do sleep 0.05; done"
    with durable.sh(agent, script, "alone", alone_seconds=1) as start:
        start.read_until(b"up")
        time.sleep(1.5)         # its host is there
        assert durable.sessions(agent)["alone"]["running"]
    durable.wait_ended(agent, "alone")
    reader = durable.attach(agent, "alone", report=True).finish()
    assert reader.exit == (7, 0) and reader.out == b"up\nhup\n"
    assert reader.event("exited")["reason"] == "abandoned"


def test_who_ignores_that_is_killed_with_all_that_it_started(agent):
    script = "trap '' HUP; sleep 604 & echo $!; while :; do sleep 0.05; done"
    with durable.sh(agent, script, "stays", alone_seconds=1) as start:
        child = int(start.read_until(b"\n").out)
    durable.wait_ended(agent, "stays")
    reader = durable.attach(agent, "stays", report=True).finish()
    assert reader.exit == (137, 9) and reader.event("exited")["reason"] == "abandoned"
    wait_until(lambda: not os.path.exists("/proc/%d" % child), message="the child too")


def test_a_spectator_is_company_too_and_time_begins_anew_when_it_goes(agent):
    start = durable.sh(agent, "exec sleep 600", "company", alone_seconds=2)
    with durable.attach(agent, "company", input=False):
        start.close()           # not before: it would be alone for as long as an ATTACH takes
        time.sleep(3)
        assert durable.sessions(agent)["company"]["running"]
        begun = time.monotonic()
    durable.wait_ended(agent, "company")
    assert time.monotonic() - begun > 1.5


def test_by_default_nobody_need_be_there(agent):
    durable.sh(agent, "sleep 3; echo x", "default").close()
    durable.wait_ended(agent, "default")
    assert durable.attach(agent, "default").finish().out == b"x\n"


# ---- places -------------------------------------------------------------------------------------


def fill(agent, kind, payload, port=codec.EXEC_PORT, most=40):
    """Connections of this request until one is refused; and the words of that."""
    conns = []
    while len(conns) < most:
        conn = agent.connect(port)
        conn.send(kind, payload)
        frame = conn.recv()
        if frame.type in (codec.STDERR, codec.FILE_ERR):
            conn.close()
            return conns, frame.payload.decode()
        conns.append(conn)
    return conns, ""


@pytest.mark.parametrize("workers, looks", [(8, 2), (16, 4), (32, 8)])
def test_a_quarter_of_the_workers_may_look(start_agent, workers, looks):
    agent = start_agent("--workers=%d" % workers)
    durable.start(agent, ["cat"], "seen").close()
    durable.wait_alone(agent, "seen")
    spectators, words = fill(agent, codec.ATTACH, {"name": "seen", "input": False})
    assert len(spectators) == looks and words.startswith("busy: "), words
    watches, words = fill(agent, codec.FILE_WATCH_REQ, {"path": "/"}, codec.FILE_PORT)
    assert len(watches) == 0 and words.startswith("EBUSY: "), words
    with durable.attach(agent, "seen") as holder:
        holder.stdin(b"x")
        holder.read_until(b"x")
    for conn in spectators:
        conn.close()


@pytest.mark.parametrize("port, kind, payload", [
    (codec.EXEC_PORT, codec.ATTACH, {"name": "seen", "input": False}),
    (codec.FILE_PORT, codec.FILE_WATCH_REQ, {"path": "/"})])
def test_lookers_lock_no_program_out(start_agent, port, kind, payload):
    """While fewer than half of the workers' number of programs run."""
    agent = start_agent("--workers=16")
    durable.start(agent, ["cat"], "seen").close()
    lookers, _ = fill(agent, kind, payload, port)
    assert lookers
    programs, _ = fill(agent, codec.START, codec.start(["sleep", "600"], report=True))
    assert len(programs) + 1 >= 16 // 2
    for conn in programs + lookers:
        conn.close()


def test_a_durable_start_is_refused_where_its_holder_could_not_come_back(start_agent):
    """Every one that was taken can be attached to, all at once."""
    agent = start_agent("--workers=16")
    started, words = [], ""
    for i in range(20):
        conn = agent.connect()
        conn.send(codec.START, codec.start(["cat"], name="n%d" % i, durable={}))
        frame = conn.recv()
        if frame.type == codec.STDERR:
            words = frame.payload.decode()
            break
        started.append("n%d" % i)
        conn.close()
    assert words.startswith("busy: ") and len(started) >= 4, (words, started)
    holders = [durable.attach(agent, name) for name in started]
    for name, holder in zip(started, holders):
        holder.stdin(name.encode())
        holder.read_until(name.encode())
    assert agent.status()["workers"]["configured"] == 16        # a control request finds a worker
    for holder in holders:
        holder.eof()
        assert holder.finish().exit == (0, 0)


def test_former_holder_needs_a_look_place_or_goes(start_agent):
    agent = start_agent("--workers=8")
    durable.start(agent, ["cat"], "x").close()
    durable.wait_alone(agent, "x")
    spectator = durable.attach(agent, "x", input=False)
    watch = agent.file_connect(codec.FILE_WATCH_REQ, {"path": "/"})
    watch.expect(codec.FILE_ACK)
    old = durable.attach(agent, "x")
    new = durable.attach(agent, "x")
    old.finish()
    assert old.events[-1]["event"] == "detached" and old.events[-1]["why"] == "no place", old.events
    assert old.exit is None
    new.stdin(b"x")
    spectator.read_until(b"x")
    new.eof()
    new.finish()
    spectator.finish()
    assert new.exit == spectator.exit == (0, 0)
    watch.close()


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_with_few_workers_durable_is_refused_in_words(start_agent, workers):
    agent = start_agent("--workers=%d" % workers)
    text = durable.start_refused(agent, ["true"], "few")
    assert "workers" in text or "durable" in text, text
    assert agent.run(["echo", "x"], name="few").stdout == b"x\n"


@pytest.mark.ends_agent
def test_once_refuses_durable_in_words(start_agent):
    agent = start_agent("--once", ready="socket")
    assert "durable" in durable.start_refused(agent, ["true"], "once")
    assert agent.process.wait(30) == 0


# ---- journals ------------------------------------------------------------------------------------


def test_of_32_kept_ends_the_oldest_that_was_fetched_is_given_up_first(start_agent, tmp_path):
    agent = start_agent("--workers=8")

    def end_alone(name, code):
        """Its host has left before it ends, and has not fetched that."""
        left = tmp_path / name
        script = "until test -e %s; do sleep 0.02; done; exit %d" % (left, code)
        durable.sh(agent, script, name, buffer_bytes=65536).close()
        left.touch()

    for i in range(32):
        end_alone("n%d" % i, i)
        durable.wait_ended(agent, "n%d" % i)
    assert len(durable.sessions(agent)) == 32
    text = durable.start_refused(agent, ["true"], "more")
    assert text.strip() == "busy: 32 durable sessions are kept"
    for i in (20, 7, 9):
        assert durable.attach(agent, "n%d" % i).finish().exit == (i, 0)
    wait_until(lambda: not [s for s in agent.status()["slots"] if s["kind"] == "attach"], message="all have gone")
    for given_up in (7, 9, 20):
        name = "after-%d" % given_up
        end_alone(name, 0)
        there = durable.sessions(agent)
        assert "n%d" % given_up not in there and len(there) == 32, (given_up, sorted(there))
        durable.wait_ended(agent, name)
    assert durable.start_refused(agent, ["true"], "more").startswith("busy: 32 ")
    for name in durable.sessions(agent):
        assert durable.forget(agent, name).code == 0
    assert durable.sh(agent, "exit 0", "more").finish().exit == (0, 0)


def test_an_end_that_its_own_host_got_whole_is_fetched(start_agent):
    agent = start_agent("--workers=8")
    for i in range(32):
        assert durable.sh(agent, "exit 0", "n%d" % i, buffer_bytes=65536).finish().exit == (0, 0)
    assert durable.sh(agent, "exit 0", "more", buffer_bytes=65536).finish().exit == (0, 0)
    assert "n0" not in durable.sessions(agent) and "n1" in durable.sessions(agent)


def test_journals_hold_no_more_than_journals_mib(start_agent):
    agent = start_agent("--workers=16", "--journals-mib=8")
    readers = []
    for i in range(9):
        result = agent.connect()
        result.send(codec.START, codec.start(["cat"], name="n%d" % i, durable={"buffer_bytes": 2 * MIB}))
        frame = result.recv()
        if frame.type == codec.STDERR:
            assert frame.payload.startswith(b"busy: journals hold "), frame
            result.close()
            break
        readers.append(result)
    else:
        raise AssertionError("nobody was refused")
    assert 2 <= len(readers) <= 4
    readers.pop().close()
    name = "n%d" % len(readers)
    with durable.attach(agent, name) as holder:
        holder.eof()
        holder.finish()
    assert durable.forget(agent, name).code == 0
    wait_until(lambda: agent.run(["true"], name="room", durable={"buffer_bytes": MIB}).code == 0, message="room")
    for conn in readers:
        conn.close()


def test_no_journals_no_durable_sessions_and_all_else_goes_on(start_agent):
    agent = start_agent("--workers=4", "--journals-mib=0")
    text = durable.start_refused(agent, ["true"], "none")
    assert len(text) > 10, text
    assert agent.run(["echo", "x"]).stdout == b"x\n"
    assert durable.refused(agent, "none").startswith("ESRCH: ")
    assert durable.forget(agent, "none").code == 1


# ---- workers that leave ---------------------------------------------------------------------------


def test_hup_and_recycle_wait_for_the_end_of_a_durable_session(start_agent):
    agent = start_agent("--workers=8", "--recycle=1")
    durable.start(agent, ["cat"], "stays").close()
    durable.wait_alone(agent, "stays")
    owner = durable.owner_pid(agent, "stays")
    before = set(agent.worker_pids())
    os.kill(agent.pid, signal.SIGHUP)
    wait_until(lambda: not (before - {owner}) & set(agent.worker_pids()), message="all others are new")
    with durable.attach(agent, "stays") as holder:
        holder.stdin(b"x")
        holder.read_until(b"x")
        assert durable.owner_pid(agent, "stays") == owner
        holder.eof()
        assert holder.finish().exit == (0, 0)
    wait_until(lambda: owner not in agent.worker_pids(), message="it leaves behind its end")
    assert durable.attach(agent, "stays").finish().out == b"x"


@pytest.mark.kills_workers
def test_places_of_readers_and_owners_that_died_are_free_again(agent):
    for turn in range(4):
        name = "dead-%d" % turn
        durable.start(agent, ["cat"], name).close()
        readers = [durable.attach(agent, name, input=i == 0) for i in range(4)]
        kill_hard(durable.owner_pid(agent, name), *[slot["pid"] for slot in durable.readers(
            agent, readers[0].attached["session"])])
        for reader in readers:
            reader.finish()
        wait_until(lambda: len(agent.worker_pids()) == 16, message="all workers")
    assert agent.status()["workers"]["exec"] == 0


# ---- a host that says what makes no sense ------------------------------------------------------------


def test_frames_that_a_session_does_not_know_are_skipped_by_all_readers(agent):
    start = durable.start(agent, ["cat"], "odd")
    reader = durable.attach(agent, "odd")
    for one in (start, reader):
        for kind in (codec.START, codec.ATTACH, codec.FORGET, codec.STDOUT, codec.EXIT, 0x7F):
            one.send(kind, b"\xff" * 100)
    reader.stdin(b"x")
    reader.read_until(b"x")
    start.read_until(b"x")
    reader.eof()
    assert reader.finish().exit == start.finish().exit == (0, 0)


def test_a_length_above_the_limit_costs_the_reader_its_connection_and_not_the_session(agent):
    durable.start(agent, ["cat"], "long").close()
    for wants_input in (True, False):
        reader = durable.attach(agent, "long", input=wants_input)
        reader.conn.send_raw(codec.header(codec.STDIN, codec.FRAME_MAX + 1))
        reader.finish()
        assert reader.exit is None, reader
    with durable.attach(agent, "long") as reader:
        reader.stdin(b"x")
        reader.read_until(b"x")
