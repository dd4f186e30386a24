# SPDX-License-Identifier: MIT
"""What becomes of other requests while the guest is quiesced: some are served, some wait, some have it thawed."""

import os
import socket
import time

import pytest

import codec
import holding
from agent import wait_until
from holding import await_slot, hold, is_silent, phase, slots, thaw, thawed


@pytest.fixture
def held(agent):
    yield from holding.held(agent)


# ---- what waits -----------------------------------------------------------------------------------------------------


def listener():
    return socket.create_server(("127.0.0.1", 0))


# What waits: its kind in STATUS, how it is asked, and how it is answered when it is over.
WAITS = {
    "START": lambda d, port: ("exec", codec.START, {"cmd": ["echo", "x"]}, codec.EXIT),
    "CONNECT": lambda d, port: ("connect", codec.CONNECT, {"port": port}, codec.STATUS),
    "WAIT_PORT": lambda d, port: ("wait-port", codec.WAIT_PORT, {"port": port}, codec.EXIT),
    "WRITE": lambda d, port: ("write", codec.FILE_WRITE_REQ, {"path": d + "/new"}, codec.FILE_ACK),
    "READ": lambda d, port: ("read", codec.FILE_READ_REQ, {"path": d + "/file"}, codec.FILE_DONE),
    "STAT": lambda d, port: ("stat", codec.FILE_STAT_REQ, {"path": d + "/file"}, codec.FILE_STAT),
    "LIST": lambda d, port: ("list", codec.FILE_LIST_REQ, {"path": d}, codec.FILE_LIST),
    "MKDIR": lambda d, port: ("mkdir", codec.FILE_MKDIR_REQ, {"path": d + "/new"}, codec.FILE_ACK),
    "REMOVE": lambda d, port: ("remove", codec.FILE_REMOVE_REQ, {"path": d + "/file"}, codec.FILE_ACK),
    "MOVE": lambda d, port: ("move", codec.FILE_MOVE_REQ, {"from": d + "/file", "to": d + "/new"}, codec.FILE_ACK),
    "WATCH": lambda d, port: ("watch", codec.FILE_WATCH_REQ, {"path": d}, codec.FILE_ACK),
    "LINK": lambda d, port: ("link", codec.FILE_LINK_REQ, {"from": d + "/file", "to": d + "/new"}, codec.FILE_ACK),
    "SYMLINK": lambda d, port: ("symlink", codec.FILE_SYMLINK_REQ, {"path": d + "/new", "target": "x"}, codec.FILE_ACK),
    "SET": lambda d, port: ("set", codec.FILE_SET_REQ, {"path": d + "/file", "mode": 0o751}, codec.FILE_ACK),
    "TREE": lambda d, port: ("tree", codec.FILE_TREE_REQ, {"path": d}, codec.FILE_ACK),
}


def ask(agent, one):
    """The connection of a request; with an upload's whole content behind it."""
    _, number, payload, _ = one
    conn = agent.connect(codec.EXEC_PORT if number < 0x20 or number == codec.CONNECT else codec.FILE_PORT)
    conn.send(number, payload)
    if number == codec.FILE_WRITE_REQ:
        conn.send(codec.FILE_DATA, b"x")
        conn.send(codec.FILE_DONE)
    return conn


def send_waiting(agent, one):
    """The same, once it has been read, and waits."""
    conn = ask(agent, one)
    await_slot(agent, one[0])
    return conn


def look(directory):
    """All that is to be seen of a directory."""
    return sorted((e.name, e.stat(follow_symlinks=False).st_mode, e.stat(follow_symlinks=False).st_size) for e in os.scandir(directory))


@pytest.mark.parametrize("name", WAITS)
def test_it_waits_with_its_place_and_is_served_when_it_is_over(held, name, tmp_path):
    (tmp_path / "file").write_text("text")
    agent, before = held.agent, look(tmp_path)
    with listener() as server:
        one = WAITS[name](str(tmp_path), server.getsockname()[1])
        idle = agent.status()["workers"]
        conn = send_waiting(agent, one)
        busy = agent.status()["workers"]
        place = {"exec": "exec", "connect": "exec", "wait-port": "exec", "watch": "look"}.get(one[0], "file")
        assert busy[place] == idle[place] + 1
        assert is_silent(conn, server) and look(tmp_path) == before
        assert phase(agent) == "held"
        held.send(codec.THAW)
        assert thawed(held) == "host"
        while conn.recv().type != one[3]:
            pass
        assert not any(f.type in (codec.FILE_ERR, codec.STDERR) for f in conn.frames)
        if one[3] == codec.EXIT:
            assert codec.exit_status(conn.frames[-1].payload) == (0, 0)
        conn.close()


@pytest.fixture
def briefly(agent):
    """A guest that is held, in which others wait for half a second. On a busy machine it may
    not come to rest in so short a time."""
    while True:
        conn = holding.ask(agent, within_ms=500, hold_ms=600000)
        if "error" not in conn.expect(codec.STATUS).json():
            break
        conn.result()
    conn.agent = agent
    yield conn
    assert phase(agent) == "held"
    conn.send(codec.THAW)
    assert thawed(conn) == "host"


@pytest.mark.parametrize("name", WAITS)
def test_it_is_refused_when_it_has_waited_for_too_long(briefly, name, tmp_path):
    (tmp_path / "file").write_text("text")
    before = look(tmp_path)
    refused = briefly.agent.status()["sessions"]["refused"]
    with listener() as server:
        one = WAITS[name](str(tmp_path), server.getsockname()[1])
        begun = time.monotonic()
        result = ask(briefly.agent, one).result()
    assert time.monotonic() - begun >= 0.5
    if one[1] in (codec.START, codec.CONNECT):
        assert result.text == "busy: quiesced\n" and result.code == 125
    elif one[1] == codec.WAIT_PORT:
        assert [f.type for f in result.frames] == [codec.EXIT] and result.code == -1
    else:
        assert [(f.type, f.payload) for f in result.frames] == [(codec.FILE_ERR, b"EBUSY: busy: quiesced")]
    assert look(tmp_path) == before
    status = briefly.agent.status()
    assert status["sessions"]["refused"] == refused + 1
    assert status["workers"]["exec"] == status["workers"]["look"] == 0 and status["workers"]["file"] == 1


def test_each_waits_for_a_time_of_its_own(agent):
    """The second comes when most of the first one's is up, and is there still when that is refused."""
    with hold(agent, within_ms=3000):
        first = agent.start(["true"])
        assert is_silent(first, seconds=2)
        second = agent.start(["true"])
        assert first.result().text == "busy: quiesced\n"
        assert is_silent(second, seconds=0.5)
        assert second.result().text == "busy: quiesced\n"
    wait_until(lambda: phase(agent) is None, message="it is over")


def test_one_that_finds_no_place_is_refused_at_once(start_agent):
    agent = start_agent("--workers=4", "--reserved=2")
    with hold(agent, within_ms=60000):
        waits = [agent.start(["true"]) for _ in range(2)]
        await_slot(agent, "exec", 2)
        assert agent.run(["true"]).text == "busy: 2 of 2 exec workers are in use\n"
        assert is_silent(*waits)
        assert phase(agent) == "held"
        assert thaw(agent) == 0
        assert [conn.result().code for conn in waits] == [0, 0]


def test_one_whose_host_goes_is_not_served(held, tmp_path):
    """A worker is free again, and what it was to do is not done."""
    path = str(tmp_path / "new")
    send_waiting(held.agent, WAITS["MKDIR"](str(tmp_path), 0)).close()
    wait_until(lambda: not slots(held.agent, "mkdir"), message="its worker is free")
    held.send(codec.THAW)
    assert thawed(held) == "host"
    assert not os.path.exists(path)


# ---- what is served, and what thaws ---------------------------------------------------------------------------------


def test_these_are_served_while_it_is_held(held):
    agent = held.agent
    refused = agent.status()["sessions"]["refused"]
    assert agent.request(codec.STATUS_REQ).code == 0
    assert agent.request(codec.CLOCK_SYNC, b"short").code == -1
    assert agent.request(codec.KILL, {"session": 1 << 40, "signal": 9}).code == 1
    assert agent.request(codec.ATTACH, {"session": 1 << 40}).text.startswith("ESRCH: ")
    assert agent.request(codec.FORGET, {"name": "nobody"}).code == 1
    assert agent.request(codec.RESTORED, {"thaw": False, "unix_ns": "x"}).code == -1
    assert agent.request(0x3F).code == 125
    # Whoever has waited for too long has the code of one that failed.
    assert phase(agent) == "held" and agent.status()["sessions"]["refused"] == refused


def test_kill_ends_a_program_while_it_is_held(agent):
    conn = agent.start(["sh", "-c", "echo up; exec sleep 1000"])
    conn.read_output(b"up\n")
    number = slots(agent, "exec")[0]["session"]
    with hold(agent):
        pid = slots(agent, "exec")[0]["pid"]
        assert agent.request(codec.KILL, {"session": number, "signal": 9}).code == 0
        wait_until(lambda: not os.path.exists("/proc/%d" % pid) or
                   open("/proc/%d/stat" % pid).read().rpartition(")")[2].split()[0] == "Z", message="it is dead")
        assert is_silent(conn) and phase(agent) == "held"
    assert (conn.result().code, conn.frames[-1].type) == (137, codec.EXIT)


def test_a_bad_request_is_told_so_when_it_is_over(held):
    """What a request says is looked at when it is served."""
    conn = held.agent.connect()
    conn.send(codec.START, {"cmd": []})
    await_slot(held.agent, "exec")
    assert is_silent(conn)
    held.send(codec.THAW)
    assert thawed(held) == "host"
    assert conn.result().text.startswith("bad START: ")


@pytest.mark.ends_agent
def test_shutdown_thaws_first(start_agent):
    agent = start_agent("--workers=4")
    conn = hold(agent)
    waits = agent.start(["true"])
    await_slot(agent, "exec")
    assert agent.request(codec.SHUTDOWN, {"action": "halt"}).code == 0
    assert thawed(conn) == "shutdown"
    assert waits.result().code is not None
    assert agent.process.wait(30) == 0


def test_net_reconfig_thaws_first(held):
    """One that is wrong too, as this machine's network is to stay as it is."""
    assert held.agent.request(codec.NET_RECONFIG, {}).code == -1
    assert thawed(held) == "thaw"
