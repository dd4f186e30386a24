# SPDX-License-Identifier: MIT
"""A guest with file systems on disks, QUIESCE as its host has it, and programs that show
whether they stand still.

    quiesce = Quiesce(hosted, fsfreeze=["/disk"])       quiesce.said, once it is there
    quiesce.frozen, quiesce.skipped, quiesce.errors     what STATUS `quiesced` says
    quiesce.thaw()                                      why it ended
    with held(hosted, …) as quiesce: …                  it must come so far
"""

import contextlib
import os
import tempfile

import codec
import state
from disks import MODULES, Disk
from host_vsock import HostVsock
from hosted import Hosted

MOUNT = """
mkdir /disk /other /loop /fuse
mount -t ext4 /dev/vda /disk
mount -t ext4 /dev/vdb /other
mount -t ext4 -o loop /disk/image /loop
"""
WRITERS = 8
WRITES_ENOUGH = 5
WITHIN_MS = 60000  # a busy machine may take long
# The first request passes, whoever's it is, and all others wait for that.
USE_UP = """
read="dd if=/dev/vda of=/dev/null bs=4096 count=1 iflag=direct"
($read; $read) >/dev/null 2>&1 &
until ps -o stat,comm | grep -q '^D.* dd$'; do sleep 0.1; done
"""
CGROUP = "/sys/fs/cgroup/sessions"


@contextlib.contextmanager
def start_with_disks(boot, build, arguments):
    """A guest with a disk at /disk, the file of /loop on it, and another at /other."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="vmm-quiesce-"))
        host = HostVsock(folder)
        stack.callback(host.close)
        os.mkdir(f"{folder}/files")
        Disk(f"{folder}/files", "image")
        disks = [Disk(folder, "disk", 64, holds=f"{folder}/files"), Disk(folder, "other")]
        started = Hosted(
            boot, build, host, arguments, devices=disks[0].devices + disks[1].devices,
            modules=(*MODULES, "loop", "fuse"),
        )  # fmt: skip
        stack.callback(started.guest.stop)
        started.disk, started.other = disks
        started.guest.output(MOUNT)
        yield started


@contextlib.contextmanager
def slow_disk(hosted):
    """Nothing that is asked of /disk comes to an end meanwhile."""
    hosted.guest.monitor("block_set_io_throttle disk 1 0 0 0 0 0")
    try:
        hosted.guest.output(USE_UP)
        yield
    finally:
        hosted.guest.monitor("block_set_io_throttle disk 0 0 0 0 0 0")


class Quiesce:
    def __init__(self, hosted, **order):
        self.conn = hosted.dial()
        self.conn.send(codec.QUIESCE, {"within_ms": WITHIN_MS, **order})
        self._said = None

    @property
    def said(self):
        if self._said is None:
            self._said = self.conn.expect(codec.STATUS).json()
            assert self._said["event"] == "quiesced"
        return self._said

    @property
    def frozen(self):
        return [place["path"] for place in self.said["frozen"]]

    @property
    def skipped(self):
        return {place["path"]: place["why"] for place in self.said["skipped"]}

    @property
    def errors(self):
        """Of the steps that were begun, by their names."""
        return {step["name"]: step["error"] for step in self.said["steps"]}

    def end(self, code=0):
        """Waits for it, with this EXIT; returns why. Of what never held: None."""
        frame = self.conn.recv()
        why = None
        if frame.type == codec.STATUS:
            event = frame.json()
            assert event["event"] == "thawed"
            why = event["why"]
            frame = self.conn.recv()
        assert frame.type == codec.EXIT and codec.exit_status(frame.payload) == (code, 0)
        self.conn.close()
        return why

    def thaw(self):
        self.conn.send(codec.THAW)
        return self.end()


@contextlib.contextmanager
def held(hosted, **order):
    quiesce = Quiesce(hosted, **order)
    try:
        assert "error" not in quiesce.said and not any(quiesce.errors.values()), quiesce.said
        yield quiesce
        assert quiesce.thaw() == "host"
    finally:
        quiesce.conn.close()


def sessions_are_frozen(hosted):
    return "frozen 1" in hosted.guest.output(f"cat {CGROUP}/cgroup.events")


class Writer:
    """A session that writes numbers into a file, and says each once it is on the disk."""

    def __init__(self, hosted, path):
        self.conn = hosted.dial()
        self.conn.send(codec.START, codec.start(["writer", path]))
        self.said = b""

    def acknowledged(self):
        """The last number that has come so far, of one that had no error."""
        while self.conn.wait_readable(0):
            frame = self.conn.recv()
            assert frame is not None and frame.type == codec.STDOUT, frame
            self.said += frame.payload
        return self.said.count(b"\n")

    def goes_on(self):
        """Waits for some more."""
        last = self.acknowledged() + WRITES_ENOUGH
        state.wait_until(lambda: self.acknowledged() >= last)


def check_numbers(stored, acknowledged):
    """STORED, a writer's file, has all numbers that were ACKNOWLEDGED; and those behind, if
    any: they were written, and nobody was told."""
    lines = stored.splitlines()
    assert lines == [b"%d" % i for i in range(1, len(lines) + 1)]
    assert len(lines) >= acknowledged > 0


@contextlib.contextmanager
def writers(hosted, *folders, count=WRITERS):
    """COUNT of them in each of FOLDERS."""
    started = [Writer(hosted, f"{folder}/writer-{i}") for folder in folders for i in range(count)]
    try:
        for writer in started:
            writer.goes_on()
        yield started
    finally:
        for writer in started:
            writer.conn.close()
        hosted.wait_idle()


class Counter:
    """A session that counts in a file of a tmpfs, as fast as it can. BEFORE is run first."""

    def __init__(self, hosted, name, before="", **members):
        self.hosted = hosted
        self.path = f"/run/{name}"
        script = f"{before}\necho up; i=0; while :; do i=$((i+1)); echo $i >{self.path}.new; mv {self.path}.new {self.path}; done"
        self.conn = hosted.start(script, **members)
        self.conn.read_output(b"up")
        state.wait_until(self.count)

    def count(self):
        return int(self.hosted.guest.output(f"cat {self.path} 2>/dev/null || echo 0"))

    def goes_on(self):
        last = self.count()
        state.wait_until(lambda: self.count() > last)

    def stands_still(self):
        last = self.count()
        self.hosted.guest.output("sleep 0.3")
        assert self.count() == last
