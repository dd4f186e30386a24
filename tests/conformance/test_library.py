# SPDX-License-Identifier: MIT
"""libvmmguest against the agent: what its header promises, and what authors of hosts get wrong."""

import errno
import fcntl
import json
import os
import select
import signal
import threading

import pytest

import library
from library import Failed, Guest, joined
from local_server import LocalServer
from relay import Relay

# A library that was built with the sanitizers can't be loaded into a program that was not.
pytestmark = pytest.mark.plain_build

FORGETS_DURABLE = True


@pytest.fixture
def guest(agent):
    with Guest("unix:" + agent.path) as one:
        yield one


# ---- blocking ------------------------------------------------------------------


def test_a_program_s_output_end_and_report_come_back(guest):
    assert guest.run({"cmd": ["sh", "-c", "cat; echo oh >&2; exit 3"]}, b"hi") == 3
    assert (guest.output(library.STDOUT), guest.output(library.STDERR)) == (b"hi", b"oh\n")
    assert guest.answer["event"] == "exited" and guest.answer["reason"] == "exited"
    assert guest.run({"cmd": ["sh", "-c", "kill -TERM $$"]}) == 128 + signal.SIGTERM
    assert guest.answer["reason"] == "signaled"


def test_input_that_nobody_reads_is_no_error(guest):
    assert guest.run({"cmd": ["true"]}, bytes(16 << 20)) == 0


def test_much_goes_both_ways_at_once(guest):
    data = os.urandom(1 << 20) * 8
    assert guest.run({"cmd": ["cat"]}, data) == 0
    assert guest.output(library.STDOUT) == data


def test_a_program_s_own_exit_code_is_told_from_the_agent_s(guest):
    assert guest.run({"cmd": ["sh", "-c", "echo busy: not me >&2; exit 125"]}) == 125
    assert guest.run({"cmd": ["sh", "-c", "exit 127"]}) == 127
    for start, number, words in [
        ({"cmd": ["/nope"]}, errno.ENOENT, "/nope"),
        ({"cmd": ["/etc/passwd"]}, errno.EACCES, "/etc/passwd"),
        ({"cmd": ["true"], "user": "nobody-knows"}, errno.EACCES, "nobody-knows"),
    ]:
        with pytest.raises(Failed) as failed:
            guest.run(start)
        assert failed.value.errno == number and words in failed.value.words


def test_what_is_no_json_is_refused_in_words(guest, tmp_path):
    for call, *arguments in [
        ("run", b"[]", b"", 0),
        ("run", b'{"cmd":["true"]', b"", 0),
        ("run", b'{"cmd":["true"]} {}', b"", 0),
        ("run", b'{"cmd":["true"],"durable":{}', b"", 0),
        ("request", b"ATTACH", b"{"),
        ("request", b"CONNECT", b'{"port":1'),
        ("request", b"FILE_STAT_REQ", b'{"path":"/etc"'),
        ("put", b'{"path":"%s"' % bytes(tmp_path / "x"), b"hi", 2),
        ("get", b"/etc/passwd"),
    ]:
        with pytest.raises(Failed) as failed:
            guest.call(call, *arguments)
        assert failed.value.errno == errno.EINVAL and "JSON" in failed.value.words, arguments
        assert guest.call("refusal") == failed.value.words.encode()
    for frame in ("KILL", "FORGET", "RESTORED", "WAIT_PORT", "NET_RECONFIG", "STATUS_REQ", "QUIESCE", "SHUTDOWN"):
        with pytest.raises(Failed) as failed:
            guest.call("request", frame.encode(), b"{")
        assert failed.value.errno == errno.EINVAL and "JSON" in failed.value.words, frame
    assert not (tmp_path / "x").exists()
    assert guest.run({"cmd": ["true"]}) == 0


def test_busy_is_an_error_of_its_own(start_agent):
    agent = start_agent("--workers=2")
    with Guest("unix:" + agent.path) as holder, Guest("unix:" + agent.path) as guest:
        holder.begin("START", {"cmd": ["cat"]})
        holder.until(library.STATUS)
        with pytest.raises(Failed) as failed:
            guest.run({"cmd": ["true"]})
        assert failed.value.errno == errno.EBUSY and failed.value.words.startswith("busy")
        holder.call("eof")
        holder.until(library.END)
        assert guest.run({"cmd": ["true"]}) == 0


def test_a_file_goes_in_and_comes_out(guest, tmp_path):
    path = str(tmp_path / "x")
    data = os.urandom(300000)
    guest.put({"path": path, "mode": 0o640}, data)
    assert (tmp_path / "x").read_bytes() == data and (tmp_path / "x").stat().st_mode & 0o7777 == 0o640
    assert guest.get(path=path) == data
    assert guest.get(path=path, offset=10, length=20) == data[10:30]
    assert guest.request("FILE_STAT_REQ", {"path": path})["size"] == len(data)
    assert [entry["name"] for entry in guest.request("FILE_LIST_REQ", {"path": str(tmp_path)})] == ["x"]
    guest.request("FILE_REMOVE_REQ", {"path": path})
    with pytest.raises(Failed) as failed:
        guest.get(path=path)
    assert failed.value.errno == errno.ENOENT and failed.value.words == "ENOENT: " + path


def test_a_file_of_any_size_goes_by_its_descriptor(agent, tmp_path):
    here, there, back = tmp_path / "here", str(tmp_path / "there"), tmp_path / "back"
    here.write_bytes(os.urandom(1 << 20))
    os.truncate(here, 3 << 20)
    with Guest("unix:" + agent.path, output_max=0) as guest:
        for holes in (False, True):
            with open(here, "rb") as source:
                source.seek(1000)
                guest.put_fd({"path": there}, source.fileno(), holes)
            with open(back, "wb") as target:
                guest.get_fd({"path": there}, target.fileno())
            assert back.read_bytes() == here.read_bytes()[1000:]
        assert os.stat(there).st_blocks * 512 <= 1 << 21
        with open("/dev/full", "wb") as full, pytest.raises(Failed) as failed:
            guest.get_fd({"path": there}, full.fileno())
        assert failed.value.errno == errno.ENOSPC and "write" in failed.value.words
        with open("/proc/self/mem", "rb") as bad, pytest.raises(Failed) as failed:
            guest.put_fd({"path": there}, bad.fileno())
        assert failed.value.errno == errno.EIO and "read" in failed.value.words
        # What was to be replaced by that is as it was.
        assert guest.request("FILE_STAT_REQ", {"path": there})["size"] == (3 << 20) - 1000


def test_what_comes_by_a_pipe_is_waited_for_and_can_be_called_off(agent, tmp_path):
    there = tmp_path / "there"
    ours, theirs = os.pipe()
    stop, stops = os.pipe()
    with Guest("unix:" + agent.path, cancel_fd=stop) as guest:
        done = []
        waiting = threading.Thread(target=lambda: done.append(guest.put_fd({"path": str(there)}, ours)))
        waiting.start()
        for piece in (b"one", b"two"):
            os.write(theirs, piece)
            while select.select([ours], [], [], 0)[0]:
                pass
        os.close(theirs)
        waiting.join()
        assert done == [0] and there.read_bytes() == b"onetwo"
        os.close(ours)
        ours, theirs = os.pipe()
        os.write(stops, b"x")
        with pytest.raises(Failed) as failed:
            guest.put_fd({"path": str(there)}, ours)
        assert failed.value.errno == errno.ECANCELED and there.read_bytes() == b"onetwo"
    for fd in (ours, theirs, stop, stops):
        os.close(fd)


# ---- several requests on one connection -------------------------------------------


class Counting(Relay):
    """How often it was connected to."""

    connections = 0

    def serve(self, host):
        self.connections += 1
        super().serve(host)


def test_many_files_go_on_one_connection(agent, tmp_path):
    with Counting(agent.path) as relay, Guest("unix:" + relay.path) as guest:
        for number in range(20):
            path = str(tmp_path / str(number % 3))
            data = os.urandom(5000 * number)
            # What took longer in between than the agent waits is made anew, which nobody sees.
            guest.put({"path": path, "more": True}, data)
            assert guest.request("FILE_STAT_REQ", {"path": path, "more": True})["size"] == len(data)
            with pytest.raises(Failed) as failed:
                guest.get(path=path + "x", more=True)
            assert failed.value.errno == errno.ENOENT
            assert guest.get(path=path, more=True) == data
        assert relay.connections < 40
        # One that is kept is no matter to other requests.
        guest.request("STATUS_REQ")


def test_a_connection_that_the_agent_has_given_back_is_not_tried(agent, tmp_path):
    here = tmp_path / "here"
    here.write_bytes(b"new")
    with Counting(agent.path) as relay, Guest("unix:" + relay.path) as guest:
        for number in range(1, 4):
            guest.request("FILE_STAT_REQ", {"path": "/", "more": True})
            assert relay.connections == number
            ended = select.poll()
            ended.register(guest.call("fd"), select.POLLIN)
            assert ended.poll(60000)
        with open(here, "rb") as source:
            guest.put_fd({"path": str(tmp_path / "there")}, source.fileno())
        assert (tmp_path / "there").read_bytes() == b"new"


def test_files_are_sent_ahead_of_their_answers(agent, tmp_path):
    count = 300
    with Counting(agent.path) as relay, Guest("unix:" + relay.path) as guest:
        ended = begun = 0
        results = {}
        # What the agent has not begun is begun again.
        due = list(range(count))
        under_way = []
        while len(results) < count:
            while due:
                number = due[0]
                path = str(tmp_path / (str(number) if number % 10 else "no/such"))
                try:
                    guest.begin("FILE_WRITE_REQ" if number % 10 else "FILE_REMOVE_REQ", {"path": path, "more": True})
                except Failed as failed:
                    assert failed.errno in (errno.EAGAIN, errno.EALREADY)
                    break
                if number % 10:
                    assert guest.write(b"%d" % number) in range(0, 4)
                    guest.call("eof")
                under_way.append(due.pop(0))
                begun += 1
            event, _ = guest.next()
            if event == library.NONE:
                guest.step(1)
            elif event == library.END:
                number = under_way.pop(0)
                ended += 1
                if guest.result == -errno.ECONNABORTED:
                    due.append(number)
                else:
                    results[number] = guest.result
        assert begun == ended >= count
        assert {number: result for number, result in results.items() if result} == {
            number: -errno.ENOENT for number in range(0, count, 10)}
        assert relay.connections < count / 4
    assert len(list(tmp_path.iterdir())) == count - count // 10


def test_an_upload_that_is_refused_ends_with_the_agent_s_reason(start_agent, tmp_path):
    agent = start_agent("--max-file-mib=1")
    with Guest("unix:" + agent.path) as guest:
        for path, number in [(str(tmp_path / "x"), errno.EFBIG), ("/proc/nope", errno.ENOENT)]:
            with pytest.raises(Failed) as failed:
                guest.put({"path": path}, bytes(64 << 20))
            assert failed.value.errno == number


def test_requests_are_answered(guest):
    assert "START" in guest.request("STATUS_REQ")["features"]
    assert guest.request("STATUS_REQ", {"guest": True})["guest"]["cpus"] > 0
    for frame, request, number in [
        ("KILL", {"session": 1 << 40, "signal": 9}, errno.ESRCH),
        ("WAIT_PORT", {"port": 1}, errno.ETIMEDOUT),
        ("THAW", None, errno.ESRCH),
        ("FORGET", {"name": "nobody"}, errno.ESRCH),
        ("RESTORED", {"net": {"ip": "10.0.0.2", "netmask": "255.0.255.0", "gateway": "10.0.0.1"}}, errno.EREMOTEIO),
    ]:
        with pytest.raises(Failed) as failed:
            guest.request(frame, request)
        assert failed.value.errno == number, (frame, str(failed.value))
    assert guest.answer["errors"] == ["net: member 'netmask': it has holes"]


def test_more_output_than_is_wanted_ends_the_program(agent):
    with Guest("unix:" + agent.path, output_max=1 << 20) as guest:
        with pytest.raises(Failed) as failed:
            guest.run({"cmd": ["cat", "/dev/zero"]})
        assert failed.value.errno == errno.EMSGSIZE


# ---- no agent, or one that hangs --------------------------------------------------


class Mute(LocalServer):
    """It takes connections, and answers the handshake or not that."""

    def __init__(self, handshake):
        super().__init__("vga-mute-")
        self.handshake = handshake

    def serve(self, host):
        if self.handshake:
            host.sendall(b"OK 1\n")
        while host.recv(65536):
            pass


def test_who_does_not_answer_is_not_waited_for():
    for handshake, options in [(True, {"answer_ms": 100}), (False, {"connect_ms": 100}), (True, {"timeout_ms": 100})]:
        with Mute(handshake) as mute, Guest("unix:" + mute.path, **options) as guest:
            with pytest.raises(Failed) as failed:
                guest.run({"cmd": ["true"]})
            assert failed.value.errno == errno.ETIMEDOUT


def test_an_agent_that_is_not_there_yet_is_waited_for(start_agent, tmp_path):
    path = str(tmp_path / "agent")
    with Guest("unix:" + path) as guest:
        for call in (lambda: guest.run({"cmd": ["true"]}), lambda: guest.call("wait_ready", 1000)):
            with pytest.raises(Failed) as failed:
                call()
            assert failed.value.errno == errno.ENOENT
        code = []
        guest.call("set", b"retry_ms", 120000)
        waiting = threading.Thread(target=lambda: code.append(guest.run({"cmd": ["sh", "-c", "exit 5"]})))
        waiting.start()
        agent = start_agent()
        os.symlink(agent.path, path)
        waiting.join()
        assert code == [5]
        guest.call("wait_ready", 60000)
        assert guest.answer["protocol"] == 1


def test_a_wait_is_called_off(agent):
    ours, theirs = os.pipe()
    with Guest("unix:" + agent.path, cancel_fd=ours) as guest:
        calls_off = threading.Timer(0.1, os.write, (theirs, b"x"))
        calls_off.start()
        with pytest.raises(Failed) as failed:
            guest.run({"cmd": ["sleep", "600"]})
        assert failed.value.errno == errno.ECANCELED
        calls_off.join()
    os.close(ours)
    os.close(theirs)


# ---- in an event loop ---------------------------------------------------------------


def test_a_terminal_is_resized_while_its_program_runs(guest):
    guest.begin("START", {"cmd": ["sh", "-c", "trap 'stty size; exit 7' WINCH; stty size; while :; do sleep 0.05; done"],
                          "tty": True})
    guest.until(library.STDOUT)
    guest.call("resize", 100, 50)
    assert b"50 100" in joined(guest.until(library.END), library.STDOUT)
    assert guest.result == 7


def test_a_signal_overtakes_input_that_is_not_read(guest):
    guest.begin("START", {"cmd": ["sh", "-c", "trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done"]})
    guest.until(library.STDOUT)
    # What the agent holds, 1 MiB, would have it read no further.
    sent = 0
    while sent < 768 << 10:
        sent += guest.write(bytes(65536))
        guest.step(0)
    guest.call("signal", signal.SIGTERM)
    guest.until(library.END)
    assert guest.result == 9


def test_the_library_is_of_the_agent_s_version(guest):
    assert guest.library.vmm_guest_version().decode() == guest.request("STATUS_REQ")["version"]


def test_descriptors_are_close_on_exec_and_go_with_the_operation(guest):
    guest.begin("START", {"cmd": ["cat"]})
    guest.until(library.STATUS)
    fd = guest.call("fd")
    assert fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    guest.call("abort")
    assert guest.call("fd") == -1
    with pytest.raises(OSError):
        os.fstat(fd)
    assert guest.run({"cmd": ["true"]}) == 0


def test_what_is_sent_to_nobody_raises_no_signal(agent):
    """The connection has gone, and the handle has not heard of it."""
    raised = []
    handler = signal.signal(signal.SIGPIPE, lambda number, _: raised.append(number))
    try:
        with Relay(agent.path) as relay, Guest("unix:" + relay.path) as guest:
            guest.begin("START", {"cmd": ["cat"]})
            guest.until(library.STATUS)         # nothing is received while this stands in the buffer
            relay.cut()
            while guest.write(bytes(65536)) > 0:
                guest.step(0)
            guest.until(library.END)
            assert guest.result == -errno.ECONNRESET
    except Failed as failed:
        assert failed.errno == errno.EPIPE
    finally:
        signal.signal(signal.SIGPIPE, handler)
    assert not raised


def test_a_watch_tells_and_a_connection_leads_into_the_guest(guest, tmp_path):
    guest.begin("FILE_WATCH_REQ", {"path": str(tmp_path)})
    guest.until(library.READY)
    (tmp_path / "new").mkdir()
    assert b"created" in guest.until(library.CHANGE)[-1][1]
    guest.call("abort")
    guest.begin("QUIESCE", {"freeze": "none", "sync": False})
    guest.until(library.STATUS)
    guest.call("thaw")
    assert b'"thawed"' in guest.until(library.END)[0][1]
    assert guest.result == 0


# ---- durable sessions -----------------------------------------------------------------


def test_a_durable_session_goes_on_over_connections_that_are_cut(agent):
    data = os.urandom(1 << 20)
    with Relay(agent.path) as relay, Guest("unix:" + relay.path) as guest:
        guest.begin("START", {"cmd": ["cat"], "name": "cut", "durable": {}})
        guest.until(library.STATUS)
        # In the middle of frames, in both directions, one after the other.
        relay.cut_after(*range(3000, 900000, 150001))
        relay.cut_after(*range(5000, 900000, 170003), of="to_host")
        assert joined(guest.talk(data), library.STDOUT) == data
        assert guest.result == 0 and relay.cuts >= 5


@pytest.mark.parametrize("way", ["to_agent", "to_host"])
def test_a_start_that_was_never_answered_is_carried_out_once(agent, tmp_path, way):
    """Its connection breaks before the agent has it, or behind that, before `started` has come."""
    count = tmp_path / "count"
    with Relay(agent.path) as relay, Guest("unix:" + relay.path, own_name=1, retry_ms=1000) as guest:
        # The handshake has a way of its own before it: OK is there before START is sent.
        relay.cut_after(20, of=way)
        guest.begin("START", {"cmd": ["sh", "-c", f"echo begun >>{count}; exec cat"], "name": "doubt-" + way, "durable": {}})
        events = guest.talk(b"there and back")
        assert joined(events, library.STDOUT) == b"there and back" and guest.result == 0
        assert relay.cuts == 1 and library.LOST in [event for event, _ in events]
    assert count.read_text() == "begun\n"


def test_a_name_that_may_be_another_s_is_not_come_back_to(agent):
    with Relay(agent.path) as relay, Guest("unix:" + relay.path, retry_ms=1000) as guest:
        relay.cut_after(20, of="to_host")
        guest.begin("START", {"cmd": ["cat"], "name": "anyone-s", "durable": {}})
        guest.until(library.END)
        assert guest.result == -errno.ECONNRESET


def test_a_durable_session_is_left_and_come_back_to(guest):
    guest.begin("START", {"cmd": ["cat"], "name": "left", "durable": {}})
    guest.write(b"one\n")
    guest.call("detach")
    guest.until(library.LEFT)
    guest.begin("ATTACH", {"name": "left", "from": 0})
    guest.write(b"two\n")
    guest.call("eof")
    assert joined(guest.until(library.END), library.STDOUT) == b"one\ntwo\n"
    assert guest.call("offset") == 8 and guest.result == 0
    guest.request("FORGET", {"name": "left"})
    with pytest.raises(Failed) as failed:
        guest.request("ATTACH", {"name": "left"})
    assert failed.value.errno == errno.ESRCH


def test_a_session_that_can_t_be_come_back_to_is_an_error(agent):
    with Relay(agent.path) as relay, Guest("unix:" + relay.path, reconnect_ms=200) as guest:
        guest.begin("START", {"cmd": ["cat"], "name": "gone", "durable": {}})
        guest.until(library.STATUS)
        relay.is_down = True
        relay.cut()
        guest.until(library.END)
        assert guest.result == -errno.ECONNRESET


def next_or_step(guest):
    """What has happened, if anything has; else it goes on."""
    got = guest.next()
    if got[0] == library.NONE:
        guest.step(1)
    return got


def test_what_this_host_has_not_acknowledged_is_kept_for_it(agent):
    """The program waits for room, and goes on when there is some, also over a connection that is cut."""
    size = 1 << 20
    with Relay(agent.path) as relay, Guest("unix:" + relay.path) as guest, Guest("unix:" + agent.path) as other:
        guest.begin("START", {"cmd": ["head", "-c", str(size), "/dev/zero"], "stdin": False, "name": "acked",
                              "durable": {"buffer_bytes": 65536, "when_full": "wait"}})
        guest.call("ack", 0)
        found = []
        while guest.call("offset") < 65536:
            found.append(next_or_step(guest))
        # All that there is room for has come, and not a byte of it is given up for what is behind it.
        other.begin("ATTACH", {"name": "acked", "from": 0, "input": False})
        status, = (json.loads(data) for event, data in other.until(library.STATUS) if event == library.STATUS)
        assert (status["offset"], status["lost"], status["running"]) == (0, 0, True)
        with pytest.raises(Failed):
            guest.call("ack", size + 1)
        relay.cut()
        while found[-1][0] != library.END:
            found.append(next_or_step(guest))
            if guest.result == -errno.EALREADY:
                guest.call("ack", guest.call("offset"))
        assert len(joined(found, library.STDOUT)) == size and guest.result == 0


def test_who_has_lost_the_input_to_another_looks_on(guest, agent):
    guest.begin("START", {"cmd": ["cat"], "name": "taken", "durable": {}})
    guest.until(library.STATUS)
    with Guest("unix:" + agent.path) as other:
        other.begin("ATTACH", {"name": "taken"})
        other.until(library.STATUS)
        assert b"input_taken" in guest.until(library.STATUS)[-1][1]
        with pytest.raises(Failed) as failed:
            guest.write(b"too late")
        assert failed.value.errno == errno.EPIPE
        other.write(b"mine\n")
        other.call("eof")
        other.until(library.END)
        assert joined(guest.until(library.END), library.STDOUT) == b"mine\n"
