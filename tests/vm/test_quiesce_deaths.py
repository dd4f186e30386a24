# SPDX-License-Identifier: MIT
"""Whoever dies while a guest is made to stand still, it goes on.

VGA_QUIESCE_ROUNDS times (10 by default) at a random moment, from VGA_QUIESCE_SEED on.
"""

import contextlib
import os
import random
import time

import codec
import pytest
import state
from quiescing import CGROUP, Counter, Quiesce, held, slow_disk, start_with_disks, writers
from sessions import MIB

ROUNDS = int(os.environ.get("VGA_QUIESCE_ROUNDS", "10"))
SEED = int(os.environ.get("VGA_QUIESCE_SEED", "1"))

# An end that does not come of the death itself would come after HOLD.
FOREVER_MS = 600000
AT_ONCE_SECONDS = 60
KILLED = {"worker": ": quiesce", "switch": "agent: switch", "host": None}


@pytest.fixture(scope="module")
def hosted(boot, pytestconfig):
    with start_with_disks(boot, pytestconfig.build, "vmm_agent.workers=16") as started:
        yield started


def find(hosted, title):
    """The (pid, state) of the process with this TITLE, or None."""
    found = state.processes(hosted.guest).items()
    return next(((pid, kind) for pid, (_, kind, command) in found if title in command), None)


def kill(hosted, victim, quiesce):
    if victim == "host":
        quiesce.conn.close()
    else:
        hosted.guest.output(f"kill -9 {find(hosted, KILLED[victim])[0]}")


def goes_on(hosted, seconds=AT_ONCE_SECONDS):
    """Waits until a QUIESCE freezes everything: nothing was frozen. Returns how long that was."""
    began = time.monotonic()

    def next_one():
        quiesce = Quiesce(hosted, fsfreeze=["/disk", "/other", "/loop"])
        if "error" not in quiesce.said:
            return quiesce.thaw() == "host"
        quiesce.conn.result()
        return False

    state.wait_until(next_one, seconds)
    return time.monotonic() - began


# ---- at each step --------------------------------------------------------------------


@contextlib.contextmanager
def write_that_hangs(hosted, is_program):
    """Of a session's program, or of a worker."""
    hosted.guest.output("fsfreeze --freeze /other")
    if is_program:
        conn = hosted.start("echo up; echo x >/other/late")
        conn.read_output(b"up\n")
    else:
        conn = hosted.dial(53)
        conn.send(codec.FILE_WRITE_REQ, {"path": "/other/late", "size": 1})
    hangs = "/other/late" if is_program else ": write"
    state.wait_until(lambda: (find(hosted, hangs) or "  ")[1] == "D")
    try:
        yield
    finally:
        hosted.guest.output("fsfreeze --unfreeze /other")
        conn.close()


def switch_hangs(hosted):
    return (find(hosted, KILLED["switch"]) or "  ")[1] == "D"


@contextlib.contextmanager
def at_step(hosted, step):
    """A QUIESCE that is in STEP until the block ends."""
    order = {"fsfreeze": ["/disk"], "sync": step == "sync", "within_ms": 60000, "hold_ms": FOREVER_MS}
    with contextlib.ExitStack() as stack:
        if step in ("rest", "sessions"):
            stack.enter_context(write_that_hangs(hosted, step == "sessions"))
        elif step in ("sync", "fsfreeze"):
            hosted.guest.output(f"head -c {MIB} /dev/urandom >/disk/dirty")
            stack.enter_context(slow_disk(hosted))
        quiesce = Quiesce(hosted, **order)
        if step in ("held", "thaw"):
            assert "error" not in quiesce.said
        if step == "thaw":
            stack.enter_context(slow_disk(hosted))
            quiesce.conn.send(codec.THAW)
        if step == "rest":
            state.wait_until(lambda: find(hosted, KILLED["switch"]))
        elif step == "sessions":
            state.wait_until(lambda: hosted.guest.output(f"cat {CGROUP}/cgroup.freeze") == "1")
        elif step != "held":
            state.wait_until(lambda: switch_hangs(hosted))
        hosted.status()
        yield quiesce


@pytest.mark.parametrize("step", ["rest", "sessions", "sync", "fsfreeze", "held", "thaw"])
@pytest.mark.parametrize("victim", KILLED)
def test_guest_goes_on_whoever_dies_in_whichever_step(hosted, victim, step):
    counter = Counter(hosted, "count")
    with at_step(hosted, step) as quiesce:
        kill(hosted, victim, quiesce)
        hosted.status()
    goes_on(hosted)
    counter.goes_on()
    counter.conn.close()
    quiesce.conn.close()
    hosted.wait_idle()


def test_death_of_the_worker_that_asked_ends_no_hold_that_is_to_outlive_it(hosted):
    counter = Counter(hosted, "count")
    quiesce = Quiesce(hosted, fsfreeze="all", hold_ms=FOREVER_MS, on_gone="hold")
    assert "error" not in quiesce.said
    kill(hosted, "worker", quiesce)
    quiesce.conn.result()
    counter.stands_still()
    thaw = hosted.dial()
    thaw.send(codec.THAW)
    assert thaw.result().code == 0
    counter.goes_on()
    goes_on(hosted)
    counter.conn.close()
    hosted.wait_idle()


def test_worker_that_rests_may_die_and_its_session_with_it(hosted):
    """Its host is told at once; the others notice nothing."""
    counters = [Counter(hosted, name) for name in ("count", "other")]
    with held(hosted, fsfreeze="all"):
        hosted.guest.output(f"kill -9 {find(hosted, ': exec')[0]}")
        ended = state.wait_until(lambda: [c for c in counters if c.conn.wait_readable(0)])
        assert len(ended) == 1 and ended[0].conn.result().code == 125
        (other,) = set(counters) - set(ended)
        other.stands_still()
    other.goes_on()
    other.conn.close()
    hosted.wait_idle()


# ---- at any moment -------------------------------------------------------------------


class Round:
    """One QUIESCE, and who dies when."""

    def __init__(self, chance):
        self.victim = chance.choice([*KILLED, "watch"])
        self.delay_us = int(chance.expovariate(1 / 30000))
        self.thaw_seconds = chance.expovariate(1 / 0.03)
        self.order = {
            "freeze": chance.choice(["sessions", "none"]),
            "sync": chance.choice([True, False]),
            "fsfreeze": chance.choice([["/disk"], "all", []]),
        }
        self.order |= chance.choice([{"hold_ms": FOREVER_MS}, {"hold_ms": 500, "on_gone": "hold"}])

    def __repr__(self):
        return f"{self.victim} after {self.delay_us} us of {self.order}, thaw after {self.thaw_seconds:.3f} s"

    def play(self, hosted):
        title = {**KILLED, "watch": ": watch"}[self.victim]
        if title:
            hosted.guest.output(f"kill-when '{title}' {self.delay_us} >/dev/null 2>&1 &")
        quiesce = Quiesce(hosted, **self.order)
        if not title:
            time.sleep(self.delay_us / 1e6)
            quiesce.conn.close()
            return
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if quiesce.conn.recv() is not None:
                time.sleep(self.thaw_seconds)
                quiesce.conn.send(codec.THAW)
                quiesce.conn.result()
        quiesce.conn.close()
        hosted.guest.run("killall -9 kill-when")


def test_guest_goes_on_whoever_dies_at_whichever_moment(hosted):
    chance = random.Random(SEED)
    longest = 0
    with writers(hosted, "/disk", "/loop", count=1) as two:
        for i in range(ROUNDS):
            this = Round(chance)
            watch = hosted.dial(53)
            watch.send(codec.FILE_WATCH_REQ, {"path": "/tmp", "recursive": False})
            watch.expect(codec.FILE_ACK)
            try:
                this.play(hosted)
                longest = max(longest, goes_on(hosted))
                for writer in two:
                    writer.goes_on()
            except (AssertionError, TimeoutError) as error:
                raise AssertionError(f"VGA_QUIESCE_SEED={SEED}, round {i}: {this}") from error
            watch.close()
    print(f"{ROUNDS} rounds, after {longest:.1f} s at most everything went on")
