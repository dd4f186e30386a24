# SPDX-License-Identifier: MIT
"""Places: what may hold a worker for days, and what always finds one."""

import os
import re
import time

import pytest

import codec
from agent import kill_hard, together, wait_until
from answers import refused

AGENT_OPTIONS = ("--workers=4", "--reserved=2", "--log=debug")


def hold(agent):
    """A session that runs until it is let go, and holds an exec place."""
    conn = agent.start(["sh", "-c", "echo up; exec cat"])
    conn.read_output(b"up\n")
    return conn


def let_go(*conns):
    for conn in conns:
        conn.send(codec.EOF)
        conn.result()


@pytest.fixture
def full(agent):
    """The agent with all its exec places in use."""
    conns = [hold(agent), hold(agent)]
    yield agent
    for conn in conns:
        let_go(conn)


def is_held_up(seconds, idle_seconds):
    """What waits for a place, or for the time of a connection to be up, takes a second and
    more; what is not held up, what it takes on an agent with nothing to do: a fraction of
    a millisecond, or as long as a busy machine likes, on which luck may be ten times that."""
    return seconds > 10 * idle_seconds + 0.2


def see_that_it_is_not_held_up(busy, idle, times=9):
    """BUSY() takes about as long as IDLE(): the median of a few, one of each in turn, so
    that a busy machine has them both wait."""
    took = {busy: [], idle: []}
    for _ in range(times):
        for function, seconds in took.items():
            begun = time.monotonic()
            function()
            seconds.append(time.monotonic() - begun)
    assert not is_held_up(sorted(took[busy])[times // 2], sorted(took[idle])[times // 2]), took


def ask_for_status(agent):
    conn = agent.connect()
    conn.send(codec.STATUS_REQ)
    assert conn.until_exit().code == 0
    conn.close()


@pytest.fixture
def idle(start_agent):
    """An agent with nothing to do."""
    return start_agent(*AGENT_OPTIONS)


def test_a_start_that_finds_no_place_is_refused_in_words(full):
    result = full.run(["echo", "x"])
    assert re.search(r"busy: 2 of 2 exec workers are in use", refused(result)), result


def test_the_refusal_comes_at_once(full, idle):
    def refused_one():
        conn = full.start(["echo", "x"])
        assert conn.until_exit().code == 125
        conn.close()

    see_that_it_is_not_held_up(refused_one, lambda: ask_for_status(idle))


def test_full_pool_answers_status_as_an_idle_one_does(full, idle):
    see_that_it_is_not_held_up(lambda: ask_for_status(full), lambda: ask_for_status(idle))


def test_full_pool_still_syncs_the_clock(full, idle):
    """The answer is of a request that fails on purpose."""
    def sync():
        conn = full.connect()
        conn.send(codec.CLOCK_SYNC, b"short")
        assert conn.until_exit().code == -1
        conn.close()

    see_that_it_is_not_held_up(sync, lambda: ask_for_status(idle))


def test_full_pool_still_carries_files(full, idle, tmp_path):
    path = str(tmp_path / "x")

    def carry(agent):
        agent.write_file(path, b"through")
        assert agent.read_file(path) == b"through"

    see_that_it_is_not_held_up(lambda: carry(full), lambda: carry(idle))


def test_status_counts_what_is_in_use(full):
    workers = full.status()["workers"]
    assert (workers["configured"], workers["reserved"], workers["exec"]) == (4, 2, 2)
    assert len([s for s in full.status()["slots"] if s["kind"] == "exec"]) == 2


def test_refusals_are_counted(full):
    before = full.status()["sessions"]["refused"]
    full.run(["true"])
    assert full.status()["sessions"]["refused"] == before + 1


def test_wait_port_and_connect_need_an_exec_place(full):
    assert full.request(codec.WAIT_PORT, {"port": 1, "timeout_ms": 5000}).code not in (0, 1, None)
    assert full.request(codec.CONNECT, {"port": 1}).code == 125


# ---- those who look on ------------------------------------------------------------


def watch(agent, path):
    """A watch that stands, or the FILE_ERR that it got, as text."""
    conn = agent.file_connect(codec.FILE_WATCH_REQ, {"path": str(path), "recursive": False})
    frame = conn.recv()
    return conn if frame.type == codec.FILE_ACK else frame.payload.decode()


def test_open_folders_lock_no_program_out(start_agent, tmp_path):
    """As many as an editor would open: those that find no place are told so."""
    agent = start_agent("--workers=66")
    opened = [watch(agent, tmp_path) for _ in range(64)]
    words = [one for one in opened if isinstance(one, str)]
    assert len(opened) - len(words) == 16 == agent.status()["workers"]["look"]
    assert set(words) == {"EBUSY: busy: 16 of 16 look workers are in use"}
    programs = [hold(agent) for _ in range(49)]
    assert agent.status()["workers"]["exec"] == 49 and agent.status()["workers"]["file"] == 0
    let_go(*programs)


def test_who_looks_on_leaves_half_of_the_workers_to_programs(start_agent, tmp_path):
    """Uploads take what lookers might have; what is left is not for lookers."""
    agent = start_agent("--workers=8")
    uploads = []
    for i in range(3):
        uploads.append(agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / ("u%d" % i))}))
        uploads[-1].send(codec.FILE_DATA, b"x")
        wait_until(lambda: agent.status()["workers"]["file"] == len(uploads), message="it has its place")
    assert watch(agent, tmp_path) == "EBUSY: busy: workers left: 4, kept for programs"
    programs = [hold(agent) for _ in range(4)]
    assert "busy: all 7 workers" in refused(agent.run(["true"]))
    let_go(*programs)


def test_a_look_place_is_free_again_when_its_host_goes(start_agent, tmp_path):
    agent = start_agent("--workers=4")
    for _ in range(3):
        conn = watch(agent, tmp_path)
        assert "1 of 1 look workers" in watch(agent, tmp_path)
        conn.close()
        wait_until(lambda: agent.status()["workers"]["look"] == 0, message="it is free")


@pytest.mark.kills_workers
def test_a_look_place_is_free_again_when_its_worker_dies(start_agent, tmp_path):
    agent = start_agent("--workers=4")
    held = watch(agent, tmp_path)
    kill_hard([s for s in agent.status()["slots"] if s["kind"] == "watch"][0]["pid"])
    wait_until(lambda: agent.status()["workers"]["look"] == 0, message="it is free")
    assert not isinstance(watch(agent, tmp_path), str)
    held.close()


def test_files_and_programs_together_leave_one_worker(full, tmp_path):
    upload = full.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "a")})
    upload.send(codec.FILE_DATA, b"x")
    wait_until(lambda: full.status()["workers"]["file"] == 1, message="the upload has its place")
    frames = full.file_request(codec.FILE_READ_REQ, {"path": "/etc/passwd"})
    assert frames[-1].type == codec.FILE_ERR and frames[-1].payload.startswith(b"EBUSY: "), frames
    assert full.status()["workers"]["exec"] == 2
    upload.send(codec.FILE_DONE)
    assert upload.result().frames[-1].type == codec.FILE_ACK


def test_a_place_is_free_again_when_its_session_ends(agent):
    for _ in range(15):
        one, two = hold(agent), hold(agent)
        refused(agent.run(["true"]))
        let_go(one, two)


def test_a_place_is_free_again_when_its_host_goes(agent):
    for _ in range(2):
        one, two = hold(agent), hold(agent)
        one.close()
        two.close()
        wait_until(lambda: agent.status()["workers"]["exec"] == 0, message="both places are free")


def test_a_place_is_free_again_after_a_refused_start(agent):
    for _ in range(6):
        assert agent.run(["no-such-program"]).code == 127
        assert agent.request(codec.START, b"{").code == 125
    one, two = hold(agent), hold(agent)
    let_go(one, two)


@pytest.mark.kills_workers
def test_a_place_is_free_again_when_its_worker_dies(agent):
    for _ in range(4):
        conn = agent.start(["sh", "-c", "echo $PPID; exec cat"])
        kill_hard(int(conn.read_output(b"\n")))
        conn.result()
    wait_until(lambda: len(agent.worker_pids()) == 4, 20, "four workers again")
    wait_until(lambda: agent.status()["workers"]["exec"] == 0, message="no place is held")
    one, two = hold(agent), hold(agent)
    let_go(one, two)


def test_many_at_once_take_no_more_places_than_there_are(agent):
    for _ in range(4):
        conns = [None] * 20

        def one(i):
            def call():
                conns[i] = agent.start(["sh", "-c", "echo up; exec cat"])
                while (frame := conns[i].recv()) is not None:
                    if frame.type == codec.STDOUT:
                        return "runs"
                    if frame.type == codec.EXIT:
                        assert conns[i].frames[-2].payload.startswith(b"busy: 2 of 2")
                        return "refused"
                raise AssertionError("neither ran nor was refused")
            return call

        answers = together([one(i) for i in range(20)])
        assert answers.count("runs") == 2, answers
        for conn, answer in zip(conns, answers):
            if answer == "runs":
                let_go(conn)
            conn.close()


def test_reserved_0_leaves_one_worker_all_the_same(start_agent):
    agent = start_agent("--workers=3", "--reserved=0")
    conns = [hold(agent), hold(agent)]
    refused(agent.run(["true"]))
    assert agent.status()["workers"]["exec"] == 2
    let_go(*conns)


def test_reserved_is_at_most_one_less_than_the_workers(start_agent):
    agent = start_agent("--workers=3", "--reserved=9")
    conn = hold(agent)
    refused(agent.run(["true"]))
    let_go(conn)
    assert agent.status()["workers"]["reserved"] == 2


def test_the_places_by_default_are_all_but_two(start_agent):
    agent = start_agent("--workers=6")
    conns = [hold(agent) for _ in range(4)]
    assert "4 of 4" in refused(agent.run(["true"]))
    let_go(*conns)


def test_a_burst_of_refusals_leaves_the_control_lane_open(full, idle):
    """Three come at once, and a status between them."""
    def refused_one():
        conn = full.start(["echo", "x"])
        assert conn.until_exit().code == 125
        conn.close()

    see_that_it_is_not_held_up(
        lambda: together([refused_one] * 3 + [lambda: ask_for_status(full)]),
        lambda: together([lambda: ask_for_status(idle)] * 4))


def seconds_to_the_end_of_all(agent, count):
    """How long a shutdown takes to reach so many programs, which end at once."""
    conns = [hold(agent) for _ in range(count)]
    asker = agent.connect()
    begun = time.monotonic()
    asker.send(codec.SHUTDOWN, {"action": "halt", "grace_seconds": 20})
    for conn in conns:
        assert conn.until_exit().signal == 15
    took = time.monotonic() - begun
    assert asker.result().code == 0
    assert agent.process.wait(20) == 0
    for conn in conns:
        conn.close()
    return took


@pytest.mark.ends_agent
def test_full_pool_acts_on_a_shutdown_as_one_with_room_does(start_agent):
    took = {4: [], 8: []}
    for _ in range(3):
        for workers, seconds in took.items():
            agent = start_agent("--workers=%d" % workers, "--reserved=2")
            seconds.append(seconds_to_the_end_of_all(agent, 2))
    assert not is_held_up(min(took[4]), max(took[8])), took


@pytest.mark.ends_agent
def test_full_pool_can_still_be_shut_down(start_agent):
    agent = start_agent("--workers=4", "--reserved=2")
    conns = [hold(agent), hold(agent)]
    assert agent.request(codec.SHUTDOWN, {"action": "halt", "grace_seconds": 0}).code == 0
    assert agent.process.wait(20) == 0
    for conn in conns:
        conn.result()
    assert not os.path.exists("/proc/%d" % agent.pid)


def refused_upload_left_open(agent):
    conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": "/dev/null/x"})
    assert conn.expect(codec.FILE_ERR).payload.startswith(b"ENOTDIR")
    return conn


def output_left_unread(agent):
    """Its EXIT comes once the host has been slow, and then it is slow again."""
    conn = agent.start(["head", "-c", "3000000", "/dev/zero"])
    time.sleep(0.3)
    conn.until_exit()
    return conn


@pytest.mark.parametrize("leave", [refused_upload_left_open, output_left_unread])
def test_hosts_that_do_not_close_what_is_over_hold_no_worker_that_others_wait_for(start_agent, leave):
    agent = start_agent("--workers=4")
    conns = [leave(agent) for _ in range(4)]
    begun = time.monotonic()
    agent.status()
    assert time.monotonic() - begun < 8, "the linger of one that is slow, or of a refused upload, is 10 s and more"
    for conn in conns:
        conn.close()
