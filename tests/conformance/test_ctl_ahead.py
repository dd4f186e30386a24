# SPDX-License-Identifier: MIT
"""vmm-guest-ctl cp -r into an agent that takes several requests on a connection: what is
sent ahead, what is sent again, and which file an answer is taken for; against agents that
keep to the contract, and such as do not."""

import os
import signal
import stat
import threading
import time

import pytest

import codec
from agent import TIMEOUT, kill_hard
from client import Ctl, FakeAgent, Terminal
from test_ctl_faults import Faulty
from test_ctl_hostile import run_measured

FEATURES = ["FILE_READ_REQ", "FILE_SET_REQ", "more"]


class Ahead:
    """An agent with `more`: of each connection it answers ANSWERS requests (None: all), and
    then closes between two. A request is carried out once its last frame has come, by
    ANSWER(path), which returns the frames of its answer. IDLE: how many workers it has to
    spare."""

    def __init__(self, answers=None, features=FEATURES, idle=3):
        self.answers = answers
        self.idle = idle
        self.features = features
        self.done = []          # (type, request, data), in order
        self.begun = threading.Event()  # a request that is not a STAT's has come
        self.vain = 0           # requests that lay there when a connection was closed
        self.connections = 0
        self.ahead = 0          # the most requests that lay there whole behind one that was begun
        self.lock = threading.Lock()

    def __call__(self, peer):
        if peer.port != codec.FILE_PORT:
            assert peer.recv().type == codec.STATUS_REQ
            peer.send(codec.STATUS, {"features": self.features, "workers": {"idle": self.idle}})
            peer.exit(0)
            return
        with self.lock:
            self.connections += 1
        answered = 0
        while answered != self.answers:
            frame = peer.recv()
            if frame is None:
                return
            if frame.type != codec.FILE_STAT_REQ:
                self.begun.set()
            if not self.serve(peer, frame):
                return
            answered += 1
            if not frame.json().get("more"):
                return
        with self.lock:
            self.vain += sum(f.type == codec.FILE_WRITE_REQ for f in peer.waiting())

    def serve(self, peer, frame):
        """One request; returns whether the connection goes on."""
        data = b""
        if frame.type == codec.FILE_WRITE_REQ:
            frames = peer.until(codec.FILE_DONE)
            if frames[-1] is None:
                return False
            data = b"".join(f.payload for f in frames[:-1])
            self.ahead = max(self.ahead, sum(f.type == codec.FILE_DONE for f in peer.waiting()))
        answer = self.answer(frame.type, frame.json(), data)
        with self.lock:
            self.done.append((frame.type, frame.json(), data))
        peer.send_raw(answer)
        return True

    def answer(self, kind, request, data):
        if kind == codec.FILE_STAT_REQ:
            return codec.encode(codec.FILE_ERR, b"ENOENT: " + request["path"].encode())
        return codec.encode(codec.FILE_ACK, b"")

    def of(self, kind):
        return [request for asked, request, _ in self.done if asked == kind]

    def files(self):
        return {r["path"]: data for kind, r, data in self.done if kind == codec.FILE_WRITE_REQ}


def copy(script, top, *options, expected=0):
    with FakeAgent(script) as fake:
        done = Ctl(fake.path).run("cp", "-r", *options, top, "vm:/t", timeout=2 * TIMEOUT)
    assert done.code == expected, done.text
    return done


def lines(done):
    return [line.removeprefix("vmm-guest-ctl: ") for line in done.text.splitlines()]


@pytest.fixture
def top(tmp_path):
    """600 small files in three directories, and three that are larger than any buffer."""
    top = tmp_path / "from"
    for d in range(3):
        (top / str(d)).mkdir(parents=True)
        for i in range(200):
            (top / str(d) / str(i)).write_bytes(b"%d %d " % (d, i) * (i % 50))
        (top / str(d) / "large").write_bytes(os.urandom((700 + d) << 10))
    return top


def contents(top):
    return {"/t/%s" % path.relative_to(top): path.read_bytes()
            for path in top.rglob("*") if path.is_file()}


# ---- agents that keep to the contract -------------------------------------------------------


def test_a_tree_goes_over_three_connections(top):
    """And each request of it says that it is not the last."""
    agent = Ahead()
    copy(agent, top)
    assert agent.files() == contents(top)
    assert len(agent.of(codec.FILE_WRITE_REQ)) == len(contents(top))    # none was sent twice
    assert len(agent.of(codec.FILE_MKDIR_REQ)) == 4
    asked = [r for kind, r, _ in agent.done if kind != codec.FILE_STAT_REQ]
    assert all(r["more"] for r in asked)
    stats = len(agent.of(codec.FILE_STAT_REQ))
    assert agent.connections <= stats + 3


def test_requests_are_sent_ahead_of_answers(top):
    agent = Ahead()
    copy(agent, top)
    assert agent.ahead > 1


def test_answers_are_waited_for_and_not_slept_for(top, tmp_path):
    """While it sleeps the agent has nothing to do: of small files those under way are soon done."""
    with FakeAgent(Ahead()) as fake:
        ctl = Faulty(fake, "nanosleep,clock_nanosleep:signal=SIGKILL")
        done = ctl.run("cp", "-r", top, "vm:/t", timeout=2 * TIMEOUT)
    assert done.code == 0, done


@pytest.mark.parametrize("answers", [1, 2, 7, 100])
def test_what_was_not_answered_is_sent_again(top, answers):
    """An agent that closes after each answer, and one that does so after some."""
    agent = Ahead(answers)
    copy(agent, top)
    assert agent.files() == contents(top)
    assert len(agent.of(codec.FILE_WRITE_REQ)) == len(contents(top))
    # Little was sent in vain: with each answer two more are sent ahead, at most.
    assert agent.vain <= 3 * len(agent.done)


@pytest.mark.parametrize("agent", [{"features": ["FILE_READ_REQ", "FILE_SET_REQ"]}, {"idle": 2}])
def test_an_agent_without_more_is_asked_as_ever(top, agent):
    """A request a connection, which does not say `more`; and so is one that has a worker less
    to spare than connections would be kept."""
    agent = Ahead(**agent)
    copy(agent, top)
    assert agent.files() == contents(top)
    assert not any("more" in r for _, r, _ in agent.done)
    assert agent.connections == len(agent.done)


def test_files_go_in_behind_their_directory(top):
    agent = Ahead()
    copy(agent, top)
    made = set()
    for kind, request, _ in agent.done:
        if kind == codec.FILE_MKDIR_REQ:
            made.add(request["path"])
        elif kind == codec.FILE_WRITE_REQ:
            assert os.path.dirname(request["path"]) in made


def test_a_directory_gets_its_time_behind_all_that_is_in_it(top):
    agent = Ahead()
    copy(agent, top, "-p")
    assert len(agent.of(codec.FILE_SET_REQ)) == 4
    for i, (kind, request, _) in enumerate(agent.done):
        if kind == codec.FILE_SET_REQ:
            assert not any(r["path"].startswith(request["path"] + "/") for _, r, _ in agent.done[i + 1:])


def test_an_error_is_its_own_files(top):
    """Of a small file, and of a large one that is refused as soon as it begins."""
    class Refuses(Ahead):
        def serve(self, peer, frame):
            if frame.type == codec.FILE_WRITE_REQ and frame.json()["path"] == "/t/1/large":
                peer.send(codec.FILE_ERR, b"EFBIG: file too large (>1 bytes)")
                return peer.until(codec.FILE_DONE)[-1] is not None
            return Ahead.serve(self, peer, frame)

        def answer(self, kind, request, data):
            if request["path"].endswith("/77"):
                return codec.encode(codec.FILE_ERR, b"EACCES: " + request["path"].encode())
            return Ahead.answer(self, kind, request, data)

    agent = Refuses()
    done = copy(agent, top, expected=1)
    assert sorted(lines(done)) == sorted(
        ["vm:/t/%d/77: Permission denied" % d for d in range(3)] + ["vm:/t/1/large: file too large (>1 bytes)"])
    assert set(agent.files()) == set(contents(top)) - {"/t/1/large"}


def test_of_a_file_that_is_refused_the_rest_is_not_sent(tmp_path):
    """FILE_ERR comes before the agent takes any of it; but the DONE is still to come."""
    with open(tmp_path / "large", "wb") as large:
        large.truncate(64 << 20)
    (tmp_path / "small").write_text("x")
    came = []

    class Refuses(Ahead):
        def serve(self, peer, frame):
            if frame.type == codec.FILE_WRITE_REQ and frame.json()["path"] == "/t/large":
                peer.send(codec.FILE_ERR, b"EACCES: /t/large")
                frames = peer.until(codec.FILE_DONE)
                came.append(sum(len(f.payload) for f in frames))
                return True
            return Ahead.serve(self, peer, frame)

    agent = Refuses()
    assert lines(copy(agent, tmp_path, expected=1)) == ["vm:/t/large: Permission denied"]
    assert came[0] < 8 << 20 and agent.files() == {"/t/small": b"x"}


def test_of_a_lost_worker_one_file_is_told_and_the_others_are_sent_again(top):
    class Dies(Ahead):
        died = False

        def serve(self, peer, frame):
            if frame.json()["path"] == "/t/1/50" and not self.died:
                self.died = True
                peer.send(codec.FILE_ERR, b"EIO: worker lost")
                return False
            return Ahead.serve(self, peer, frame)

    agent = Dies()
    done = copy(agent, top, expected=1)
    assert lines(done) == ["vm:/t/1/50: worker lost"]
    assert set(agent.files()) == set(contents(top)) - {"/t/1/50"}


def test_of_a_worker_that_is_lost_behind_an_answer_nothing_is_told(tmp_path):
    """Its FILE_ERR comes with that, when no other request was sent, and is of none."""
    (tmp_path / "f").write_text("x")

    class Dies(Ahead):
        def answer(self, kind, request, data):
            answer = Ahead.answer(self, kind, request, data)
            if kind == codec.FILE_WRITE_REQ:
                answer += codec.encode(codec.FILE_ERR, b"EIO: worker lost")
            return answer

    agent = Dies()
    assert copy(agent, tmp_path).text == ""
    assert agent.files() == {"/t/f": b"x"}


def test_an_agent_that_is_busy_is_waited_for(top):
    """Each connection's third request is refused at first, and then the connection ends."""
    class Busy(Ahead):
        seen = set()

        def serve(self, peer, frame):
            path = frame.json()["path"]
            if path.endswith("5") and path not in self.seen:
                self.seen.add(path)
                peer.send(codec.FILE_ERR, b"EBUSY: 7 of 7 workers are in use")
                return False
            return Ahead.serve(self, peer, frame)

    agent = Busy()
    assert copy(agent, top).text == ""
    assert agent.files() == contents(top)


def test_an_agent_that_reads_nothing_until_its_answers_are_read_is_no_end(top):
    """Neither side's full buffers block the other: answers of 60 KiB each, which the agent
    sends before it reads on."""
    class Wordy(Ahead):
        def answer(self, kind, request, data):
            if kind == codec.FILE_WRITE_REQ:
                return codec.encode(codec.FILE_ERR, b"EIO: " + b"x" * 60000)
            return Ahead.answer(self, kind, request, data)

    agent = Wordy()
    done = copy(agent, top, expected=1)
    assert len(lines(done)) == len(contents(top))
    assert agent.files() == contents(top)


def test_a_tree_takes_no_memory_for_its_size(tmp_path):
    used = []
    for count in (100, 6000):
        top = tmp_path / str(count)
        top.mkdir()
        for i in range(count):
            (top / ("%d" % i + "x" * 100)).write_text("x")
        agent = Ahead()
        code, mib = run_measured(agent, "cp", "-r", top, "vm:/t")
        assert code == 0 and len(agent.files()) == count
        used.append(mib)
    assert used[1] < used[0] + 4, used


class Holds(Ahead):
    """Nothing is answered before .go is set."""

    def __init__(self):
        Ahead.__init__(self)
        self.go = threading.Event()

    def answer(self, kind, request, data):
        if kind == codec.FILE_WRITE_REQ:
            assert self.go.wait(TIMEOUT)
        return Ahead.answer(self, kind, request, data)


def test_progress_is_shown_while_answers_are_waited_for(top):
    agent = Holds()
    with FakeAgent(agent) as fake, Terminal(Ctl(fake.path), "cp", "-r", top, "vm:/t") as term:
        term.read_until(b" files  ")
        agent.go.set()
        assert term.wait() == 0
        assert term.output.endswith(b"\r\x1b[K")
    assert agent.files() == contents(top)


def test_a_signal_ends_it_though_no_answer_comes(top):
    agent = Holds()
    with FakeAgent(agent) as fake, Ctl(fake.path).start("cp", "-r", top, "vm:/t") as process:
        assert agent.begun.wait(TIMEOUT)
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT) == -signal.SIGINT
        agent.go.set()


# ---- agents that do not ---------------------------------------------------------------------


def test_an_agent_that_never_answers_a_tree_is_no_loop(tmp_path):
    """Each connection that is closed without an answer is the end of one file."""
    for i in range(5):
        (tmp_path / ("f%d" % i)).write_text("x")

    class Mute(Ahead):
        def serve(self, peer, frame):
            if frame.type == codec.FILE_WRITE_REQ:
                peer.until(codec.FILE_DONE)
                return False
            return Ahead.serve(self, peer, frame)

    agent = Mute()
    done = copy(agent, tmp_path, expected=1)
    assert len(lines(done)) == 5 and all("closed the connection without an answer" in l for l in lines(done))


def test_two_answers_to_one_request_are_not_taken_for_the_next_ones(tmp_path):
    """The second one comes with the first, when no other request was sent."""
    for i in range(4):
        (tmp_path / ("f%d" % i)).write_text("x")

    class Twice(Ahead):
        def answer(self, kind, request, data):
            answer = Ahead.answer(self, kind, request, data)
            return answer * 2 if kind == codec.FILE_WRITE_REQ else answer

    agent = Twice()
    done = copy(agent, tmp_path, expected=1)
    assert any("does not speak the agent's protocol" in line for line in lines(done))


def test_an_answer_to_what_was_not_sent_whole_is_none(tmp_path):
    (tmp_path / "large").write_bytes(bytes(8 << 20))

    class Early(Ahead):
        def serve(self, peer, frame):
            if frame.type == codec.FILE_WRITE_REQ:
                peer.send(codec.FILE_ACK)
                peer.until(codec.FILE_DONE)
                return False
            return Ahead.serve(self, peer, frame)

    done = copy(Early(), tmp_path, expected=1)
    assert len(lines(done)) == 1 and "does not speak the agent's protocol" in done.text


@pytest.mark.parametrize("frame", [
    codec.encode(codec.FILE_STAT, b"{}"), codec.encode(codec.FILE_DONE, b""), codec.encode(0xee, b"x"),
    b"\x30\xff\xff\xff\xff"])
def test_what_is_no_answer_ends_one_file_and_the_connection(tmp_path, frame):
    for i in range(40):
        (tmp_path / ("f%02d" % i)).write_text("x")

    class Wrong(Ahead):
        def answer(self, kind, request, data):
            if kind == codec.FILE_WRITE_REQ and request["path"] == "/t/f20":
                return frame
            return Ahead.answer(self, kind, request, data)

    agent = Wrong()
    done = copy(agent, tmp_path, expected=1)
    assert len(lines(done)) == 1 and "does not speak the agent's protocol" in done.text
    assert len(agent.files()) == 40


# ---- the real agent -------------------------------------------------------------------------


def files_of(top):
    return {p.relative_to(top): p.read_bytes() for p in top.rglob("*") if p.is_file()}


def session_of_next(agent):
    return max(slot["session"] for slot in agent.status()["slots"])


def test_a_tree_is_a_few_sessions_of_the_agent(start_agent, top, tmp_path):
    agent = start_agent()
    before = session_of_next(agent)
    Ctl(agent.path).ok("cp", "-r", top, "vm:%s" % (tmp_path / "to"))
    # Some more where one stood still for 50 ms; without `more` it is one a file, and a few.
    assert session_of_next(agent) - before < len(contents(top)) // 2
    for path in top.rglob("*"):
        other = tmp_path / "to" / path.relative_to(top)
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)
        assert path.is_dir() or path.read_bytes() == other.read_bytes()


def test_workers_that_are_recycled_under_a_tree_lose_nothing(start_agent, top, tmp_path):
    agent = start_agent("--recycle=7")
    assert Ctl(agent.path).ok("cp", "-r", top, "vm:%s" % (tmp_path / "to"), timeout=2 * TIMEOUT) == b""
    assert files_of(tmp_path / "to") == files_of(top)


def test_a_tree_of_which_workers_are_reloaded_is_whole(start_agent, top, tmp_path):
    agent = start_agent()
    with Ctl(agent.path).start("cp", "-rp", top, "vm:%s" % (tmp_path / "to")) as process:
        deadline = time.monotonic() + 2 * TIMEOUT
        while process.poll() is None:
            assert time.monotonic() < deadline, "the copy does not end"
            os.kill(agent.pid, signal.SIGHUP)
            time.sleep(0.01)
        assert process.stderr.read() == b"" and process.returncode == 0
    assert files_of(tmp_path / "to") == files_of(top)


def copy_and_kill(agent, top, to):
    """Copies TOP to TO while workers that are at it are killed, five at most. Returns how many
    were, and what the copy has told. It stands still while they are looked for."""
    killed = 0
    with Ctl(agent.path).start("cp", "-r", "%s/." % top, "vm:%s" % to) as process:
        while killed < 5 and process.poll() is None:
            process.send_signal(signal.SIGSTOP)
            busy = [s["pid"] for s in agent.status()["slots"] if s["kind"] in ("write", "mkdir")]
            kill_hard(*busy[:1])
            killed += len(busy[:1])
            process.send_signal(signal.SIGCONT)
        told = process.stderr.read().decode()
        process.wait(TIMEOUT)
    assert (process.returncode != 0) == (told != "")
    return killed, told


@pytest.mark.kills_workers
def test_of_a_tree_whose_workers_are_killed_what_is_missing_is_told(start_agent, top, tmp_path):
    agent = start_agent()
    # A copy may be over before one is found.
    for i in range(20):
        to = tmp_path / ("to%d" % i)
        to.mkdir()
        killed, told = copy_and_kill(agent, top, to)
        if killed:
            break
    assert killed
    there = files_of(to)
    for path, data in files_of(top).items():
        assert there.get(path) == data or any("/%s: " % p in told for p in (path, path.parent)), (path, told)


def test_a_file_that_cannot_be_read_to_its_end_leaves_the_old_one(start_agent, tmp_path):
    """And neither those before it nor those behind it, of which each connection has some."""
    count = 400
    agent = start_agent()
    top, to = tmp_path / "from", tmp_path / "to"
    top.mkdir()
    to.mkdir()
    for i in range(count):
        (top / ("f%03d" % i)).write_text("new %d" % i)
    (top / "large").write_bytes(bytes(3 << 20))
    (to / "large").write_text("old")
    done = Faulty(agent, "read:error=EIO:when=4", top / "large").run("cp", "-r", "%s/." % top, "vm:%s" % to)
    assert lines(done) == ["can't read %s/large: Input/output error" % top] or \
        lines(done) == ["can't read %s/./large: Input/output error" % top], done.text
    assert done.code == 1 and (to / "large").read_text() == "old"
    assert all((to / ("f%03d" % i)).read_text() == "new %d" % i for i in range(count))
