"""Two things in the same moment, many times. CI runs each a hundred times."""

import os
import random
import signal
import time

import pytest

import codec
from agent import Refused, is_running, kill_hard, together, wait_until

AGENT_OPTIONS = ("--workers=10", "--log=info")

ROUNDS = int(os.environ.get("VGA_RACE_ROUNDS", "100"))


def rounds(function, threads=4):
    """FUNCTION(i) for each round, in a few threads."""
    def some(first):
        def call():
            for i in range(first, ROUNDS, threads):
                function(i)
        return call

    together([some(n) for n in range(threads)])


def test_the_child_exits_while_a_signal_comes(agent):
    def once(i):
        conn = agent.start(["sh", "-c", "exit 3"])
        time.sleep((i % 10) * 0.0004)
        try:
            conn.send(codec.SIGNAL, codec.signal_number(9))
        except BrokenPipeError:
            pass
        result = conn.result()
        assert (result.code, result.signal) in ((3, 0), (137, 9)), result

    rounds(once)


def test_the_child_exits_while_eof_and_input_come(agent):
    def once(i):
        conn = agent.start(["head", "-c", "1"])
        conn.send(codec.STDIN, b"xyz")
        try:
            conn.send(codec.EOF)
            conn.send(codec.STDIN, b"late")
        except BrokenPipeError:
            pass
        result = conn.result()
        assert (result.stdout, result.code) == (b"x", 0), (i, result)

    rounds(once)


def test_the_child_exits_while_the_host_leaves(agent):
    def once(i):
        conn = agent.start(["sh", "-c", "echo x"])
        time.sleep((i % 10) * 0.0005)
        conn.close()

    rounds(once)
    wait_until(lambda: agent.status()["workers"]["exec"] == 0, 10, "all workers are idle")
    assert agent.run(["echo", "x"]).stdout == b"x\n"


def test_the_child_exits_while_the_timeout_fires(agent):
    """Each ends within a few milliseconds of its timeout of 1 s."""
    def once(i):
        result = agent.run(["sh", "-c", "sleep %.4f; exit 3" % (0.985 + (i % 10) * 0.002)],
                           timeout_seconds=1, report=True)
        end = result.event("exited")
        assert (result.code, result.signal) == (end["code"], end["signal"])
        if result.code == 3:
            assert end["reason"] in ("exited", "timeout")
        else:
            assert (result.code, result.signal, end["reason"]) == (137, 9, "timeout"), result

    together([lambda n=n: [once(i) for i in range(n, min(ROUNDS, 48), 8)] for n in range(8)])


def test_the_child_exits_while_its_last_output_is_read(agent):
    def once(i):
        size = 1 + (i * 7919) % 200000
        result = agent.run(["head", "-c", str(size), "/dev/zero"])
        assert len(result.stdout) == size and result.code == 0

    rounds(once)


def test_the_child_exits_while_a_descendant_still_writes(agent):
    def once(i):
        result = agent.sh("(sleep 0.0%d; echo late) & echo x; exit 4" % (i % 10))
        assert result.code == 4 and result.stdout.startswith(b"x\n"), result
        assert result.stdout in (b"x\n", b"x\nlate\n")

    rounds(once)


def test_a_tty_hangs_up_while_its_output_is_read(agent):
    def once(_):
        result = agent.sh("seq 1 300", tty=True)
        assert result.stdout.split()[-1] == b"300" and result.code == 0, result

    rounds(once)


def test_a_session_is_killed_by_number_while_it_ends(agent):
    def once(i):
        conn = agent.start(["sh", "-c", "sleep 0.0%d; exit 3" % (i % 3)])
        for slot in agent.status()["slots"]:
            if slot["kind"] == "exec" and slot["command"].startswith("sh -c sleep 0.0%d" % (i % 3)):
                agent.request(codec.KILL, {"session": slot["session"], "signal": 9})
        result = conn.result()
        assert (result.code, result.signal) in ((3, 0), (137, 9)), result

    rounds(once, threads=2)


def test_a_detached_program_is_killed_by_number_while_its_worker_sees_the_host_off(agent):
    """For a moment it is not yet the supervisor's child."""
    def once(_):
        pid = agent.run(["sleep", "60"], detach=True, report=True).event("started")["pid"]
        session = [s["session"] for s in agent.status()["slots"] if s.get("pid") == pid][0]
        try:
            assert agent.request(codec.KILL, {"session": session, "signal": 9}).code == 0
            wait_until(lambda: not is_running(pid), 5, "it is killed")
        finally:
            kill_hard(pid)

    for i in range(min(ROUNDS, 50)):
        once(i)


@pytest.mark.kills_workers
def test_a_worker_dies_while_its_child_exits(agent):
    def once(i):
        conn = agent.start(["sh", "-c", "echo $PPID; exit 3"])
        out = b""
        while b"\n" not in out:
            frame = conn.recv()
            if frame is None or frame.type == codec.EXIT:
                conn.result()
                return
            if frame.type == codec.STDOUT:
                out += frame.payload
        time.sleep((i % 5) * 0.0003)
        kill_hard(int(out))
        result = conn.result(timeout=20)
        assert result.code in (3, 125, None), result

    for i in range(min(ROUNDS, 30)):
        once(i)
        wait_until(lambda: len(agent.worker_pids()) >= 4, 20, "workers")
    wait_until(lambda: len(agent.worker_pids()) == 10, 30, "ten workers again")


def test_sighup_comes_while_connections_do(agent):
    rng = random.Random(1)

    def client():
        for _ in range(ROUNDS // 2):
            try:
                assert agent.run(["echo", "x"]).stdout == b"x\n"
            except Refused:
                raise AssertionError("a connection was refused") from None

    def hup():
        for _ in range(8):
            time.sleep(0.05 + rng.random() * 0.1)
            os.kill(agent.pid, signal.SIGHUP)

    together([client, client, client, hup])
    wait_until(lambda: len(agent.worker_pids()) == 10, 20, "ten workers")
