# SPDX-License-Identifier: MIT
"""Guests that are stored and started again: what ran goes on, and is somebody else by then."""

import contextlib
import hashlib
import json
import tempfile
import time

import codec
import durable
import pytest
import state
from disks import Disk
from snapshot import ADDRESS, WORKERS, Machine, write_qcow2

MACHINE_ID = "0123456789abcdef0123456789abcdef"
DAY = 24 * 3600
NUMBERS = 1000000
FEW = 100000  # bytes of the numbers' output that the host has before a snapshot
BUFFER = 1 << 20
PORTS = 20  # more than the first host has had connections


class Host:
    """A machine as durable.py wants an agent."""

    def __init__(self, machine):
        self.connect = lambda port=codec.EXEC_PORT, **_: machine.dial(port)
        self.status = machine.status


class Numbers:
    """A durable session that says the numbers up to NUMBERS, and what was read of it."""

    def __init__(self, machine):
        script = f"seq 1 {NUMBERS}; exit 7"
        self.reader = durable.sh(Host(machine), script, "numbers", buffer_bytes=BUFFER, when_full="wait")
        self.reader.read_to(FEW)

    def read_on(self):
        """All that had come when the connection was reset."""
        while self.reader.take(60) is not None:
            pass
        return self.reader.data

    @staticmethod
    def check(machine, begun):
        """BEGUN and what MACHINE has are the whole."""
        reader = durable.attach(Host(machine), "numbers", at=len(begun))
        assert (reader.attached["offset"], reader.attached["lost"]) == (len(begun), 0)
        acked = 0
        while reader.take(60) is not None:
            if reader.exit is None and reader.offset - acked > BUFFER // 4:
                acked = reader.offset
                reader.ack()
        assert reader.exit == (7, 0)
        whole = b"".join(b"%d\n" % i for i in range(1, NUMBERS + 1))
        assert hashlib.sha256(begun + reader.data).digest() == hashlib.sha256(whole).digest()


class Golden:
    """What all clones come from, and what its hosts had read by then."""


@pytest.fixture(scope="module")
def golden(boot, pytestconfig):
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="vmm-golden-"))
        write_qcow2(f"{folder}/disk", Disk(folder, "raw").path)
        machine = Machine(boot, pytestconfig.build, folder, f"{folder}/disk")
        stack.callback(machine.stop)
        machine.guest.output(
            f"mkdir /disk && mount -t ext4 /dev/vda /disk && echo {MACHINE_ID} >/etc/machine-id"
        )
        machine.plug()
        found = Golden()
        found.instance = machine.status()["instance"]
        found.unaware = store_unaware(machine)
        found.stored = machine.end()
        yield found


def store_unaware(machine):
    """As "unaware": in the middle of all kinds of traffic, with no word to the agent. Returns
    what came of the numbers."""
    numbers = Numbers(machine)
    conns = traffic(machine)
    machine.unplug()
    machine.save("unaware")
    for conn in conns:
        conn.close()
    return numbers.read_on()


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


def restored(machine, **members):
    """RESTORED's exit code and its STATUS."""
    conn = machine.dial()
    conn.send(codec.RESTORED, members)
    result = conn.result(60)
    return result.code, result.event("restored")


def identity(number):
    """What RESTORED gives the clone of this NUMBER; the clock is its own day."""
    return {
        "unix_ns": int((time.time() + number * 10 * DAY) * 1e9),
        "generation": number,
        "hostname": f"clone-{number}",
        "machine_id": True,
        "env": {"CLONE": str(number)},
        "net": {"ip": f"10.0.2.{100 + number}", "netmask": "255.255.255.0", "gateway": "10.0.2.2"},
    }


def run(machine, script):
    conn = machine.start(script)
    result = conn.result(60)
    assert (result.code, result.stderr) == (0, b""), result
    return result.stdout.decode().strip()


def assert_identity(machine, given):
    """That a session finds what was GIVEN; returns the machine-id."""
    seen = run(machine, "hostname; echo $CLONE; date +%s; cat /etc/machine-id; ip -4 -o addr show eth0").split("\n")
    assert seen[:2] == [given["hostname"], given["env"]["CLONE"]]
    assert 0 <= int(seen[2]) - given["unix_ns"] // 10**9 < DAY
    assert len(seen[3]) == 32 and seen[3] != MACHINE_ID
    assert given["net"]["ip"] in seen[4] and ADDRESS + "/" not in seen[4]
    return seen[3]


def assert_whole(machine, durables=0):
    """Nobody died, and all workers are idle but for the one that says so, and one for each
    durable session."""
    status = state.wait_until(
        lambda: (s := machine.status())["workers"]["idle"] == WORKERS - durables - 1 and s
    )
    assert status["worker_deaths"]["total"] == 0
    assert [slot["kind"] for slot in status["slots"]].count("status") == 1
    assert run(machine, "echo served") == "served"


# ---- a guest that knew of nothing -----------------------------------------------------


def test_sessions_in_mid_stream_whose_connections_a_restore_reset_leave_the_agent_whole(start_clone, golden):
    with start_clone("unaware", cid=77) as machine:
        machine.plug()
        # The new host's ports are those of the old one's connections.
        for _ in range(PORTS):
            machine.dial().close()
        assert_whole(machine, durables=1)
        assert machine.status()["instance"] == golden.instance
        assert machine.guest.run("ps | grep -v grep | grep -q 'echo talk'").status == 1
        assert machine.guest.run("ls /disk | grep -v lost+found").output == "", "half of an upload"


def test_restored_alone_puts_right_a_guest_that_was_stored_as_it_ran(start_clone, golden):
    with start_clone("unaware") as machine:
        machine.plug()
        given = identity(3)
        code, status = restored(machine, **given)
        assert (code, status["errors"]) == (0, [])
        assert_identity(machine, given)
        Numbers.check(machine, golden.unaware)
        assert_whole(machine)
