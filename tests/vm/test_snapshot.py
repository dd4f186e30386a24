# SPDX-License-Identifier: MIT
"""Guests that are stored and started again: what ran goes on, and is somebody else by then.

All are clones of one, which is stored twice: "unaware", in the middle of its work, and
"quiesced", by a host that keeps it still until RESTORED.
"""

import base64
import collections
import contextlib
import os
import tempfile
import time

import codec
import durable
import pytest
import state
from snapshot import ADDRESS, WORKERS, Machine, booted

ROUNDS = int(os.environ.get("VGA_SNAPSHOT_ROUNDS", "2"))
MACHINE_ID = "0123456789abcdef0123456789abcdef"
DAY = 24 * 3600
PORTS = 20  # more than the first host has had connections

NUMBERS = 300000
PART = 100000  # bytes of the numbers that a host reads before a snapshot
BUFFER = 1 << 20

# What a look of the looker has found.
Look = collections.namedtuple("Look", "seconds hostname machine_id address chance")


class Numbers:
    """A durable session that says the numbers up to NUMBERS; DATA is what came of it."""

    def __init__(self, machine):
        script = f"seq 1 {NUMBERS}; exit 7"
        self.reader = durable.sh(
            as_agent(machine), script, "numbers", buffer_bytes=BUFFER, when_full="wait"
        )
        self.data = b""

    def read(self):
        """A part more."""
        self.reader.read_to(self.reader.offset + PART)

    def end(self):
        """The rest of what the connection still brings; returns all that came so far."""
        while self.reader.take(60) is not None:
            pass
        self.data += self.reader.data
        return self.data

    def wait_readable(self, seconds):
        return self.reader.conn.wait_readable(seconds)

    def recv(self):
        return self.reader.take()

    def attach(self, machine):
        at = len(self.data)
        self.reader = durable.attach(as_agent(machine), "numbers", at=at)
        assert (self.reader.attached["offset"], self.reader.attached["lost"]) == (at, 0)
        return self


def as_agent(machine):
    """A machine as durable.py wants an agent."""
    machine.connect = lambda port=codec.EXEC_PORT, **_: machine.dial(port)
    return machine


def assert_has_the_rest(machine, begun):
    """Of the numbers, of which BEGUN had come."""
    numbers = Numbers.__new__(Numbers)
    numbers.data = begun
    reader, acked = numbers.attach(machine).reader, 0
    while reader.take(60) is not None:
        if reader.exit is None and reader.offset - acked > BUFFER // 4:
            acked = reader.offset
            reader.ack()
    assert reader.exit == (7, 0)
    assert begun + reader.data == b"".join(b"%d\n" % i for i in range(1, NUMBERS + 1))


class Golden:
    """What all clones come from. UNAWARE and QUIESCED are what a host had read by then."""

    def __init__(self, machine):
        self.instance = machine.status()["instance"]
        numbers = Numbers(machine)
        numbers.read()
        conns = traffic(machine)
        machine.unplug()
        machine.save("unaware")
        close_all(conns)
        self.unaware = numbers.end()
        machine.plug()
        numbers.attach(machine).read()
        start_detached(machine, "looker /looks")
        state.wait_until(lambda: looks(machine))
        self.said = quiesce(machine, [numbers], hold_ms=600000)
        machine.unplug()
        machine.save("quiesced")
        self.quiesced = numbers.end()
        self.stored = machine.end()


@pytest.fixture(scope="module")
def golden(boot, pytestconfig):
    with booted(boot, pytestconfig.build) as machine:
        machine.guest.output(f"echo {MACHINE_ID} >/etc/machine-id")
        machine.plug()
        start_detached(machine, "writer /disk/numbers")
        yield Golden(machine)


@pytest.fixture(scope="module")
def start_clone(boot, pytestconfig, golden):
    """start(NAME, …): a machine that goes on where NAME was; it ends with the block."""

    @contextlib.contextmanager
    def start(name, **options):
        with tempfile.TemporaryDirectory(prefix="vmm-clone-") as folder:
            disk = golden.stored.copy(folder)
            machine = Machine(boot, pytestconfig.build, folder, disk, golden.stored, name, **options)
            try:
                yield machine
            finally:
                machine.stop()

    return start


def start_detached(machine, command):
    assert machine.start(f"exec {command}", detach=True).result(60).code == 0


def traffic(machine):
    """Sessions that are in the middle of something."""
    talking = machine.start("trap '' HUP TERM; while :; do echo talk; done")
    talking.read_output(b"talk\n")
    hearing = machine.start("cat")
    hearing.send(codec.STDIN, b"x" * 100000)
    hearing.read_output(b"x")
    waiting = machine.dial()
    waiting.send(codec.WAIT_PORT, {"port": 9, "timeout_ms": 600000})
    writing = machine.dial(codec.FILE_PORT)
    writing.send(codec.FILE_WRITE_REQ, {"path": "/disk/upload"})
    writing.send(codec.FILE_DATA, b"y" * 100000)
    return talking, hearing, waiting, writing


def close_all(conns):
    for conn in conns:
        conn.close()


def quiesce(machine, conns=(), **members):
    """The guest stands still, the disk too, and stays so without its host; returns the
    STATUS. What comes on CONNS is taken meanwhile, or these would not come to rest."""
    conn = machine.dial()
    conn.send(
        codec.QUIESCE,
        {"fsfreeze": ["/disk"], "within_ms": 60000, "on_gone": "hold", **members},
    )
    state.wait_until(lambda: conn.wait_readable(0) or any(map(take_all, conns)), 90)
    told = conn.expect(codec.STATUS).json()
    assert told["event"] == "quiesced" and "error" not in told, told
    machine.holder = conn
    return told


def take_all(conn):
    while conn.wait_readable(0):
        assert conn.recv() is not None


def restored(machine, **members):
    """RESTORED's exit code and its STATUS."""
    conn = machine.dial()
    conn.send(codec.RESTORED, members)
    result = conn.result(60)
    return result.code, result.event("restored")


def identity(number):
    """What RESTORED gives the clone of this NUMBER; each has days of its own."""
    return {
        "unix_ns": int((time.time() + number * 10 * DAY) * 1e9),
        "entropy": base64.b64encode(os.urandom(64)).decode(),
        "generation": number,
        "hostname": f"clone-{number}",
        "machine_id": True,
        "env": {"CLONE": str(number)},
        "net": {"ip": f"10.0.2.{100 + number}", "netmask": "255.255.255.0", "gateway": "10.0.2.2"},
    }


def run(machine, script):
    result = machine.start(script).result(60)
    assert (result.code, result.stderr) == (0, b""), result
    return result.stdout.decode().strip()


def assert_identity(machine, given):
    """That a session finds what was GIVEN; returns the machine-id."""
    look = "hostname; echo $CLONE; date +%s; cat /etc/machine-id; ip -4 -o addr show eth0"
    hostname, clone, clock, machine_id, address = run(machine, look).split("\n")
    assert (hostname, clone) == (given["hostname"], given["env"]["CLONE"])
    assert 0 <= int(clock) - given["unix_ns"] // 10**9 < DAY
    assert len(machine_id) == 32 and machine_id != MACHINE_ID
    assert given["net"]["ip"] in address and ADDRESS + "/" not in address
    assert machine.status()["generation"] == given["generation"]
    return machine_id


def busy(status):
    """The workers that have something to do: this one, and the owner of each durable session
    that runs."""
    return 1 + sum(slot.get("running", False) for slot in status["slots"])


def assert_whole(machine):
    """Nobody died, and all workers are idle that should be."""
    status = state.wait_until(
        lambda: (s := machine.status())["workers"]["idle"] == WORKERS - busy(s) and s
    )
    assert status["worker_deaths"]["total"] == 0 and "quiesce" not in status
    assert run(machine, "echo served") == "served"


def reach(machine):
    """On each port that a connection of the host before may still have."""
    for _ in range(PORTS):
        machine.dial().close()


def is_frozen(machine):
    return "frozen 1" in machine.guest.output("cat /sys/fs/cgroup/sessions/cgroup.events")


def looks(machine):
    """The Looks of /looks; a line that has no end yet is none."""
    *lines, _ = machine.guest.output("cat /looks 2>/dev/null; echo").split("\n")
    found = [Look(*line.split()) for line in lines]
    return [look._replace(seconds=int(look.seconds)) for look in found]


def written(machine):
    """How far the writer to the disk has come."""
    return int(machine.guest.output("grep -c . /disk/numbers || true"))


# ---- a guest that knew of nothing -----------------------------------------------------


def test_sessions_in_mid_stream_whose_connections_a_restore_reset_leave_the_agent_whole(start_clone, golden):
    with start_clone("unaware", cid=77) as machine:
        machine.plug()
        reach(machine)
        assert_whole(machine)
        assert machine.status()["instance"] == golden.instance
        assert machine.guest.run("ps | grep -v grep | grep -q 'echo talk'").status == 1
        assert machine.guest.run("ls /disk").output.split() == ["lost+found", "numbers"]


def test_restored_alone_puts_right_a_guest_that_was_stored_as_it_ran(start_clone, golden):
    with start_clone("unaware") as machine:
        machine.plug()
        given = identity(3)
        code, told = restored(machine, **given)
        assert (code, told["errors"], told["thaw_us"]) == (0, [], 0)
        assert_identity(machine, given)
        assert_has_the_rest(machine, golden.unaware)
        assert_whole(machine)


# ---- a guest whose host does not come back -----------------------------------------------


def test_a_guest_that_nobody_tells_anything_thaws_when_the_hold_is_over(start_clone):
    with start_clone("unaware") as machine:
        machine.plug()
        quiesce(machine, hold_ms=4000)
        machine.unplug()
        machine.save("held")
        machine.load("held")
        state.wait_until(lambda: not is_frozen(machine))
        machine.guest.output("echo x >/disk/x && sync")
        before = written(machine)
        state.wait_until(lambda: written(machine) > before)
        machine.plug()
        assert_whole(machine)


def test_a_clock_that_jumps_over_the_hold_leaves_restored_its_two_seconds_and_no_more(start_clone):
    watch = """while read up idle </proc/uptime && read state </sys/fs/cgroup/sessions/cgroup.freeze; do
		echo $up $state
	done >/watched &"""
    with start_clone("quiesced") as machine:
        machine.guest.output(watch)
        assert is_frozen(machine)
        machine.jump()
        state.wait_until(lambda: not is_frozen(machine))
        machine.guest.output("echo x >/disk/x && sync")
        watched = [line.split() for line in machine.guest.output("cat /watched").split("\n")[:-1]]
        held = [float(up) for up, frozen in watched if float(up) > 300 * DAY and frozen == "1"]
        assert 1 < held[-1] - held[0] < 30, "the hold was for 600 s"


# ---- again and again --------------------------------------------------------------------


def test_a_guest_that_is_stored_in_the_middle_of_traffic_answers_each_time(start_clone):
    with start_clone("unaware") as machine:
        machine.plug()
        for number in range(1, ROUNDS + 1):
            conns = traffic(machine)
            if number % 2 == 0:
                quiesce(machine, conns)
            machine.unplug()
            machine.save("again")
            machine.load("again")
            machine.plug()
            close_all(conns)
            given = identity(number)
            code, told = restored(machine, **given)
            assert (code, told["errors"], told["thaw_us"] > 0) == (0, [], number % 2 == 0)
            assert_identity(machine, given)
            assert_whole(machine)


# ---- two clones of a guest that was quiesced --------------------------------------------


class Clone:
    """A clone that was told who it is. STILL is what was seen of it before that, twice: the
    looks, the numbers on its disk; NEW are the looks since."""

    def __init__(self, machine, number):
        self.machine = machine
        self.still = [self._see()]
        machine.plug()
        reach(machine)
        self.still.append(self._see())
        self.given = identity(number)
        self.told = restored(machine, **self.given)
        old = len(self.still[0][0])
        self.new = state.wait_until(lambda: len(found := looks(machine)[old:]) > 2 and found)
        machine.guest.output("killall looker")

    def _see(self):
        return looks(self.machine), written(self.machine)


@pytest.fixture(scope="module")
def clones(start_clone):
    """Both run at the same time."""
    with start_clone("quiesced") as one, start_clone("quiesced", cid=77) as other:
        yield Clone(one, 1), Clone(other, 2)


def test_nothing_runs_between_the_snapshot_and_restored(clones, golden):
    assert [entry["path"] for entry in golden.said["frozen"]] == ["/disk"]
    for clone in clones:
        assert clone.still[0] == clone.still[1] and clone.still[0][1] > 0
        for look in clone.still[0][0]:
            assert look[1:4] == ("golden", MACHINE_ID, ADDRESS)


def test_programs_see_no_moment_of_the_old_host_after_the_snapshot(clones):
    for clone in clones:
        code, told = clone.told
        assert (code, told["errors"]) == (0, []) and told["thaw_us"] > 0
        given = clone.given
        since = given["unix_ns"] // 10**9
        # Of the look that was under way the first part may be of before.
        new = [look for look in clone.new if look.seconds >= since]
        assert len(new) >= len(clone.new) - 1 and clone.new[-1] in new
        for look in new:
            assert (look.hostname, look.address) == (given["hostname"], given["net"]["ip"])
            assert look.machine_id != MACHINE_ID


def test_two_clones_of_one_snapshot_are_two_and_of_one_boot(clones, golden):
    machine_ids = {assert_identity(clone.machine, clone.given) for clone in clones}
    assert len(machine_ids) == 2
    chance = [{look.chance for look in clone.new} for clone in clones]
    assert not chance[0] & chance[1], "the same random bytes"
    assert {clone.machine.status()["instance"] for clone in clones} == {golden.instance}


def test_each_clone_has_every_byte_of_a_durable_session(clones, golden):
    for clone in clones:
        assert_has_the_rest(clone.machine, golden.quiesced)


def test_writer_to_a_disk_that_was_frozen_goes_on_without_an_error(clones):
    for clone in clones:
        before = written(clone.machine)
        state.wait_until(lambda clone=clone, before=before: written(clone.machine) > before + 3)
        lines = clone.machine.guest.output("cat /disk/numbers").split("\n")
        assert lines == [str(i) for i in range(1, len(lines) + 1)]


def test_a_generation_is_put_right_once_and_an_older_one_is_refused(clones):
    clone = clones[1]
    again = {**clone.given, "hostname": "again", "net": {**clone.given["net"], "ip": "10.0.2.9"}}
    code, told = restored(clone.machine, **again)
    assert (code, told["errors"]) == (0, [])
    code, told = restored(clone.machine, **{**again, "generation": 1})
    assert code == 1 and "ESTALE" in told["errors"][0]
    assert_identity(clone.machine, clone.given)


def test_restored_is_why_a_host_that_stayed_hears_of_the_thaw(clones):
    machine = clones[0].machine
    quiesce(machine)
    given = {**identity(1), "generation": 5}
    assert restored(machine, **given)[0] == 0
    result = machine.holder.result(60)
    assert (result.code, result.event("thawed")["why"]) == (0, "restored")
    assert_identity(machine, given)
    assert_whole(machine)
