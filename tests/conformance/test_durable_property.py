# SPDX-License-Identifier: MIT
"""What readers of a durable session get, whatever they and their workers do: at random,
VGA_DURABLE_ROUNDS times (50 by default), from VGA_DURABLE_SEED on.

A program writes what is known beforehand to both streams. Up to eight readers attach,
read, stall, detach and vanish meanwhile, and their workers are killed, stopped and
continued. How the streams interleave is not known beforehand, but all readers must see
one and the same order, and of each stream its own bytes.
"""

import collections
import json
import os
import random
import re
import select
import time

import pytest

import codec
import durable
from agent import descriptors, is_running, is_sanitized, kill_hard, wait_until
from durable import Frozen

ROUNDS = int(os.environ.get("VGA_DURABLE_ROUNDS", "50"))
SEED = int(os.environ.get("VGA_DURABLE_SEED", "1"))
AGENT_OPTIONS = ("--workers=64", "--log=info")
READERS_MAX = 8
ROUND_SECONDS = 300
MIB = 1 << 20

pytestmark = pytest.mark.kills_workers

# ---- the program ---------------------------------------------------------------------

WRITER = r"""
import json, os, random, sys, time
plan = json.load(open(sys.argv[1]))
noise = random.Random(plan["seed"])
rest = {fd: memoryview(noise.randbytes(plan["sizes"][fd - 1])) for fd in (1, 2)}
def write(fd, count):
    part, rest[fd] = rest[fd][:count], rest[fd][count:]
    while part:
        part = part[os.write(fd, part):]
for fd, count, piece, pause in plan["steps"]:
    if fd == 3:
        for _ in range(count):
            write(1, piece)
            write(2, piece)
        continue
    for _ in range(count):
        write(fd, piece)
        if pause:
            time.sleep(pause)
os._exit(plan["code"])
"""


def draw_steps(noise):
    """[(stream, or 3 for both in turn; how often; bytes at once; seconds between)]."""
    steps = []
    budget = int(2 ** noise.choice([0, noise.uniform(4, 16), noise.uniform(10, 20), noise.uniform(16, 23),
                                    noise.uniform(18, 25)])) - 1
    while budget > 0 and len(steps) < 12:
        fd = noise.choice([1, 1, 1, 2, 2, 3])
        if fd == 3:
            piece = noise.choice([1, 1, 1, 2, 7, 4096])
            count = min(noise.randrange(1, 5000), budget // (2 * piece))
            steps.append((fd, count, piece, 0))
            budget -= 2 * piece * count
        elif noise.random() < 0.3:
            piece = min(budget, noise.choice([1, 10, 1000, 5000, 65536]))
            count = min(noise.randrange(1, 40), budget // piece)
            steps.append((fd, count, piece, noise.choice([0, 0.0002, 0.001])))
            budget -= piece * count
        else:
            count = noise.randrange(1, budget + 1)
            steps.append((fd, 1, count, 0))
            budget -= count
    return steps


class Plan:
    """What the program of one round does, and what of it is known."""

    def __init__(self, noise, path):
        self.steps = draw_steps(noise)
        self.code = noise.choice([0, 0, 0, 1, 77])
        self.seed = noise.randrange(1 << 30)
        sizes = [sum(count * piece for fd, count, piece, _ in self.steps if fd in (stream, 3)) for stream in (1, 2)]
        self.total = sum(sizes)
        source = random.Random(self.seed)
        self.reference = {kind: source.randbytes(size) for kind, size in zip(durable.OUTPUT, sizes)}
        self.path = path
        path.write_text(json.dumps({"seed": self.seed, "sizes": sizes, "steps": self.steps, "code": self.code}))
        self.cmd = ["/usr/bin/python3", "-I", "-S", "-c", WRITER, str(path)]


# ---- what came -------------------------------------------------------------------------


def merge(pieces):
    """The pieces of all readers as few long ones, which have no common byte. Where two
    have the same offset they must agree."""
    merged = []
    # What was lost again before anything came says nothing of the streams.
    for piece in sorted((one for one in pieces if one.data), key=lambda one: (one.offset, -one.end)):
        last = merged[-1] if merged else None
        if last is None or piece.offset > last.end:
            merged.append(durable.Piece(piece.offset))
            last = merged[-1]
        at = piece.offset - last.offset
        common = min(last.end, piece.end) - piece.offset
        for mine, other in ((piece.data, last.data), (piece.marks, last.marks)):
            assert mine[:common] == other[at:at + common], "two readers disagree within %r" % piece
            other += mine[common:]
    return merged


def of_stream(piece, kind):
    """The bytes of one stream in it."""
    runs = re.finditer(b"\\x%02x+" % kind, piece.marks)
    return b"".join(bytes(piece.data[run.start():run.end()]) for run in runs)


def find(plan, piece, low):
    """How far each stream is at the end of PIECE, which begins where both are at LOW or
    further, and all bytes of both before it are as many as its offset says."""
    parts = {kind: of_stream(piece, kind) for kind in durable.OUTPUT}
    long, short = sorted(parts, key=lambda kind: -len(parts[kind]))
    at = plan.reference[long].find(parts[long], low[long])
    while at >= 0:
        other = piece.offset - at
        if other < low[short]:
            break
        if plan.reference[short][other:other + len(parts[short])] == parts[short]:
            return {long: at + len(parts[long]), short: other + len(parts[short])}
        at = plan.reference[long].find(parts[long], at + 1)
    raise AssertionError("%r is not what the program wrote behind %r" % (piece, low))


# So few bytes may stand in several places of what is known.
DISTINCT = 16


def check_bytes(plan, pieces):
    """Holds all that came against the reference; returns how many bytes nobody has."""
    low, end, missing = dict.fromkeys(durable.OUTPUT, 0), 0, 0
    for piece in merge(pieces):
        assert piece.end <= plan.total, piece
        found = find(plan, piece, low)
        if piece.offset == end or len(piece.data) >= DISTINCT:
            low = found
        missing += piece.offset - end
        end = piece.end
    return missing + plan.total - end


# ---- one round ------------------------------------------------------------------------------


class Round:
    def __init__(self, agent, seed, path):
        self.agent = agent
        self.noise = random.Random(seed)
        self.plan = Plan(self.noise, path)
        self.settings = {"buffer_bytes": self.noise.choice([65536, 65536, 65537, 100000, MIB, 5 * MIB]),
                         "when_full": self.noise.choice(["attached", "wait", "drop"])}
        self.name = "round-%d" % seed
        self.readers = []       # connections that stand
        self.gone = []          # and those that do not
        self.stalled = {}       # reader: until when
        self.leaving = set()    # DETACH was sent
        self.frozen = []
        self.kills = self.takeovers = 0
        self.acked = 0          # at most
        self.deadline = time.monotonic() + ROUND_SECONDS

    # ---- what happens

    def begin(self):
        self.owner = durable.start(self.agent, self.plan.cmd, self.name, **self.settings)
        self.session = self.owner.started["session"]
        self.holds(self.owner)
        self.readers.append(self.owner)

    def holds(self, reader):
        reader.turn = self.takeovers
        reader.asked = True

    def is_held_by(self, reader):
        """Whether READER must hold the input: nobody has asked for it since."""
        return reader.asked and reader.turn == self.takeovers

    def covered(self):
        """Up to where every byte has come to somebody."""
        end, pieces = 0, [piece for reader in self.readers + self.gone for piece in reader.pieces]
        for piece in sorted(pieces, key=lambda one: one.offset):
            if piece.offset <= end:
                end = max(end, piece.end)
        return end

    def attach(self, wants_input=None, at=None):
        if len(self.readers) >= READERS_MAX:
            return None
        if wants_input is None:
            wants_input = self.noise.random() < 0.4
        more = {"input": wants_input}
        far = self.covered()
        choice = self.noise.randrange(4) if at is None else 0
        if choice == 0 or (wants_input and self.settings["when_full"] == "wait"):
            more["at"] = at if at is not None else self.noise.choice([0, far, self.noise.randint(0, far)])
        elif choice == 1:
            more["tail"] = self.noise.choice([0, 1, self.noise.randrange(1, 200000)])
        if wants_input:
            self.takeovers += 1
            self.acked = max(self.acked, more.get("at", 0))
        reader = durable.attach(self.agent, self.name, **more)
        self.holds(reader)
        reader.asked = wants_input
        attached = reader.attached
        if "at" in more:
            assert attached["offset"] - attached["lost"] == more["at"], (more, attached)
        elif "tail" not in more:
            assert attached["offset"] == attached["lost"], attached
        if "at" in more and wants_input and self.settings["when_full"] == "wait" and more["at"] == far:
            assert attached["lost"] == 0, attached
        self.readers.append(reader)
        return reader

    def drop(self, reader):
        self.readers.remove(reader)
        self.gone.append(reader)
        self.stalled.pop(reader, None)
        if not reader.closed:
            reader.close()

    def vanish(self):
        reader = self.noise.choice(self.readers)
        self.drop(reader)
        reader.vanished = True

    def detach(self):
        reader = self.noise.choice(self.readers)
        if reader not in self.leaving and reader.exit is None:
            self.leaving.add(reader)
            try:
                reader.send(codec.DETACH)
            except (BrokenPipeError, ConnectionResetError):
                pass            # the end was faster, or a kill

    def stall(self):
        self.stalled[self.noise.choice(self.readers)] = time.monotonic() + self.noise.uniform(0, 0.1)

    def workers(self):
        found = [slot["pid"] for slot in durable.readers(self.agent, self.session)]
        return [pid for pid in found if pid not in [frozen.pid for frozen in self.frozen] and is_running(pid)]

    def kill(self):
        workers = self.workers()
        if workers and self.kills < 2:
            self.kills += 1
            kill_hard(self.noise.choice(workers))

    def freeze(self):
        workers = self.workers()
        slot = durable.sessions(self.agent)[self.name]
        if slot["running"] and self.noise.random() < 0.2:
            owner = durable.owner_pid(self.agent, self.name)
            workers = [owner] if owner else []
        if workers and len(self.frozen) < 4:
            try:
                self.frozen.append(Frozen(self.noise.choice(workers)))
            except (PermissionError, ProcessLookupError):
                pass            # it has one at it already, or has gone

    def thaw(self):
        if self.frozen:
            self.frozen.pop(self.noise.randrange(len(self.frozen))).thaw()

    def ack(self, reader=None):
        reader = reader or (self.noise.choice(self.readers) if self.readers else None)
        if reader is not None and reader.exit is None and reader not in self.leaving:
            offset = self.covered() if self.is_held_by(reader) else self.noise.randrange(1 << 40)
            if self.is_held_by(reader):
                self.acked = max(self.acked, offset)
            try:
                reader.ack(offset)
            except (BrokenPipeError, ConnectionResetError):
                pass

    def act(self):
        actions = [(self.attach, 6), (self.stall, 4), (self.ack, 4), (self.freeze, 2), (self.thaw, 3), (self.kill, 1)]
        if self.readers:
            actions += [(self.vanish, 2), (self.detach, 2)]
        else:
            actions = actions[:1]
        self.noise.choices(*zip(*actions))[0]()

    # ---- what comes

    def take(self, reader):
        before = len(reader.lost)
        for _ in range(20):
            if not reader.take_all():
                break
        if self.settings["when_full"] != "drop" and self.is_held_by(reader):
            for offset, _ in reader.lost[before:]:
                # What an ACK has covered nobody keeps for one who asks for it again.
                assert self.settings["when_full"] == "wait" and offset <= self.acked, (
                    "the holder lost something: %r" % reader)
        if reader.closed:
            self.drop(reader)

    def read(self, seconds):
        now = time.monotonic()
        assert now < self.deadline, "no end: %r, %r" % (self.readers, durable.sessions(self.agent))
        awake = [reader for reader in self.readers if self.stalled.get(reader, 0) <= now]
        # What came together with STATUS `attached` is here already.
        ready = [reader for reader in awake if reader.has_unread()]
        if awake and not ready:
            ready = select.select(awake, [], [], seconds)[0]
        for reader in ready:
            self.take(reader)

    def run(self):
        self.begin()
        try:
            for _ in range(self.noise.randrange(5, 60)):
                self.read(self.noise.choice([0, 0, 0.001, 0.005]))
                self.act()
        finally:
            while self.frozen:
                self.thaw()
        self.stalled.clear()
        self.end()

    def end(self):
        """Somebody who holds the input reads on to EXIT, and so do all who are there."""
        last = None
        while True:
            if last not in self.readers:
                if last is not None and last.exit:
                    break
                if len(self.readers) >= READERS_MAX:
                    self.vanish()
                last = self.attach(True, self.covered())
            self.read(0.05)
            if last in self.readers and last.exit is None and self.settings["when_full"] == "wait":
                self.ack(last)
        while self.readers:
            self.read(0.05)

    # ---- what must hold

    def check(self):
        slot = durable.sessions(self.agent)[self.name]
        assert (slot["offset"], slot["code"], slot["running"]) == (self.plan.total, self.plan.code, False), slot
        missing = check_bytes(self.plan, [piece for reader in self.gone for piece in reader.pieces])
        if self.settings["when_full"] == "wait":
            assert missing == 0
        ended_otherwise = 0
        for reader in self.gone:
            if reader.exit is not None:
                assert (reader.exit, reader.offset) == ((self.plan.code, 0), self.plan.total), reader
            elif reader in self.leaving and reader.all_events("detached") and "why" not in reader.events[-1]:
                assert reader.events[-1]["offset"] == reader.offset, reader
            elif not getattr(reader, "vanished", False):
                ended_otherwise += 1
            if reader.all_events("input_taken"):
                assert reader.asked and reader.turn < self.takeovers, reader
        assert ended_otherwise <= self.kills, self.gone


def run_rounds(agent, seeds, path):
    for seed in seeds:
        one = Round(agent, seed, path)
        try:
            one.run()
            one.check()
        except BaseException as error:
            raise AssertionError("VGA_DURABLE_ROUNDS=1 VGA_DURABLE_SEED=%d: %r\n%r\n%r" % (
                seed, one.settings, one.plan.steps, error)) from error
        finally:
            for reader in one.readers:
                reader.close()
        durable.forget_all(agent)


# ---- as at the start --------------------------------------------------------------------------


def journal_blocks(agent):
    """What the memfds of the supervisor take, in blocks of 512 bytes."""
    return sum(os.stat("/proc/%d/fd/%d" % (agent.pid, number)).st_blocks
               for number, name in descriptors(agent.pid).items() if name.startswith("/memfd:"))


def proportional_kib(pid):
    with open("/proc/%d/smaps_rollup" % pid) as rollup:
        return int(re.search(r"^Pss:\s+(\d+)", rollup.read(), re.M)[1])


def kinds_open(pid):
    """{kind of descriptor, bells among them: how many PID has}."""
    return collections.Counter(re.sub(r"\d+", "", name) for name in descriptors(pid).values())


def state(agent):
    """Places, pages, slots that are in use, and what the supervisor and all workers have open."""
    status = agent.status()
    workers = {name: status["workers"][name] for name in ("exec", "look", "file", "configured")}
    opened = [kinds_open(pid) for pid in (agent.pid, *agent.worker_pids())]
    return (workers, journal_blocks(agent), [slot["kind"] for slot in status["slots"]], opened[0],
            {tuple(sorted(kinds.items())) for kinds in opened[1:]})


def wait_workers(agent):
    """Those that were killed often are replaced after a while."""
    wait_until(lambda: len(agent.worker_pids()) == 64, message="all workers")


def test_every_reader_has_what_the_program_wrote_from_its_offset_on(agent, tmp_path):
    agent.settle()
    before = state(agent)
    run_rounds(agent, range(SEED, SEED + ROUNDS), tmp_path / "plan")
    wait_workers(agent)
    wait_until(lambda: state(agent) == before, message="as before: %r" % (before,))


@pytest.mark.plain_build
def test_memory_is_after_many_sessions_what_it_was(agent, tmp_path):
    """Of workers that have each served before: what another round adds is nothing."""
    def memory():
        wait_workers(agent)
        agent.settle()
        return sum(map(proportional_kib, [agent.pid, *agent.worker_pids()]))

    assert not is_sanitized()
    run_rounds(agent, range(1000, 1008), tmp_path / "plan")
    before = memory()
    run_rounds(agent, range(1000, 1008), tmp_path / "plan")
    # Who has served and who has not differs: some 30 KiB a worker.
    assert memory() - before < 64 * 32


# ---- the test itself ------------------------------------------------------------------------------


def piece_of(offset, *frames):
    piece = durable.Piece(offset)
    for kind, data in frames:
        piece.add(codec.Frame(kind, data))
    return piece


class Known:
    total = 12
    reference = {codec.STDOUT: b"abcdefgh", codec.STDERR: b"1234"}


def test_the_comparison_accepts_what_is_right():
    whole = piece_of(0, (codec.STDOUT, b"abc"), (codec.STDERR, b"12"), (codec.STDOUT, b"defgh"), (codec.STDERR, b"34"))
    assert check_bytes(Known, [whole]) == 0
    assert check_bytes(Known, [piece_of(0, (codec.STDOUT, b"ab")), piece_of(7, (codec.STDOUT, b"fgh"))]) == 7
    assert check_bytes(Known, [piece_of(3, (codec.STDERR, b"12"), (codec.STDOUT, b"d")), whole]) == 0


@pytest.mark.parametrize("pieces", [
    [piece_of(0, (codec.STDOUT, b"abd"))], [piece_of(0, (codec.STDERR, b"a"))],
    [piece_of(1, (codec.STDOUT, b"c"), (codec.STDERR, b"2"))],
    [piece_of(0, (codec.STDOUT, b"abcdefgh"), (codec.STDERR, b"12345"))],
    [piece_of(0, (codec.STDOUT, b"abc")), piece_of(1, (codec.STDOUT, b"c"))],
    [piece_of(0, (codec.STDOUT, b"a"), (codec.STDERR, b"1")), piece_of(1, (codec.STDOUT, b"b"))]])
def test_the_comparison_finds_what_is_wrong(pieces):
    with pytest.raises(AssertionError):
        check_bytes(Known, pieces)
